-- What a question adds to a metric: filters, and properties to group by, compared with plain SQL over the events.
\pset format unaligned
\pset tuples_only on
\i test/helpers/empty.sql
\i test/helpers/outcome.sql
\i test/helpers/refresh.sql
\set ECHO none
\set QUIET on
\i test/metric_oracle.sql
\set ECHO all
CREATE SCHEMA breakdown;
SET search_path = breakdown, public;
SET timezone = 'UTC';
SET datestyle = ISO;
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN answer ELSE concat_ws(' ', state, message || ':', nullif(detail, ''), nullif(hint, '')) END
    FROM pg_temp.outcome(call) $$;
CREATE FUNCTION event(key text, alias text, day bigint, properties text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT create_usage_event(jsonb_build_object('customerEventId', key, 'customerAlias', alias, 'eventType', 'call',
        'eventTimestamp', format('2026-10-%s12:00:00Z', lpad(day::text, 2, '0') || 'T'), 'eventProperties', properties::jsonb)) $$;
CREATE FUNCTION metric(name text, aggregation text, fields jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT create_usage_metric(jsonb_build_object('name', name, 'metricType', 'SIMPLE', 'eventType', 'call', 'aggregationType', aggregation,
        'aggregationProperty', 'n') || fields) $$;
CREATE FUNCTION id_of(wanted text) RETURNS uuid LANGUAGE sql AS $$ SELECT id FROM usage_metrics WHERE name = wanted $$;
\set october '''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'''
-- numbers, texts and booleans of the same text, null, nothing, and what is nested
SELECT count(event(format('%s-%s-%s', alias, i, j), alias, i + j,
    format('{"n": %s, "model": %s%s}', i * j + 1, model, CASE j WHEN 0 THEN '' ELSE ', "region": "EU"' END)))
FROM unnest('{acme,acme-web,globex,stray}'::text[]) AS alias,
    unnest('{"\"large\"","\"Large\"","1.50","\"1.5\"","true","\"true\"","null","{\"a\": 1.50}","[1]","\"\""}'::text[])
        WITH ORDINALITY AS m(model, i),
    generate_series(0, 2) AS j;
SELECT event('none', 'acme', 9, '{"n": 1000}'), event('skipped', 'acme', 9, '{"n": "x", "model": "large"}'),
    event('void', 'acme', 9, '{"n": 5, "model": "large"}'),
    event('moved', 'globex', 9, '{"n": 7, "model": "small"}') \gset ignored_
SELECT create_customer_alias('{"value": "acme-web", "customerId": "acme"}') IS NOT NULL;
SELECT count(metric(lower(a), a, CASE a WHEN 'PERCENTILE' THEN '{"percentile": 0.5}' ELSE '{}' END::jsonb))
FROM unnest('{COUNT,UNIQUE,SUM,MAX,MIN,AVERAGE,LATEST,PERCENTILE}'::text[]) AS a;
SELECT metric('by region', 'SUM', '{"metricType": "GROUPED", "groupingProperty": "region"}'),
    metric('uniquely by region', 'UNIQUE', '{"metricType": "GROUPED", "groupingProperty": "region"}'),
    metric('not large', 'SUM', '{"propertyFilters": {"model": ["LARGE"]}, "propertiesToNegate": ["model"], "caseSensitive": false}') \gset ignored_
SELECT clock_timestamp() AS before \gset
SELECT pg_sleep(0.01) \gset ignored_
-- taken back, and corrected: another customer, another group
SELECT event('void', 'VOID', 9, '{"n": 5, "model": "large"}'),
    event('moved', 'acme', 10, '{"n": 70, "model": "tiny", "region": "US"}') \gset ignored_

-- what comes back: an object for each group, of the texts of its properties
SELECT jsonb_pretty(calculate_usage_metric(id_of('sum'), '{globex}', :october,
        filters => '{"model": ["large", null, 1.5], "region": ["EU"]}', group_by => '{model,region}')
    - '{minEventId,maxEventId}'::text[]);
SELECT event_count, value, jsonb_path_query_array(grouped_values, '$[*].grouping.model')
FROM usage_metric_by_customer(id_of('count'), :october, group_by => '{model}') WHERE customer = 'acme';
SELECT period_start, value, grouped_values
FROM usage_metric_series(id_of('max'), '{acme}', '[2026-10-09 00:00Z, 2026-10-11 00:00Z)', 'day',
    filters => '{"model": ["tiny", null]}', group_by => '{model}');
-- the groups of a GROUPED metric are its own, or those that are asked for
SELECT calculate_usage_metric(id_of('by region'), '{stray}', :october, filters => '{"model": [true]}') -> 'groupedValues';
SELECT calculate_usage_metric(id_of('by region'), '{stray}', :october, filters => '{"model": [true]}', group_by => '{nothing}') -> 'groupedValues';
-- its own filters hold as well, and letters of any case are the same where they are to it
SELECT calculate_usage_metric(id_of('not large'), '{stray}', :october, filters => '{"model": ["LARGE", "TRUE"]}', group_by => '{model}')
    - '{minEventId,maxEventId}'::text[];
-- nothing passes
SELECT calculate_usage_metric(id_of('sum'), '{acme}', :october, filters => '{"model": ["none such"]}', group_by => '{model}');
SELECT count(*) FROM usage_metric_by_customer(id_of('sum'), :october, filters => '{"model": ["none such"]}');
-- neither is asked for: as ever
SELECT calculate_usage_metric(id_of('sum'), '{acme}', :october, NULL, NULL, NULL, NULL) = calculate_usage_metric(id_of('sum'), '{acme}', :october);

-- all kinds of metrics, in all ways, now and as of a moment before the corrections, without rollups and with them
CREATE FUNCTION differences(kinds text) RETURNS TABLE (asked bigint, different bigint, example jsonb) LANGUAGE sql AS $$
    SELECT count(*), count(*) FILTER (WHERE NOT is_equal), min(to_jsonb(c)::text) FILTER (WHERE NOT is_equal)::jsonb
    FROM usage_metrics AS m,
        unnest(ARRAY['{"kind": "calculate"}', '{"kind": "by_customer"}',
            '{"kind": "series", "step": "day", "timezone": "Asia/Kolkata"}']::jsonb[]) AS kind,
        unnest(ARRAY['{"filters": {"region": ["EU"]}}', '{"group_by": ["model"]}', '{"group_by": ["n", "nothing"], "as_administrator": true}',
            '{"filters": {"region": [null], "model": ["large", 1.5, true, "{\"a\": 1.50}"]}, "group_by": ["region", "model"]}',
            '{"filters": {"region": ["EU"]}, "group_by": ["model", "n", "region"]}']::jsonb[]) AS breakdown,
        unnest(ARRAY['{}', jsonb_build_object('as_of', current_setting('test.before'))]) AS as_of,
        oracle.compare(jsonb_build_object('metric', m.id, 'account', m.account_id, 'aliases', ARRAY['acme', 'stray'],
            'period', '[2026-10-03 12:00Z, 2026-10-12 00:00Z)') || kind || breakdown || as_of) AS c
    WHERE kind ->> 'kind' ~ kinds $$;
SET test.before TO :'before';
SELECT * FROM differences('');
CALL pg_temp.refresh_until_ready();
SELECT count(*) > 0 FROM usage_events.metric_rollup;
SELECT * FROM differences('');
-- many customers are read all at once
SELECT count(event('many ' || i, 'customer ' || i, 5 + i % 5, format('{"n": %s, "model": "m%s"}', i, i % 3))) FROM generate_series(1, 60) AS i;
SELECT * FROM differences('by_customer');

-- texts that are long, or have what separates others; numbers that are too long to be written out for each event
SELECT event('a', 'long', 1, jsonb_build_object('p', repeat('x', 300), 'q', E'\x01')::text),
    event('b', 'long', 1, jsonb_build_object('p', repeat('x', 299), 'q', E'\x02')::text),
    event('c', 'long', 1, '{"p": 1e1500, "q": 1e1500}'), event('d', 'long', 1, '{"p": 1e1500, "q": 1e1501}'),
    event('e', 'long', 1, '{"p": 1e1500, "q": 1e1500}'),
    event('f', 'long', 1, '{"p": "a", "q": "b"}'), event('g', 'long', 1, '{"p": "ab", "q": ""}'), event('h', 'long', 1, '{"p": "ab"}') \gset ignored_
SELECT length(g #>> '{grouping,p}'), length(g #>> '{grouping,q}'), g -> 'eventCount'
FROM jsonb_array_elements(calculate_usage_metric(id_of('count'), '{long}', :october, group_by => '{p,q}') -> 'groupedValues') AS g;

-- no more groups than the setting allows
SELECT count(event('group ' || i, 'groups', 1, format('{"n": 1, "p": %s, "q": %s}', i % 10, i / 10))) FROM generate_series(0, 99) AS i;
SET usage_events.max_groups = 99;
SELECT faults($$SELECT calculate_usage_metric(id_of('sum'), '{groups}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', group_by => '{p,q}')$$);
SELECT faults($$SELECT usage_metric_by_customer(id_of('sum'), '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', group_by => '{p,q}')$$);
SELECT faults($$SELECT usage_metric_series(id_of('sum'), '{groups}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', 'day', group_by => '{p,q}')$$);
SELECT jsonb_array_length(calculate_usage_metric(id_of('sum'), '{groups}', :october, group_by => '{p}') -> 'groupedValues');
RESET usage_events.max_groups;
SELECT jsonb_array_length(calculate_usage_metric(id_of('sum'), '{groups}', :october, group_by => '{p,q}') -> 'groupedValues');

-- what could not be meant is refused, and every fault is named
CREATE FUNCTION refused(filters text, group_by text) RETURNS text LANGUAGE sql AS $$
    SELECT faults(format($f$SELECT calculate_usage_metric(id_of('sum'), '{acme}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', filters => %L, group_by => %L)$f$,
        filters, group_by)) $$;
SELECT left(refused(filters, group_by), 200) FROM (VALUES
    ('{}', NULL), ('[]', NULL), ('null', NULL), ('"model"', '{}'), ('{"model": []}', '{a,b,c,d}'), ('{"model": "large"}', '{a,b,a}'),
    ('{"model": [{}]}', '{a,NULL}'),
    ('{" ": ["large"]}', '{" "}'), (NULL, ARRAY[repeat('x', 256)]::text),
    (jsonb_build_object('model', ARRAY(SELECT generate_series(1, 1001)))::text, NULL),
    (jsonb_build_object('model', ARRAY[repeat('x', 66000)])::text, NULL),
    ((SELECT jsonb_object_agg('p' || i, ARRAY[i])::text FROM generate_series(1, 101) AS i), NULL)) AS v(filters, group_by);
SET usage_events.max_filter_values = 2;
SELECT refused('{"model": ["large", 1, 2]}', NULL);
RESET usage_events.max_filter_values;
SELECT faults($$SELECT usage_metric_series(id_of('sum'), '{acme}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', 'day', filters => '{}')$$);
SELECT faults($$SELECT usage_metric_by_customer(id_of('sum'), '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', group_by => '{}')$$);
SELECT usage_events.create_custom_metric('{"name": "custom", "eventType": "call", "expression": "count(*)"}') IS NOT NULL;
SELECT faults($$SELECT calculate_usage_metric(id_of('custom'), '{acme}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', group_by => '{model}')$$);
SELECT faults($$SELECT usage_metric_series(id_of('custom'), '{acme}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', 'day', filters => '{"model": ["large"]}')$$);
SET client_min_messages = warning;
DROP SCHEMA oracle, breakdown CASCADE;
