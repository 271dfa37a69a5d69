-- What an ordinary role may do: nothing, until it is given access.
TRUNCATE usage_events.api_key;
\i test/helpers/empty.sql
CREATE ROLE regress_usage_events_reader;
CREATE ROLE regress_usage_events_sender;
CREATE ROLE regress_usage_events_admin;
CREATE ROLE regress_usage_events_web;
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t", "customerEventId": "e-1"}') IS NOT NULL AS created;

SET ROLE regress_usage_events_sender;
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t"}');
SELECT usage_events.create_event('00000000-0000-8000-8000-000000000001', '{"customerAlias": "a", "eventType": "t"}');
SELECT get_usage_event(uuid_v7());
SELECT * FROM usage_events;
SELECT * FROM usage_event_history;
SELECT get_usage_event_history(uuid_v7());
SELECT list_usage_events();
SELECT create_customer_alias('{}');
SELECT list_customer_aliases();
SELECT * FROM customer_aliases;
SELECT * FROM unmapped_customer_aliases;
SELECT create_usage_metric('{}');
SELECT get_usage_metric(uuid_v7());
SELECT update_usage_metric(uuid_v7(), '{}');
SELECT delete_usage_metric(uuid_v7());
SELECT list_usage_metrics();
SELECT * FROM usage_metrics;
SELECT usage_api_read();
SELECT usage_events.authenticate_request();
SELECT usage_events.create_account('mine');
SELECT usage_events.grant_access('regress_usage_events_sender', 'admin');
SET usage_events.account_id = '';
RESET ROLE;

-- grants
SELECT usage_events.grant_access('regress_usage_events_reader', 'read');
SELECT usage_events.grant_access('regress_usage_events_sender', 'ingest');
SELECT usage_events.grant_access('regress_usage_events_admin', 'admin');
SELECT usage_events.grant_access('regress_usage_events_web', 'http');
SELECT usage_events.grant_access('regress_usage_events_reader', 'write');
SELECT usage_events.grant_access(NULL, 'read');
SELECT usage_events.grant_access('regress_usage_events_reader', NULL);
SELECT usage_events.grant_access('regress_usage_events_nobody', 'read');
SELECT usage_events.revoke_access(NULL);
SELECT usage_events.revoke_access('regress_usage_events_nobody');

SET ROLE regress_usage_events_reader;
SELECT customer_alias FROM usage_events;
SELECT get_usage_event(id) ->> 'eventType' AS event_type FROM usage_events;
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t"}');
INSERT INTO usage_events SELECT * FROM usage_events;
DELETE FROM usage_events;
SELECT jsonb_array_length(list_usage_events() -> 'items') AS events, jsonb_array_length(list_customer_aliases() -> 'items') AS aliases;
SELECT jsonb_array_length(get_usage_event_history(id) -> 'items') AS versions FROM usage_events;
SELECT create_customer_alias('{"customerId": "c", "value": "v"}');
SELECT jsonb_array_length(list_usage_metrics() -> 'items') AS metrics, get_usage_metric(uuid_v7()) IS NULL AS none;
SELECT create_usage_metric('{"name": "n", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}');
SELECT update_usage_metric(uuid_v7(), '{"name": "n", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}');
SELECT delete_usage_metric(uuid_v7());
SELECT count(*) AS metrics, (SELECT count(*) FROM usage_events.superseded_metric) AS superseded, (SELECT count(*) FROM usage_events.metric_rollup) AS rollups,
       (SELECT count(*) FROM usage_events.metric_progress) AS progress, (SELECT count(*) FROM usage_events.dirty_bucket) AS dirty FROM usage_metrics;
SELECT usage_api_read();
SELECT count(*) FROM usage_events.api_key;
SELECT usage_events.list_api_keys('00000000-0000-8000-8000-000000000001');

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
-- aliases are made, relabelled and deleted, and not rewritten
SELECT create_customer_alias('{"customerId": "c", "value": "v"}') ->> 'value' AS value;
SELECT update_customer_alias(id, '{"label": "l"}') ->> 'label' AS label, delete_customer_alias(id) ->> 'deletedAt' IS NOT NULL AS deleted FROM customer_aliases;
UPDATE usage_events.customer_alias SET value = 'other';
DELETE FROM usage_events.customer_alias;
-- metrics are made, updated and deleted; an expression is not written, nor the past rewritten
SELECT create_usage_metric('{"name": "n", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}') ->> 'name' AS name;
SELECT update_usage_metric(id, '{"name": "m", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}') ->> 'name' AS name FROM usage_metrics;
SELECT delete_usage_metric(id) ->> 'deletedAt' IS NOT NULL AS deleted FROM usage_metrics;
UPDATE usage_events.metric SET expression = 'sum(1)';
UPDATE usage_events.metric SET parameters = '[{}]';
UPDATE usage_events.metric SET id = uuid_v7();
UPDATE usage_events.metric SET created_at = now();
INSERT INTO usage_events.metric SELECT * FROM usage_events.metric;
DELETE FROM usage_events.metric;
DELETE FROM usage_events.superseded_metric;
UPDATE usage_events.superseded_metric SET name = 'forged';
UPDATE usage_events.metric_progress SET is_built = true;
INSERT INTO usage_events.metric_rollup SELECT * FROM usage_events.metric_rollup;
UPDATE usage_events.metric_rollup SET value = 0;
DELETE FROM usage_events.metric_rollup;
UPDATE usage_events.dirty_bucket SET bucket = now();
DELETE FROM usage_events.dirty_bucket;
SELECT usage_events.authenticate_request();
SELECT count(client_id) FROM usage_events.api_key;

-- who answers HTTP may verify keys, and neither list nor make them
SET ROLE regress_usage_events_web;
SELECT usage_events.authenticate_request();
SELECT usage_events.openapi() ->> 'openapi' AS openapi;
SELECT count(secret_hash) FROM usage_events.api_key;
SELECT label FROM usage_events.api_key;
UPDATE usage_events.api_key SET expires_at = NULL;
SELECT usage_events.list_api_keys('00000000-0000-8000-8000-000000000001');
SELECT usage_events.create_api_key('00000000-0000-8000-8000-000000000001', 'mine');
SELECT usage_events.create_account('mine');

SET ROLE regress_usage_events_admin;
SELECT create_usage_metric('{"name": "n", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}') ->> 'name' AS name;
-- nobody writes rows by hand
UPDATE usage_events.metric SET expression = 'sum(1)', parameters = '[]' WHERE name = 'n';
UPDATE usage_events.metric_rollup SET value = 0;
DELETE FROM usage_events.metric_rollup;
DELETE FROM usage_events.dirty_bucket;
DELETE FROM usage_events.metric;
SELECT usage_events.create_account('new') AS account \gset
SELECT usage_events.create_event(:'account', '{"customerAlias": "c", "eventType": "t"}') ->> 'sequenceAccountId' = :'account' AS written;
SELECT client_id AS key FROM usage_events.create_api_key(:'account', 'key') \gset
SELECT label, expires_at FROM usage_events.list_api_keys(:'account');
SELECT count(*) FROM usage_events.rotate_api_key(:'key');
SELECT count(*) FROM usage_events.api_key;
SELECT secret_hash FROM usage_events.api_key;
UPDATE usage_events.api_key SET secret_hash = '';
DELETE FROM usage_events.api_key;
-- but reads the session's account alone
SELECT customer_alias FROM usage_events;
RESET ROLE;

-- what another role has granted is its own to take back, and comes first
GRANT SELECT ON usage_events.event TO regress_usage_events_reader WITH GRANT OPTION;
SET ROLE regress_usage_events_reader;
GRANT SELECT ON usage_events.event TO regress_usage_events_web;
RESET ROLE;
SELECT usage_events.revoke_access('regress_usage_events_web');
SELECT usage_events.revoke_access('regress_usage_events_reader');
SET ROLE regress_usage_events_reader;
REVOKE SELECT ON usage_events.event FROM regress_usage_events_web;
RESET ROLE;
-- what was granted is taken back, and the roles can go
SELECT usage_events.revoke_access(role)
    FROM unnest('{regress_usage_events_reader, regress_usage_events_sender, regress_usage_events_admin, regress_usage_events_web}'::regrole[]) AS role;
SET ROLE regress_usage_events_web;
SELECT usage_events.authenticate_request();
SELECT list_usage_events();
SELECT * FROM usage_events;
RESET ROLE;
DROP ROLE regress_usage_events_reader, regress_usage_events_sender, regress_usage_events_admin, regress_usage_events_web;
TRUNCATE usage_events.api_key;
\i test/helpers/empty.sql
DELETE FROM usage_events.account WHERE account_id = :'account';

