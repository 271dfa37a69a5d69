-- CUSTOM metrics: what an administrator's expression may be, and every refusal in its exact text.
\pset format unaligned
\pset tuples_only on
TRUNCATE usage_events.metric, usage_events.superseded_metric, usage_events.metric_progress;
SELECT usage_events.create_account('others') AS other \gset

-- fields that are not random
CREATE FUNCTION shown(metric jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_set(metric - '{id, createdAt}'::text[], '{parameters}',
        (SELECT coalesce(jsonb_agg(parameter - '{id, usageMetricId}'::text[]), '[]') FROM jsonb_array_elements(metric -> 'parameters') AS parameter))
$$;
SELECT shown(usage_events.create_custom_metric('{"name": "Trunk minutes", "description": "all of them", "eventType": "call", "unit": "minutes",
    "expression": "sum((event_properties ->> ''length'')::numeric * price) / 1000",
    "parameters": [{"name": "price", "type": "POSITIVE_INTEGER", "description": "per minute", "defaultValue": "3"},
        {"name": "offset_1", "type": "INTEGER", "description": "may be less than nothing", "defaultValue": "-12"}]}'));
SELECT usage_events.create_custom_metric('{"name": "Distinct days", "eventType": "call",
    "expression": "count(DISTINCT (event_timestamp AT TIME ZONE ''UTC'')::date)"}') AS metric \gset
SELECT shown(:'metric');
SELECT :'metric'::jsonb ->> 'id' AS id \gset
SELECT shown(get_usage_metric(:'id'));
SELECT parameters -> 0 ->> 'usageMetricId' = id::text AS own, uuid_v7_timestamp((parameters -> 0 ->> 'id')::uuid) IS NOT NULL AS version_7,
    parameters -> 0 ->> 'id' <> parameters -> 1 ->> 'id' AS different
FROM usage_events.metric WHERE name = 'Trunk minutes';
-- no rollups are kept for them
SELECT count(*) FROM usage_events.metric_progress;

-- updated as a whole, also with what was answered; what was before stays known
SELECT shown(usage_events.update_custom_metric(:'id', '{"name": "Days", "eventType": "call", "expression": "count(*)"}'));
SELECT shown(usage_events.update_custom_metric(:'id', get_usage_metric(:'id') || '{"unit": "calls"}'));
SELECT name, unit, expression FROM usage_events.superseded_metric WHERE id = :'id' ORDER BY version_id;
SELECT usage_events.update_custom_metric(uuid_v7(), '{"name": "Days", "eventType": "call", "expression": "count(*)"}') IS NULL;
SELECT usage_events.update_custom_metric(NULL, '{}') IS NULL;
SELECT usage_events.update_custom_metric(:'id', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.create_custom_metric(NULL);
\echo :LAST_ERROR_SQLSTATE
-- not by the doors of other metrics, nor the other way round
SELECT update_usage_metric(:'id', '{"name": "Days", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "COUNT"}');
SELECT update_usage_metric(:'id', get_usage_metric(:'id'));
SELECT create_usage_metric('{"name": "Calls", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "COUNT"}') ->> 'id' AS calls \gset
SELECT usage_events.update_custom_metric(:'calls', '{"name": "Days", "eventType": "call", "expression": "count(*)"}');
-- another account's
SET usage_events.account_id = :'other';
SELECT usage_events.update_custom_metric(:'id', '{"name": "Days", "eventType": "call", "expression": "count(*)"}') IS NULL;
RESET usage_events.account_id;
SELECT delete_usage_metric(:'id') ->> 'deletedAt' IS NOT NULL;
SELECT usage_events.update_custom_metric(:'id', '{"name": "Days", "eventType": "call", "expression": "count(*)"}') IS NULL;

-- never by HTTP
SET usage_events.account_id = '00000000-0000-8000-8000-000000000001';
SET request.path = '/rpc/create_custom_metric';
SELECT usage_events.create_custom_metric('{"name": "Days", "eventType": "call", "expression": "count(*)"}');
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.update_custom_metric(:'id', '{"name": "Days", "eventType": "call", "expression": "count(*)"}');
\echo :LAST_ERROR_SQLSTATE
SET request.path = '';
RESET usage_events.account_id;

-- faults, all at once
\i test/helpers/outcome.sql
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'accepted' ELSE concat_ws(' ', state, message || ':', detail) END
    FROM pg_temp.outcome('SELECT ' || call) $$;
CREATE FUNCTION faults_of(metric jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT faults(format('usage_events.create_custom_metric(%L)', '{"name": "n", "eventType": "call"}' || metric))
$$;
CREATE FUNCTION fault_of(expression text) RETURNS text LANGUAGE sql AS $$
    SELECT replace(replace(faults_of(jsonb_build_object('expression', expression)), '22023 invalid usage metric: "expression" ', ''), '"expression" ', '')
$$;
SELECT usage_events.create_custom_metric('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT faults('usage_events.create_custom_metric(''[]'')');
SELECT faults(format('usage_events.create_custom_metric(%L)', body)) FROM unnest(ARRAY[
    '{"name": 5, "eventType": " ", "unit": [], "description": {}, "expression": 5, "parameters": 5}',
    '{"name": "n", "eventType": "t", "expression": null, "parameters": {}}',
    '{"name": "n", "eventType": "t", "expression": "now()", "parameters": "x", "metricType": "GROUPED", "aggregationType": "SUM", "groupingProperty": "g",
        "aggregationProperty": "p", "propertyFilters": {"p": [1]}, "propertiesToNegate": ["p"]}'
]) WITH ORDINALITY AS b(body, n) ORDER BY n;

-- parameters
SELECT parameters, faults_of(jsonb_build_object('expression', 'price', 'parameters', parameters::jsonb)) FROM unnest(ARRAY[
    '[]',
    '[5, null, []]',
    '[{}]',
    '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": "0"}]',
    '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": "+007"}]',
    '[{"name": "price", "type": "POSITIVE_INTEGER", "description": "d", "defaultValue": "0"}]',
    '[{"name": "price", "type": "POSITIVE_INTEGER", "description": "d", "defaultValue": "-1"}]',
    '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": "1.5"}]',
    '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": "1e2"}]',
    '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": "-"}]',
    '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": " 1"}]',
    '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": 1}]',
    '[{"name": "price", "type": "NUMERIC", "description": " ", "defaultValue": ""}]',
    '[{"name": 1, "type": 2, "description": 3, "defaultValue": null}]',
    '[{"name": "Price", "type": "INTEGER", "description": "d", "defaultValue": "1"}]',
    '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": "1"},
        {"name": "1st", "type": "INTEGER", "description": "d", "defaultValue": "1"}]',
    '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": "1"},
        {"name": "price", "type": "INTEGER", "description": "d", "defaultValue": "1"}]',
    '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": "1"},
        {"name": "event_type", "type": "INTEGER", "description": "d", "defaultValue": "1"},
        {"name": "event", "type": "INTEGER", "description": "d", "defaultValue": "1"}]'
]) WITH ORDINALITY AS p(parameters, n) ORDER BY n;
SELECT faults_of(jsonb_build_object('expression', '1', 'parameters',
    (SELECT jsonb_agg(jsonb_build_object('name', 'p' || n, 'type', 'INTEGER', 'description', 'd', 'defaultValue', '1')) FROM generate_series(1, 21) AS n)));
SELECT faults_of(jsonb_build_object('expression', repeat('p', 63), 'parameters',
    jsonb_build_array(jsonb_build_object('name', repeat('p', n), 'type', 'INTEGER', 'description', 'd', 'defaultValue', '1'))))
    FROM generate_series(63, 64) AS n;
SELECT faults_of('{"expression": "\"select\" + sum(x)", "parameters": [{"name": "select", "type": "INTEGER", "description": "d", "defaultValue": "1"},
    {"name": "x", "type": "INTEGER", "description": "d", "defaultValue": "1"}]}');

-- expressions that are fine
SELECT expression, fault_of(expression) FROM unnest(ARRAY[
    'count(*)', '1', '-1.5', '(count(*))', '  count ( * ) -- a comment', '/* a */ count(*) /* comment */', E'count(*)\n', 'pg_catalog.count(*)',
    '1 OPERATOR(pg_catalog.+) 1',
    'count(*) FILTER (WHERE event_properties ->> ''status'' = ''200'')',
    'count(*) FILTER (WHERE event_properties @> ''{"status": 200}'')',
    'count(DISTINCT customer_alias)', 'count(DISTINCT (customer_alias, event_properties -> ''x''))', 'count(DISTINCT event.id)',
    'max((event_properties -> ''x'')::numeric)', 'max((event_properties ->> ''x'')::bigint)', 'avg((event_properties ->> ''x'')::double precision)',
    'max((event_properties[''x''])::numeric)',
    '(array_agg((event_properties ->> ''x'')::numeric ORDER BY event_timestamp DESC, id DESC))[1]',
    'percentile_cont(0.95) WITHIN GROUP (ORDER BY (event_properties ->> ''x'')::float8)', 'mode() WITHIN GROUP (ORDER BY length(customer_alias))',
    'extract(epoch FROM max(event_timestamp) - min(event_timestamp))', 'extract(epoch FROM make_interval(hours => 1))',
    'sum(CASE WHEN event_properties ? ''x'' THEN 1 WHEN customer_alias LIKE ''a%'' THEN 2 ELSE 0 END)', 'sum(CASE event_type WHEN ''a'' THEN 1 END)',
    'coalesce(sum(nullif((event_properties ->> ''x'')::numeric, 0)), 0)', 'greatest(count(*), 5)', 'sum((customer_alias = ANY (ARRAY[''a'', ''b'']))::int)',
    'count(*) FILTER (WHERE customer_alias IN (''a'', ''b''))',
    'count(*) FILTER (WHERE customer_alias = ANY (''{a,b}''))',
    'count(*) FILTER (WHERE (event_properties ->> ''x'') IS NOT DISTINCT FROM ''y'' AND NOT event_type IS NULL)',
    'count(*) FILTER (WHERE (customer_alias, event_type) < (''a'', ''b''))', 'count(*) FILTER (WHERE jsonb_path_exists(event_properties, ''$.x ? (@ > 5)''))',
    'length(string_agg(customer_alias, '','' ORDER BY customer_alias COLLATE "C" DESC NULLS LAST))', 'regr_slope(1, 2)', 'sum(2 ^ 0.5::numeric)',
    'date_part(''hour'', max(event_timestamp) AT TIME ZONE ''UTC'')', 'count(*) % 7', 'sum(x''ff''::int)', 'bool_or(true)::int',
    'length(string_agg(customer_alias, '','' ORDER BY customer_alias USING <))'
]) WITH ORDINALITY AS e(expression, n) ORDER BY n;

-- not an expression, or more than one
SELECT expression, fault_of(expression) FROM unnest(ARRAY[
    '', '  ', '-- nothing', 'count(*', 'count(*))', ')', '(', '1) FROM usage_events.event; --', '1); DROP TABLE usage_events.event; --', '1) + (1', '1, 2',
    'count(*), id', '*', 'event.*', 'ALL 1', 'DISTINCT 1', 'DISTINCT ON (id) 1',
    ';', 'count(*);', 'count(*); SELECT 1', '1 AS x', '1 x', '1 FROM pg_authid', '1 FROM (SELECT 1) AS s', 'FROM pg_class', '1 INTO x', '1 WHERE true',
    '1 GROUP BY 1', '1 GROUP BY ()', '1 HAVING true', '1 ORDER BY 1', '1 LIMIT 1', '1 OFFSET 0', '1 FETCH FIRST ROW ONLY', '1 FOR UPDATE', '1 WINDOW w AS ()',
    '1 UNION SELECT 2', '1 UNION ALL TABLE pg_authid', 'VALUES (1)', 'WITH x AS (SELECT 1) SELECT 1', 'DELETE FROM usage_events.event',
    'COPY usage_events.event TO PROGRAM ''id''', '''unfinished', '"unfinished', '$$unfinished', '/* unfinished', '1 /* /* */', 'x := 1', 'sum(1) sum(2)', '1 2',
    '\', '''a'' ''b''', 'U&''\0''', ':x', '?', 'ünïcode', 'DEFAULT'
]) WITH ORDINALITY AS e(expression, n) ORDER BY n;

-- what it may not do
SELECT expression, fault_of(expression) FROM unnest(ARRAY[
    '(SELECT 1)', '(SELECT count(*) FROM pg_authid)', 'EXISTS (SELECT FROM pg_authid)::int',
    'count(*) FILTER (WHERE id IN (SELECT id FROM usage_events.event))', '1 = ANY (SELECT 1)', 'ARRAY(SELECT 1)', 'ARRAY(SELECT oid FROM pg_authid)',
    '(VALUES (1))', '(TABLE pg_authid)',
    'pg_sleep(5)', 'count(pg_sleep(5))', 'extract(epoch FROM now())', 'now()', 'extract(epoch FROM clock_timestamp())', 'CURRENT_DATE',
    'extract(epoch FROM CURRENT_TIMESTAMP)', 'length(CURRENT_USER)', 'length(user)', 'random()', 'count(random())', 'current_setting(''port'')::int',
    'set_config(''a.b'', ''1'', true)::int', 'nextval(''s'')', 'nextval(''nowhere.nowhere.s'')', 'currval(''s'')', 'txid_current()',
    'length(query_to_xml(''SELECT 1'', true, true, '''')::text)', 'pg_ls_dir(''.'')', 'length(pg_read_file(''x''))', 'lo_import(''x'')',
    'pg_relation_size(''pg_class'')', 'pg_advisory_lock(1)', 'length(version())', 'pg_backend_pid()', 'has_table_privilege(''pg_class'', ''select'')::int',
    'length(format(''%s'', 1))', 'length(concat(1, 2))', 'length(to_char(1, ''9''))', 'to_number(''1'', ''9'')', 'length(jsonb_agg(id)::text)',
    'length(to_jsonb(1)::text)', 'gen_random_uuid()',
    'generate_series(1, 2)', 'count(*) + generate_series(1, 2)', 'sum(generate_series(1, 2))', 'unnest(ARRAY[1, 2])',
    'length(jsonb_object_keys(event_properties))',
    'count(*) OVER ()', 'row_number() OVER ()', 'sum(count(*)) OVER ()', 'sum(1) OVER w', 'row_number()', 'lag(1)',
    'public.count(*)', 'public.max(1)', 'postgres.public.max(1)', 'information_schema._pg_truetypid(NULL, NULL)', 'usage_events.create_account(''x'')',
    'nowhere.f()', '1 OPERATOR(public.+) 1', '1 OPERATOR(nowhere.+) 1', '''1''::public.t', '''1''::nowhere.t', 'public.t(''1'')', 'sum(1)::public.t',
    'max(customer_alias COLLATE public.c)::int', 'max(customer_alias COLLATE nowhere.c)', 'array_agg(1 ORDER BY 1 USING OPERATOR(public.<))',
    '''pg_authid''::regclass::oid', '''pg_authid''::regclass', 'regclass(''pg_authid'')::oid', '1260::regclass::oid', 'count(NULL::pg_authid)',
    '''now''::timestamptz', 'extract(epoch FROM ''now''::timestamptz)', 'extract(epoch FROM timestamptz ''now'')', 'extract(epoch FROM timestamp ''now'')',
    'extract(epoch FROM timestamptz(''now''))', 'count(*) FILTER (WHERE event_timestamp > ''2026-01-01T00:00:00Z'')',
    'count(*) FILTER (WHERE event_timestamp = ANY (''{now}''))', 'extract(epoch FROM ''today''::date)', 'extract(epoch FROM interval ''1 hour'')',
    'extract(day FROM max((event_properties ->> ''x'')::timestamptz))', 'length(max(event_timestamp)::text)', 'count(DISTINCT event_timestamp::date)',
    'extract(epoch FROM max(event_timestamp + make_interval(1)))', 'extract(hour FROM event_timestamp)', 'count(to_tsvector(''x''))',
    'count(to_tsvector(''simple'', ''x''))', '''a''::cstring', 'NULL::internal', 'xmlelement(name a)', 'xmlparse(document ''<a/>'')',
    'length(xmlserialize(content ''a'' AS text))', 'GROUPING(id)',
    '(event).*', '(ROW(1, 2)).*', '(ROW(1, 2)).f1', 'count((event).*)', '(event).id', 'count((event).id)', 'count(event)', 'count(event.*)',
    'length(event::text)', 'event', 'count(ROW(event.*))', 'event.nothing', 'event.ctid', 'ctid', 'tableoid', 'event.xmin', 'event.row_to_json',
    'pg_class.relname', 'account_id', 'usage_events.event.account_id', 'nothing', 'count(nothing)', 'nothing(1)', 'sum(''a'', ''b'')', '$1', 'sum($1)',
    '$1::int', 'sum(sum(1))', 'count(*) FILTER (WHERE count(*) > 1)', 'id', 'event_properties', 'length(customer_alias)', 'sum(customer_alias)',
    'customer_alias + 1', '1 + ''x''', '''x''::numeric', '''x''::nothing', '1::%TYPE', 'pg_typeof(1)::oid', 'current',
    'sum(1 ORDER BY id) WITHIN GROUP (ORDER BY 1)', 'nextval', 'numeric ''1''', 'now() + pg_sleep(1)', 'random() + random() + extract(epoch FROM now())'
]) WITH ORDINALITY AS e(expression, n) ORDER BY n;

-- gives a number, and nothing else
SELECT expression, fault_of(expression) FROM unnest(ARRAY['NULL', '''5''', 'true', 'max(customer_alias)', 'max(event_timestamp)', 'event_properties -> ''x''',
    'max(event_properties ->> ''x'')', 'jsonb_build_object(''x'', 1)', 'array_agg(1)', 'ROW(1)', 'max(event_timestamp) - min(event_timestamp)', '1::money',
    '1::oid', '1::"char"', 'B''1''', 'NULL::numeric', 'sum(1::smallint)', 'max(1::real)', 'max(1.5::float8)']) WITH ORDINALITY AS e(expression, n) ORDER BY n;

-- too much
SELECT fault_of('1' || repeat(' ', 9999)), fault_of('1' || repeat(' ', 10000)), fault_of('''' || repeat('ü', 9990) || '''::int');
SELECT left(fault_of(repeat('(', 4999) || '1' || repeat(')', 4999)), 200);
SELECT left(fault_of('1' || repeat('+1', 4999)), 60);
SELECT left(fault_of(repeat('- ', 4999) || '1'), 60);
SELECT left(fault_of(repeat('abs(', 1990) || '1' || repeat(')', 1990)), 60);

-- names are PostgreSQL's own, whatever stands first in the search_path, or among temporary objects
CREATE FUNCTION public.abs(numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'captured'; END $$;
CREATE FUNCTION public.touch(jsonb, text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'captured'; END $$;
CREATE FUNCTION public.touch(numeric) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'captured'; RETURN true; END $$;
CREATE OPERATOR public.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = public.touch);
CREATE OPERATOR public.<=> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = public.touch);
CREATE AGGREGATE public.sum(numeric) (SFUNC = numeric_add, STYPE = numeric);
CREATE AGGREGATE public.total(numeric) (SFUNC = numeric_add, STYPE = numeric);
CREATE DOMAIN public.trap AS numeric CHECK (public.touch(VALUE));
CREATE TYPE public.box_of_traps AS (content public.trap);
CREATE DOMAIN pg_temp.numeric AS pg_catalog.numeric CHECK (public.touch(VALUE));
CREATE TYPE public.color AS ENUM ('red');
SET search_path = public, pg_catalog;
SELECT expression, fault_of(expression) FROM unnest(ARRAY['sum(abs((event_properties ->> ''x'')::numeric))', 'sum((event_properties ->> ''x'')::numeric(5,2))',
    'public.abs(1)', 'total(1)', 'public.total(1)', 'public.sum(1)', 'length(event_properties <=> ''x'')',
    'length(event_properties OPERATOR(public.->>) ''x'')',
    -- a literal of these would be checked while it is parsed
    '''1''::public.trap', '''(1)''::public.box_of_traps', '''{1}''::public.trap[]', 'public.box_of_traps(''(1)'')', '''{1}''::trap[]', 'box_of_traps(''(1)'')',
    'trap(1)', 'CAST(''(1)'' AS public.box_of_traps)', 'TREAT(1 AS public.trap)', 'public.trap ''1''', 'count(''red''::public.color)',
    'count(''1''::pg_temp.numeric)', 'count(''{1}''::pg_temp.numeric[])']) WITH ORDINALITY AS e(expression, n) ORDER BY n;
RESET search_path;
-- whatever the settings of the session
\i test/helpers/escape_strings.sql
SELECT current_setting('standard_conforming_strings') AS before \gset
SELECT expression, fault_of(expression) FROM unnest(ARRAY[E'length(''\\'')', E'length(''\\'' || now() || '')']) WITH ORDINALITY AS e(expression, n) ORDER BY n;
SELECT current_setting('standard_conforming_strings') = :'before';
RESET ALL;
SHOW search_path;

-- only administrators
CREATE ROLE regress_usage_events_sender;
CREATE ROLE regress_usage_events_admin;
SELECT usage_events.grant_access('regress_usage_events_sender', 'ingest'), usage_events.grant_access('regress_usage_events_admin', 'admin');
SET ROLE regress_usage_events_sender;
SELECT usage_events.create_custom_metric('{}');
SELECT usage_events.update_custom_metric(NULL, '{}');
UPDATE usage_events.metric SET expression = 'now()';
UPDATE usage_events.metric SET parameters = '[]';
SET ROLE regress_usage_events_admin;
SELECT usage_events.create_custom_metric('{"name": "Calls", "eventType": "call", "expression": "count(*)"}') ->> 'id' AS id \gset
SELECT usage_events.update_custom_metric(:'id', '{"name": "Calls", "eventType": "call", "expression": "2 * count(*)"}') ->> 'expression';
RESET ROLE;
DROP OWNED BY regress_usage_events_sender, regress_usage_events_admin;
DROP ROLE regress_usage_events_sender, regress_usage_events_admin;

\pset format aligned
\pset tuples_only off
DROP FUNCTION faults(text), faults_of(jsonb), fault_of(text), shown(jsonb), public.abs(numeric);
DROP OPERATOR public.->> (jsonb, text), public.<=> (jsonb, text);
DROP AGGREGATE public.sum(numeric), public.total(numeric);
DROP DOMAIN pg_temp.numeric;
DROP TYPE public.box_of_traps, public.trap, public.color;
DROP FUNCTION public.touch(jsonb, text), public.touch(numeric);
TRUNCATE usage_events.metric, usage_events.superseded_metric, usage_events.metric_progress;
DELETE FROM usage_events.account WHERE account_id = :'other';
