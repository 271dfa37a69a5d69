-- Rows that are searched for along an index: whatever somebody does to a table, the statement that says the same is run then.
\pset format unaligned
\pset tuples_only on
-- versions of the server name other places
\set SHOW_CONTEXT never
\i test/helpers/empty.sql
CREATE FUNCTION sent(alias text, number integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'customerEventId', alias || n,
        'eventTimestamp', format('2026-10-05T12:%s:00Z', n), 'eventProperties', jsonb_build_object('n', n))))) FROM generate_series(10, number) AS n $$;
SELECT sent('a', 30), sent('b', 20);
SELECT create_usage_metric('{"name": "sum", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "SUM", "aggregationProperty": "n"}')
    ->> 'id' AS metric \gset
\i test/helpers/refresh.sql
CALL pg_temp.refresh_until_ready();
-- more events, marked: one of a customer, and a batch of several
SELECT create_usage_event('{"customerAlias": "a", "eventType": "call", "customerEventId": "a-more", "eventTimestamp": "2026-10-05T13:00:00Z",
    "eventProperties": {"n": 0.5}}') IS NOT NULL;
SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'customerEventId', alias || '-more',
    'eventTimestamp', '2026-10-05T14:00:00Z', 'eventProperties', '{"n": 1}'::jsonb)))) FROM unnest('{b,c,d,e}'::text[]) AS alias;
-- what is used of customers "a" and "b", each by itself, then both, and then of each of all
CREATE FUNCTION used() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' | ', string_agg(calculate_usage_metric(m.id, ARRAY[alias], period) ->> 'value', ' ' ORDER BY alias),
        (SELECT string_agg(value ->> 'value', ' ') FROM calculate_usage_metric(m.id, '{a,b}', period) AS value),
        (SELECT string_agg(value::text, ' ' ORDER BY customer) FROM usage_metric_by_customer(m.id, period)))
    FROM unnest('{a,b}'::text[]) AS alias, (SELECT id FROM usage_metrics WHERE name = 'sum') AS m, tstzrange('2026-10-01 00:00Z', '2026-11-01 00:00Z') AS period
    GROUP BY m.id, period $$;
CREATE ROLE regress_usage_events_asks;
SELECT usage_events.grant_access('regress_usage_events_asks', 'read');
SELECT used();
SET ROLE regress_usage_events_asks;
SELECT used();
RESET ROLE;

-- rollups are used: what is wrong in them shows
BEGIN;
ALTER TABLE usage_events.metric_rollup DISABLE TRIGGER usage_events_watch;
UPDATE usage_events.metric_rollup SET value = value + 1000 WHERE level = 1;
SELECT used();
SET LOCAL ROLE regress_usage_events_asks;
SELECT used();
ROLLBACK;

-- another policy counts
BEGIN;
CREATE POLICY quiet ON usage_events.event AS RESTRICTIVE FOR SELECT USING (customer_event_id <> 'a-more');
SELECT used();
SET LOCAL ROLE regress_usage_events_asks;
SELECT used();
ROLLBACK;
BEGIN;
CREATE POLICY quiet ON usage_events.metric_rollup AS RESTRICTIVE FOR ALL USING (false);
CREATE POLICY quiet ON usage_events.event AS RESTRICTIVE FOR SELECT USING (customer_alias = 'b');
SET LOCAL ROLE regress_usage_events_asks;
SELECT used();
ROLLBACK;
-- so does our own, made another, or for others
BEGIN;
ALTER POLICY own_read ON usage_events.event USING (account_id = usage_events.current_account_id() AND customer_event_id <> 'a-more');
SET LOCAL ROLE regress_usage_events_asks;
SELECT used();
ROLLBACK;
BEGIN;
ALTER POLICY own_read ON usage_events.event TO pg_monitor;
SET LOCAL ROLE regress_usage_events_asks;
SELECT used();
ROLLBACK;
BEGIN;
CREATE FUNCTION current_account_id() RETURNS uuid LANGUAGE sql RETURN '00000000-0000-0000-0000-000000000000'::uuid;
ALTER POLICY own_read ON usage_events.event USING (account_id = public.current_account_id());
SET LOCAL ROLE regress_usage_events_asks;
SELECT used();
ROLLBACK;
-- an account that is not there sees nothing, as in a session that closes itself
BEGIN;
SET LOCAL usage_events.account_id = '00000000-0000-0000-0000-000000000000';
SET LOCAL ROLE regress_usage_events_asks;
SELECT used();
ROLLBACK;

-- no right to read the table, or only to some columns of it, or none without row-level security
BEGIN;
REVOKE SELECT ON usage_events.dirty_bucket FROM regress_usage_events_asks;
SET LOCAL ROLE regress_usage_events_asks;
SELECT used();
ROLLBACK;
BEGIN;
REVOKE SELECT ON usage_events.event FROM regress_usage_events_asks;
GRANT SELECT (account_id, customer_alias, event_type, event_timestamp, id, event_properties) ON usage_events.event TO regress_usage_events_asks;
SET LOCAL ROLE regress_usage_events_asks;
SELECT used();
ROLLBACK;
BEGIN;
SET LOCAL row_security = off;
SELECT used();
SET LOCAL ROLE regress_usage_events_asks;
SELECT used();
ROLLBACK;

-- without the index, with another of its name, and with it again
BEGIN;
ALTER INDEX usage_events.event_customer_idx RENAME TO other_idx;
SELECT used();
CREATE INDEX event_customer_idx ON usage_events.event (account_id, customer_alias) WHERE customer_event_id <> 'a-more';
SELECT used();
DROP INDEX usage_events.event_customer_idx;
CREATE INDEX event_customer_idx ON usage_events.event (account_id, event_type, customer_alias, event_timestamp);
SELECT used();
DROP INDEX usage_events.event_customer_idx;
CREATE INDEX event_customer_idx ON usage_events.event (account_id, customer_alias, event_type, event_timestamp DESC);
SELECT used();
DROP INDEX usage_events.event_customer_idx;
CREATE INDEX event_customer_idx ON usage_events.event USING hash (account_id);
SELECT used();
ROLLBACK;
SELECT used();
REINDEX INDEX usage_events.event_customer_idx;
SELECT used();

-- rows come in the order of the key, whatever index has them: from the first event of a month to the first of the next one
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'usage_events.event_customer_idx'::regclass;
CREATE INDEX regress_newest_idx ON usage_events.event (account_id, customer_alias, event_type, event_timestamp DESC);
SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', 'a', 'eventType', 'other', 'eventTimestamp',
    format('2026-%s-05T12:00:00Z', month), 'customerEventId', 'other-' || 99 - month::integer)))) FROM unnest('{07,08,09,10,11}'::text[]) AS month;
SELECT create_usage_metric('{"name": "others", "metricType": "SIMPLE", "eventType": "other", "aggregationType": "COUNT"}') ->> 'id' AS others \gset
CALL pg_temp.refresh_until_ready();
SELECT calculate_usage_metric(:'others', '{a}', '[2026-01-01 00:00Z, 2027-01-01 00:00Z)') ->> 'value' AS counted,
    (SELECT count(*) FROM usage_events.metric_rollup JOIN usage_events.metric AS m ON m.version_id = metric_version_id
        WHERE level = 1 AND m.name = 'others') AS months;
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'usage_events.event_customer_idx'::regclass;
DROP INDEX usage_events.regress_newest_idx;
SELECT used();
-- also where an index of its name has another column in between
ALTER INDEX usage_events.event_customer_idx RENAME TO other_idx;
CREATE INDEX event_customer_idx ON usage_events.event (account_id, customer_alias, event_type, customer_event_id, event_timestamp);
TRUNCATE usage_events.metric_rollup;
CALL pg_temp.refresh_until_ready();
SELECT calculate_usage_metric(:'others', '{a}', '[2026-01-01 00:00Z, 2027-01-01 00:00Z)') ->> 'value' AS counted;
DROP INDEX usage_events.event_customer_idx;
ALTER INDEX usage_events.other_idx RENAME TO event_customer_idx;

-- a table with rows in a child
BEGIN;
CREATE TABLE child () INHERITS (usage_events.event);
INSERT INTO child SELECT * FROM ONLY usage_events.event WHERE customer_event_id = 'a-more';
SELECT used();
ROLLBACK;
SELECT used();

-- another schema's table of the same name is not asked
BEGIN;
CREATE SCHEMA before;
CREATE TABLE before.event (LIKE usage_events.event);
SET LOCAL search_path = before, public;
SELECT used();
ROLLBACK;

REVOKE ALL ON ALL TABLES IN SCHEMA usage_events FROM regress_usage_events_asks;
DROP OWNED BY regress_usage_events_asks;
DROP ROLE regress_usage_events_asks;
DROP FUNCTION sent(text, integer);
DROP FUNCTION used();
