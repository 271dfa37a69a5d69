-- Events do not go with the extension unless somebody says so.
SELECT current_database() AS database, current_database() || '_drop_guard' AS other_database \gset
CREATE DATABASE :"other_database";
\c :"other_database"
-- without events there is nothing to guard
CREATE EXTENSION usage_events;
DROP EXTENSION usage_events;
CREATE SCHEMA api;
CREATE EXTENSION usage_events SCHEMA api;
SELECT api.create_usage_event('{"customerAlias": "a", "eventType": "t", "customerEventId": "e"}') IS NOT NULL AS created;
DROP EXTENSION usage_events;
DROP EXTENSION usage_events CASCADE;
DROP SCHEMA api CASCADE;
DROP SCHEMA usage_events CASCADE;
DROP TABLE usage_events.event;
-- in a session that has not used the extension, too
\c
DROP EXTENSION usage_events;
\echo :LAST_ERROR_SQLSTATE
-- of any account, whoever's it is
SELECT usage_events.create_account('other') AS other \gset
UPDATE usage_events.event SET account_id = :'other';
DROP EXTENSION usage_events;
-- events that are only in the history are events
TRUNCATE usage_events.event;
INSERT INTO usage_events.superseded_event
VALUES (:'other', api.uuid_v7(), now(), now(), api.uuid_v7(), 'e', 'a', 't', '{}');
DROP EXTENSION usage_events;
-- an owner without superuser's rights is guarded as well
CREATE ROLE regress_usage_events_owner;
UPDATE pg_extension SET extowner = 'regress_usage_events_owner'::regrole WHERE extname = 'usage_events';
SET ROLE regress_usage_events_owner;
DROP EXTENSION usage_events;
RESET ROLE;
UPDATE pg_extension SET extowner = current_user::regrole WHERE extname = 'usage_events';
DROP ROLE regress_usage_events_owner;
-- nor does it help to turn triggers off
SET session_replication_role = replica;
DROP EXTENSION usage_events;
DROP SCHEMA usage_events CASCADE;
RESET session_replication_role;
-- events that were refused are guarded until they have been sent again
TRUNCATE usage_events.superseded_event;
SELECT api.ingest_usage_events('[{}]') -> 'refused' AS refused;
DROP EXTENSION usage_events;
SELECT api.retry_rejected_usage_events() -> 'refused' AS refused_again;
UPDATE usage_events.rejected_event SET taken_at = now();
BEGIN;
DROP EXTENSION usage_events;
ROLLBACK;
SELECT api.create_usage_event('{"customerAlias": "a", "eventType": "t", "customerEventId": "e"}') IS NOT NULL AS created;
-- other things are dropped as ever
CREATE SCHEMA elsewhere CREATE TABLE event ();
DROP SCHEMA elsewhere CASCADE;
-- somebody says so
SET usage_events.allow_drop = on;
DROP EXTENSION usage_events;
SELECT count(*) FROM pg_namespace WHERE nspname = 'usage_events';
\c :"database"
DROP DATABASE :"other_database";
