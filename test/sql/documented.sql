-- What the documents say where a reader would have to guess, each shown.
\set QUIET on
\pset format unaligned
SELECT usage_events.create_account('documented') AS account \gset
SET usage_events.account_id = :'account';

CREATE FUNCTION sent(fields jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2024-10-05T12:00:00Z"}' || fields) ->> 'id' $$;
CREATE FUNCTION metric(fields jsonb) RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric('{"name": "m", "eventType": "call", "metricType": "SIMPLE", "aggregationProperty": "p"}' || fields) ->> 'id')::uuid $$;
CREATE FUNCTION october() RETURNS tstzrange LANGUAGE sql RETURN tstzrange('2024-10-01Z', '2024-11-01Z');
\i test/helpers/outcome.sql
CREATE FUNCTION refusal(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'none' ELSE concat_ws(' ', state, message, detail) END
    FROM pg_temp.outcome(call) $$;

-- LATEST: of events of the same time, the one with the highest id, which a correction gets
SELECT sent('{"customerEventId": "first", "eventProperties": {"p": 1}}') < sent('{"customerEventId": "second", "eventProperties": {"p": 2}}') AS ascend;
SELECT metric('{"aggregationType": "LATEST"}') AS latest \gset
SELECT calculate_usage_metric(:'latest', '{acme}', october()) -> 'value' AS value;
SELECT sent('{"customerEventId": "first", "eventProperties": {"p": 3}}') IS NOT NULL AS corrected;
SELECT calculate_usage_metric(:'latest', '{acme}', october()) -> 'value' AS value;

-- UNIQUE and groups: a number is the same as a string without trailing zeros; strings, objects and arrays are what they are to the letter
SELECT count(sent(jsonb_build_object('eventType', 'value', 'eventProperties', jsonb_build_object('p', p)))) AS events
FROM jsonb_array_elements('[1.5, 1.50, "1.5", "1.50", {"a": 1.5}, {"a": 1.50}, "{\"a\": 1.5}", [1.0], [1]]') AS p;
SELECT metric('{"eventType": "value", "aggregationType": "UNIQUE"}') AS unique,
    metric('{"eventType": "value", "aggregationType": "COUNT", "metricType": "GROUPED", "groupingProperty": "p"}') AS grouped \gset
SELECT calculate_usage_metric(:'unique', '{acme}', october()) -> 'value' AS value;
SELECT item ->> 'grouping' AS grouping, item -> 'value' AS value
    FROM jsonb_array_elements(calculate_usage_metric(:'grouped', '{acme}', october()) -> 'groupedValues') AS item;

-- lists take aliases alone: the id of a customer is none, VOID is one
SELECT create_customer_alias('{"customerId": "customer-17", "value": "acme"}') IS NOT NULL AS mapped;
SELECT sent('{"customerEventId": "second", "customerAlias": "VOID"}') IS NOT NULL AS taken_back;
SELECT aliases, list_usage_events(customer_aliases => aliases) -> 'pagination' -> 'totalResultSize' AS listed,
    calculate_usage_metric(:'latest', aliases, october()) -> 'eventCount' AS counted
FROM (VALUES ('{acme}'::text[]), ('{customer-17}'), ('{VOID}')) AS a (aliases);

-- as of a moment: what was written in its microsecond counts, and is no change since then
SELECT sent('{"eventType": "moment"}') IS NOT NULL AS sent;
SELECT metric('{"eventType": "moment", "aggregationType": "COUNT"}') AS counted \gset
SELECT uuid_v7_timestamp(version_id) AS moment FROM usage_events.metric WHERE id = :'counted' \gset
SELECT calculate_usage_metric(:'counted', '{acme}', october(), :'moment') -> 'eventCount' AS counted,
    (SELECT count(*) FROM usage_metric_changes(:'counted', '{acme}', october(), :'moment')) AS changes;
SELECT refusal(format('SELECT calculate_usage_metric(%L, %L, october(), %L)', :'counted', '{acme}',
    :'moment'::timestamptz - interval '1 microsecond')) ~ '^P0002' AS not_yet;
-- since a moment before the metric: all its events are added
SELECT old_value, new_value, change FROM usage_metric_changes(:'counted', '{acme}', october(), '2000-01-01Z');
-- the moment that an event shows is one as of which it is known, and the first
SELECT sent('{"eventType": "moment"}') AS next \gset
SELECT before, calculate_usage_metric(:'counted', '{acme}', october(), ingested_at - before) -> 'eventCount' AS counted
FROM usage_events, unnest('{0,1 microsecond}'::interval[]) AS before WHERE id = :'next';
-- and by SQL over both views: what had come, and was not superseded yet
SELECT sent('{"eventType": "moment", "customerEventId": "both"}') AS first \gset
SELECT sent('{"eventType": "moment", "customerEventId": "both", "eventProperties": {"n": 2}}') AS second \gset
SELECT id = :'second' AS is_second, before, calculate_usage_metric(:'counted', '{acme}', october(), ingested_at - before) ->> 'maxEventId' =
    (SELECT max(v.id::text) FROM (SELECT id, event_type, ingested_at, NULL AS superseded_at FROM usage_events
        UNION ALL SELECT id, event_type, ingested_at, superseded_at FROM usage_event_history) AS v
     WHERE v.event_type = 'moment' AND v.ingested_at <= e.ingested_at - before AND (v.superseded_at <= e.ingested_at - before) IS NOT TRUE) AS is_same
FROM (SELECT id, ingested_at FROM usage_events UNION ALL SELECT id, ingested_at FROM usage_event_history) AS e,
    unnest('{0,1 microsecond}'::interval[]) AS before WHERE id IN (:'first', :'second') ORDER BY 1, 2;

-- usage_events.on_conflict = refuse: ingest answers it as a refusal, and keeps the event
SET usage_events.on_conflict = refuse;
SELECT regexp_replace((outcome - 'id')::text, '[0-9a-f-]{36}', '<id>') AS outcome
    FROM jsonb_array_elements(ingest_usage_events('[{"customerAlias": "acme", "eventType": "other", "customerEventId": "first"},
    {"customerAlias": "acme", "eventType": "other", "customerEventId": "third"}]') -> 'outcomes') AS outcome;
SELECT body::jsonb ->> 'customerEventId' AS kept FROM rejected_usage_events WHERE account_id = :'account';
RESET usage_events.on_conflict;

-- limits
SELECT refusal('SELECT list_usage_events(101, page_offset => 10001)');
SELECT list_usage_events(100, page_offset => 10000) -> 'items' AS items;
SELECT refusal('SELECT list_usage_metrics(101)'), refusal('SELECT list_customer_aliases(101)');
SELECT refusal(format($$SELECT count(*) FROM usage_metric_series(%L, (SELECT array_agg('a-' || n) FROM generate_series(1, 100) AS n),
    '[2020-01-01 00:00Z, 2026-01-01 00:00Z)', 'hour')$$, :'counted'));
SELECT refusal(format($$SELECT count(*) FROM usage_metric_series(%L, '{acme}', '[2000-01-01 00:00Z, 2026-01-01 00:00Z)', 'hour')$$, :'counted'));
SELECT refusal($$SELECT metric(jsonb_build_object('aggregationType', 'COUNT', 'propertyFilters',
    jsonb_build_object('a', (SELECT jsonb_agg(n) FROM generate_series(1, 1001) AS n))))$$);
SELECT refusal($$SELECT metric(jsonb_build_object('aggregationType', 'COUNT', 'propertyFilters',
    (SELECT jsonb_object_agg('a-' || n, '[1]'::jsonb) FROM generate_series(1, 101) AS n)))$$);

-- a retry of what was purged is refused, as any event of that time
SELECT usage_events.purge('2024-10-06Z') > 0 AS purged;
SELECT refusal($$SELECT sent('{"customerEventId": "third", "eventType": "other"}')$$);
SELECT calculate_usage_metric(:'latest', '{acme}', '[2024-10-06 00:00Z, 2024-11-01 00:00Z)') -> 'eventCount' AS counted,
    refusal(format('SELECT calculate_usage_metric(%L, %L, october())', :'latest', '{acme}'));

DROP FUNCTION sent(jsonb), metric(jsonb), october(), refusal(text);
DO $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN SELECT oid FROM pg_class WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('DELETE FROM %s WHERE account_id = usage_events.current_account_id()', relation);
    END LOOP;
END $$;
