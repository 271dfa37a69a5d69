-- Rows that are written without a statement: whatever somebody does to a table, it has its effect.
\pset format unaligned
\pset tuples_only on
-- versions of the server name other places
\set SHOW_CONTEXT never
\set VERBOSITY terse
\i test/helpers/empty.sql
CREATE ROLE regress_usage_events_sends;
SELECT usage_events.grant_access('regress_usage_events_sends', 'ingest');
CREATE FUNCTION send(key text, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT create_usage_event(jsonb_build_object('customerAlias', 'a', 'eventType', 'call', 'customerEventId', key,
        'eventTimestamp', '2026-10-05T12:00:00Z', 'eventProperties', '{"n": 1}'::jsonb) || more) ->> 'customerEventId' $$;
CREATE VIEW stored AS SELECT string_agg(customer_event_id, ' ' ORDER BY customer_event_id) FROM usage_events.event;
SELECT create_usage_metric('{"name": "sum", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "SUM", "aggregationProperty": "n"}')
    ->> 'id' AS metric \gset
CREATE FUNCTION notice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% % % of %', tg_name, tg_when, tg_level, tg_table_name;
    RETURN new;
END $$;

-- new, a retry, another version; in one transaction, and with what is taken back
SELECT send('1');
SELECT send('1');
SELECT send('1', '{"eventProperties": {"n": 2}}');
BEGIN;
SELECT send('2');
SELECT send('2');
SAVEPOINT before;
SELECT send('3');
ROLLBACK TO before;
SELECT send('4');
COMMIT;
TABLE stored;
SELECT customer_alias, seconds, first_id IS NOT NULL, last_id IS NOT NULL, count(*) FROM usage_events.dirty_bucket WHERE event_type = 'call'
    GROUP BY 1, 2, 3, 4 ORDER BY 5;

-- triggers fire, of events and of marks
BEGIN;
CREATE TRIGGER a BEFORE INSERT ON usage_events.event FOR EACH ROW EXECUTE FUNCTION notice();
CREATE TRIGGER b AFTER INSERT ON usage_events.event FOR EACH STATEMENT EXECUTE FUNCTION notice();
CREATE TRIGGER c AFTER INSERT ON usage_events.dirty_bucket FOR EACH ROW EXECUTE FUNCTION notice();
SELECT send('5');
ROLLBACK;
-- also one that has our own function, and keeps each row out
BEGIN;
CREATE TRIGGER a BEFORE INSERT ON usage_events.event FOR EACH ROW EXECUTE FUNCTION usage_events.watch_changes();
SELECT send('5');
ROLLBACK;
BEGIN;
CREATE CONSTRAINT TRIGGER d AFTER INSERT ON usage_events.event DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION notice();
SELECT send('5');
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK;
-- one of updates does not, nor one that is gone
BEGIN;
CREATE TRIGGER a BEFORE UPDATE ON usage_events.event FOR EACH STATEMENT EXECUTE FUNCTION notice();
CREATE TRIGGER b BEFORE INSERT ON usage_events.event FOR EACH STATEMENT EXECUTE FUNCTION notice();
DROP TRIGGER b ON usage_events.event;
SELECT send('5');
ROLLBACK;

-- rules
BEGIN;
CREATE TABLE copied (LIKE usage_events.event);
CREATE RULE copy AS ON INSERT TO usage_events.dirty_bucket DO ALSO INSERT INTO copied (customer_alias) VALUES (new.customer_alias);
ALTER TABLE copied ALTER account_id DROP NOT NULL, ALTER id DROP NOT NULL, ALTER event_timestamp DROP NOT NULL,
    ALTER customer_event_id DROP NOT NULL, ALTER event_type DROP NOT NULL, ALTER event_properties DROP NOT NULL;
SELECT send('5');
SELECT customer_alias FROM copied;
ROLLBACK;

-- constraints
BEGIN;
ALTER TABLE usage_events.event ADD CONSTRAINT short CHECK (length(customer_event_id) < 3);
SELECT send('55');
SELECT send('555');
ROLLBACK;
BEGIN;
TRUNCATE usage_events.dirty_bucket;
ALTER TABLE usage_events.dirty_bucket ALTER last_id SET NOT NULL;
SELECT send('5');
ROLLBACK;
BEGIN;
CREATE TABLE known (alias text COLLATE "C" PRIMARY KEY);
INSERT INTO known VALUES ('a');
ALTER TABLE usage_events.event ADD FOREIGN KEY (customer_alias) REFERENCES known;
SELECT send('5');
SELECT send('6', '{"customerAlias": "unknown"}');
ROLLBACK;

-- columns: a default, a generated one, and one that is gone
BEGIN;
ALTER TABLE usage_events.event ADD more text DEFAULT 'by default', ADD computed text COLLATE "C" GENERATED ALWAYS AS (customer_event_id || '!') STORED;
SELECT send('5');
SELECT more, computed FROM usage_events.event WHERE customer_event_id = '5';
ALTER TABLE usage_events.event DROP more, DROP computed;
SELECT send('6');
TABLE stored;
ROLLBACK;

-- indexes: a unique one, one of an expression, one of the key's columns in another order, one of another kind
BEGIN;
CREATE UNIQUE INDEX one_call ON usage_events.event (account_id, event_type, event_timestamp) WHERE event_properties @> '{"n": 3}';
SELECT send('5', '{"eventProperties": {"n": 3}}');
SAVEPOINT before;
SELECT send('6', '{"eventProperties": {"n": 3}}');
ROLLBACK TO before;
SELECT send('5', '{"eventProperties": {"n": 3}}');
ROLLBACK;
BEGIN;
CREATE FUNCTION noticed(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'indexed %', $1; RETURN $1; END $$;
CREATE INDEX by_expression ON usage_events.event (noticed(customer_event_id)) WHERE event_type = 'call' AND customer_event_id = '5';
SELECT send('5');
ROLLBACK;
BEGIN;
CREATE UNIQUE INDEX same_columns ON usage_events.event (customer_event_id, account_id);
SELECT send('5');
SELECT send('5');
ROLLBACK;
BEGIN;
CREATE INDEX by_properties ON usage_events.event USING gin (event_properties);
SELECT send('5', '{"eventProperties": {"n": 5}}');
SET LOCAL enable_seqscan = off;
SELECT customer_event_id FROM usage_events.event WHERE event_properties @> '{"n": 5}';
ROLLBACK;
-- the key: not there, of another name, made anew
BEGIN;
ALTER TABLE usage_events.event DROP CONSTRAINT event_pkey;
SELECT send('5');
ROLLBACK;
BEGIN;
ALTER TABLE usage_events.event DROP CONSTRAINT event_pkey;
CREATE UNIQUE INDEX event_pkey ON usage_events.event (account_id, customer_event_id, event_timestamp);
SELECT send('5');
ROLLBACK;
BEGIN;
ALTER INDEX usage_events.event_pkey RENAME TO other_name;
CREATE INDEX event_pkey ON usage_events.event (account_id, customer_event_id);
SELECT send('5');
SELECT send('5');
ROLLBACK;
REINDEX INDEX usage_events.event_pkey;
SELECT send('1', '{"eventProperties": {"n": 2}}');
TABLE stored;

-- policies: another, our own made another, or of others alone
BEGIN;
CREATE POLICY quiet ON usage_events.event AS RESTRICTIVE FOR INSERT WITH CHECK (customer_event_id <> '6');
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('5');
SELECT send('6');
ROLLBACK;
BEGIN;
ALTER POLICY own_insert ON usage_events.dirty_bucket WITH CHECK (customer_alias <> 'a');
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('5');
ROLLBACK;
BEGIN;
ALTER POLICY own_insert ON usage_events.event TO pg_monitor;
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('5');
ROLLBACK;
-- what is not to be read is not known to be there
BEGIN;
CREATE POLICY quiet ON usage_events.event AS RESTRICTIVE FOR SELECT USING (customer_event_id <> '6');
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('5');
SELECT send('6');
ROLLBACK;

-- rights: none, to some columns alone, or without row-level security
BEGIN;
REVOKE INSERT ON usage_events.event FROM regress_usage_events_sends;
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('5');
ROLLBACK;
BEGIN;
REVOKE INSERT ON usage_events.dirty_bucket FROM regress_usage_events_sends;
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('5');
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('5');
RESET ROLE;
REVOKE USAGE ON SCHEMA usage_events FROM regress_usage_events_sends;
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('6');
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_usage_events_sends;
SET LOCAL row_security = off;
SELECT send('5');
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('5');
ROLLBACK;
BEGIN READ ONLY;
SELECT send('5');
ROLLBACK;
-- in a transaction that keeps its snapshot
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT send('5');
SELECT send('5');
ROLLBACK;
TABLE stored;

-- The row that says whose turn it is under a limit
SELECT create_usage_limit(jsonb_build_object('name', 'l', 'usageMetricId', :'metric', 'period', 'MONTH', 'limit', 6, 'mode', 'BLOCK')) ->> 'mode';
CREATE VIEW turns AS SELECT sum(turn), count(*) FROM usage_events.usage_limit_lock;
SELECT send('5');
TABLE turns;
SELECT send('6');
SELECT send('7');
TABLE turns;
-- one turn of a transaction, which is given back with what it did
BEGIN;
DELETE FROM usage_events.event WHERE customer_event_id IN ('5', '6');
SELECT send('8');
SELECT send('9');
TABLE turns;
ROLLBACK;
BEGIN;
SAVEPOINT before;
SELECT send('1', '{"eventProperties": {"n": 1}}');
TABLE turns;
ROLLBACK TO before;
TABLE turns;
SELECT send('1', '{"eventProperties": {"n": 1}}');
TABLE turns;
ROLLBACK;
-- a trigger of its own, a right to the number alone, none, another policy, no index
BEGIN;
CREATE TRIGGER a BEFORE UPDATE ON usage_events.usage_limit_lock FOR EACH ROW EXECUTE FUNCTION notice();
SELECT send('1', '{"eventProperties": {"n": 1}}');
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('1', '{"eventProperties": {"n": 1}}');
RESET ROLE;
TABLE turns;
ROLLBACK;
BEGIN;
REVOKE UPDATE (turn) ON usage_events.usage_limit_lock FROM regress_usage_events_sends;
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('1', '{"eventProperties": {"n": 1}}');
ROLLBACK;
BEGIN;
CREATE POLICY quiet ON usage_events.usage_limit_lock AS RESTRICTIVE FOR UPDATE USING (false);
SET LOCAL ROLE regress_usage_events_sends;
SELECT send('1', '{"eventProperties": {"n": 1}}');
ROLLBACK;
-- a number of another type, and one that has no next
DROP VIEW turns;
ALTER TABLE usage_events.usage_limit_lock ALTER turn TYPE numeric USING 12345678901234567890.5;
SELECT send('1', '{"eventProperties": {"n": 1}}');
SELECT turn FROM usage_events.usage_limit_lock;
ALTER TABLE usage_events.usage_limit_lock ALTER turn TYPE bigint USING 9223372036854775807;
SELECT send('1', '{"eventProperties": {"n": 1}}');
UPDATE usage_events.usage_limit_lock SET turn = 2;
BEGIN;
ALTER INDEX usage_events.usage_limit_lock_pkey RENAME TO other_name;
SELECT send('1', '{"eventProperties": {"n": 1}}');
SELECT turn FROM usage_events.usage_limit_lock;
ROLLBACK;

DROP VIEW stored;
DROP FUNCTION send, notice;
SELECT usage_events.revoke_access('regress_usage_events_sends');
DROP ROLE regress_usage_events_sends;
\i test/helpers/empty.sql
