-- Usage metrics: made, updated, deleted, listed, and every refusal.
TRUNCATE usage_events.metric, usage_events.superseded_metric, usage_events.metric_progress;
SELECT usage_events.create_account('other') AS other \gset
-- without what changes from run to run
CREATE FUNCTION shown(metric jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT metric - '{id,sequenceAccountId,createdAt}'::text[] || jsonb_build_object('deletedAt', metric ->> 'deletedAt' IS NOT NULL) $$;
-- a metric's body: COUNT of calls, but for these fields
CREATE FUNCTION body(fields jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"name": "calls", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "COUNT"}' || fields $$;
-- the names of a page
CREATE FUNCTION listed(page jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT string_agg(item ->> 'name', ' ' ORDER BY n) FROM jsonb_array_elements(page -> 'items') WITH ORDINALITY AS i(item, n)), 'none')
        || ' of ' || coalesce(page #>> '{pagination,totalResultSize}', 'null')
        || CASE WHEN page #>> '{pagination,before}' IS NULL THEN '' ELSE ', before' END || CASE
            WHEN page #>> '{pagination,after}' IS NULL THEN '' ELSE ', after' END $$;
\i test/helpers/outcome.sql
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'accepted' ELSE concat_ws(' ', state, message || ':', detail) END
    FROM pg_temp.outcome('SELECT ' || call) $$;
-- what a metric with these fields is refused for; nothing of it is kept
CREATE FUNCTION refused(fields jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT faults(format('create_usage_metric(%L)', body(fields))) $$;
\pset format unaligned
\pset tuples_only on

-- made, with as little as can be and with everything
SELECT create_usage_metric(body()) AS calls \gset
SELECT jsonb_pretty(shown(:'calls'));
SELECT string_agg(key, ' ' ORDER BY key COLLATE "C") FROM jsonb_object_keys(:'calls'::jsonb) AS key;
SELECT :'calls'::jsonb ->> 'sequenceAccountId' = usage_events.current_account_id()::text AS of_account,
    uuid_v7_timestamp((:'calls'::jsonb ->> 'id')::uuid) - (:'calls'::jsonb ->> 'createdAt')::timestamptz BETWEEN '-1 minute' AND '1 minute' AS just_made,
       :'calls'::jsonb ->> 'createdAt' ~ '^\d{4}-\d\d-\d\dT[\d:.]+Z$' AS in_utc;
SELECT create_usage_metric('{"name": "Messages \"sent\"", "description": "", "metricType": "GROUPED", "eventType": "message", "aggregationType": "SUM",
    "aggregationProperty": "a.b", "groupingProperty": "größe", "unit": "MB",
    "propertyFilters": {"channel": ["text", "email", null], "it''s \"q\".x": [1.50, true, "1e2"]}, "propertiesToNegate": ["channel", "channel"],
        "caseSensitive": false}') AS messages \gset
SELECT jsonb_pretty(shown(:'messages'));
SELECT get_usage_metric((:'messages'::jsonb ->> 'id')::uuid) = :'messages'::jsonb AS read_as_written,
    :'messages'::jsonb::text::jsonb = :'messages'::jsonb AS well_formed;
-- null is as absent; what the server says of a metric, and what nobody knows, is ignored
SELECT shown(create_usage_metric(body('{"description": null, "aggregationProperty": null, "groupingProperty": null, "unit": null, "propertyFilters": null,
    "propertiesToNegate": null, "caseSensitive": null, "id": 5, "createdAt": [], "deletedAt": "2020-01-01T00:00:00Z", "sequenceAccountId": {}, "parameters": 5,
    "expression": "sum(1)", "colour": "red"}'))) = shown(:'calls') AS same;
SELECT (create_usage_metric(:'messages') - 'id' - 'createdAt') = (:'messages'::jsonb - 'id' - 'createdAt') AS sent_back;
SELECT aggregation,
    shown(create_usage_metric(body(jsonb_build_object('name', aggregation, 'aggregationType', aggregation, 'aggregationProperty', 'p', 'percentile',
    percentile)))) ->> 'aggregationType'
FROM unnest('{COUNT,UNIQUE,SUM,MAX,MIN,AVERAGE,LATEST,PERCENTILE}'::text[],
    '{NULL,NULL,NULL,NULL,NULL,NULL,NULL,0.5}'::numeric[]) WITH ORDINALITY AS a(aggregation, percentile, n) ORDER BY n;
SET usage_events.max_filter_values = 100000;
SET usage_events.max_metric_bytes = '1MB';
SELECT create_usage_metric(body(jsonb_build_object('name', repeat('ü', 255), 'description', repeat('ü', 1000), 'eventType', repeat('ü', 255), 'unit',
    repeat('ü', 255), 'aggregationType', 'SUM', 'aggregationProperty', repeat('ü', 255), 'metricType', 'GROUPED', 'groupingProperty', repeat('ü', 255),
    'propertyFilters', (SELECT jsonb_object_agg(n || repeat('ü', 252), (SELECT jsonb_agg(v % 2 = 0) FROM generate_series(1, 1000) AS v))
        FROM generate_series(1, 100) AS n)))) IS NOT NULL AS largest;
RESET usage_events.max_filter_values;
RESET usage_events.max_metric_bytes;
SELECT count(*), bool_and(id <> version_id), count(DISTINCT version_id),
    count(*) FILTER (WHERE version_id IN (SELECT metric_version_id FROM usage_events.metric_progress)), count(expression),
    bool_and(parameters = '[]') FROM usage_events.metric;
SELECT event_type, horizon, customer_alias, is_built, now() - started_at < '1 minute' AS just_now,
    refreshed_at FROM usage_events.metric_progress WHERE event_type = 'message';
-- a percentile is kept as it was sent, to the digit; another is another version, and the same with zeros at its end is not
SELECT create_usage_metric(body('{"name": "median", "aggregationType": "PERCENTILE", "aggregationProperty": "p", "percentile": 0.50}')) AS median \gset
SELECT jsonb_pretty(shown(:'median'));
SELECT :'median'::jsonb ->> 'id' AS median_id \gset
SELECT percentile FROM usage_metrics WHERE id = :'median_id';
CREATE FUNCTION updated_percentile(id uuid, percentile numeric) RETURNS text LANGUAGE sql AS $$
    SELECT update_usage_metric(id, body(jsonb_build_object('name', 'median', 'aggregationType', 'PERCENTILE', 'aggregationProperty', 'p', 'percentile',
        percentile))) ->> 'percentile' $$;
SELECT updated_percentile(:'median_id', 0.5), updated_percentile(:'median_id', 0.999999999999999999999999999999), updated_percentile(:'median_id', 0),
    updated_percentile(:'median_id', 1.0);
SELECT get_usage_metric(:'median_id') ->> 'percentile' AS now, array_agg(percentile ORDER BY version_id) AS before
    FROM usage_events.superseded_metric WHERE id = :'median_id';
SELECT update_usage_metric(:'median_id', body('{"name": "median"}')) ? 'percentile' AS has_percentile,
    (SELECT percentile FROM usage_metrics WHERE id = :'median_id') AS stored;
DROP FUNCTION updated_percentile(uuid, numeric);
DELETE FROM usage_events.superseded_metric;
DELETE FROM usage_events.metric WHERE name NOT IN ('calls', 'Messages "sent"');
DELETE FROM usage_events.metric_progress WHERE metric_version_id NOT IN (SELECT version_id FROM usage_events.metric);

-- another account's is its own
SELECT :'calls'::jsonb ->> 'id' AS id \gset
SET usage_events.account_id = :'other';
SELECT create_usage_metric(body('{"name": "others"}')) ->> 'sequenceAccountId' = :'other' AS of_other, listed(list_usage_metrics());
SELECT get_usage_metric(:'id') IS NULL, update_usage_metric(:'id', body()) IS NULL, delete_usage_metric(:'id') IS NULL;
RESET usage_events.account_id;

-- updated: all that a client says of it; the version before is kept
SELECT version_id AS first FROM usage_events.metric WHERE id = :'id' \gset
SELECT update_usage_metric(:'id', '{"name": "minutes", "metricType": "SIMPLE", "eventType": "dial", "aggregationType": "SUM", "aggregationProperty": "minutes",
    "propertyFilters": {"a": ["b"]}, "id": "0184421e-a9cc-711b-af93-bf0511d4d833"}') AS minutes \gset
SELECT shown(:'minutes');
SELECT :'minutes'::jsonb ->> 'id' = :'id' AS same_id, :'minutes'::jsonb -> 'createdAt' = :'calls'::jsonb -> 'createdAt' AS same_time,
    get_usage_metric(:'id') = :'minutes' AS stored;
SELECT name, event_type, aggregation_type, property_filters, version_id = :'first' AS first, deleted_at FROM usage_events.superseded_metric;
SELECT version_id > :'first' AS ascends FROM usage_events.metric WHERE id = :'id';
SELECT p.event_type, p.started_at >= m.created_at AS later FROM usage_events.metric_progress AS p
    JOIN usage_events.metric AS m ON m.version_id = p.metric_version_id WHERE m.id = :'id';
SELECT shown(update_usage_metric(:'id', body())) = shown(:'calls') AS as_at_first;
SELECT count(*) FROM usage_events.superseded_metric;
SELECT count(*), count(DISTINCT version_id) FROM (SELECT version_id FROM usage_events.metric WHERE id = :'id' UNION ALL SELECT version_id
    FROM usage_events.superseded_metric) AS version;
SELECT update_usage_metric(uuid_v7(), body()) IS NULL, update_usage_metric(NULL, body()) IS NULL, get_usage_metric(uuid_v7()) IS NULL,
    get_usage_metric(NULL) IS NULL;
SELECT update_usage_metric(:'id', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT update_usage_metric(:'id', '{"name": "minutes"}');
\echo :LAST_ERROR_SQLSTATE
SELECT update_usage_metric(:'id', '[]');

-- deleted: once; it stays known, and is not changed any more
SELECT version_id AS last FROM usage_events.metric WHERE id = :'id' \gset
SELECT delete_usage_metric(:'id') AS deleted \gset
SELECT :'deleted'::jsonb - 'deletedAt' = :'calls'::jsonb - 'deletedAt' AS same_metric,
    now() - (:'deleted'::jsonb ->> 'deletedAt')::timestamptz BETWEEN '0' AND '1 minute' AS just_now, get_usage_metric(:'id') = :'deleted' AS still_read;
SELECT delete_usage_metric(:'id') IS NULL AS twice, update_usage_metric(:'id', body()) IS NULL AS updated, delete_usage_metric(uuid_v7()) IS NULL,
    delete_usage_metric(NULL) IS NULL;
SELECT count(*), max(version_id::text) = :'last' AS last_archived, count(deleted_at) FROM usage_events.superseded_metric WHERE id = :'id';
SELECT version_id > :'last' AS ascends, deleted_at IS NOT NULL AS deleted FROM usage_events.metric WHERE id = :'id';

-- all its versions: the deletion, and what was before, each until the next
SELECT number, version ->> 'name' AS name, version ->> 'id' = :'id' AS same_id, (version ->> 'versionId')::uuid = :'last' AS last,
    version ->> 'deletedAt' IS NOT NULL AS deleted, version ->> 'inForceSince' = lag(version ->> 'supersededAt') OVER older AS until_next
    FROM jsonb_array_elements(list_usage_metric_versions(:'id') -> 'items') WITH ORDINALITY AS item (version, number)
    WINDOW older AS (ORDER BY number DESC) ORDER BY number;
SELECT list_usage_metric_versions(:'id', 3) -> 'pagination' ->> 'totalResultSize' AS versions,
    list_usage_metric_versions(:'id', 3, list_usage_metric_versions(:'id', 3) #>> '{pagination,after}') -> 'items' -> 0
        = list_usage_metric_versions(:'id') #> '{items,3}' AS next_page;
SELECT list_usage_metric_versions(uuid_v7()) IS NULL AS none, list_usage_metric_versions(NULL) IS NULL AS no_id;
SELECT list_usage_metric_versions(:'id', 0);
SET usage_events.account_id = :'other';
SELECT list_usage_metric_versions(:'id') IS NULL AS of_another_account;
RESET usage_events.account_id;

-- one with an expression is an administrator's
INSERT INTO usage_events.metric (account_id, id, version_id, name, metric_type, event_type, aggregation_type, property_filters, case_sensitive,
    expression, parameters, created_at)
VALUES (usage_events.current_account_id(), uuid_v7(), uuid_v7(), 'custom', 'SIMPLE', 'call', 'CUSTOM', '{}', true, 'count(*)', '[{"name": "price"}]',
    '2026-10-01 00:00:00Z') RETURNING id AS custom \gset
SELECT get_usage_metric(:'custom') - '{id,sequenceAccountId}'::text[];
SELECT update_usage_metric(:'custom', body());
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM usage_events.superseded_metric WHERE id = :'custom';
SELECT delete_usage_metric(:'custom') ->> 'expression' AS expression;
SELECT expression, parameters FROM usage_events.superseded_metric WHERE id = :'custom';

-- listed, the newest first, without deleted ones
TRUNCATE usage_events.metric, usage_events.superseded_metric, usage_events.metric_progress;
SELECT create_usage_metric(body(format('{"name": "%s", "eventType": "%s", "aggregationType": "%s", "aggregationProperty": %s}', name, event_type,
    aggregation_type, coalesce('"' || property || '"', 'null'))::jsonb)) ->> 'name'
FROM (VALUES (1, 'Calls', 'call', 'COUNT', NULL), (2, 'Minutes', 'call', 'SUM', 'minutes'), (3, 'Longest', 'call', 'MAX', 'minutes'),
    (4, 'Größe_%', 'message, long', 'SUM', 'size, in MB'), (5, 'gone', 'call', 'COUNT', NULL)) AS v(n, name, event_type, aggregation_type, property) ORDER BY n;
SELECT delete_usage_metric(id) IS NOT NULL FROM usage_metrics WHERE name = 'gone';
SET usage_events.account_id = :'other';
SELECT create_usage_metric(body('{"name": "others"}')) IS NOT NULL;
RESET usage_events.account_id;
SELECT listed(list_usage_metrics()), listed(list_usage_metrics(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL));
SELECT listed(page), listed(list_usage_metrics(1, page #>> '{pagination,after}')) FROM list_usage_metrics(1) AS page;
SELECT listed(page), listed(list_usage_metrics(5, before => page #>> '{pagination,before}')),
    listed(list_usage_metrics(1, before => page #>> '{pagination,before}')) FROM list_usage_metrics(2, list_usage_metrics(2) #>> '{pagination,after}') AS page;
SELECT part, listed(list_usage_metrics(name => part)) FROM unnest(ARRAY['calls', 'LONG', 'S', 'größE_%', '_', 'l_', '.*', '', ' '])
    WITH ORDINALITY AS p(part, n) ORDER BY n;
SELECT id AS calls FROM usage_metrics WHERE name = 'Calls' \gset
SELECT listed(list_usage_metrics(metric_id => :'calls')), listed(list_usage_metrics(metric_id => upper(substr(:'calls', 20)))),
    listed(list_usage_metrics(metric_id => '-7')), listed(list_usage_metrics(metric_id => 'x'));
SELECT listed(list_usage_metrics(event_types => '{call}')), listed(list_usage_metrics(event_types => '{"message, long",nothing}')),
    listed(list_usage_metrics(event_types => '{CALL}')), listed(list_usage_metrics(event_types => '{}')), listed(list_usage_metrics(event_types => '{NULL}'));
SELECT listed(list_usage_metrics(event_properties => '{minutes}')), listed(list_usage_metrics(event_properties => '{minutes,"size, in MB"}')),
    listed(list_usage_metrics(event_properties => '{""}'));
SELECT listed(list_usage_metrics(aggregation_types => '{SUM,MAX}')), listed(list_usage_metrics(aggregation_types => '{CUSTOM}'));
SELECT listed(list_usage_metrics(name => 'm', event_types => '{call}', event_properties => '{minutes}', aggregation_types => '{SUM}'));
SELECT list_usage_metrics(name => 'calls') #> '{items,0}' = get_usage_metric(:'calls') AS items_are_metrics;
SELECT update_usage_metric(:'calls', body('{"name": "Calls, renamed"}')) IS NOT NULL;
SELECT listed(list_usage_metrics()) AS same_place;
SET usage_events.list_total_limit = 2;
SELECT listed(list_usage_metrics()), listed(list_usage_metrics(aggregation_types => '{SUM}'));
RESET usage_events.list_total_limit;
SELECT list_usage_metrics(0, 'x', 'y', aggregation_types => '{sum,COUNT,AVG}');
\echo :LAST_ERROR_SQLSTATE
SELECT list_usage_metrics(101, 'x');
-- a cursor is of one list
SELECT faults(format('list_usage_metrics(1, %L, name => %L)', list_usage_metrics(1) #>> '{pagination,after}', 'l')),
    faults(format('list_customer_aliases(1, %L)', list_usage_metrics(1) #>> '{pagination,after}'));
SELECT faults(format('list_usage_metrics(1, %L, event_types => %L)',
    list_usage_metrics(1, event_properties => '{minutes}') #>> '{pagination,after}', '{minutes}'));

-- the view: metrics in force
SELECT name, description, metric_type, event_type, aggregation_type, aggregation_property, grouping_property, unit, property_filters, properties_to_negate,
    case_sensitive, account_id = usage_events.current_account_id() AS own FROM usage_metrics ORDER BY name COLLATE "C";

-- faults, all at once
SELECT create_usage_metric(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT create_usage_metric('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT create_usage_metric('{"name": " ", "description": 5, "metricType": "simple", "eventType": "", "aggregationType": "AVG", "aggregationProperty": "\u3000",
    "groupingProperty": [], "unit": {}, "propertyFilters": [], "propertiesToNegate": "a", "caseSensitive": "yes"}');
SELECT body, faults(format('create_usage_metric(%L)', body))
    FROM unnest(ARRAY['[]', 'null', '5', '"text"', 'true', '[{"name": "calls"}]']) WITH ORDINALITY AS b(body, n) ORDER BY n;
SELECT fields, refused(fields::jsonb) FROM unnest(ARRAY[
    '{"name": null}', '{"name": 5}', '{"name": ""}', '{"eventType": null}', '{"eventType": ["call"]}', '{"description": []}',
    '{"unit": ""}', '{"unit": true}',
    '{"metricType": null}', '{"metricType": 5}', '{"metricType": ""}', '{"metricType": "GROUPED "}', '{"metricType": "GROUPED"}',
    '{"metricType": "GROUPED", "groupingProperty": null}',
    '{"metricType": "GROUPED", "groupingProperty": ""}', '{"metricType": "GROUPED", "groupingProperty": 5}', '{"groupingProperty": "p"}',
    '{"groupingProperty": ""}', '{"metricType": "x", "groupingProperty": "p"}',
    '{"aggregationType": null}', '{"aggregationType": 5}', '{"aggregationType": ""}', '{"aggregationType": "sum"}', '{"aggregationType": "CUSTOM"}',
    '{"aggregationType": "CUSTOM", "expression": "count(*)"}',
    '{"aggregationType": "SUM"}', '{"aggregationType": "UNIQUE", "aggregationProperty": null}', '{"aggregationType": "LATEST", "aggregationProperty": " "}',
    '{"aggregationType": "MAX", "aggregationProperty": 5}', '{"aggregationProperty": 5}',
    '{"aggregationType": "MEDIAN", "aggregationProperty": "p"}', '{"aggregationType": "PERCENTILE", "aggregationProperty": "p"}',
    '{"aggregationType": "PERCENTILE", "aggregationProperty": "p", "percentile": null}',
    '{"aggregationType": "PERCENTILE", "percentile": 0.5}', '{"aggregationType": "PERCENTILE", "aggregationProperty": "p", "percentile": "0.5"}',
    '{"aggregationType": "PERCENTILE", "aggregationProperty": "p", "percentile": []}',
    '{"aggregationType": "PERCENTILE", "aggregationProperty": "p", "percentile": 1.00000000000000000001}',
    '{"aggregationType": "PERCENTILE", "aggregationProperty": "p", "percentile": -1e-30}',
    '{"aggregationType": "PERCENTILE", "aggregationProperty": "p", "percentile": 50}',
    '{"percentile": 0.5}', '{"aggregationType": "MAX", "aggregationProperty": "p", "percentile": 1}', '{"aggregationType": "median", "percentile": 5}',
    '{"propertyFilters": "a"}', '{"propertyFilters": {"a": "b"}}', '{"propertyFilters": {"a": null}}', '{"propertyFilters": {"a": {}}}',
    '{"propertyFilters": {"a": []}}', '{"propertyFilters": {"a": [["b"], {}]}}', '{"propertyFilters": {"a": ["b", {"c": 1}]}}',
    '{"propertyFilters": {"": ["b"]}}', '{"propertyFilters": {" ": ["b"], "a": 5, "it''s \"q\".x": [[]]}}',
    '{"propertiesToNegate": {}}', '{"propertiesToNegate": [5]}', '{"propertiesToNegate": [null]}',
    '{"propertiesToNegate": ["a", "b"], "propertyFilters": {"a": [1]}}', '{"propertiesToNegate": ["a\nb"]}',
    '{"propertiesToNegate": ["a"], "propertyFilters": 5}', '{"propertiesToNegate": []}',
    '{"caseSensitive": 1}', '{"caseSensitive": "true"}']) WITH ORDINALITY AS f(fields, n) ORDER BY n;
SELECT refused(jsonb_build_object('name', repeat('ü', 256), 'description', repeat('ü', 1001), 'eventType', repeat('ü', 257), 'unit', repeat('ü', 258),
    'aggregationProperty', repeat('ü', 259), 'metricType', 'GROUPED', 'groupingProperty', repeat('ü', 260),
    'propertyFilters', jsonb_build_object(repeat('x', 256), '[1]'::jsonb)));
SELECT refused(jsonb_build_object('propertyFilters', (SELECT jsonb_object_agg(n, '[]'::jsonb) FROM generate_series(1, 101) AS n), 'propertiesToNegate',
    (SELECT jsonb_agg('a'::text) FROM generate_series(1, 101))));
SELECT refused(jsonb_build_object('propertyFilters', jsonb_build_object('a', (SELECT jsonb_agg(n) FROM generate_series(1, 1001) AS n))));
-- numbers that are short to send and long to answer, and texts that are long
SELECT refused('{"propertyFilters": {"a": [1e131071, 1e131070, 1e131069, 1e131068, 1e131067, 1e131066, 1e131065, 1e131064, 1e131063]}}');
SELECT refused(jsonb_build_object('propertyFilters', jsonb_build_object('a', jsonb_build_array(repeat('x', 1024 * 1024)))));
SET usage_events.max_metric_bytes = '1kB';
SELECT refused('{"aggregationType": "PERCENTILE", "aggregationProperty": "p", "percentile": 1e-1024}');
RESET usage_events.max_metric_bytes;
-- fields that nobody knows, where they are refused
SET usage_events.reject_unknown_fields = on;
SELECT refused('{"colour": "red", "Name": "calls", "id": 1, "createdAt": 1, "deletedAt": 1, "sequenceAccountId": 1, "parameters": 1, "expression": 1}');
SELECT (create_usage_metric(get_usage_metric(:'calls')) - 'id' - 'createdAt') = (get_usage_metric(:'calls') - 'id' - 'createdAt') AS sent_back;
RESET usage_events.reject_unknown_fields;
SET usage_events.account_id = '0184421e-a9cc-711b-af93-bf0511d4d833';
SELECT create_usage_metric(body());
\echo :LAST_ERROR_SQLSTATE
RESET usage_events.account_id;
SELECT count(*) FROM usage_events.superseded_metric;

-- limits of a metric: one that is larger already is calculated as before, and not updated to what is larger as well
CREATE FUNCTION filters(count int, size int DEFAULT 1) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('propertyFilters', jsonb_object_agg(p,
        (SELECT jsonb_agg(repeat(chr(96 + p), size) ORDER BY n) FROM generate_series(1, least(1000, count - 1000 * (p - 1))) AS n)))
    FROM generate_series(1, (count + 999) / 1000) AS p $$;
SET usage_events.max_metric_bytes = '1MB';
SELECT create_usage_metric(body(filters(10000))) IS NOT NULL AS accepted;
SELECT refused(filters(10001));
RESET usage_events.max_metric_bytes;
SELECT create_usage_metric(body(filters(1, 65000))) ->> 'id' AS large \gset
SELECT refused(filters(1, 65600));
SELECT refused('{"propertyFilters": {"a": [1e65530]}}');
SELECT refused('{"propertyFilters": {"a": [1e65400]}}');
SET usage_events.max_metric_bytes = '16kB';
SELECT create_usage_event(jsonb_build_object('customerAlias', 'acme', 'eventType', 'call', 'eventProperties',
    jsonb_build_object('1', repeat('a', size)))) IS NOT NULL AS stored FROM generate_series(64999, 65001) AS size;
SELECT calculate_usage_metric(:'large', '{acme}', tstzrange(now() - interval '1 day', now() + interval '1 day')) ->> 'eventCount' AS events;
SELECT faults(format('update_usage_metric(%L, %L)', :'large', body(filters(1, 20000))));
SELECT update_usage_metric(:'large', body(filters(1, 2))) -> 'propertyFilters' AS smaller;
RESET usage_events.max_metric_bytes;
TRUNCATE usage_events.event, usage_events.dirty_bucket;

-- an update that changes nothing makes no version; the order of keys is nothing
SELECT create_usage_metric(body('{"propertyFilters": {"a": [1, "x"], "b": [true]}, "propertiesToNegate": ["a"], "unit": "calls"}')) ->> 'id' AS same \gset
SELECT version_id AS version FROM usage_events.metric WHERE id = :'same' \gset
SELECT update_usage_metric(:'same', get_usage_metric(:'same')) = get_usage_metric(:'same') AS same_answer;
SELECT count(update_usage_metric(:'same', body('{"unit": "calls", "propertiesToNegate": ["a"], "propertyFilters": {"b": [true], "a": [1.0, "x"]}}')))
    FROM generate_series(1, 3);
SELECT version_id = :'version' AS same_version FROM usage_events.metric WHERE id = :'same';
SELECT count(*) FROM usage_events.superseded_metric WHERE id = :'same';
-- each change does
SELECT count(update_usage_metric(:'same', body(fields)))
    FROM unnest(ARRAY['{"name": "b"}', '{"description": "d"}', '{"description": ""}', '{"eventType": "e"}', '{"unit": "u"}', '{"aggregationProperty": "p"}',
    '{"aggregationType": "SUM", "aggregationProperty": "p"}', '{"metricType": "GROUPED", "groupingProperty": "g"}',
    '{"metricType": "GROUPED", "groupingProperty": "h"}', '{"propertyFilters": {"a": [1]}}',
    '{"propertyFilters": {"a": [2]}}', '{"propertyFilters": {"a": [2]}, "propertiesToNegate": ["a"]}',
    '{"propertyFilters": {"a": [2]}, "propertiesToNegate": []}', '{"propertyFilters": {"a": [2]}, "caseSensitive": false}']::jsonb[]) AS fields;
SELECT count(*) FROM usage_events.superseded_metric WHERE id = :'same';

-- limits of an account: metrics in force, and versions, of which deleted metrics are some
TRUNCATE usage_events.metric, usage_events.superseded_metric, usage_events.metric_progress;
SET usage_events.max_metrics = 2;
SELECT create_usage_metric(body()) ->> 'id' AS first, create_usage_metric(body()) IS NOT NULL AS second \gset
SELECT create_usage_metric(body());
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.create_custom_metric('{"name": "n", "eventType": "call", "expression": "count(*)"}');
SELECT update_usage_metric(:'first', body('{"name": "renamed"}')) ->> 'name' AS name;
SELECT delete_usage_metric(:'first') IS NOT NULL AS deleted, create_usage_metric(body()) ->> 'id' AS first \gset
SET usage_events.account_id = :'other';
SELECT create_usage_metric(body()) IS NOT NULL AS others_are_others;
RESET usage_events.account_id;
RESET usage_events.max_metrics;
SELECT count(*) FROM (SELECT FROM usage_events.metric WHERE account_id = usage_events.current_account_id() UNION ALL SELECT
    FROM usage_events.superseded_metric) AS version;
SET usage_events.max_metric_versions = 6;
SELECT update_usage_metric(:'first', body('{"name": "again"}')) ->> 'name' AS name;
SELECT update_usage_metric(:'first', body('{"name": "and again"}'));
\echo :LAST_ERROR_SQLSTATE
SELECT create_usage_metric(body());
SELECT update_usage_metric(:'first', body('{"name": "again"}')) ->> 'name' AS unchanged;
SELECT delete_usage_metric(:'first') ->> 'deletedAt' IS NOT NULL AS deleted;
RESET usage_events.max_metric_versions;

\pset format aligned
\pset tuples_only off
DROP FUNCTION filters(int, int);
DROP FUNCTION refused(jsonb), faults(text), listed(jsonb), body(jsonb), shown(jsonb);
TRUNCATE usage_events.metric, usage_events.superseded_metric, usage_events.metric_progress;
DELETE FROM usage_events.account WHERE account_id = :'other';
