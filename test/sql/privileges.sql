-- What an ordinary role may do: nothing, until it is given access.
TRUNCATE usage_events.event, usage_events.superseded_event;
CREATE ROLE regress_usage_events_reader;
CREATE ROLE regress_usage_events_sender;
CREATE ROLE regress_usage_events_admin;
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t", "customerEventId": "e-1"}') IS NOT NULL AS created;

SET ROLE regress_usage_events_sender;
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t"}');
SELECT usage_events.create_event('00000000-0000-8000-8000-000000000001', '{"customerAlias": "a", "eventType": "t"}');
SELECT get_usage_event(uuid_v7());
SELECT * FROM usage_events;
SELECT * FROM usage_event_history;
SELECT usage_events.create_account('mine');
SELECT usage_events.grant_access('regress_usage_events_sender', 'admin');
SET usage_events.account_id = '';
RESET ROLE;

-- grants
SELECT usage_events.grant_access('regress_usage_events_reader', 'read');
SELECT usage_events.grant_access('regress_usage_events_sender', 'ingest');
SELECT usage_events.grant_access('regress_usage_events_admin', 'admin');
SELECT usage_events.grant_access('regress_usage_events_reader', 'write');
SELECT usage_events.grant_access(NULL, 'read');
SELECT usage_events.grant_access('regress_usage_events_reader', NULL);
SELECT usage_events.grant_access('regress_usage_events_nobody', 'read');

SET ROLE regress_usage_events_reader;
SELECT customer_alias FROM usage_events;
SELECT get_usage_event(id) ->> 'eventType' AS event_type FROM usage_events;
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t"}');
INSERT INTO usage_events SELECT * FROM usage_events;
DELETE FROM usage_events;

SET ROLE regress_usage_events_sender;
SELECT create_usage_event('{"customerAlias": "b", "eventType": "t", "customerEventId": "e-1"}') ->> 'customerAlias' AS superseded;
SELECT customer_alias FROM usage_events;
SELECT customer_alias FROM usage_event_history;
-- what is stored stays: no deletion, no history rewritten, no event moved to another account
DELETE FROM usage_events.event;
DELETE FROM usage_events.superseded_event;
UPDATE usage_events.superseded_event SET customer_alias = 'forged';
UPDATE usage_events.event SET account_id = uuid_v7();
UPDATE usage_events.event SET customer_event_id = 'other';
TRUNCATE usage_events.event;
INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
VALUES ('0184421e-a9cc-711b-af93-bf0511d4d833', uuid_v7(), now(), 'e', 'a', 't', '{}');
SELECT usage_events.create_event('00000000-0000-8000-8000-000000000001', '{"customerAlias": "a", "eventType": "t"}');
SELECT usage_events.create_account('mine');

SET ROLE regress_usage_events_admin;
SELECT usage_events.create_account('new') AS account \gset
SELECT usage_events.create_event(:'account', '{"customerAlias": "c", "eventType": "t"}') ->> 'sequenceAccountId' = :'account' AS written;
-- but reads the session's account alone
SELECT customer_alias FROM usage_events;
RESET ROLE;

DELETE FROM usage_events.event WHERE account_id = :'account';
DELETE FROM usage_events.account WHERE account_id = :'account';
DROP OWNED BY regress_usage_events_reader, regress_usage_events_sender, regress_usage_events_admin;
DROP ROLE regress_usage_events_reader, regress_usage_events_sender, regress_usage_events_admin;
