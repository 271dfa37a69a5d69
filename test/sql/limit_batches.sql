-- BLOCK limits: a batch comes out as its events would one by one, whatever they take away, repeat or correct.
\i test/helpers/empty.sql

CREATE FUNCTION pg_temp.metric(aggregation text, options jsonb) RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric(jsonb_build_object('name', aggregation, 'metricType', 'SIMPLE', 'eventType', aggregation || options,
            'aggregationType', aggregation)
        || CASE aggregation WHEN 'COUNT' THEN '{}' ELSE '{"aggregationProperty": "n"}' END::jsonb || options) ->> 'id')::uuid
$$;
-- Events of two customers, of whom one has two aliases, in two months: new ones, corrections, some taken back, some sent twice.
CREATE FUNCTION pg_temp.stream(type text, size int, keys int DEFAULT 30) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_agg(jsonb_build_object('customerEventId', (random() * keys)::int, 'eventType', type,
        'customerAlias', (ARRAY['a', 'a too', 'b', 'a', 'VOID'])[1 + (random() * random() * 4)::int],
        'eventTimestamp', (ARRAY['2026-10-15T00:00:00Z', '2026-10-16T00:00:00Z', '2026-11-01T00:00:00Z'])[1 + (random() * 2)::int],
        'eventProperties', jsonb_build_object('n', (random() * 8)::int - 2, 'g', (random() * 2)::int))) FROM generate_series(1, size)
$$;
-- The same events for others.
CREATE FUNCTION pg_temp.of(who text, events jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_agg(e || jsonb_build_object('customerEventId', who || ' ' || (e ->> 'eventType') || (e ->> 'customerEventId'),
        'customerAlias', CASE e ->> 'customerAlias' WHEN 'VOID' THEN 'VOID' ELSE who || ' ' || (e ->> 'customerAlias') END) ORDER BY n)
    FROM jsonb_array_elements(events) WITH ORDINALITY AS u(e, n)
$$;
CREATE FUNCTION pg_temp.outcomes(answer jsonb) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(o ->> 'outcome' ORDER BY n) FROM jsonb_array_elements(answer -> 'outcomes') WITH ORDINALITY AS a(o, n)
$$;
-- Whether all of them can be stored; none of them is.
CREATE FUNCTION pg_temp.fit(events jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM create_usage_events(events);
    RAISE division_by_zero;
EXCEPTION
    WHEN configuration_limit_exceeded THEN RETURN false;
    WHEN division_by_zero THEN RETURN true;
END $$;
CREATE FUNCTION pg_temp.compare(aggregation text, most numeric, options jsonb DEFAULT '{}', rounds int DEFAULT 8, size int DEFAULT 20,
    keys int DEFAULT 30)
RETURNS TABLE (kind text, differences int, were_kept_out boolean, were_let_in boolean) LANGUAGE plpgsql AS $$
DECLARE
    metric CONSTANT uuid := pg_temp.metric(aggregation, options);
    events jsonb;
    alone text[];
    batch text[];
    fits boolean;
BEGIN
    kind := aggregation || ' ' || options;
    differences := 0;
    were_kept_out := false;
    were_let_in := false;
    PERFORM create_usage_limit(jsonb_build_object('name', 'most', 'usageMetricId', metric, 'period', 'MONTH', 'limit', most, 'mode', 'BLOCK'));
    FOR round IN 1 .. rounds LOOP
        events := pg_temp.stream(aggregation || options, size, keys);
        SELECT array_agg(pg_temp.outcomes(ingest_usage_events(jsonb_build_array(e))) ORDER BY n) INTO alone
        FROM jsonb_array_elements(pg_temp.of('alone', events)) WITH ORDINALITY AS u(e, n);
        SELECT array_agg(o) INTO alone FROM unnest(alone) AS o;
        fits := pg_temp.fit(pg_temp.of('batch', events));
        batch := pg_temp.outcomes(ingest_usage_events(pg_temp.of('batch', events)));
        differences := differences + (SELECT count(*) FROM unnest(alone, batch) AS u(a, b) WHERE a <> b) + (fits <> ('refused' <> ALL (batch)))::int;
        were_kept_out := were_kept_out OR 'refused' = ANY (batch);
        were_let_in := were_let_in OR 'created' = ANY (batch);
    END LOOP;
    RETURN NEXT;
END $$;
SELECT create_customer_alias(jsonb_build_object('customerId', who || ' a', 'value', who || ' a too')) IS NOT NULL AS mapped
FROM unnest(ARRAY['alone', 'batch']) AS who;
SELECT setseed(0.5) IS NULL AS seeded;

SELECT * FROM pg_temp.compare('COUNT', 6);
SELECT * FROM pg_temp.compare('SUM', 12);
SELECT * FROM pg_temp.compare('UNIQUE', 4);
SELECT * FROM pg_temp.compare('MAX', 4);
SELECT * FROM pg_temp.compare('MIN', 2);
SELECT * FROM pg_temp.compare('AVERAGE', 2);
SELECT * FROM pg_temp.compare('LATEST', 3);
SELECT * FROM pg_temp.compare('PERCENTILE', 3, '{"percentile": 0.7}');
SELECT * FROM pg_temp.compare('UNIQUE', 5, '{"metricType": "GROUPED", "groupingProperty": "g"}');
SELECT * FROM pg_temp.compare('PERCENTILE', 3, '{"percentile": 0.5, "metricType": "GROUPED", "groupingProperty": "g"}');
SELECT * FROM pg_temp.compare('AVERAGE', 2, '{"metricType": "GROUPED", "groupingProperty": "g"}');
SELECT * FROM pg_temp.compare('SUM', 10, '{"propertyFilters": {"g": [0, 1]}}');

-- Nearly all are corrections, of a few events, again and again.
SELECT c.* FROM (VALUES ('COUNT', 6, '{}'::jsonb), ('SUM', 12, '{}'), ('UNIQUE', 4, '{}'), ('MAX', 4, '{}'), ('MIN', 2, '{}'),
    ('AVERAGE', 2, '{}'), ('LATEST', 3, '{}'), ('PERCENTILE', 3, '{"percentile": 0.7}'),
    ('UNIQUE', 5, '{"metricType": "GROUPED", "groupingProperty": "g"}')) AS m(aggregation, most, options),
    pg_temp.compare(aggregation, most, options || '{"propertyFilters": {"g": [0, 1, 2]}}', 1, 60, 12) AS c;

-- On top of what is rolled up, too.
SELECT usage_events.refresh_rollups() > 0 AS refreshed;
SELECT usage_events.refresh_rollups() >= 0 AS refreshed;
CREATE FUNCTION pg_temp.again(type text) RETURNS TABLE (differences bigint, kept_out boolean) LANGUAGE plpgsql AS $$
DECLARE
    events CONSTANT jsonb := pg_temp.stream(type, 20);
    alone text[];
BEGIN
    SELECT array_agg(pg_temp.outcomes(ingest_usage_events(jsonb_build_array(e))) ORDER BY n) INTO alone
    FROM jsonb_array_elements(pg_temp.of('alone', events)) WITH ORDINALITY AS u(e, n);
    RETURN QUERY SELECT count(*) FILTER (WHERE a <> b), bool_or(b = 'refused')
    FROM unnest(ARRAY(SELECT unnest(alone)), pg_temp.outcomes(ingest_usage_events(pg_temp.of('batch', events)))) AS u(a, b);
END $$;
SELECT m.event_type, a.* FROM (SELECT DISTINCT event_type FROM usage_metrics WHERE event_type NOT LIKE '%2]%' ORDER BY 1) AS m,
    pg_temp.again(m.event_type) AS a ORDER BY 1;

-- Events of two types, under limits of several metrics of each: corrections move between customers, types and periods. Numbers have
-- digits behind the point or are none, and some events come without a moment.
CREATE FUNCTION pg_temp.mixed(name text, size int) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_agg(jsonb_build_object('customerEventId', name || (random() * 15)::int, 'eventType', 'moved ' || (random() * 0.7)::int,
        'customerAlias', (ARRAY['a', 'a too', 'b', 'VOID'])[1 + (random() * random() * 3)::int],
        'eventProperties', jsonb_build_object('g', (random() * 2)::int, 'n', (ARRAY[to_jsonb((random() * 8)::int - 2),
            to_jsonb(round((random() * 8 - 2)::numeric, (random() * 20)::int)), '"A"', '"a"', 'null'])[1 + (random() * random() * 4)::int]))
        || (ARRAY['{"eventTimestamp": "2026-10-15T00:00:00Z"}', '{"eventTimestamp": "2026-10-15T09:00:00Z"}',
            '{"eventTimestamp": "2026-11-01T00:00:00Z"}', '{}'])[1 + (random() * random() * 3)::int]::jsonb)
    FROM generate_series(1, size)
$$;
CREATE TABLE pg_temp.mixed_limit AS
SELECT most, period, pg_temp.metric(aggregation, options || jsonb_build_object('eventType', type)) AS metric
FROM (VALUES ('UNIQUE', 'moved 0', 'DAY', 8, '{}'::jsonb), ('LATEST', 'moved 0', 'MONTH', 5, '{}'), ('AVERAGE', 'moved 0', 'ALL_TIME', 3, '{}'),
    ('MAX', 'moved 1', 'ALL_TIME', 4, '{}'), ('PERCENTILE', 'moved 1', 'MONTH', 3, '{"percentile": 0.4}'), ('SUM', 'moved 1', 'DAY', 20, '{}'),
    ('MIN', 'moved 1', 'DAY', 2, '{}')) AS m(aggregation, type, period, most, options);
SELECT count(create_usage_limit(jsonb_build_object('name', 'most', 'usageMetricId', metric, 'period', period, 'limit', most, 'mode', 'BLOCK'))) AS made
FROM pg_temp.mixed_limit;
CREATE FUNCTION pg_temp.compare_mixed(name text, rounds int, size int)
RETURNS TABLE (differences bigint, kept_out boolean, let_in boolean) LANGUAGE plpgsql AS $$
DECLARE
    events jsonb;
    alone text[];
BEGIN
    FOR round IN 1 .. rounds LOOP
        events := pg_temp.mixed(name, size);
        SELECT array_agg(pg_temp.outcomes(ingest_usage_events(jsonb_build_array(e))) ORDER BY n) INTO alone
        FROM jsonb_array_elements(pg_temp.of('alone', events)) WITH ORDINALITY AS u(e, n);
        RETURN QUERY SELECT count(*) FILTER (WHERE a <> b), bool_or(b = 'refused'), bool_or(b <> 'refused')
        FROM unnest(ARRAY(SELECT unnest(alone)), pg_temp.outcomes(ingest_usage_events(pg_temp.of('batch', events)))) AS u(a, b);
    END LOOP;
END $$;
SELECT * FROM pg_temp.compare_mixed('corrected', 3, 50);
-- the first that fits stays
SET usage_events.on_conflict = 'ignore';
SELECT * FROM pg_temp.compare_mixed('kept', 1, 50);
RESET usage_events.on_conflict;
DROP TABLE pg_temp.mixed_limit;

-- Corrections are counted however many of a batch do not fit, and whatever rests on what does not.
\i test/helpers/empty.sql
CREATE FUNCTION pg_temp.told(answer jsonb) RETURNS TABLE (outcome text, fault text, count bigint) LANGUAGE sql AS $$
    SELECT o ->> 'outcome', o #>> '{faults,0,fault}', count(*) FROM jsonb_array_elements(answer -> 'outcomes') AS o
    GROUP BY 1, 2 ORDER BY min((o ->> 'index')::int)
$$;
CREATE FUNCTION pg_temp.events(type text, keys int, first int, last int, most int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_agg(jsonb_build_object('customerEventId', type || i % keys, 'customerAlias', 'c', 'eventType', type,
        'eventTimestamp', '2026-10-15T00:00:00Z', 'eventProperties', jsonb_build_object('n', least(i, most)))) FROM generate_series(first, last) AS i
$$;
SELECT pg_temp.metric('MAX', '{"eventType": "level"}') AS level, pg_temp.metric('SUM', '{"eventType": "tokens"}') AS tokens \gset
SELECT jsonb_array_length(create_usage_events(pg_temp.events('level', 100, 21, 50, 1))) AS stored;
SELECT create_usage_limit(jsonb_build_object('name', 'most', 'usageMetricId', id, 'period', 'MONTH', 'limit', 10, 'mode', 'BLOCK')) IS NOT NULL AS made
FROM unnest(ARRAY[:'level', :'tokens']::uuid[]) AS id;
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.events('level', 100, 21, 50, 11)));
SELECT pg_temp.fit(pg_temp.events('level', 100, 21, 50, 11)), pg_temp.fit(pg_temp.events('level', 100, 21, 50, 10));
-- what repeats one that was refused is refused as well, and what repeats one that was stored is unchanged
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.events('level', 100, 21, 21, 9) || pg_temp.events('level', 100, 22, 50, 11)
    || pg_temp.events('level', 100, 21, 21, 9) || pg_temp.events('level', 100, 22, 50, 11) || pg_temp.events('level', 100, 60, 69, 10)
    || pg_temp.events('level', 100, 70, 72, 11) || pg_temp.events('level', 100, 60, 69, 10)));
-- an event that comes again and again, until it fits; sent once more it is stored
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.events('tokens', 1, 11, 24, 20) || pg_temp.events('tokens', 1, 5, 5, 5)));
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.events('tokens', 1, 5, 5, 5)));
-- and the same one, which never does
SELECT pg_temp.metric('SUM', '{"eventType": "again"}') AS again \gset
SELECT create_usage_limit(jsonb_build_object('name', 'most', 'usageMetricId', :'again', 'period', 'MONTH', 'limit', 10, 'mode', 'BLOCK')) IS NOT NULL AS made;
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.events('again', 1, 30, 50, 20)));

-- What is told of numbers is the same as of the events one by one: no zeros of what came and went, and no thousands of digits.
CREATE FUNCTION pg_temp.sent(type text, key text, customer text, n jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_array(jsonb_build_object('customerEventId', key, 'customerAlias', customer, 'eventType', type, 'eventTimestamp', '2026-10-15T00:00:00Z',
        'eventProperties', jsonb_build_object('n', n)))
$$;
SELECT pg_temp.metric('SUM', '{"eventType": "told"}') AS sum, pg_temp.metric('AVERAGE', '{"eventType": "mean"}') AS average,
    pg_temp.metric('MAX', '{"eventType": "long"}') AS max \gset
SELECT count(create_usage_events(pg_temp.sent(type, customer || type, customer, '1e30000'))) AS stored
FROM unnest(ARRAY['told', 'mean']) AS type, unnest(ARRAY['alone', 'batch', 'lower']) AS customer;
SELECT create_usage_limit(jsonb_build_object('name', 'most', 'usageMetricId', id, 'period', 'MONTH', 'limit', 10, 'mode', 'BLOCK')) IS NOT NULL AS made
FROM unnest(ARRAY[:'sum', :'average', :'max']::uuid[]) AS id;
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.sent('told', '1', 'c', '1.50') || pg_temp.sent('told', '1', 'c', '11.000001')
    || pg_temp.sent('told', '1', 'c', '2') || pg_temp.sent('told', '2', 'c', '9')));
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.sent('told', '3', 'c', '9.00')));
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.sent('long', '1', 'c', '1e65000') || pg_temp.sent('long', '2', 'c', '3')));
SET usage_events.max_memory = '8MB';
SELECT pg_temp.told(ingest_usage_events(jsonb_agg(e)))
FROM generate_series(1, 100) AS i, jsonb_array_elements(pg_temp.sent('long', 'l' || i, 'c', '1e65000')) AS e;
RESET usage_events.max_memory;

-- A number that is too long to be added up can be corrected: by itself, also where the value is still above the limit then, and by a batch.
SELECT pg_temp.told(ingest_usage_events(pg_temp.sent(type, 'lower' || type, 'lower', '30'))) FROM unnest(ARRAY['told', 'mean']) AS type;
SELECT pg_temp.told(ingest_usage_events(pg_temp.sent(type, 'lower' || type, 'lower', '31'))) FROM unnest(ARRAY['told', 'mean']) AS type;
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.sent('told', 'alonetold', 'alone', '3')));
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.sent('told', 'batchtold', 'batch', '3') || pg_temp.sent('told', 'more', 'batch', '8')));
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.sent('mean', 'alonemean', 'alone', '3')));
SELECT * FROM pg_temp.told(ingest_usage_events(pg_temp.sent('mean', 'batchmean', 'batch', '3') || pg_temp.sent('mean', 'more', 'batch', '18')));

-- Large events under many limits take the memory of one at a time.
SELECT count(pg_temp.metric(aggregation, jsonb_build_object('eventType', 'large', 'name', aggregation || n))) AS metrics
FROM unnest(ARRAY['SUM', 'MAX', 'AVERAGE']) AS aggregation, generate_series(1, 7) AS n;
SELECT count(create_usage_limit(jsonb_build_object('name', 'most', 'usageMetricId', id, 'period', 'MONTH', 'limit', 5000, 'mode', 'BLOCK'))) AS made
FROM usage_metrics WHERE event_type = 'large';
SET usage_events.max_memory = '16MB';
SELECT a ->> 'created' AS created FROM (SELECT jsonb_agg(jsonb_set(e, '{eventProperties,text}', to_jsonb(repeat('x', 40000)))) AS events
    FROM jsonb_array_elements(pg_temp.events('large', 50, 1, 50, 50)) AS e) AS b, ingest_usage_events(events) AS a;
RESET usage_events.max_memory;

\i test/helpers/empty.sql
