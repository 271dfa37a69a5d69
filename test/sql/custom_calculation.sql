-- CUSTOM metrics calculated: the value of an expression over the events of a period.
\pset format unaligned
\pset tuples_only on
\i test/helpers/empty.sql
SELECT count(create_usage_event(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'customerEventId', 'e-' || n, 'eventTimestamp',
    '2026-10-0' || n || 'T12:00:00Z', 'eventProperties', properties::jsonb)))
FROM (VALUES (1, 'acme', '{"length": 10, "status": "ok"}'), (2, 'acme', '{"length": "2.5", "status": "ok"}'), (3, 'acme', '{"status": "lost"}'),
    (4, 'initech', '{"length": 1000}'), (5, 'acme', '{"length": 7}')) AS v(n, alias, properties);

\i test/helpers/outcome.sql
-- from 19 on the server has a detail where there is no such function
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN answer ELSE concat_ws(' ', state, message || ':', replace(detail, 'There is no function of that name.', ''),
        '[' || substring(context FROM 'expression of the usage metric "[^"]*"') || ']') END
    FROM pg_temp.outcome('SELECT ' || call) $$;
-- value, number of events, and the events with the lowest and the highest id
CREATE FUNCTION shown(id uuid, aliases text[], period tstzrange, parameters jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', coalesce(trim_scale((answer ->> 'value')::numeric)::text, 'null'), answer ->> 'eventCount',
                     get_usage_event((answer ->> 'minEventId')::uuid) ->> 'customerEventId',
                         get_usage_event((answer ->> 'maxEventId')::uuid) ->> 'customerEventId')
    FROM (SELECT calculate_usage_metric(id, aliases, period, NULL, parameters) OFFSET 0) AS a(answer)
$$;
CREATE FUNCTION calculated(id uuid, parameters jsonb DEFAULT NULL, aliases text[] DEFAULT '{acme}',
    period tstzrange DEFAULT '[2026-10-01 00:00Z, 2026-10-05 00:00Z)') RETURNS text LANGUAGE sql AS $$
    SELECT faults(format('shown(%L, %L, %L, %L)', id, aliases, period, parameters))
$$;
CREATE FUNCTION calculated(expression text) RETURNS text LANGUAGE sql AS $$
    SELECT calculated((usage_events.create_custom_metric(jsonb_build_object('name', 'm', 'eventType', 'call', 'expression', expression)) ->> 'id')::uuid)
$$;

SELECT expression, calculated(expression) FROM unnest(ARRAY[
    'count(*)', '5', 'sum((event_properties ->> ''length'')::numeric)',
    'sum((event_properties ->> ''length'')::numeric) FILTER (WHERE event_properties ->> ''status'' = ''lost'')', 'avg((event_properties ->> ''length'')::real)',
    'count(DISTINCT customer_alias)', 'max(length(customer_event_id))',
    'extract(epoch FROM max(event_timestamp) - min(event_timestamp))',
    '(array_agg((event_properties ->> ''length'')::numeric ORDER BY event_timestamp DESC, id DESC))[2]', 'count(DISTINCT id)::smallint',
    'count(*) FILTER (WHERE event_type = ''call'')', '1.50', 'count(*) -- the end', 'NULL::numeric'
]) WITH ORDINALITY AS e(expression, n) ORDER BY n;
SELECT calculated((SELECT id FROM usage_events.metric ORDER BY id LIMIT 1), NULL, '{acme, initech}'),
    calculated((SELECT id FROM usage_events.metric ORDER BY id LIMIT 1), NULL, '{nobody}');
SELECT calculated((SELECT id FROM usage_events.metric WHERE expression LIKE 'sum%' ORDER BY id LIMIT 1), NULL, '{nobody}');

-- parameters
SELECT usage_events.create_custom_metric('{"name": "Priced", "eventType": "call", "expression": "count(*) * price + \"offset\"",
    "parameters": [{"name": "price", "type": "POSITIVE_INTEGER", "description": "per call", "defaultValue": "10"},
        {"name": "offset", "type": "INTEGER", "description": "to begin with", "defaultValue": "-1"}]}') ->> 'id' AS priced \gset
SELECT given, calculated(:'priced', given::jsonb)
    FROM unnest(ARRAY[NULL, '{}', '{"price": 4}', '{"price": "4", "offset": -100}', '{"price": 4.0, "offset": "+7"}',
    '{"price": 123456789012345678901234567890}',
    '[]', 'null', '5', '{"price": 0}', '{"price": -1, "offset": 0.5}', '{"price": null, "offset": "x"}', '{"price": true, "offset": {}}',
    '{"price": "4 ", "offset": ""}', '{"Price": 4, "cost": 1, "price": [], "id": 7}', '{"price": "1; DROP TABLE x"}'])
        WITH ORDINALITY AS g(given, n) ORDER BY n;

-- errors of the expression, with the metric's name
SELECT expression, calculated(expression) FROM unnest(ARRAY[
    '1 / 0', 'count(*) / (count(*) - 3)', 'sum((event_properties ->> ''status'')::numeric)', 'sum((event_properties -> ''length'')::numeric)',
    '''NaN''::numeric', '''-infinity''::numeric', '''infinity''::float8', 'sum(''NaN''::real)', '10 ^ 200000.5', '2147483647 + 1',
    'sum(length(repeat(customer_alias, -1))) / 0'
]) WITH ORDINALITY AS e(expression, n) ORDER BY n;

-- a row that came by another way is checked again, and cannot do more
CREATE FUNCTION public.touch(numeric) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'touched'; RETURN true; END $$;
CREATE DOMAIN public.trap AS numeric CHECK (public.touch(VALUE));
CREATE TYPE public.box_of_traps AS (content public.trap);
CREATE FUNCTION written(expression text, parameters jsonb DEFAULT '[]') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE usage_events.metric AS m SET expression = written.expression, parameters = written.parameters WHERE name = 'Priced';
    RETURN calculated((SELECT id FROM usage_events.metric WHERE name = 'Priced'));
END $$;
SELECT expression, written(expression) FROM unnest(ARRAY[NULL, '', 'now()', 'pg_sleep(100)', '1) FROM usage_events.event; --', '(SELECT 1)', '$1', 'count($2)',
    '$3', 'account_id', 'count(ingested_at)', '''(1)''::public.box_of_traps', 'box_of_traps(''(1)'')', 'count(customer_alias), 1', 'nothing', 'true', 'price',
    'count(*'])  WITH ORDINALITY AS e(expression, n) ORDER BY n;
SELECT parameters, written('1', parameters::jsonb) FROM unnest(ARRAY['{}', '[5]', '[{"name": "id", "type": "X"}]'])
    WITH ORDINALITY AS p(parameters, n) ORDER BY n;
SELECT written('price', '[{"name": "price", "type": "INTEGER", "description": "d", "defaultValue": "5"}]');

-- names and settings of whoever calculates
CREATE FUNCTION public.abs(numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'captured'; END $$;
CREATE FUNCTION public.fetch(jsonb, text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'captured'; END $$;
CREATE OPERATOR public.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = public.fetch);
CREATE DOMAIN pg_temp.numeric AS pg_catalog.numeric CHECK (public.touch(VALUE));
SELECT written('abs(sum((event_properties ->> ''length'')::numeric))');
SET search_path = pg_temp, public, pg_catalog;
SELECT calculate_usage_metric(:'priced', '{acme}', '[2026-10-01 00:00Z, 2026-10-05 00:00Z)') OPERATOR(pg_catalog.->>) 'value';
SHOW search_path;
RESET search_path;
SET extra_float_digits = -10;
SET bytea_output = escape;
SET transform_null_equals = on;
\i test/helpers/escape_strings.sql
SELECT written('max((event_properties ->> ''length'')::float8 / 3)::text::numeric'), written(E'length(''\\'')'), written(E'length(''\\x0102''::bytea::text)'),
    written('count(*) FILTER (WHERE event_properties -> ''nothing'' = NULL)');
SELECT written('1 / 0');
SHOW extra_float_digits;
RESET ALL;
SET timezone = 'America/New_York';
SET quote_all_identifiers = on;
SELECT written('extract(hour FROM age(max(event_timestamp), to_timestamp(1772000000)))'), written('length(quote_ident(max(customer_alias)))');
RESET timezone;
RESET quote_all_identifiers;

-- an expression runs with the rights of whoever calculates it
SELECT usage_events.create_account('others') AS other \gset
CREATE ROLE regress_usage_events_reader;
SELECT usage_events.grant_access('regress_usage_events_reader', 'read');
SELECT usage_events.create_event(:'other', '{"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2026-10-02T00:00:00Z"}') IS NOT NULL;
SELECT written('count(*)');
SET ROLE regress_usage_events_reader;
SELECT calculate_usage_metric(:'priced', '{acme}', '[2026-10-01 00:00Z, 2026-10-05 00:00Z)') ->> 'value';
RESET ROLE;
REVOKE EXECUTE ON FUNCTION pg_catalog.sqrt(numeric) FROM PUBLIC;
SELECT written('sqrt(16.0)');
SET ROLE regress_usage_events_reader;
SELECT faults(format('calculate_usage_metric(%L, %L, %L)', :'priced', '{acme}', '[2026-10-01 00:00Z, 2026-10-05 00:00Z)'));
RESET ROLE;
GRANT EXECUTE ON FUNCTION pg_catalog.sqrt(numeric) TO PUBLIC;
DROP OWNED BY regress_usage_events_reader;
DROP ROLE regress_usage_events_reader;

\pset format aligned
\pset tuples_only off
DROP FUNCTION calculated(text), calculated(uuid, jsonb, text[], tstzrange), shown(uuid, text[], tstzrange, jsonb), faults(text),
    written(text, jsonb), public.abs(numeric);
DROP OPERATOR public.->> (jsonb, text);
DROP DOMAIN pg_temp.numeric;
DROP TYPE public.box_of_traps, public.trap;
DROP FUNCTION public.fetch(jsonb, text), public.touch(numeric);
\i test/helpers/empty.sql
DELETE FROM usage_events.account WHERE account_id = :'other';
