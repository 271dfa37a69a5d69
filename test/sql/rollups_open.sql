-- Buckets that have no rollup of their own: with too many groups or values for rows, or nearly as many as events. What they
-- have is read below, or from the events, and every answer stays the same.
\pset format unaligned
\pset tuples_only on
\i test/helpers/empty.sql
-- on each of some days, 400 events of 400 users, each in one of three regions, a minute from each other
CREATE PROCEDURE used(alias text, days integer) LANGUAGE sql AS $$
    SELECT count(create_usage_events((
        SELECT jsonb_agg(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'customerEventId', concat_ws('-', alias, day, n),
            'eventTimestamp', to_char('2026-10-01'::timestamp + day * interval '1 day' + n * interval '1 minute', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            'eventProperties', jsonb_build_object('user', 'user-' || n, 'region', n % 3, 'n', n)))
        FROM generate_series(1, 400) AS n)))
    FROM generate_series(0, days - 1) AS day $$;
CREATE FUNCTION metric(name text, fields jsonb) RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric(jsonb_build_object('name', name, 'metricType', 'SIMPLE', 'eventType', 'call', 'aggregationType', 'SUM', 'aggregationProperty',
        'n') || fields) ->> 'id')::uuid $$;
\i test/helpers/refresh.sql
-- what each metric says of both customers, of the month and of a part of it, now and as of a moment
CREATE FUNCTION answers(as_of timestamptz DEFAULT NULL) RETURNS TABLE (metric text, answer jsonb) LANGUAGE sql AS $$
    SELECT m.name, jsonb_agg(calculate_usage_metric(m.id, '{monthly, daily}', period::tstzrange, as_of) ORDER BY period)
    FROM (SELECT * FROM usage_metrics WHERE account_id = usage_events.current_account_id() OFFSET 0) AS m,
         unnest('{"[2026-10-01 00:00Z, 2026-11-01 00:00Z)","[2026-10-01 02:00:30Z, 2026-10-03 01:02:03Z)"}'::text[]) AS period GROUP BY m.name $$;
-- of how many events and values the month is
CREATE FUNCTION month() RETURNS TABLE (metric text, said text) LANGUAGE sql AS $$
    SELECT metric, concat_ws(' ', answer -> 0 -> 'value', 'of', answer -> 0 -> 'eventCount', jsonb_array_length(answer -> 0 -> 'groupedValues') || ' groups')
        FROM answers() ORDER BY 1 $$;
CREATE TEMPORARY TABLE before (metric text, answer jsonb);
CREATE FUNCTION differing(as_of timestamptz DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT metric FROM (TABLE before EXCEPT SELECT * FROM answers(as_of)) AS a UNION SELECT metric
        FROM (SELECT * FROM answers(as_of) EXCEPT TABLE before) AS b ORDER BY 1 $$;
-- buckets of each metric and level, and how many of them are open: as branches, and as leaves
CREATE FUNCTION buckets() RETURNS TABLE (metric text, level smallint, rows bigint, open_branches bigint, open_leaves bigint) LANGUAGE sql AS $$
    SELECT m.name, r.level, count(*), count(*) FILTER (WHERE r.event_count + r.skipped_event_count = 0 AND r.unique_key = '' AND r.is_branch),
        count(*) FILTER (WHERE r.event_count + r.skipped_event_count = 0 AND r.unique_key = '' AND NOT r.is_branch)
    FROM usage_events.metric_rollup AS r JOIN usage_events.metric AS m ON m.version_id = r.metric_version_id WHERE r.level > 0 GROUP BY 1, 2 ORDER BY 1, 2 $$;

SELECT metric('sum', '{}') IS NOT NULL, metric('users', '{"aggregationType": "UNIQUE", "aggregationProperty": "user"}') IS NOT NULL,
       metric('by user', '{"metricType": "GROUPED", "groupingProperty": "user"}') IS NOT NULL,
       metric('by region', '{"metricType": "GROUPED", "groupingProperty": "region"}') IS NOT NULL,
       metric('median', '{"aggregationType": "PERCENTILE", "percentile": 0.5}') IS NOT NULL,
       metric('median by region', '{"metricType": "GROUPED", "groupingProperty": "region", "aggregationType": "PERCENTILE", "percentile": 0.5}') IS NOT NULL,
       metric('users by region', '{"metricType": "GROUPED", "groupingProperty": "region", "aggregationType": "UNIQUE",
           "aggregationProperty": "user"}') IS NOT NULL;
CALL used('monthly', 1);
CALL used('daily', 5);
INSERT INTO before SELECT * FROM answers();
SELECT * FROM month();
-- a day of 400 users in 400 events is left to its events; a month of 400 users in 2,000 is not
CALL pg_temp.refresh_until_ready();
SELECT * FROM buckets();
SELECT * FROM differing();
-- a late event, and one that is taken back: the month is added up from open days
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "late", "eventTimestamp": "2026-10-02T02:00:00Z",
    "eventProperties": {"user": "user-401", "region": 3, "n": 401}}') ->> 'customerEventId',
       create_usage_event('{"customerAlias": "VOID", "eventType": "call", "customerEventId": "daily-1-7", "eventTimestamp": "2026-10-02T00:07:00Z",
           "eventProperties": {"user": "user-7", "region": 1, "n": 7}}') ->> 'customerEventId';
SELECT clock_timestamp() AS moment \gset
SELECT * FROM month();
DELETE FROM before;
INSERT INTO before SELECT * FROM answers();
CALL pg_temp.refresh_until_ready();
SELECT * FROM buckets() WHERE metric IN ('users', 'by user');
SELECT * FROM differing();
-- fewer rows than that: every bucket with more is open, also above others; then not any more
SELECT pg_sleep(0.01);
SET usage_events.max_rollup_rows = 2;
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "again", "eventTimestamp": "2026-10-02T02:00:00Z",
    "eventProperties": {"user": "user-402", "region": 4, "n": 1}}') ->> 'customerEventId';
CALL pg_temp.refresh_until_ready();
SELECT * FROM buckets();
SELECT * FROM differing(:'moment');
SELECT * FROM month();
DELETE FROM before;
INSERT INTO before SELECT * FROM answers();
TRUNCATE usage_events.metric_rollup;
SELECT * FROM differing();
CALL pg_temp.refresh_until_ready();
SELECT * FROM buckets();
SELECT * FROM differing();
RESET usage_events.max_rollup_rows;
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "again", "eventTimestamp": "2026-10-02T02:00:00Z",
    "eventProperties": {"user": "user-402", "region": 4, "n": 1, "corrected": true}}') ->> 'customerEventId';
CALL pg_temp.refresh_until_ready();
SELECT * FROM buckets() WHERE metric <> 'sum';
SELECT metric, (SELECT answer -> 0 -> 'value' FROM answers() AS a WHERE a.metric = b.metric) = (answer -> 0 -> 'value') AS same FROM before AS b ORDER BY 1;
DROP FUNCTION answers(timestamptz), month(), differing(timestamptz), buckets(), metric(text, jsonb);
DROP PROCEDURE used(text, integer);
