-- Limits whose period reaches back before what was purged: nobody knows how much there was, so what adds is refused by itself, and nothing else.
\i test/helpers/empty.sql
\i test/helpers/outcome.sql
CREATE FUNCTION pg_temp.metric(aggregation text) RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric(jsonb_build_object('name', aggregation, 'metricType', 'SIMPLE', 'eventType', aggregation, 'aggregationType', aggregation,
        'aggregationProperty', 'n', 'propertyFilters', '{"kind": ["counted"]}'::jsonb)) ->> 'id')::uuid
$$;
CREATE FUNCTION pg_temp.event(key text, alias text, n numeric, type text, kind text DEFAULT 'counted', day text DEFAULT '2026-10-20')
RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('customerEventId', key, 'customerAlias', alias, 'eventType', type, 'eventTimestamp', day || 'T00:00:00Z',
        'eventProperties', jsonb_build_object('n', n, 'kind', kind))
$$;
CREATE FUNCTION pg_temp.send(event jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'stored' ELSE concat_ws(' | ', state, message, detail, hint) END
    FROM pg_temp.outcome(format('SELECT create_usage_event(%L)', event))
$$;
CREATE FUNCTION pg_temp.ingest(VARIADIC events jsonb[]) RETURNS TABLE (outcome text, fault text) LANGUAGE sql AS $$
    SELECT o ->> 'outcome', o #>> '{faults,0,fault}' FROM jsonb_array_elements(ingest_usage_events(to_jsonb(events)) -> 'outcomes') WITH ORDINALITY AS a(o, n)
    ORDER BY n
$$;
SELECT pg_temp.metric('SUM') AS sum, pg_temp.metric('MAX') AS max \gset
SELECT pg_temp.send(pg_temp.event('old', 'acme', 90, 'SUM', 'counted', '2026-10-01')), pg_temp.send(pg_temp.event('s', 'acme', 5, 'SUM')),
    pg_temp.send(pg_temp.event('m', 'acme', 5, 'MAX'));
SELECT (create_usage_limit(jsonb_build_object('name', 'Ever', 'usageMetricId', :'sum', 'period', 'ALL_TIME', 'limit', 100,
    'mode', 'BLOCK')) ->> 'id')::uuid AS ever \gset
SELECT create_usage_limit(jsonb_build_object('name', 'Most', 'usageMetricId', :'max', 'period', 'ALL_TIME', 'limit', 100, 'mode', 'BLOCK')) IS NOT NULL AS made;
SELECT create_usage_alert(jsonb_build_object('name', 'Near', 'usageMetricId', :'sum', 'period', 'ALL_TIME', 'thresholds', '[5]'::jsonb,
    'direction', 'ABOVE')) IS NOT NULL AS made;
SELECT usage_events.refresh_rollups() > 0 AS refreshed;
SELECT threshold, state FROM usage_alert_events;
SELECT usage_events.purge('2026-10-15T00:00:00Z') > 0 AS purged;

-- One that adds is refused, however much room there seems to be; in a batch it is that one alone.
SELECT pg_temp.send(pg_temp.event('s1', 'acme', 1, 'SUM'));
SELECT pg_temp.send(pg_temp.event('m1', 'acme', 1, 'MAX'));
SELECT * FROM pg_temp.ingest(pg_temp.event('s2', 'acme', 1, 'SUM'), pg_temp.event('o1', 'acme', 1, 'other'), pg_temp.event('s3', 'acme', 1, 'SUM', 'free'),
    pg_temp.event('s', 'acme', 4, 'SUM'), pg_temp.event('m', 'acme', 4, 'MAX'));
SELECT state, message, detail FROM pg_temp.outcome(format('SELECT create_usage_events(%L)', jsonb_build_array(
    pg_temp.event('s4', 'acme', 1, 'SUM'), pg_temp.event('o2', 'acme', 1, 'other'))));
-- What does not count passes, and so does what lowers a sum, and what is taken back; a MAX might have been lower.
SELECT pg_temp.send(pg_temp.event('s5', 'acme', 1, 'SUM', 'free')), pg_temp.send(pg_temp.event('s', 'acme', 3, 'SUM')),
    pg_temp.send(pg_temp.event('s', 'acme', 3, 'SUM')), pg_temp.send(pg_temp.event('m', 'VOID', 5, 'MAX'));
SELECT pg_temp.send(pg_temp.event('s', 'acme', 4, 'SUM'));
-- So is a month that was purged in part, up to its end; the next one is whole.
SELECT update_usage_limit(:'ever', get_usage_limit(:'ever') || '{"period": "MONTH"}') ->> 'period' AS period;
SELECT pg_temp.send(pg_temp.event('s6', 'acme', 1, 'SUM'));
SELECT pg_temp.send(pg_temp.event('s6', 'acme', 100, 'SUM', 'counted', '2026-11-01'));

-- A check is refused, as any question about such a period; the view has no number, and an alert says nothing of it.
SELECT update_usage_limit(:'ever', get_usage_limit(:'ever') || '{"period": "ALL_TIME"}') ->> 'period' AS period;
SELECT state, message, detail, hint FROM pg_temp.outcome(format('SELECT check_usage_limit(%L, %L)', 'acme', :'sum'));
SELECT create_usage_limit(jsonb_build_object('name', 'Own', 'usageMetricId', :'sum', 'period', 'ALL_TIME', 'limit', 9,
    'mode', 'BLOCK', 'customer', 'own')) IS NOT NULL AS made;
SELECT name, customer, used, remaining FROM usage_limit_status;
SELECT usage_events.refresh_rollups() >= 0 AS refreshed;
SELECT threshold, state FROM usage_alert_events;
-- With an anchor from there on all is known again.
SELECT update_usage_limit(:'ever', get_usage_limit(:'ever') || '{"anchor": "2026-10-15T00:00:00Z"}') ->> 'anchor' AS anchor;
SELECT pg_temp.send(pg_temp.event('s7', 'globex', 100, 'SUM'));
SELECT pg_temp.send(pg_temp.event('s8', 'globex', 1, 'SUM'));

-- A lock that was not taken in the last 100,000 transactions goes; others stay.
SELECT metric_id = :'sum' AS of_sum, count(*) AS locks FROM usage_events.usage_limit_lock GROUP BY 1 ORDER BY 1;
CREATE TABLE pg_temp.transactions (n int);
DO $$ BEGIN
    FOR n IN 1..100000 LOOP
        BEGIN INSERT INTO pg_temp.transactions VALUES (n); EXCEPTION WHEN division_by_zero THEN NULL; END;
    END LOOP;
END $$;
SELECT pg_temp.send(pg_temp.event('s9', 'hooli', 1, 'SUM'));
SELECT usage_events.purge('2026-10-15T00:00:00Z') AS purged;
SELECT metric_id = :'sum' AS of_sum, count(*) AS locks FROM usage_events.usage_limit_lock GROUP BY 1 ORDER BY 1;
SELECT pg_temp.send(pg_temp.event('s10', 'globex', 1, 'SUM'));

\i test/helpers/empty.sql
