-- Rows that were written by hand, as a superuser can: metrics refuse them or pass them by, and read nothing that is not there.
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
\i test/helpers/empty.sql
SELECT count(create_usage_event(jsonb_build_object('customerAlias', 'acme', 'eventType', 'call', 'eventTimestamp', '2026-10-0' || n || 'T12:00:00Z',
    'eventProperties', jsonb_build_object('n', n))))
FROM generate_series(1, 3) AS n;
SELECT create_usage_metric('{"name": "sum", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "SUM",
    "aggregationProperty": "n"}') ->> 'id' AS sum \gset
CREATE FUNCTION calculated(metric_id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', answer ->> 'value', answer ->> 'eventCount', answer ->> 'skippedEventCount')
    FROM calculate_usage_metric(metric_id, '{acme}', '[2026-10-01 00:00Z, 2026-10-05 00:00Z)') AS answer
$$;
\i test/helpers/refresh.sql
CALL pg_temp.refresh();
SELECT calculated(:'sum');

-- marks of more seconds than a minute has, and of no time that an event can have
INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at, seconds)
SELECT account_id, 'call', 'acme', bucket, now(), seconds
FROM usage_events.metric, unnest('{2026-10-01Z, infinity, -infinity, 294276-12-31 23:59:59Z, 4713-01-01Z BC}'::timestamptz[]) AS bucket,
    unnest('{32767, 60, 1, 0, -5}'::smallint[]) AS seconds, generate_series(1, 10);
SET statement_timeout = '60s';
SELECT calculated(:'sum');
CALL pg_temp.refresh();
SELECT calculated(:'sum'), (SELECT count(*) FROM usage_events.dirty_bucket WHERE event_type = 'call');
RESET statement_timeout;

-- properties that are no object, but look like one to who does not ask
TRUNCATE usage_events.metric_rollup;
UPDATE usage_events.event SET event_properties = jsonb_build_array('A', E'AA\x50AAAAn' || repeat(E'\x7f', 108));
SELECT calculated(:'sum');
SELECT explain_usage_event(:'sum', id) -> 'reasons' FROM usage_events.event;
UPDATE usage_events.event SET event_properties = '"n"';
SELECT calculated(:'sum');
UPDATE usage_events.event SET event_properties = '{"n": 4}';

-- filters that are none
UPDATE usage_events.metric SET property_filters = '[]';
SELECT calculated(:'sum');
UPDATE usage_events.metric SET property_filters = jsonb_build_object('n', E'\x01\x01\x01@' || repeat(E'\x01', 4000));
SELECT calculated(:'sum');
UPDATE usage_events.metric SET property_filters = '{"n": {"a": 1}}';
SELECT calculated(:'sum');
UPDATE usage_events.metric SET property_filters = '{"n": [4]}', properties_to_negate = '{"n": 1}';
SELECT calculated(:'sum');
UPDATE usage_events.metric SET properties_to_negate = NULL;
SELECT calculated(:'sum');

-- a percentile that is none
UPDATE usage_events.metric SET property_filters = '{}', aggregation_type = 'PERCENTILE';
SELECT calculated(:'sum');
UPDATE usage_events.metric SET percentile = 'NaN';
SELECT calculated(:'sum');
UPDATE usage_events.metric SET percentile = 1.5;
SELECT calculated(:'sum');
-- rollups of a percentile without its values: the number is missing, or the value is
UPDATE usage_events.metric SET percentile = 1;
CREATE FUNCTION month(metric_id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT calculate_usage_metric(metric_id, '{acme}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)') ->> 'value' $$;
CALL pg_temp.refresh();
SELECT month(:'sum');
ALTER TABLE usage_events.metric_rollup DISABLE TRIGGER usage_events_watch;
UPDATE usage_events.metric_rollup SET value = 5 WHERE unique_key <> '';
SELECT month(:'sum');
UPDATE usage_events.metric_rollup SET value = NULL WHERE unique_key <> '';
SELECT month(:'sum');
DELETE FROM usage_events.metric_rollup WHERE unique_key <> '';
SELECT month(:'sum');
ALTER TABLE usage_events.metric_rollup ENABLE ALWAYS TRIGGER usage_events_watch;
DROP FUNCTION month(uuid);

\pset format aligned
\pset tuples_only off
DROP FUNCTION calculated(uuid);
\i test/helpers/empty.sql
