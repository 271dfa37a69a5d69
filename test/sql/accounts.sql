-- Accounts: whose events these are.
TRUNCATE usage_events.event, usage_events.superseded_event;
SELECT account_id, name FROM usage_events.account WHERE account_id = usage_events.current_account_id();
SELECT usage_events.create_account('acme') AS acme \gset
SELECT usage_events.create_account('globex') AS globex \gset
SELECT name FROM usage_events.account WHERE account_id IN (:'acme', :'globex') ORDER BY name;

-- the setting says whose events are written and read
SET usage_events.account_id = :'acme';
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t", "customerEventId": "same"}') ->> 'sequenceAccountId' = :'acme' AS own;
SET usage_events.account_id = :'globex';
SELECT create_usage_event('{"customerAlias": "g", "eventType": "t", "customerEventId": "same"}') AS event \gset
SELECT :'event'::jsonb ->> 'sequenceAccountId' = :'globex' AS own, :'event'::jsonb ->> 'id' AS id \gset
SELECT get_usage_event(:'id') ->> 'customerAlias' AS own;
SET usage_events.account_id = :'acme';
SELECT get_usage_event(:'id') IS NULL AS not_others;
RESET usage_events.account_id;
-- the same key in two accounts: two events, no history
SELECT count(*) AS events, count(DISTINCT account_id) AS accounts FROM usage_events WHERE customer_event_id = 'same';
SELECT count(*) FROM usage_event_history;

-- the account as an argument, for servers that serve many
SELECT usage_events.create_event(:'acme', '{"customerAlias": "a2", "eventType": "t", "customerEventId": "same"}') ->> 'sequenceAccountId' = :'acme' AS other;
SELECT usage_events.current_account_id() AS unchanged;
SELECT customer_alias FROM usage_events ORDER BY 1;
-- and when it fails, the session's account is what it was
BEGIN;
SAVEPOINT before;
SELECT usage_events.create_event('0184421e-a9cc-711b-af93-bf0511d4d833', '{"customerAlias": "a", "eventType": "t"}');
ROLLBACK TO before;
SELECT usage_events.current_account_id() AS unchanged;
COMMIT;

-- an account that does not exist, or no longer does, is refused
SET usage_events.account_id = '0184421e-a9cc-711b-af93-bf0511d4d833';
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t"}');
RESET usage_events.account_id;
BEGIN;
SELECT usage_events.create_account('rolled back') AS gone \gset
SELECT usage_events.create_event(:'gone', '{"customerAlias": "a", "eventType": "t"}') ->> 'customerAlias' AS alias;
ROLLBACK;
DO $$ BEGIN
    PERFORM usage_events.create_event(uuid_v7(), '{"customerAlias": "a", "eventType": "t"}');
EXCEPTION WHEN invalid_parameter_value THEN RAISE NOTICE 'refused'; END $$;
\set VERBOSITY sqlstate
SELECT usage_events.create_event(:'gone', '{"customerAlias": "a", "eventType": "t"}');
\set VERBOSITY default

-- the nil UUID means none: whatever needs an account is refused, and another can still be named
SET usage_events.account_id = '00000000-0000-0000-0000-000000000000';
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t"}');
\echo :LAST_ERROR_SQLSTATE
SELECT list_usage_events();
SELECT usage_events.create_event(:'acme', '{"customerAlias": "a3", "eventType": "t"}') ->> 'sequenceAccountId' = :'acme' AS other;
SELECT usage_events.current_account_id();
RESET usage_events.account_id;

-- names
SELECT usage_events.create_account(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.create_account(' ');
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.create_account(repeat('x', 256));
DELETE FROM usage_events.event;
DELETE FROM usage_events.account WHERE account_id IN (:'acme', :'globex');
