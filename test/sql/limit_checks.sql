-- What a customer may still use: check_usage_limit() and usage_limit_status, for every aggregation, for own and general limits, by any name.
\i test/helpers/empty.sql
\i test/helpers/refresh.sql
\i test/helpers/outcome.sql
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'accepted' ELSE concat_ws(' ', state, message || ':', nullif(detail, ''), nullif(hint, '')) END
    FROM pg_temp.outcome('SELECT ' || call) $$;
CREATE FUNCTION made_metric(aggregation text, fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric(jsonb_build_object('name', aggregation, 'metricType', 'SIMPLE', 'eventType', 'call', 'aggregationType', aggregation,
        'aggregationProperty', 'n') || fields) ->> 'id')::uuid $$;
CREATE FUNCTION limited(metric uuid, limit_value numeric, fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_limit(jsonb_build_object('name', 'limit', 'usageMetricId', metric, 'period', 'MONTH', 'limit', limit_value, 'mode', 'REPORT') || fields)
        ->> 'id')::uuid $$;
CREATE FUNCTION used(alias text, number numeric, at text DEFAULT '2026-10-15T12:00:00Z', fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_event(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'eventTimestamp', at,
        'eventProperties', jsonb_build_object('n', number) || fields)) ->> 'id')::uuid $$;
-- used, remaining and limit of each limit that holds, after what is answered
CREATE FUNCTION checked(customer text, metric uuid, amount numeric DEFAULT 1, at timestamptz DEFAULT '2026-10-20Z') RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN (answer ->> 'allowed')::boolean THEN 'yes' ELSE 'no' END || coalesce((SELECT string_agg(format(', %s used, %s of %s left',
        coalesce(l ->> 'used', 'nothing'), l ->> 'remaining', l ->> 'limit'), '' ORDER BY n)
            FROM jsonb_array_elements(answer -> 'limits') WITH ORDINALITY AS i(l, n)), '')
    FROM check_usage_limit(customer, metric, amount, at) AS answer $$;
\pset format unaligned
\pset tuples_only on

-- without a limit everything is allowed; one says how much is used, of which period
SELECT made_metric('COUNT') AS calls \gset
SELECT check_usage_limit('acme', :'calls');
SELECT limited(:'calls', 3) AS general \gset
SELECT used('acme', 1) IS NOT NULL, used('acme', 1) IS NOT NULL, used('acme', 1, '2026-11-01T00:00:00Z') IS NOT NULL, used('zeta', 1) IS NOT NULL;
SELECT answer -> 'allowed', (answer #> '{limits,0}') - 'usageLimitId', answer #>> '{limits,0,usageLimitId}' = :'general' AS of_limit,
    jsonb_array_length(answer -> 'limits') FROM check_usage_limit('acme', :'calls', 1, '2026-10-20Z') AS answer;
SELECT checked('acme', :'calls', amount) FROM unnest('{0,1,1.5,2,1e30}'::numeric[]) AS amount;
SELECT checked('acme', :'calls', 3, at::timestamptz)
    FROM unnest('{2026-09-30T23:59:59.999999Z,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z}'::text[]) AS at;
-- by default one more, now
SELECT check_usage_limit('acme', :'calls') #>> '{limits,0,periodStart}' = 
        to_char(date_trunc('month', now(), 'UTC') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS now,
    check_usage_limit('acme', :'calls') = check_usage_limit('acme', :'calls', 1, now()) AS by_default;
-- all of time has no bounds
SELECT limited(:'calls', 9, '{"period": "ALL_TIME"}') AS always \gset
SELECT answer -> 'allowed', (answer #> '{limits,1}') - 'usageLimitId' FROM check_usage_limit('acme', :'calls', 7, '2026-10-20Z') AS answer;
SELECT delete_usage_limit(:'always') IS NOT NULL;

-- a customer's own limit takes the place of the general one of the same period, whatever its mode and time zone; of several all hold
SELECT limited(:'calls', 10, '{"customer": "acme", "timezone": "Europe/Berlin"}') AS own \gset
SELECT checked('acme', :'calls', 8), checked('acme', :'calls', 9), checked('zeta', :'calls', 2), checked('zeta', :'calls', 3);
SELECT limited(:'calls', 5, '{"customer": "acme", "mode": "BLOCK"}') AS second \gset
SELECT checked('acme', :'calls', 3), checked('acme', :'calls', 4);
SELECT limited(:'calls', 7, '{"period": "YEAR"}') AS year \gset
SELECT checked('acme', :'calls', 3), checked('zeta', :'calls');
SELECT delete_usage_limit(id) IS NOT NULL FROM unnest(ARRAY[:'second', :'year']::uuid[]) AS id;

-- an alias stands for its customer, and so for all of the customer's aliases, in a check and in a limit
SELECT count(create_customer_alias(jsonb_build_object('customerId', 'acme-id', 'value', value))) FROM unnest('{acme,a2}'::text[]) AS value;
SELECT count(used('a2', 1)) FROM generate_series(1, 4);
SELECT name, checked(name, :'calls') FROM unnest('{acme,a2,acme-id,zeta,nobody}'::text[]) AS name;
-- events of before anybody said whose alias it is come with the customer's id, perhaps
SELECT used('acme-id', 1) IS NOT NULL;
SELECT name, checked(name, :'calls') FROM unnest('{acme,acme-id}'::text[]) AS name;
-- an id that is the alias of another customer is that one
SELECT create_customer_alias('{"customerId": "zeta", "value": "acme-id"}') IS NOT NULL;
SELECT name, checked(name, :'calls') FROM unnest('{acme,acme-id,zeta}'::text[]) AS name;
SELECT delete_customer_alias(id) IS NOT NULL FROM customer_aliases WHERE customer_id = 'zeta';
-- what is taken back, and what is corrected, is no more used
SELECT count(create_usage_event(get_usage_event(id) || '{"customerAlias": "VOID"}')) FROM usage_events WHERE customer_alias = 'a2';
SELECT checked('acme', :'calls');

-- the present periods of all: own limits with nothing used as well, and what check_usage_limit() says
SELECT count(used(alias, 1, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))) FROM unnest('{a2,a2,acme,zeta,late}'::text[]) AS alias;
SELECT limited(:'calls', 2, '{"customer": "nobody", "period": "DAY"}') IS NOT NULL, limited(:'calls', 100, '{"period": "ALL_TIME"}') IS NOT NULL;
SELECT made_metric('MAX') AS max \gset
SELECT limited(:'max', 4, '{"customer": "nobody", "period": "DAY"}') IS NOT NULL;
SELECT name, customer, "limit", used, remaining, mode, (usage_metric_id = :'calls') AS of_calls, isfinite(period_end - now()) FROM usage_limit_status
    ORDER BY "limit", customer COLLATE "C";
SELECT count(*) AS rows, count(*) FILTER (WHERE found @> jsonb_build_object('used', used, 'remaining', remaining, 'limit', "limit")) AS as_checked
    FROM usage_limit_status AS s LEFT JOIN LATERAL jsonb_array_elements(check_usage_limit(customer, usage_metric_id) -> 'limits') AS found
        ON (found ->> 'usageLimitId')::uuid = usage_limit_id;
SET usage_events.max_limit_status_rows = 5;
SELECT count(*) FROM usage_limit_status;
\echo :LAST_ERROR_SQLSTATE
RESET usage_events.max_limit_status_rows;

-- a limit of a metric that was deleted holds for nobody, and its check is refused
SELECT delete_usage_metric(:'max') IS NOT NULL, faults(format('check_usage_limit(%L, %L)', 'acme', :'max'));
SELECT count(*) FROM usage_limit_status WHERE usage_metric_id = :'max';

-- every aggregation: what is allowed is what the value would be with one more event of that number, or so many more
\i test/helpers/empty.sql
CREATE TABLE metric AS
SELECT made_metric(aggregation, jsonb_build_object('percentile', CASE WHEN aggregation = 'PERCENTILE' THEN 0.9 END)
        || CASE WHEN is_grouped THEN '{"metricType": "GROUPED", "groupingProperty": "g"}' ELSE '{}' END::jsonb) AS id,
    aggregation || CASE WHEN is_grouped THEN ' by group' ELSE '' END AS name
FROM unnest('{COUNT,UNIQUE,SUM,MAX,MIN,AVERAGE,LATEST,PERCENTILE}'::text[]) AS aggregation, unnest('{t,f}'::boolean[]) AS is_grouped;
SELECT count(limited(id, 5)) FROM metric;
SELECT name, checked('acme', id, 5), checked('acme', id, 6) FROM metric ORDER BY name COLLATE "C";
SELECT count(used('acme', n, fields => jsonb_build_object('g', n % 2))) FROM unnest('{1,2,4,1}'::numeric[]) WITH ORDINALITY AS v(n, place);
SELECT name, checked('acme', id, 1), checked('acme', id, 6), checked('acme', id, 17) FROM metric ORDER BY name COLLATE "C";
-- an event of before the latest changes nothing of LATEST
SELECT checked('acme', id, 17, '2026-10-15 11:59Z'), checked('acme', id, 17, '2026-10-15 12:01Z') FROM metric WHERE name = 'LATEST';
-- what is above already, because the limit is new, may be lowered
SELECT count(update_usage_limit(id, to_jsonb(l) - 'usage_metric_id' || jsonb_build_object('usageMetricId', usage_metric_id, 'limit', 0)))
    FROM usage_limits AS l;
SELECT name, checked('acme', id, -3) FROM metric WHERE name NOT LIKE 'COUNT%' AND name NOT LIKE 'UNIQUE%' ORDER BY name COLLATE "C";

-- a number is not above another that has fewer zeros after its point
SELECT checked('zeta', id, 0.000) FROM metric WHERE name IN ('SUM', 'AVERAGE') ORDER BY name;
-- And by lot, from events and from rollups: it is not allowed where the value with the event in it is above the limit, and has risen, and allowed
-- everywhere else; but a value that is there already is nothing new to UNIQUE.
CREATE FUNCTION value_of(metric uuid) RETURNS numeric LANGUAGE sql AS $$
    SELECT (calculate_usage_metric(metric, '{acme}', '[2026-10-01Z,2026-11-01Z)') ->> 'value')::numeric $$;
CREATE PROCEDURE draw(draws int) LANGUAGE plpgsql AS $$
DECLARE
    m record;
    amount numeric;
    before numeric;
    after numeric;
    answer jsonb;
    of_limit numeric;
BEGIN
    FOR i IN 1 .. draws LOOP
        SELECT * INTO m FROM metric ORDER BY random() LIMIT 1;
        amount := round((random() * 40 - 10)::numeric, (random() * 2)::int);
        before := value_of(m.id);
        of_limit := greatest(0, round(coalesce(before, 5) + CASE WHEN random() < 0.2 THEN amount ELSE (random() * 20 - 8)::numeric END));
        PERFORM update_usage_limit(id, jsonb_build_object('name', 'limit', 'usageMetricId', m.id, 'period', 'MONTH', 'limit', of_limit, 'mode', 'REPORT'))
            FROM usage_limits WHERE usage_metric_id = m.id;
        answer := check_usage_limit('acme', m.id, CASE WHEN m.name ~ 'COUNT|UNIQUE' THEN 1 ELSE amount END, '2026-10-20 12:00Z');
        PERFORM used('acme', amount, '2026-10-20T12:00:00Z', jsonb_build_object('g', i % 3));
        after := value_of(m.id);
        IF (answer #>> '{limits,0,used}')::numeric IS DISTINCT FROM before
            OR (answer ->> 'allowed')::boolean AND after > of_limit AND after > coalesce(before, of_limit)
            OR NOT (answer ->> 'allowed')::boolean AND (after <= of_limit OR after <= before) AND m.name NOT LIKE 'UNIQUE%' THEN
            RAISE NOTICE '%: % of %, amount %, then %: %', m.name, before, of_limit, amount, after, answer;
        END IF;
        INSERT INTO drawn VALUES ((answer ->> 'allowed')::boolean);
        COMMIT;
    END LOOP;
END $$;
CREATE TABLE drawn (allowed boolean);
CALL draw(150);
CALL pg_temp.refresh_until_ready();
CALL draw(150);
CALL pg_temp.refresh_until_ready();
SELECT count(*) FILTER (WHERE allowed) > 30 AS some_allowed, count(*) FILTER (WHERE NOT allowed) > 30 AS some_not FROM drawn;
SELECT count(*) AS wrong FROM metric WHERE (check_usage_limit('acme', id, 0, '2026-10-20Z') #>> '{limits,0,used}')::numeric IS DISTINCT FROM value_of(id);

-- faults, all at once
SELECT faults('check_usage_limit(NULL, uuid_v7())'), faults(format('check_usage_limit(%L, NULL)', 'acme')),
    faults(format('check_usage_limit(%L, uuid_v7(), NULL)', 'acme')), faults(format('check_usage_limit(%L, uuid_v7(), 1, NULL)', 'acme'));
SELECT faults(format('check_usage_limit(%L, uuid_v7(), %L, %L)', 'VOID', 'NaN', 'infinity'));
SELECT faults(format('check_usage_limit(%L, %L, %L, %L)', ' ', id, '-1', '10001-01-01Z')) FROM metric WHERE name = 'COUNT';
SELECT faults(format('check_usage_limit(%L, %L, %L, %L)', repeat('ü', 256), id, '1e100', '0002-01-01Z BC')) FROM metric WHERE name = 'SUM';
SELECT faults(format('check_usage_limit(%L, %L, %L)', 'acme', id, '-Infinity')) FROM metric WHERE name = 'UNIQUE';

-- of a period of which events were purged nobody knows what was used
SELECT usage_events.purge('2026-10-10Z', usage_events.current_account_id()) IS NOT NULL AS purged;
SELECT faults(format('check_usage_limit(%L, %L, 1, %L)', 'acme', id, '2026-10-20Z')) FROM metric WHERE name = 'COUNT';
SELECT left(checked('acme', id, 1, '2026-11-20Z'), 12) FROM metric WHERE name = 'COUNT';
SELECT count(update_usage_limit(id, jsonb_build_object('name', 'limit', 'usageMetricId', usage_metric_id, 'period', 'ALL_TIME',
    'anchor', '2026-10-10T00:00:00Z', 'limit', 5000, 'mode', 'REPORT'))) FROM usage_limits WHERE usage_metric_id = (SELECT id FROM metric WHERE name = 'COUNT');
SELECT checked('acme', id) FROM metric WHERE name = 'COUNT';
SELECT limited(id, 5, '{"name": "own", "customer": "acme", "period": "ALL_TIME"}') IS NOT NULL FROM metric WHERE name = 'COUNT';
SELECT customer, used, remaining, period_start, period_end FROM usage_limit_status AS s WHERE s.name = 'own';

\pset format aligned
\pset tuples_only off
DROP TABLE metric, drawn;
DROP PROCEDURE draw(int);
DROP FUNCTION value_of(uuid), checked(text, uuid, numeric, timestamptz), used(text, numeric, text, jsonb), limited(uuid, numeric, jsonb),
    made_metric(text, jsonb), faults(text);
\i test/helpers/empty.sql
