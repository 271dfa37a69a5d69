-- Usage limits: made, updated, deleted, listed, and every refusal.
\i test/helpers/empty.sql
SELECT usage_events.create_account('other') AS other \gset
\i test/helpers/outcome.sql
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'accepted' ELSE concat_ws(' ', state, message || ':', detail) END
    FROM pg_temp.outcome('SELECT ' || call) $$;
-- without what changes from run to run
CREATE FUNCTION shown(usage_limit jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT usage_limit - '{id,sequenceAccountId,usageMetricId,createdAt,updatedAt}'::text[]
        || jsonb_build_object('deletedAt', usage_limit ->> 'deletedAt' IS NOT NULL) $$;
-- the names of a page
CREATE FUNCTION listed(page jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT string_agg(item ->> 'name', ' ' ORDER BY n) FROM jsonb_array_elements(page -> 'items') WITH ORDINALITY AS i(item, n)), 'none')
        || ' of ' || coalesce(page #>> '{pagination,totalResultSize}', 'null')
        || CASE WHEN page #>> '{pagination,before}' IS NULL THEN '' ELSE ', before' END || CASE
            WHEN page #>> '{pagination,after}' IS NULL THEN '' ELSE ', after' END $$;
CREATE FUNCTION made_metric(name text, fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric(jsonb_build_object('name', name, 'metricType', 'SIMPLE', 'eventType', 'call', 'aggregationType', 'COUNT') || fields)
        ->> 'id')::uuid $$;
SELECT made_metric('calls') AS calls \gset
SELECT made_metric('minutes', '{"aggregationType": "SUM", "aggregationProperty": "minutes"}') AS minutes \gset
-- a limit's body: 100 calls a month, but for these fields
CREATE FUNCTION body(fields jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('name', 'calls', 'usageMetricId', (SELECT id FROM usage_metrics
        WHERE name = 'calls' AND account_id = usage_events.current_account_id()), 'period', 'MONTH', 'limit', 100,
        'mode', 'BLOCK') || fields $$;
-- what a limit with these fields is refused for; nothing of it is kept
CREATE FUNCTION refused(fields jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT faults(format('create_usage_limit(%L)', body(fields))) $$;
\pset format unaligned
\pset tuples_only on

-- made, with as little as can be and with everything
SELECT create_usage_limit(body()) AS calls_limit \gset
SELECT jsonb_pretty(shown(:'calls_limit'));
SELECT string_agg(key, ' ' ORDER BY key COLLATE "C") FROM jsonb_object_keys(:'calls_limit'::jsonb) AS key;
SELECT :'calls_limit'::jsonb ->> 'sequenceAccountId' = usage_events.current_account_id()::text AS of_account,
    :'calls_limit'::jsonb ->> 'usageMetricId' = :'calls' AS of_metric, :'calls_limit'::jsonb -> 'createdAt' = :'calls_limit'::jsonb -> 'updatedAt' AS new,
    now() - (:'calls_limit'::jsonb ->> 'createdAt')::timestamptz BETWEEN '-1 minute' AND '1 minute' AS just_made;
SELECT create_usage_limit(body('{"name": "größe", "customer": "acme", "period": "YEAR", "timezone": "europe/BERLIN", "anchor": "2024-02-29T12:00:00.5+01:00",
    "limit": 0.50, "mode": "REPORT"}')) AS own \gset
SELECT jsonb_pretty(shown(:'own'));
SELECT get_usage_limit((:'own'::jsonb ->> 'id')::uuid) = :'own'::jsonb AS read_as_written;
-- null is as absent; what the server says of a limit, and what nobody knows, is ignored
SELECT shown(create_usage_limit(body('{"customer": null, "timezone": null, "anchor": null, "id": 5, "createdAt": [], "updatedAt": 5, "deletedAt": "2020",
    "sequenceAccountId": {}, "colour": "red"}'))) = shown(:'calls_limit') AS same;
SELECT shown(create_usage_limit(:'own')) = shown(:'own') AS sent_back;
SELECT period, shown(create_usage_limit(body(jsonb_build_object('period', period)))) ->> 'period'
    FROM unnest('{HOUR,DAY,WEEK,MONTH,YEAR,ALL_TIME}'::text[]) WITH ORDINALITY AS p(period, n) ORDER BY n;
SELECT shown(create_usage_limit(body(jsonb_build_object('limit', repeat('9', 100)::numeric, 'name', repeat('ü', 255), 'customer', repeat('ü', 255))))) ->> 'limit'
    = repeat('9', 100) AS largest, shown(create_usage_limit(body('{"limit": 0}'))) ->> 'limit' AS smallest;
-- of any kind whose value totals know
SELECT aggregation, refused(jsonb_build_object('usageMetricId', made_metric(aggregation, jsonb_build_object('aggregationType', aggregation,
        'aggregationProperty', 'p', 'percentile', percentile, 'metricType', 'GROUPED', 'groupingProperty', 'g'))))
    FROM unnest('{UNIQUE,SUM,MAX,MIN,AVERAGE,LATEST,PERCENTILE}'::text[], '{NULL,NULL,NULL,NULL,NULL,NULL,0.5}'::numeric[])
        WITH ORDINALITY AS a(aggregation, percentile, n) ORDER BY n;
DELETE FROM usage_events.usage_limit WHERE id <> (:'calls_limit'::jsonb ->> 'id')::uuid;

-- another account's is its own, and so are its metrics
SELECT :'calls_limit'::jsonb ->> 'id' AS id \gset
SET usage_events.account_id = :'other';
SELECT get_usage_limit(:'id') IS NULL, delete_usage_limit(:'id') IS NULL, listed(list_usage_limits());
SELECT create_usage_limit(jsonb_build_object('name', 'n', 'usageMetricId', :'calls', 'period', 'DAY', 'limit', 1, 'mode', 'BLOCK'));
SELECT made_metric('calls') AS others \gset
SELECT update_usage_limit(:'id', body()) IS NULL AS not_updated, create_usage_limit(body('{"name": "others"}')) ->> 'sequenceAccountId' = :'other' AS of_other;
RESET usage_events.account_id;

-- updated: all that a client says of it; the version before is kept
SELECT version_id AS first FROM usage_events.usage_limit WHERE id = :'id' \gset
SELECT update_usage_limit(:'id', body(jsonb_build_object('name', 'minutes', 'usageMetricId', :'minutes', 'customer', 'acme', 'period', 'DAY',
    'timezone', 'Asia/Tokyo', 'anchor', '2026-10-15T06:00:00Z', 'limit', 7, 'mode', 'REPORT'))) AS updated \gset
SELECT shown(:'updated');
SELECT :'updated'::jsonb ->> 'id' = :'id' AS same_id, :'updated'::jsonb -> 'createdAt' = :'calls_limit'::jsonb -> 'createdAt' AS same_time,
    (:'updated'::jsonb ->> 'updatedAt') > (:'updated'::jsonb ->> 'createdAt') AS later, :'updated'::jsonb ->> 'usageMetricId' = :'minutes' AS of_other_metric,
    get_usage_limit(:'id') = :'updated' AS stored;
SELECT name, customer, period, timezone, anchor, limit_value, mode, version_id = :'first' AS first, metric_id = :'calls' AS of_calls, deleted_at
    FROM usage_events.superseded_usage_limit;
SELECT version_id > :'first' AS ascends FROM usage_events.usage_limit WHERE id = :'id';
-- an update that changes nothing makes no version; each change does
SELECT count(update_usage_limit(:'id', get_usage_limit(:'id') || fields)) FROM unnest(ARRAY['{}', '{"limit": 7.00}', '{"anchor": "2026-10-15T08:00:00+02:00"}',
    '{"timezone": "asia/tokyo"}']::jsonb[]) AS fields;
SELECT count(*) FROM usage_events.superseded_usage_limit;
SELECT count(update_usage_limit(:'id', body(fields))) FROM unnest(ARRAY['{}', '{"name": "n"}', '{"limit": 101}', '{"mode": "REPORT"}', '{"customer": "zeta"}',
    '{"period": "DAY"}', '{"timezone": "Europe/Berlin"}', '{"anchor": "2026-10-15T06:00:00Z"}', '{"anchor": "2026-10-15T06:00:00.000001Z"}']::jsonb[]) AS fields;
SELECT count(*), count(DISTINCT version_id) FROM usage_events.superseded_usage_limit;
SELECT update_usage_limit(uuid_v7(), body()) IS NULL, update_usage_limit(NULL, body()) IS NULL, get_usage_limit(uuid_v7()) IS NULL,
    get_usage_limit(NULL) IS NULL;
SELECT update_usage_limit(:'id', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT faults(format('update_usage_limit(%L, %L)', :'id', body('{"limit": -1}')));
SELECT update_usage_limit(:'id', '[]');

-- deleted: once; it stays known, and is not changed any more
SELECT version_id AS last FROM usage_events.usage_limit WHERE id = :'id' \gset
SELECT delete_usage_limit(:'id') AS deleted \gset
SELECT now() - (:'deleted'::jsonb ->> 'deletedAt')::timestamptz BETWEEN '0' AND '1 minute' AS just_now, get_usage_limit(:'id') = :'deleted' AS still_read;
SELECT delete_usage_limit(:'id') IS NULL AS twice, update_usage_limit(:'id', body()) IS NULL AS updated, delete_usage_limit(uuid_v7()) IS NULL,
    delete_usage_limit(NULL) IS NULL;
SELECT count(*), max(version_id::text) = :'last' AS last_archived, count(deleted_at) FROM usage_events.superseded_usage_limit WHERE id = :'id';
SELECT version_id > :'last' AS ascends, deleted_at IS NOT NULL AS deleted FROM usage_events.usage_limit WHERE id = :'id';

-- listed, the newest first, without deleted ones
SELECT create_usage_limit(body(format('{"name": "%s", "customer": %s, "period": "%s", "mode": "%s"}', name, coalesce('"' || customer || '"', 'null'), period,
    mode)::jsonb)) ->> 'name'
FROM (VALUES (1, 'Calls', NULL, 'MONTH', 'BLOCK'), (2, 'Calls of acme', 'acme', 'MONTH', 'REPORT'), (3, 'Größe_%', 'a1', 'DAY', 'BLOCK'))
    AS v(n, name, customer, period, mode) ORDER BY n;
SELECT shown(create_usage_limit(body(jsonb_build_object('usageMetricId', :'minutes', 'name', 'Minutes')))) ->> 'name';
SELECT listed(list_usage_limits()), listed(list_usage_limits(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL));
SELECT listed(page), listed(list_usage_limits(1, page #>> '{pagination,after}')) FROM list_usage_limits(1) AS page;
SELECT listed(page), listed(list_usage_limits(5, before => page #>> '{pagination,before}'))
    FROM list_usage_limits(2, list_usage_limits(2) #>> '{pagination,after}') AS page;
SELECT listed(list_usage_limits(name => 'CALLS')), listed(list_usage_limits(name => 'größE_%')), listed(list_usage_limits(name => '.*')),
    listed(list_usage_limits(name => ''));
SELECT listed(list_usage_limits(usage_metric_id => :'minutes')), listed(list_usage_limits(usage_metric_id => upper(:'minutes'))),
    listed(list_usage_limits(usage_metric_id => '00000000-0000-0000-0000-000000000000'));
SELECT listed(list_usage_limits(customer => 'acme')), listed(list_usage_limits(customer => 'ACME')), listed(list_usage_limits(period => 'DAY')),
    listed(list_usage_limits(mode => 'REPORT')),
    listed(list_usage_limits(name => 'c', usage_metric_id => :'calls', customer => 'acme', period => 'MONTH', mode => 'REPORT'));
SELECT list_usage_limits(name => 'Größe') #> '{items,0}' = get_usage_limit((SELECT id FROM usage_limits WHERE name = 'Größe_%')) AS items_are_limits;
SELECT list_usage_limits(0, 'x', 'y', usage_metric_id => 'z', period => 'month', mode => '');
\echo :LAST_ERROR_SQLSTATE
SELECT list_usage_limits(101, 'x');
-- a cursor is of one list
SELECT faults(format('list_usage_limits(1, %L, name => %L)', list_usage_limits(1) #>> '{pagination,after}', 'l')),
    faults(format('list_usage_metrics(1, %L)', list_usage_limits(1) #>> '{pagination,after}'));

-- the view: limits in force
SELECT name, usage_metric_id = :'calls' AS of_calls, customer, period, timezone, anchor, "limit", mode, account_id = usage_events.current_account_id() AS own
    FROM usage_limits ORDER BY name COLLATE "C";
INSERT INTO usage_limits (name) VALUES ('by hand');
UPDATE usage_limits SET "limit" = 5;
DELETE FROM usage_limits;

-- faults, all at once
SELECT create_usage_limit(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT create_usage_limit('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT create_usage_limit('{"name": " ", "usageMetricId": "calls", "customer": "", "period": "month", "timezone": "Berlin", "anchor": "2026-10-15T00:00:00",
    "limit": -0.000001, "mode": "block"}');
SELECT body, faults(format('create_usage_limit(%L)', body))
    FROM unnest(ARRAY['[]', 'null', '5', '"text"', 'true', '[{"name": "calls"}]']) WITH ORDINALITY AS b(body, n) ORDER BY n;
SELECT fields, refused(fields::jsonb) FROM unnest(ARRAY[
    '{"name": null}', '{"name": 5}', '{"name": ""}',
    '{"usageMetricId": null}', '{"usageMetricId": 5}', '{"usageMetricId": ""}', '{"usageMetricId": "00000000-0000-0000-0000-000000000000"}',
    '{"customer": 5}', '{"customer": []}', '{"customer": " "}', '{"customer": " acme"}', '{"customer": "VOID"}',
    '{"period": null}', '{"period": 5}', '{"period": ""}', '{"period": "QUARTER"}', '{"period": "MONTH "}',
    '{"timezone": 5}', '{"timezone": ""}', '{"timezone": "UTC+3"}', '{"timezone": "+02:00"}', '{"timezone": "Europe/Bärlin"}', '{"timezone": "../UTC"}',
    '{"anchor": 5}', '{"anchor": ""}', '{"anchor": "now"}', '{"anchor": "2026-10-15"}', '{"anchor": "2026-02-30T00:00:00Z"}', '{"anchor": "2026-10-15T00:00:00"}',
    '{"anchor": "10000-01-01T00:00:00Z"}', '{"anchor": "infinity"}',
    '{"limit": null}', '{"limit": "100"}', '{"limit": true}', '{"limit": []}', '{"limit": -1}', '{"limit": 1e100}', '{"limit": 1e-99}',
    '{"mode": null}', '{"mode": 5}', '{"mode": ""}', '{"mode": "WARN"}']) WITH ORDINALITY AS f(fields, n) ORDER BY n;
SELECT refused(jsonb_build_object('name', repeat('ü', 256), 'customer', repeat('ü', 256)));
-- a metric that was deleted, and one that is an expression
SELECT made_metric('gone') AS gone \gset
SELECT delete_usage_metric(:'gone') IS NOT NULL, refused(jsonb_build_object('usageMetricId', :'gone'));
SELECT usage_events.create_custom_metric('{"name": "custom", "eventType": "call", "expression": "count(*)"}') ->> 'id' AS custom \gset
SELECT refused(jsonb_build_object('usageMetricId', :'custom'));
-- fields that nobody knows, where they are refused
SET usage_events.reject_unknown_fields = on;
SELECT refused('{"colour": "red", "Name": "calls", "id": 1, "createdAt": 1, "updatedAt": 1, "deletedAt": 1, "sequenceAccountId": 1}');
SELECT shown(create_usage_limit(get_usage_limit(:'id'))) = shown(get_usage_limit(:'id') - 'deletedAt') AS sent_back;
RESET usage_events.reject_unknown_fields;
SET usage_events.account_id = '0184421e-a9cc-711b-af93-bf0511d4d833';
SELECT faults(format('create_usage_limit(%L)', body(jsonb_build_object('usageMetricId', :'calls'))));
RESET usage_events.account_id;

-- how many an account may have: limits in force, and versions, of which deleted limits are some
TRUNCATE usage_events.usage_limit, usage_events.superseded_usage_limit;
SET usage_events.max_limits = 2;
SELECT create_usage_limit(body()) ->> 'id' AS first, create_usage_limit(body()) IS NOT NULL AS second \gset
SELECT create_usage_limit(body());
\echo :LAST_ERROR_SQLSTATE
SELECT update_usage_limit(:'first', body('{"name": "renamed"}')) ->> 'name' AS name;
SELECT delete_usage_limit(:'first') IS NOT NULL AS deleted, create_usage_limit(body()) ->> 'id' AS first \gset
SET usage_events.account_id = :'other';
SELECT create_usage_limit(body()) IS NOT NULL AS others_are_others;
RESET usage_events.account_id;
RESET usage_events.max_limits;
SET usage_events.max_limit_versions = 6;
SELECT update_usage_limit(:'first', body('{"name": "again"}')) ->> 'name' AS name;
SELECT update_usage_limit(:'first', body('{"name": "and again"}'));
\echo :LAST_ERROR_SQLSTATE
SELECT create_usage_limit(body());
SELECT update_usage_limit(:'first', body('{"name": "again"}')) ->> 'name' AS unchanged;
SELECT delete_usage_limit(:'first') ->> 'deletedAt' IS NOT NULL AS deleted;
RESET usage_events.max_limit_versions;

\pset format aligned
\pset tuples_only off
DROP FUNCTION refused(jsonb), body(jsonb), made_metric(text, jsonb), listed(jsonb), shown(jsonb), faults(text);
\i test/helpers/empty.sql
DELETE FROM usage_events.account WHERE account_id = :'other';
