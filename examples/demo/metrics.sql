-- metrics.sql: the demo's third part: a metric, its values day by day, and why a correction changed them
\set ON_ERROR_STOP on
\set ECHO queries
\pset footer off

\echo '=== 8. A metric says what is counted of which events'
\echo

SELECT create_usage_metric('{
    "name": "API time",
    "metricType": "SIMPLE",
    "eventType": "api-call",
    "aggregationType": "SUM",
    "aggregationProperty": "milliseconds",
    "unit": "ms"
}') ->> 'id' AS metric \gset

\echo
\echo '    Its id is' :metric
\echo
\echo '    Rollups make its answers fast, and never change them. They are brought up to'
\echo '    date every now and then, in steps:'
\echo

SELECT usage_events.refresh_rollups() AS steps;

\echo '=== 9. Day by day: the time that globex has used'
\echo '    globex works from Monday to Friday.'
\echo

SELECT to_char(period_start AT TIME ZONE 'UTC', 'Dy DD') AS day,
       event_count AS calls, value AS ms,
       repeat('#', round(50 * value / max(value) OVER ())::integer) AS chart
FROM usage_metric_series(:'metric', '{globex}',
                         '[2026-10-01Z, 2026-11-01Z)', 'day')
ORDER BY period_start;

\echo '=== 10. The whole month: what is on the bill'
\echo
\pset format unaligned
\pset tuples_only on

SELECT jsonb_pretty(calculate_usage_metric(
    :'metric', '{globex}',
    '[2026-10-01Z, 2026-11-01Z)'));

-- What has been shown so far, and the events themselves, for the checks at the end.
\set ECHO none
SELECT calculate_usage_metric(:'metric', '{globex}', '[2026-10-01Z, 2026-11-01Z)') AS bill \gset
SELECT id AS slow_call FROM usage_events WHERE customer_event_id = 'evt_5t0nthk33xhi0t8j' \gset
CREATE TEMPORARY TABLE call AS
SELECT customer_event_id, event_timestamp, (event_properties ->> 'milliseconds')::numeric AS ms
FROM usage_events
WHERE customer_alias = 'globex' AND event_type = 'api-call'
  AND event_timestamp >= '2026-10-01T00:00:00Z' AND event_timestamp < '2026-11-01T00:00:00Z';
CREATE TEMPORARY TABLE day AS
SELECT * FROM usage_metric_series(:'metric', '{globex}', '[2026-10-01Z, 2026-11-01Z)', 'day');
\set ECHO queries

\pset format aligned
\pset tuples_only off
\echo
\echo '=== 11. The slowest call had waited for us for 100 ms: it is corrected'
\echo '    What the bill said at this moment will be asked for later:'
\echo

SELECT clock_timestamp() AS before \gset

\echo

SELECT create_usage_event('{
    "customerEventId": "evt_5t0nthk33xhi0t8j",
    "customerAlias": "globex",
    "eventType": "api-call",
    "eventTimestamp": "2026-10-15T08:44:47.356+02:00",
    "eventProperties": {"milliseconds": 79.646, "endpoint": "/v1/orders",
                        "status": 200}
}') ->> 'id' AS id;

\echo '    The bill has it at once, without a refresh. What it said before can still'
\echo '    be asked for:'
\echo

SELECT calculate_usage_metric(
           :'metric', '{globex}',
           '[2026-10-01Z, 2026-11-01Z)'
       ) -> 'value' AS now,
       calculate_usage_metric(
           :'metric', '{globex}',
           '[2026-10-01Z, 2026-11-01Z)',
           as_of => :'before'
       ) -> 'value' AS before;

\echo '=== 12. Why is it not what it was? These events make the difference'
\echo

SELECT customer_event_id, change, old_value, new_value,
       new_value - old_value AS difference
FROM usage_metric_changes(:'metric', '{globex}',
                          '[2026-10-01Z, 2026-11-01Z)',
                          since => :'before');

\echo '    Does an event count in the metric, and if not, why? First the version that'
\echo '    counts now, then the one that it replaced:'
\echo
\pset format unaligned
\pset tuples_only on

-- The echo shows the ids, not where they come from.
\set ECHO none
SELECT id AS corrected_call FROM usage_events WHERE customer_event_id = 'evt_5t0nthk33xhi0t8j' \gset
\set ECHO queries

SELECT jsonb_pretty(explain_usage_event(
    :'metric',
    :'corrected_call'));

\echo

SELECT jsonb_pretty(explain_usage_event(
    :'metric',
    :'slow_call') - 'event');

\set ECHO none
\echo

-- The demo fails where what it shows is not so: the events themselves say what to expect.
SET demo.metric = :'metric';
SET demo.bill = :'bill';
SET demo.before = :'before';
SET demo.slow_call = :'slow_call';
SET demo.corrected_call = :'corrected_call';

DO $$
DECLARE
    metric uuid := current_setting('demo.metric');
    october tstzrange := '[2026-10-01T00:00:00Z, 2026-11-01T00:00:00Z)';
    bill jsonb := current_setting('demo.bill');
    before timestamptz := current_setting('demo.before');
    total numeric := (SELECT sum(ms) FROM call);
    explained jsonb;
BEGIN
    ASSERT EXISTS (SELECT FROM usage_events.metric_rollup), 'the refresh has rolled nothing up';
    ASSERT (SELECT count(*) FROM day) = 31, 'the series has not a row for each day';
    ASSERT NOT EXISTS (
        SELECT FROM day WHERE (event_count, value) IS DISTINCT FROM (
            SELECT (count(*), coalesce(sum(ms), 0)) FROM call
            WHERE event_timestamp >= period_start AND event_timestamp < period_end)),
        'a day of the series is not what its events add up to';
    ASSERT (bill -> 'value')::numeric = total AND (bill -> 'eventCount')::bigint = (SELECT count(*) FROM call),
        'the bill is not what its events add up to';

    ASSERT (SELECT ms FROM call WHERE customer_event_id = 'evt_5t0nthk33xhi0t8j') = (SELECT max(ms) FROM call)
        AND (SELECT max(ms) FROM call) = 179.646,
        'the event that is corrected is not the slowest call';
    ASSERT (calculate_usage_metric(metric, '{globex}', october) -> 'value')::numeric = total - 100,
        'the correction is not in the bill';
    ASSERT calculate_usage_metric(metric, '{globex}', october, before) = bill,
        'the bill as of before the correction is another than it was';

    ASSERT (SELECT array_agg((customer_event_id, change, old_value, new_value))
                = ARRAY[('evt_5t0nthk33xhi0t8j'::text, 'corrected'::text, 179.646, 79.646)]
            FROM usage_metric_changes(metric, '{globex}', october, before)),
        'the difference is not explained by the correction, once';
    explained := explain_usage_event(metric, current_setting('demo.corrected_call')::uuid);
    ASSERT (explained -> 'counts')::boolean AND (explained -> 'value')::numeric = 79.646,
        'the corrected event does not count';
    explained := explain_usage_event(metric, current_setting('demo.slow_call')::uuid);
    ASSERT NOT (explained -> 'counts')::boolean
        AND explained -> 'reasons' = jsonb_build_array('was superseded by event ' || current_setting('demo.corrected_call')),
        'it is not said of the event that was corrected what superseded it';
END
$$;
