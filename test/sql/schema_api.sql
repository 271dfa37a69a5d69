-- The API in a schema of the user's choice.
SELECT current_database() AS database, current_database() || '_api' AS other_database \gset
CREATE DATABASE :"other_database";
\c :"other_database"
CREATE SCHEMA api;
CREATE EXTENSION usage_events SCHEMA api;
-- storage and administration stay where they are, and nothing lands elsewhere
SELECT pg_describe_object(classid, objid, 0) AS object
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'usage_events')
  AND deptype = 'e' AND NOT (classid = 'pg_type'::regclass AND (SELECT typrelid <> 0 OR typelem <> 0 FROM pg_type WHERE oid = objid))
ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C";
SELECT api.create_usage_event('{"customerAlias": "acme", "eventType": "login", "customerEventId": "e-1"}') ->> 'customerAlias' AS alias;
SELECT api.create_usage_event('{"customerAlias": "VOID", "eventType": "login", "customerEventId": "e-1"}') ->> 'customerAlias' AS alias;
SELECT customer_alias FROM api.usage_events;
SELECT customer_alias FROM api.usage_event_history;
SELECT '{"customerAlias": "acme", "eventType": "login"}'::api.usage_event;
SET search_path = api;
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "login"}') ->> 'customerAlias' AS alias;
ALTER EXTENSION usage_events SET SCHEMA public;
\c :"database"
DROP DATABASE :"other_database";
