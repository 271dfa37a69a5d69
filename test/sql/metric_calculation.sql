-- Usage metrics calculated: every aggregation, filter, value, customer and period. Each answer is asked for without rollups,
-- with them, and when they are partly or wholly out of date.
\pset format unaligned
\pset tuples_only on
\i test/helpers/empty.sql
SELECT usage_events.create_account('other') AS other \gset

-- an event of acme's, but for these fields
CREATE FUNCTION sent(id text, properties jsonb DEFAULT '{}', fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_event(jsonb_build_object('customerAlias', 'acme', 'eventType', 'call', 'customerEventId', id, 'eventTimestamp', '2026-10-05T12:00:00Z',
        'eventProperties', properties) || fields) ->> 'id')::uuid $$;
-- the metric with these fields, COUNT of calls but for them; made where there is none
CREATE FUNCTION metric(fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    found uuid;
BEGIN
    SELECT id INTO found FROM usage_metrics WHERE account_id = usage_events.current_account_id() AND name = md5(fields::text);
    RETURN coalesce(found, (create_usage_metric(jsonb_build_object('metricType', 'SIMPLE', 'eventType', 'call', 'aggregationType', 'COUNT',
        'aggregationProperty', 'n')
        || CASE fields ->> 'aggregationType' WHEN 'PERCENTILE' THEN '{"percentile": 0.5}'
            ELSE '{}' END::jsonb || fields || jsonb_build_object('name', md5(fields::text))) ->> 'id')::uuid);
END $$;
CREATE FUNCTION number(value text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN value IS NULL THEN 'null' WHEN length(value) > 80 THEN left(value, 20) || '... ' || length(value) || ' digits' ELSE value END $$;
-- what the metric says; a statement of its own, which sees a metric that was just made
CREATE FUNCTION said(fields jsonb DEFAULT '{}', customers text[] DEFAULT '{acme}', period text DEFAULT '[2026-10-01 00:00Z, 2026-11-01 00:00Z)')
    RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    id uuid := metric(fields);
BEGIN
    RETURN calculate_usage_metric(id, customers, period::tstzrange);
END $$;
-- an answer: value, of how many events, which have the lowest and the highest id, how many were skipped, groups
CREATE FUNCTION shown(answer jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', number(answer ->> 'value'), 'of', answer ->> 'eventCount',
                     nullif(concat_ws('..', get_usage_event((answer ->> 'minEventId')::uuid) ->> 'customerEventId',
                         get_usage_event((answer ->> 'maxEventId')::uuid) ->> 'customerEventId'), ''),
                     'skipped ' || nullif(answer ->> 'skippedEventCount', '0'),
                     (SELECT '(' || coalesce(string_agg(concat_ws(' ', coalesce('"' || number(item ->> 'grouping') || '"', 'null'), number(item ->> 'value'),
                         'of', item ->> 'eventCount'), ', ' ORDER BY n), '') || ')'
                      FROM jsonb_array_elements(answer -> 'groupedValues') WITH ORDINALITY AS g(item, n) HAVING answer ? 'groupedValues')) $$;
\i test/helpers/outcome.sql
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN answer ELSE concat_ws(' ', state, regexp_replace(message, '[0-9a-f-]{36}', '<id>') || ':', detail, hint) END
    FROM pg_temp.outcome(call) $$;
-- what was asked, and its first answer
CREATE TEMPORARY TABLE question (n integer GENERATED ALWAYS AS IDENTITY, call text UNIQUE, answer text);
CREATE FUNCTION asked(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text := faults(call);
BEGIN
    INSERT INTO question (call, answer) VALUES (asked.call, found) ON CONFLICT DO NOTHING;
    RETURN found;
END $$;
CREATE FUNCTION calculated(fields jsonb DEFAULT '{}', customers text[] DEFAULT '{acme}', period text DEFAULT '[2026-10-01 00:00Z, 2026-11-01 00:00Z)')
    RETURNS text LANGUAGE sql AS $$
    SELECT asked(format('SELECT shown(calculate_usage_metric(%L, %L, %L))', metric(fields), customers, period)) $$;
-- the questions that have another answer than at first
CREATE FUNCTION differing() RETURNS TABLE (call text, at_first text, found text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT regexp_replace(q.call, '[0-9a-f-]{36}',
        (SELECT aggregation_type FROM usage_metrics AS m WHERE m.id::text = substring(q.call, '[0-9a-f-]{36}'))), q.answer, f.found
                 FROM question AS q, LATERAL (SELECT faults(q.call) OFFSET 0) AS f(found) WHERE q.answer IS DISTINCT FROM f.found ORDER BY q.n;
END $$;
\i test/helpers/refresh.sql

-- the answer in full
SELECT count(sent(id, properties)) FROM (VALUES ('a-1', '{"n": 10, "kind": "x"}'::jsonb), ('a-2', '{"n": 2.5, "kind": "y"}'),
    ('a-3', '{"n": "7", "kind": "x"}'), ('a-4', '{"n": -4}'), ('a-5', '{"kind": "x"}'), ('a-6', '{"n": 10.0, "kind": "z"}'),
    ('a-7', '{"n": "ten", "kind": "w"}')) AS v(id, properties);
SELECT jsonb_pretty(said('{"aggregationType": "SUM", "unit": "minutes"}') - '{name,minEventId,maxEventId}'::text[]);
SELECT answer ->> 'minEventId' = (SELECT id::text FROM usage_events WHERE customer_event_id = 'a-1') AS first,
    answer ->> 'maxEventId' = (SELECT id::text FROM usage_events WHERE customer_event_id = 'a-6') AS last,
       answer ->> 'name' = (SELECT name FROM usage_metrics) AS name, answer::text::jsonb = answer AS well_formed
FROM calculate_usage_metric((SELECT id FROM usage_metrics), '{acme}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)') AS answer;
SELECT jsonb_pretty(said('{"aggregationType": "MAX", "metricType": "GROUPED", "groupingProperty": "kind"}') - '{name,minEventId,maxEventId}'::text[]);
SELECT jsonb_pretty(said('{"aggregationType": "MAX", "metricType": "GROUPED", "groupingProperty": "kind"}', '{nobody}') - 'name');

-- every aggregation: of events, in groups, of nothing
SELECT aggregation, calculated(fields), calculated(fields || '{"metricType": "GROUPED", "groupingProperty": "kind"}'), calculated(fields, '{nobody}'),
    calculated(fields || '{"metricType": "GROUPED", "groupingProperty": "kind"}', '{nobody}')
FROM unnest('{COUNT,SUM,UNIQUE,MAX,MIN,AVERAGE,LATEST,PERCENTILE}'::text[]) WITH ORDINALITY AS a(aggregation, n),
    jsonb_build_object('aggregationType', aggregation) AS fields ORDER BY n;
-- of events that are all skipped
SELECT aggregation, calculated(fields), calculated(fields || '{"metricType": "GROUPED", "groupingProperty": "kind"}')
FROM unnest('{COUNT,SUM,UNIQUE,MAX,MIN,AVERAGE,LATEST,PERCENTILE}'::text[]) WITH ORDINALITY AS a(aggregation, n),
    jsonb_build_object('aggregationType', aggregation, 'aggregationProperty', 'nothing') AS fields ORDER BY n;
-- COUNT can do without a property; another type's events are others
SELECT calculated('{"aggregationProperty": null}'), calculated('{"eventType": "Call"}'), calculated('{"eventType": "call."}');

-- what is a number, and what a text: SUM, UNIQUE and GROUPED of each value
CREATE FUNCTION of_values(type text, given text[]) RETURNS TABLE (value text, sum text, grouped text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM sent(type, (SELECT jsonb_object_agg(n, v::jsonb) FROM unnest(given) WITH ORDINALITY AS g(v, n) WHERE v <> ''),
        jsonb_build_object('eventType', type));
    RETURN QUERY SELECT number(v), calculated(jsonb_build_object('eventType', type, 'aggregationType', 'SUM', 'aggregationProperty', n::text)),
                        calculated(jsonb_build_object('eventType', type, 'metricType', 'GROUPED', 'aggregationType', 'UNIQUE', 'aggregationProperty', n::text,
                            'groupingProperty', n::text))
                 FROM unnest(given) WITH ORDINALITY AS g(v, n) ORDER BY n;
END $$;
SELECT * FROM of_values('strings',
    '{"\"500\"","\"+1.5\"","\"-1.5\"","\"1e3\"","\"1E+3\"","\"1.50e-1\"","\"007\"","\"-0\"","\"+0.00\"","\" 5\"","\"5 \"","\"5\\n\"","\"0x10\"","\"0b1\"",
    "\"1_000\"","\"1,000\"","\"1,5\"","\"NaN\"","\"Infinity\"","\"-inf\"","\"\"","\" \"",
    "\".5\"","\"5.\"","\".\"","\"+\"","\"-\"","\"--1\"","\"+-1\"","\"1e\"","\"1e+\"","\"e5\"","\"1e5.0\"","\"1 000\"","\"$5\"","\"5%\"","\"٥\"","\"５\"","\"½\"",
        "\"five\"","\"true\"","\"null\"","\"1e-16383\"","\"1e-16384\"","\"1e131071\"","\"1e131072\"","\"1e200000\"","\"1e9999999999\"","\"1e-9999999999\"",
        "\"0e200000\"","\"0.1e131072\""}');
SELECT * FROM of_values('values',
    '{"500","1.50","1e2","-0.0","0.10e-5","12345678901234567890.12345678901234567890","true","false","null","","{}","[]","[5]",
    "{\"b\": 1.50, \"a\": [null]}"}');
-- the longest have 131,000 digits before the point and 16,383 after it, however they are written
SELECT sent('long', jsonb_object_agg(v, v), '{"eventType": "long"}') IS NOT NULL
FROM unnest(ARRAY['1e0000001', '1e-0000001', '1e00000000000000000000002', '1e130998', '1e130999', '1e131000', '0.05e131001', '0.05e131002', '0e131072',
    '0.0e99999999999', '1.5e-16382', '1.5e-16383']) AS v;
SELECT v, calculated(jsonb_build_object('eventType', 'long', 'aggregationType', 'MAX', 'aggregationProperty', v))
FROM unnest(ARRAY['1e0000001', '1e-0000001', '1e00000000000000000000002', '1e130998', '1e130999', '1e131000', '0.05e131001', '0.05e131002', '0e131072',
    '0.0e99999999999', '1.5e-16382', '1.5e-16383']) WITH ORDINALITY AS l(v, n) ORDER BY n;
-- a property is a key, to the letter
SELECT * FROM of_values('numbers', '{"1"}');
SELECT sent('names', '{"a.b": 1, "a": {"b": 2}, "it''s": 4, "\"q\"": 8, "größe": 16, "$.x": 32, "%s\\": 64, "N": 128, "n ": 256, "\u200b": 512, "日本語": 1024}',
    '{"eventType": "names"}') IS NOT NULL;
SELECT name, calculated(jsonb_build_object('eventType', 'names', 'aggregationType', 'SUM', 'aggregationProperty', name)),
    calculated(jsonb_build_object('eventType', 'names', 'metricType', 'GROUPED', 'aggregationProperty', null, 'groupingProperty', name)),
       calculated(jsonb_build_object('eventType', 'names', 'propertyFilters',
           jsonb_build_object(name, '["1", "4", "8", "16", "32", "64", "128", "256", "512", "1024"]'::jsonb)))
FROM unnest(ARRAY['a.b', 'a', 'b', 'it''s', '"q"', 'größe', 'gr' || U&'o\0308' || 'ße', '$.x', '%s\', 'N', 'n', 'n ', E'\u200b', '日本語'])
    WITH ORDINALITY AS p(name, n) ORDER BY n;

-- filters: which events count
SELECT count(sent('f-' || n, jsonb_strip_nulls(jsonb_build_object('is', properties)) || properties::jsonb, '{"eventType": "filtered"}'))
FROM unnest(ARRAY['{"p": "one"}', '{"p": "One"}', '{"p": " one"}', '{"p": 1}', '{"p": 1.0}', '{"p": "1"}', '{"p": "1.0"}', '{"p": 1e2}', '{"p": "1e2"}',
    '{"p": 100}', '{"p": true}', '{"p": "true"}', '{"p": "TRUE"}', '{"p": false}', '{"p": null}', '{}', '{"p": ""}', '{"p": "null"}', '{"p": {"q": 1}}',
    '{"p": [1]}', '{"p": "one", "q": "two"}', '{"p": "one", "q": "three"}', '{"q": "two"}']) WITH ORDINALITY AS p(properties, n);
CREATE FUNCTION filtered(fields jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT calculated(fields || '{"eventType": "filtered", "metricType": "GROUPED", "groupingProperty": "is"}') $$;
SELECT fields, filtered(fields::jsonb) FROM unnest(ARRAY[
    '{}', '{"propertyFilters": {}}', '{"propertyFilters": {"p": ["one"]}}', '{"propertyFilters": {"p": ["one", "One"]}}',
    '{"propertyFilters": {"p": ["one"]}, "caseSensitive": false}', '{"propertyFilters": {"p": ["ONE"]}, "caseSensitive": false}',
    '{"propertyFilters": {"p": ["ONE"]}}', '{"propertyFilters": {"p": ["ONE"]}, "caseSensitive": null}',
    '{"propertyFilters": {"p": [1]}}', '{"propertyFilters": {"p": [1.00]}}', '{"propertyFilters": {"p": ["1"]}}', '{"propertyFilters": {"p": ["1.0"]}}',
    '{"propertyFilters": {"p": [100]}}', '{"propertyFilters": {"p": ["1e2"]}}', '{"propertyFilters": {"p": ["1E2"]}, "caseSensitive": false}',
    '{"propertyFilters": {"p": [true]}}', '{"propertyFilters": {"p": ["true"]}}', '{"propertyFilters": {"p": ["True"]}, "caseSensitive": false}',
    '{"propertyFilters": {"p": [false]}}', '{"propertyFilters": {"p": [null]}}', '{"propertyFilters": {"p": ["null"]}}', '{"propertyFilters": {"p": [""]}}',
    '{"propertyFilters": {"p": ["", null, "one"]}}',
    '{"propertyFilters": {"p": ["{\"q\": 1}", "[1]"]}}', '{"propertyFilters": {"p": ["one"], "q": ["two"]}}',
    '{"propertyFilters": {"p": [null], "q": ["two"]}}', '{"propertyFilters": {"r": [null]}}', '{"propertyFilters": {"r": ["x"]}}',
    '{"propertyFilters": {"q": ["two"]}, "propertiesToNegate": ["q"]}', '{"propertyFilters": {"q": ["two", null]}, "propertiesToNegate": ["q"]}',
    '{"propertyFilters": {"q": [null]}, "propertiesToNegate": ["q"]}', '{"propertyFilters": {"p": ["one"], "q": ["two"]}, "propertiesToNegate": ["q"]}',
    '{"propertyFilters": {"p": ["one"], "q": ["two"]}, "propertiesToNegate": ["p"]}',
    '{"propertyFilters": {"p": ["one", 1, 1e2, true, false, null, "", "null", "{\"q\": 1}", "[1]"]}, "propertiesToNegate": ["p"], "caseSensitive": false}'
]) WITH ORDINALITY AS f(fields, n) ORDER BY n;
-- skipped is what passes the filters and has no value; caseSensitive is about filters, not about values
SELECT calculated('{"eventType": "filtered", "aggregationType": "SUM", "aggregationProperty": "p", "propertyFilters": {"q": ["two"]}}'),
    calculated('{"eventType": "filtered", "aggregationType": "SUM", "aggregationProperty": "p", "propertyFilters": {"p": ["1", "one"]}}'),
       calculated('{"eventType": "filtered", "aggregationType": "UNIQUE", "aggregationProperty": "p", "propertyFilters": {"p": ["ONE", "TRUE"]},
           "caseSensitive": false}'),
           calculated('{"eventType": "filtered", "metricType": "GROUPED", "groupingProperty": "p", "propertyFilters": {"p": ["ONE", "TRUE", null]},
           "caseSensitive": false}');

-- groups: of each kind of value, in the order of their bytes; a value in two groups is one value of all
SELECT count(sent('g-' || n, properties::jsonb, '{"eventType": "grouped"}'))
FROM unnest(ARRAY['{"g": "b", "v": 1}', '{"g": "B", "v": 1}', '{"g": "a", "v": 1.0}', '{"g": "ä", "v": "1"}', '{"g": 10, "v": 2}', '{"g": 9, "v": 2}',
    '{"g": "10.0", "v": 3}', '{"g": 10.0, "v": 4}', '{"g": true, "v": 5}', '{"g": "true", "v": 6}', '{"g": null, "v": 7}', '{"v": 8}', '{"g": "", "v": 9}',
    '{"g": "null", "v": 10}', '{"g": {"x": 1}, "v": 11}', '{"g": "skipped"}', '{"g": "b"}']) WITH ORDINALITY AS p(properties, n);
SELECT count(sent('long-' || n, jsonb_build_object('g', repeat('long', 1000) || n % 2, 'v', repeat('long', 1000) || n), '{"eventType": "grouped"}'))
    FROM generate_series(1, 4) AS n;
SELECT aggregation, calculated(jsonb_build_object('eventType', 'grouped', 'metricType', 'GROUPED', 'groupingProperty', 'g', 'aggregationType', aggregation,
    'aggregationProperty', 'v'))
FROM unnest('{COUNT,SUM,UNIQUE,MAX,MIN,AVERAGE,LATEST,PERCENTILE}'::text[]) WITH ORDINALITY AS a(aggregation, n) ORDER BY n;

-- LATEST: by the time of the event, and of equal times the one that was known last
SELECT count(sent('l-' || n, properties::jsonb, fields::jsonb || '{"eventType": "latest"}'))
FROM (VALUES (1, '{"n": 1}', '{"eventTimestamp": "2026-10-07T00:00:00Z"}'), (2, '{"n": 2}', '{"eventTimestamp": "2026-10-06T00:00:00Z"}'),
    (3, '{"n": 3}', '{"eventTimestamp": "2026-10-07T02:00:00+02:00"}'), (4, '{"n": 4}', '{"eventTimestamp": "2026-10-06T23:59:59.999999Z"}'),
    (5, '{"n": "none"}', '{"eventTimestamp": "2026-10-08T00:00:00Z"}')) AS v(n, properties, fields);
SELECT calculated('{"eventType": "latest", "aggregationType": "LATEST"}'),
    calculated('{"eventType": "latest", "aggregationType": "LATEST"}', '{acme}', '[2026-10-01 00:00Z, 2026-10-07 00:00Z)');
-- a correction is known later than what came before it
SELECT count(sent('tie-' || n, jsonb_build_object('n', n), '{"eventType": "tie"}')) FROM generate_series(1, 3) AS n;
SELECT shown(said('{"eventType": "tie", "aggregationType": "LATEST"}'));
SELECT sent('tie-1', '{"n": 1.0, "corrected": true}', '{"eventType": "tie"}') IS NOT NULL;
SELECT calculated('{"eventType": "tie", "aggregationType": "LATEST"}');

-- PERCENTILE: the first number, in ascending order, that has with those before it such a share of all; 0.5 is the median
SELECT count(sent('share-' || n, jsonb_build_object('n', n, 'few', n % 4, 'kind', 'k' || n % 2, 'one', CASE n WHEN 7 THEN 7 END),
                  jsonb_build_object('eventType', 'percentile', 'eventTimestamp', '2026-10-01T00:00:00Z'::timestamptz + n * interval '7 hours')))
FROM generate_series(1, 100) AS n;
CREATE FUNCTION percentile(p numeric, fields jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT calculated(jsonb_build_object('eventType', 'percentile', 'aggregationType', 'PERCENTILE', 'percentile', p) || fields) $$;
SELECT p, percentile(p), percentile(p, '{"aggregationProperty": "few"}'), percentile(p, '{"aggregationProperty": "one"}')
FROM unnest('{0,1e-100,0.01,0.0100001,0.07,0.25,0.5,0.50000001,0.9,0.99,0.999999999999999999999999,1}'::numeric[]) AS p;
SELECT percentile(p, '{"metricType": "GROUPED", "groupingProperty": "kind"}'),
    percentile(p, '{"metricType": "GROUPED", "groupingProperty": "few", "aggregationProperty": "few"}')
FROM unnest('{0,0.01,0.5,0.99,1}'::numeric[]) AS p;
-- the same as percentile_disc() says, where floating point can say the share: 0.07 of 100 is more than 7 to it
SELECT p, split_part(percentile(p), ' ', 1)::numeric - (SELECT percentile_disc(p) WITHIN GROUP (ORDER BY (event_properties ->> 'n')::numeric) FROM usage_events
    WHERE event_type = 'percentile') AS more
FROM unnest('{0,0.125,0.25,0.5,0.75,0.9375,1,0.07}'::numeric[]) AS p;
-- of equal numbers, that with more zeros is above, as it is for MIN and MAX; a number is as large as it is, not its text
SELECT count(sent('zeros-' || n, jsonb_build_object('n', v::jsonb), '{"eventType": "zeros"}'))
FROM unnest(ARRAY['1.50', '1.5', '"1.500"', '1.5000', '"+1.5"', '10', '9', '"1e1"', '-10', '"-9.0"']) WITH ORDINALITY AS z(v, n);
SELECT p, percentile(p, '{"eventType": "zeros"}') FROM unnest('{0,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1}'::numeric[]) AS p;
SELECT calculated('{"eventType": "zeros", "aggregationType": "MIN"}'), calculated('{"eventType": "zeros", "aggregationType": "MAX"}');

-- each aggregation that there is has a result, as the refusal of another names them
CREATE FUNCTION aggregations() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    fault text;
BEGIN
    PERFORM metric('{"aggregationType": "none"}');
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS fault = PG_EXCEPTION_DETAIL;
    RETURN QUERY SELECT m[1] FROM regexp_matches(split_part(fault, ', not', 1), '"([A-Z]+)"', 'g') AS m;
END $$;
SELECT aggregation, calculated(jsonb_build_object('eventType', 'tie', 'aggregationType', aggregation)) FROM aggregations() AS aggregation;

-- exact, whatever the number of digits
SELECT count(sent('d-' || n, jsonb_build_object('n', 0.1, 'third', 1, 'far', CASE WHEN n % 2 = 0 THEN '1e30' ELSE '-0.000000000000000000000000000001' END,
    'cancels', CASE WHEN n < 5 THEN 1e20 WHEN n < 9 THEN -1e20 ELSE 0.001 END), '{"eventType": "digits"}')) FROM generate_series(1, 10) AS n;
SELECT count(sent('t-' || n, jsonb_build_object('third', n), '{"eventType": "digits"}')) FROM (VALUES (0), (0.0)) AS v(n);
SELECT aggregation, calculated(jsonb_build_object('eventType', 'digits', 'aggregationType', aggregation, 'aggregationProperty', property))
FROM unnest('{n,third,far,cancels}'::text[]) WITH ORDINALITY AS p(property, m),
    unnest('{SUM,AVERAGE,MIN}'::text[]) WITH ORDINALITY AS a(aggregation, n) ORDER BY m, n;
SELECT avg(n) FROM (SELECT 0.1 AS n FROM generate_series(1, 10)) AS e;
SET usage_events.max_properties_bytes = '1MB';
SELECT count(sent('m-' || n, jsonb_build_object('n', repeat('9', 100000)::numeric + n, 'text', repeat('8', 100000) || n, 'small',
    ('0.' || repeat('0', 16000) || n)::numeric), '{"eventType": "many digits"}')) FROM generate_series(1, 3) AS n;
RESET usage_events.max_properties_bytes;
SELECT said('{"eventType": "many digits", "aggregationType": "SUM"}');
SET usage_events.max_sum_digits = 150000;
SELECT property, aggregation, calculated(jsonb_build_object('eventType', 'many digits', 'aggregationType', aggregation, 'aggregationProperty', property)),
    calculated(jsonb_build_object('eventType', 'many digits', 'metricType', 'GROUPED', 'groupingProperty', property, 'aggregationType', aggregation,
    'aggregationProperty', property))
FROM unnest('{n,text,small}'::text[]) WITH ORDINALITY AS p(property, m),
    unnest('{SUM,MAX,UNIQUE,LATEST,PERCENTILE}'::text[]) WITH ORDINALITY AS a(aggregation, n) ORDER BY m, n;
SELECT (said('{"eventType": "many digits", "aggregationType": "SUM"}') ->> 'value')::numeric = repeat('9', 100000)::numeric * 3 + 6 AS exact;

-- taken back, superseded: only the version that is current counts, where it is now
SELECT count(sent('v-' || n, jsonb_build_object('n', n), '{"eventType": "version"}')) FROM generate_series(1, 6) AS n;
SELECT sent('v-1', '{"n": 1}', '{"eventType": "version", "customerAlias": "VOID"}') IS NOT NULL,
    sent('v-2', '{"n": 20}', '{"eventType": "version"}') IS NOT NULL, sent('v-3', '{"n": 30}', '{"eventType": "other version"}') IS NOT NULL,
       sent('v-4', '{"n": 40}', '{"eventType": "version", "eventTimestamp": "2026-11-01T00:00:00Z"}') IS NOT NULL,
           sent('v-5', '{"n": 50}', '{"eventType": "version", "customerAlias": "initech"}') IS NOT NULL;
SELECT calculated('{"eventType": "version", "aggregationType": "SUM"}'), calculated('{"eventType": "version", "aggregationType": "SUM"}', '{VOID}'),
    calculated('{"eventType": "version", "aggregationType": "SUM"}', '{VOID,initech}'), calculated('{"eventType": "other version", "aggregationType": "SUM"}'),
       calculated('{"eventType": "version", "aggregationType": "SUM"}', '{acme}', '[2026-11-01 00:00Z, 2026-12-01 00:00Z)');

-- customers: by alias, by id, by several names, of an alias that is another's, of one that was deleted
SELECT count(create_customer_alias(jsonb_build_object('customerId', customer, 'value', value)))
    FROM (VALUES ('c-1', 'one-a'), ('c-1', 'one-b'), ('c-2', 'two-a'), ('c-2', 'c-1'), ('c-3', 'c-3'), ('c-3', 'three'), ('c-4', 'four'),
    ('c-5', 'c-6')) AS v(customer, value);
SELECT delete_customer_alias(id) IS NOT NULL FROM customer_aliases WHERE value = 'four';
SELECT count(sent('c-' || n, jsonb_build_object('n', 2 ^ n), jsonb_build_object('eventType', 'customer', 'customerAlias', alias)))
FROM unnest('{one-a,one-b,two-a,c-1,c-2,c-3,three,four,c-4,nobody,c-6}'::text[]) WITH ORDINALITY AS a(alias, n);
SELECT customers, calculated('{"eventType": "customer", "aggregationType": "SUM"}', customers::text[])
FROM unnest(ARRAY['{one-a}', '{one-b}', '{c-1}', '{c-2}', '{c-3}', '{three}', '{four}', '{c-4}', '{c-5}', '{c-6}', '{nobody}', '{Nobody}', '{c-2,c-2,two-a}',
    '{c-1,c-2,c-3,c-4,c-5,one-a}', '{VOID}', '{}', '{""}', '{NULL}', '{NULL,one-a,NULL}', '{{one-a,one-b},{c-2,NULL}}', '[5:6]={one-a,one-b}'])
    WITH ORDINALITY AS c(customers, n) ORDER BY n;
SELECT shown(said('{"eventType": "customer", "aggregationType": "SUM"}',
    (SELECT array_agg('many-' || n) || '{one-a,c-2}' FROM generate_series(1, 10000) AS n)));
SELECT count(sent('many-' || n, '{"n": 0.5}', jsonb_build_object('eventType', 'many', 'customerAlias', 'many-' || n))) FROM generate_series(1, 40) AS n;
SELECT calculated('{"eventType": "many", "aggregationType": "SUM"}', (SELECT array_agg('many-' || n) FROM generate_series(1, 40) AS n));
SELECT asked(
    format('SELECT string_agg(concat_ws('' '', customer, event_count, value, skipped_event_count, grouped_values), '', '' ORDER BY customer COLLATE "C") FROM '
    'usage_metric_by_customer(%L, ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'')', metric(fields::jsonb)))
FROM unnest(ARRAY['{"eventType": "customer", "aggregationType": "SUM"}', '{"aggregationType": "AVERAGE"}',
    '{"aggregationType": "MAX", "metricType": "GROUPED", "groupingProperty": "kind"}', '{"aggregationType": "SUM", "aggregationProperty": "nothing"}',
    '{"eventType": "version", "aggregationType": "SUM"}', '{"eventType": "Call"}']) WITH ORDINALITY AS f(fields, n) ORDER BY n;
SELECT count(*), bool_and(ordered) FROM (SELECT customer COLLATE "C" > lag(customer COLLATE "C") OVER (ORDER BY n) AS ordered
    FROM usage_metric_by_customer(metric('{"eventType": "many", "aggregationType": "SUM"}'),
    '[2026-10-01 00:00Z, 2026-11-01 00:00Z)') WITH ORDINALITY AS c(customer, event_count, value, skipped, groups, n)) AS o;

-- periods, to the microsecond
SELECT count(sent('p-' || n, jsonb_build_object('n', 2 ^ n), jsonb_build_object('eventType', 'period', 'eventTimestamp', moment)))
FROM unnest('{0001-01-01T00:00:00Z,2026-09-30T23:59:59.999999Z,2026-10-01T00:00:00Z,2026-10-01T00:00:00.000001Z,2026-10-31T23:59:59.999998Z,'
    '2026-10-31T23:59:59.999999Z,2026-11-01T00:00:00Z,2026-11-01T00:00:00.000001Z,9999-12-31T23:59:59.999999Z}'::text[]) WITH ORDINALITY AS m(moment, n);
SELECT period, calculated('{"eventType": "period", "aggregationType": "SUM"}', '{acme}', period) FROM unnest(ARRAY[
    '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', '(2026-10-01 00:00Z, 2026-11-01 00:00Z]', '[2026-10-01 00:00Z, 2026-11-01 00:00Z]',
    '(2026-10-01 00:00Z, 2026-11-01 00:00Z)', '[2026-10-01 00:00:00.000001Z, 2026-10-31 23:59:59.999999Z)', '[2026-10-01 00:00Z, 2026-10-01 00:00Z]',
    '[2026-10-01 00:00Z, 2026-10-01 00:00:00.000001Z)', '(2026-10-01 00:00Z, 2026-10-01 00:00:00.000001Z)', '(2026-10-01 00:00Z, 2026-10-01 00:00:00.000001Z]',
    '[2026-10-01 02:00+02, 2026-10-31 20:00-04)', '[0001-01-01 00:00Z, 9999-12-31 23:59:59.999999Z]', '[4713-01-01 00:00Z BC, 0001-01-01 00:00Z)',
    '[4713-01-01 00:00Z BC, 0001-01-01 00:00Z]', '[9999-12-31 23:59:59.999999Z, 294276-12-31 23:59:59.999999Z]',
    '(9999-12-31 23:59:59.999999Z, 294276-12-31 23:59:59.999999Z]', '[4713-01-01 00:00Z BC, 294276-12-31 23:59:59.999999Z]',
    '[10001-01-01 00:00Z, 20000-01-01 00:00Z)', '[300-01-01 00:00Z BC, 200-01-01 00:00Z BC)',
    'empty', '[2026-10-01 00:00Z, 2026-10-01 00:00Z)', '[,]', '[2026-10-01 00:00Z,)', '(,2026-10-01 00:00Z)', '[-infinity, 2026-10-01 00:00Z)',
    '[2026-10-01 00:00Z, infinity)', '[2026-10-01 00:00Z, infinity]', '[infinity, infinity]']) WITH ORDINALITY AS p(period, n) ORDER BY n;

-- refusals
SELECT id AS any, (create_usage_metric(jsonb_build_object('name', 'deleted', 'metricType', 'SIMPLE', 'eventType', 'call', 'aggregationType',
    'COUNT')) ->> 'id')::uuid AS deleted FROM usage_metrics WHERE event_type = 'period' \gset
SELECT delete_usage_metric(:'deleted') IS NOT NULL;
SELECT call, asked('SELECT shown(' || replace(replace(replace(call, 'PERIOD', '''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'''), 'DELETED',
    quote_literal(:'deleted')), 'ANY', quote_literal(:'any')) || ')') FROM unnest(ARRAY[
    'calculate_usage_metric(DELETED, ''{acme}'', PERIOD)', 'calculate_usage_metric(''00000000-0000-7000-8000-000000000000'', ''{acme}'', PERIOD)',
    'calculate_usage_metric(''00000000-0000-7000-8000-000000000000'', ''{acme}'', PERIOD, ''2020-01-01 00:00Z'')',
    'calculate_usage_metric(ANY, ''{acme}'', PERIOD, ''2020-01-01 00:00Z'')', 'calculate_usage_metric(ANY, ''{acme}'', PERIOD, ''-infinity'')',
    'calculate_usage_metric(ANY, ''{acme}'', PERIOD, ''infinity'')',
    'calculate_usage_metric(NULL, ''{acme}'', PERIOD)', 'calculate_usage_metric(ANY, NULL, PERIOD)', 'calculate_usage_metric(ANY, ''{acme}'', NULL)',
    'calculate_usage_metric(ANY, ''{acme}'', PERIOD, NULL, ''{}'')', 'calculate_usage_metric(ANY, ''{acme}'', PERIOD, NULL, ''null'')',
    'usage_events.calculate_metric(''00000000-0000-8000-8000-000000000001'', ANY, ''{acme}'', PERIOD)',
    'usage_events.calculate_metric(''00000000-0000-8000-8000-000000000001'', ANY, ''{acme}'', PERIOD, NULL, ''{}'')',
    'usage_events.calculate_metric(NULL, ANY, ''{acme}'', PERIOD)',
    'usage_events.calculate_metric(''00000000-0000-7000-8000-000000000000'', ANY, ''{acme}'', PERIOD)',
    'usage_events.calculate_metric(''00000000-0000-8000-8000-000000000001'', DELETED, ''{acme}'', PERIOD)']) WITH ORDINALITY AS c(call, n) ORDER BY n;
SELECT call, faults(replace(replace(replace(call, 'PERIOD', '''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'''), 'DELETED', quote_literal(:'deleted')), 'ANY',
    quote_literal(:'any'))) FROM unnest(ARRAY[
    'SELECT count(*) FROM usage_metric_by_customer(DELETED, PERIOD)', 'SELECT count(*) FROM usage_metric_by_customer(NULL, PERIOD)',
    'SELECT count(*) FROM usage_metric_by_customer(ANY, NULL)', 'SELECT count(*) FROM usage_metric_by_customer(ANY, ''empty'')',
    'SELECT count(*) FROM usage_metric_by_customer(ANY, ''[,]'')']) WITH ORDINALITY AS c(call, n) ORDER BY n;

-- two accounts: each sees its own events, aliases and metrics
SET usage_events.account_id = :'other';
SELECT sent('a-1', '{"n": 1000}') IS NOT NULL, create_customer_alias('{"customerId": "c-2", "value": "acme"}') IS NOT NULL,
    sent('c-1', '{"n": 3000}', '{"eventType": "customer", "customerAlias": "two-a"}') IS NOT NULL;
SELECT shown(said('{"aggregationType": "SUM"}', customers::text[])), shown(said('{"eventType": "customer", "aggregationType": "SUM"}', customers::text[]))
    FROM unnest(ARRAY['{acme}', '{c-2}', '{c-2,two-a}']) AS customers;
SELECT customer, event_count, value FROM usage_metric_by_customer(metric('{"aggregationType": "SUM"}'), '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
SELECT faults(format('SELECT calculate_usage_metric(%L, ''{acme}'', ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'')', :'any'));
SELECT metric('{"aggregationType": "SUM"}') AS others \gset
RESET usage_events.account_id;
SELECT faults(format('SELECT calculate_usage_metric(%L, ''{acme}'', ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'')', :'others'));
SELECT asked(
    format('SELECT usage_events.calculate_metric(%L, %L, ''{acme}'', ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'') - ''{name,minEventId,maxEventId}''::text[]',
    :'other', :'others'));
SELECT usage_events.current_account_id(),
    faults(format('SELECT usage_events.calculate_metric(%L, %L, ''{acme}'', ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'')', :'other', :'any'));

-- with rollups the answers are the same
SELECT count(*) AS questions, count(*) FILTER (WHERE answer ~ '^[0-9A-Z]{5} [a-z]') AS refusals FROM question;
SELECT count(*) AS rollups FROM usage_events.metric_rollup;
SELECT count(*) AS differing FROM differing();
CALL pg_temp.refresh_until_ready();
SELECT count(*) > 1000 AS rolled_up, bool_and(state = 'ready' AND dirty_buckets = 0) AS ready FROM usage_events.metric_rollup, usage_events.rollup_status;
SELECT * FROM differing();

-- each event, corrected without a difference: all rollups are out of date, then none
SET usage_events.max_properties_bytes = '1MB';
SELECT count(sent(customer_event_id, event_properties || '{"again": true}',
    jsonb_build_object('eventType', event_type, 'customerAlias', customer_alias, 'eventTimestamp',
    to_char(event_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))))
FROM (SELECT * FROM usage_events WHERE account_id = usage_events.current_account_id() ORDER BY id) AS e;
RESET usage_events.max_properties_bytes;
SELECT count(*) FILTER (WHERE dirty_buckets > 0) AS dirty, string_agg(event_type,
    ', ' ORDER BY event_type COLLATE "C") FILTER (WHERE dirty_buckets = 0) AS clean FROM usage_events.rollup_status
    WHERE account_id = usage_events.current_account_id();
SELECT * FROM differing();
CALL pg_temp.refresh_until_ready();
SELECT * FROM differing();

-- an event that makes a difference makes it at once, and a refresh none
SELECT sent('a-2', '{"n": 2.75, "kind": "y"}') IS NOT NULL, sent('a-8', '{"n": 0.001}') IS NOT NULL,
    sent('p-4', '{"n": 16}', '{"eventType": "period", "customerAlias": "VOID"}') IS NOT NULL;
SELECT count(*) FROM differing();
SELECT * FROM differing() WHERE call LIKE '%SUM%' OR call LIKE '%LATEST%';
UPDATE question SET answer = faults(call);
SELECT sum(dirty_buckets) > 0 AS dirty FROM usage_events.rollup_status;
CALL pg_temp.refresh_until_ready();
SELECT sum(dirty_buckets) AS dirty FROM usage_events.rollup_status;
SELECT * FROM differing();

\pset format aligned
\pset tuples_only off
DROP FUNCTION differing(), calculated(jsonb, text[], text), filtered(jsonb), of_values(text, text[]), asked(text), faults(text), shown(jsonb), number(text),
    metric(jsonb), sent(text, jsonb, jsonb);
DROP TABLE question;
\i test/helpers/empty.sql
DELETE FROM usage_events.account WHERE account_id = :'other';
