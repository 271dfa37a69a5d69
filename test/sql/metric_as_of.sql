-- Usage metrics as they were: as of a moment, what has changed since then, and why an event counts or does not.
\pset format unaligned
\pset tuples_only on
\i test/helpers/empty.sql
CREATE FUNCTION sent(id text, properties jsonb DEFAULT '{}', fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_event(jsonb_build_object('customerAlias', 'acme', 'eventType', 'call', 'customerEventId', id, 'eventTimestamp', '2026-10-05T12:00:00Z',
        'eventProperties', properties) || fields) ->> 'id')::uuid $$;
CREATE FUNCTION metric(name text, fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric(jsonb_build_object('name', name, 'metricType', 'SIMPLE', 'eventType', 'call', 'aggregationType', 'COUNT', 'aggregationProperty',
        'n') || fields) ->> 'id')::uuid $$;
-- a moment that nothing else happened at
CREATE TEMPORARY TABLE moment (name text PRIMARY KEY, at timestamptz);
CREATE FUNCTION noted(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.02);
    INSERT INTO moment VALUES (name, clock_timestamp());
    PERFORM pg_sleep(0.02);
END $$;
CREATE FUNCTION moment_of(wanted text) RETURNS timestamptz LANGUAGE sql AS $$ SELECT at FROM moment WHERE name = wanted $$;
\i test/helpers/outcome.sql
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN answer ELSE concat_ws(' ', state, regexp_replace(message, '[0-9a-f-]{36}', '<id>') || ':', nullif(detail, '')) END
    FROM pg_temp.outcome(call) $$;
CREATE FUNCTION shown(answer jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', coalesce(answer ->> 'value', 'null'), 'of', answer ->> 'eventCount', 'skipped ' || nullif(answer ->> 'skippedEventCount', '0'),
                     (SELECT '(' || string_agg(concat_ws(' ', coalesce(item ->> 'grouping', 'null'), item ->> 'value'), ', ' ORDER BY n) || ')'
                         FROM jsonb_array_elements(answer -> 'groupedValues') WITH ORDINALITY AS g(item, n))) $$;
CREATE TEMPORARY TABLE metric_id (n integer GENERATED ALWAYS AS IDENTITY, name text, id uuid);
-- what each metric says of these customers, as of each moment
CREATE FUNCTION answers() RETURNS TABLE (at text, metric text, customers text, answer text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT t.name, m.name, c.customers,
        faults(format('SELECT shown(calculate_usage_metric(%L, %L, ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'', %L))', m.id, c.customers, t.at))
                 FROM (SELECT name, moment.at FROM moment UNION ALL SELECT 'now', NULL) AS t, metric_id AS m,
                     (VALUES ('{acme}'), ('{c-1}')) AS c(customers) ORDER BY m.n, c.customers, t.at NULLS LAST;
END $$;

-- what happened, a moment after each step
SELECT noted('nothing');
INSERT INTO metric_id (name, id) SELECT name, metric(name, fields)
    FROM (VALUES ('sum', '{"aggregationType": "SUM"}'::jsonb), ('count', '{}'), ('latest', '{"aggregationType": "LATEST"}'),
    ('grouped', '{"aggregationType": "UNIQUE", "metricType": "GROUPED", "groupingProperty": "kind"}'),
    ('median', '{"aggregationType": "PERCENTILE", "percentile": 0.5}'),
    ('updated', '{"aggregationType": "SUM"}'), ('deleted', '{}')) AS v(name, fields);
SELECT noted('metrics');
SELECT count(sent('e-' || n, jsonb_build_object('n', 2 ^ n, 'kind', CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END))) FROM generate_series(1, 8) AS n;
SELECT noted('events');
SELECT sent('e-1', '{"n": 1000, "kind": "odd"}') IS NOT NULL, sent('e-2', '{"n": 4, "kind": "even"}', '{"customerAlias": "VOID"}') IS NOT NULL,
    sent('e-3', '{"n": 8, "kind": "odd"}', '{"customerAlias": "acme-2"}') IS NOT NULL,
    sent('e-4', '{"n": 16, "kind": "even"}', '{"eventType": "message"}') IS NOT NULL,
       sent('e-5', '{"n": 32, "kind": "odd"}', '{"eventTimestamp": "2026-11-01T00:00:00Z"}') IS NOT NULL,
           sent('e-6', '{"n": "none", "kind": "even"}') IS NOT NULL, sent('e-7', '{"n": 128, "kind": "odd", "note": "no difference"}') IS NOT NULL;
SELECT noted('corrections');
SELECT sent('e-1', '{"n": 2, "kind": "odd"}') IS NOT NULL, sent('e-2', '{"n": 4.5, "kind": "even"}') IS NOT NULL;
SELECT noted('taken back');
SELECT sent('late', '{"n": 0.25, "kind": "late"}', '{"eventTimestamp": "2026-10-01T00:00:00Z"}') IS NOT NULL;
SELECT noted('late event');
SELECT create_customer_alias(jsonb_build_object('customerId', 'c-1', 'value', value)) ->> 'id' IS NOT NULL FROM unnest('{acme,acme-2}'::text[]) AS value;
SELECT noted('mapped');
SELECT delete_customer_alias(id) IS NOT NULL FROM customer_aliases WHERE value = 'acme';
SELECT noted('unmapped');
SELECT update_usage_metric(id, '{"name": "updated", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "SUM", "aggregationProperty": "n",
    "propertyFilters": {"kind": ["even"]}}') IS NOT NULL FROM metric_id WHERE name = 'updated';
SELECT noted('filtered');
SELECT update_usage_metric(id, '{"name": "updated", "metricType": "SIMPLE", "eventType": "message", "aggregationType": "COUNT"}') IS NOT NULL
    FROM metric_id WHERE name = 'updated';
SELECT delete_usage_metric(id) IS NOT NULL FROM metric_id WHERE name = 'deleted';
SELECT noted('updated, deleted');
SELECT sent('after', '{"n": 0.5}') IS NOT NULL, sent('e-8', '{"n": 256, "kind": "other"}') IS NOT NULL;

-- each answer is the one of its moment
SELECT * FROM answers();
-- and stays it
CREATE TEMPORARY TABLE at_first AS SELECT * FROM answers();
\i test/helpers/refresh.sql
CALL pg_temp.refresh_until_ready();
SELECT count(*) > 10 AS rolled_up FROM usage_events.metric_rollup;
(TABLE at_first EXCEPT SELECT * FROM answers()) UNION ALL (SELECT * FROM answers() EXCEPT TABLE at_first);
SELECT count(sent(customer_event_id, event_properties || '{"again": true}')) FROM usage_events WHERE customer_event_id IN ('e-7', 'e-8', 'after');
(TABLE at_first EXCEPT SELECT * FROM answers()) UNION ALL (SELECT * FROM answers() EXCEPT TABLE at_first);
CALL pg_temp.refresh_until_ready();
(TABLE at_first EXCEPT SELECT * FROM answers()) UNION ALL (SELECT * FROM answers() EXCEPT TABLE at_first);

-- steps and customers of a moment
SELECT m.name, to_char(period_start AT TIME ZONE 'UTC', 'MM-DD'), event_count, value FROM moment AS m,
    usage_metric_series((SELECT id FROM metric_id WHERE name = 'sum'), '{acme}', '[2026-10-01 00:00Z, 2026-12-01 00:00Z)', 'month', as_of => m.at)
    WHERE m.name <> 'nothing' ORDER BY m.at, period_start;
SELECT m.name, customer, event_count, value FROM moment AS m,
    usage_metric_by_customer((SELECT id FROM metric_id WHERE name = 'sum'), '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', m.at)
    WHERE m.name <> 'nothing' ORDER BY m.at, customer;
SELECT faults('SELECT count(*) FROM usage_metric_by_customer(' || quote_literal(m.id) || ', ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'', ' || quote_literal(t.at)
    || ')') FROM metric_id AS m, moment AS t WHERE m.name = 'sum' AND t.name = 'nothing';
-- moments outside of all time
SELECT at, faults(format('SELECT shown(calculate_usage_metric(%L, ''{acme}'', ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'', %L))', id, at)) FROM metric_id,
    unnest('{-infinity,4713-01-01 00:00Z BC,1969-12-31 00:00Z,9999-12-31 00:00Z,10889-08-02 06:00Z,294276-01-01 00:00Z,infinity}'::text[])
    WITH ORDINALITY AS a(at, n) WHERE name = 'sum' ORDER BY a.n;

-- what has changed, event by event
CREATE FUNCTION changes(wanted text, since text, customers text[] DEFAULT '{acme}')
    RETURNS TABLE (customer_event_id text, change text, old_value numeric, new_value numeric, old_event text, new_event text) LANGUAGE sql AS $$
    SELECT customer_event_id, change, old_value, new_value,
           CASE WHEN old_event_id IS NULL THEN 'none' WHEN EXISTS (SELECT FROM usage_events AS e WHERE e.id = old_event_id) THEN 'current'
               WHEN EXISTS (SELECT FROM usage_event_history AS e WHERE e.id = old_event_id AND e.customer_event_id = c.customer_event_id) THEN 'superseded'
               ELSE 'unknown' END,
           CASE WHEN EXISTS (SELECT FROM usage_events AS e WHERE e.id = new_event_id AND e.customer_event_id = c.customer_event_id
               AND abs(extract(epoch FROM changed_at - e.ingested_at)) < 1) THEN 'current' ELSE 'unknown' END
    FROM usage_metric_changes((SELECT id FROM metric_id WHERE name = wanted), customers, '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', moment_of(since)) AS c $$;
SELECT since, c.* FROM unnest('{events,corrections,taken back}'::text[]) WITH ORDINALITY AS s(since, n),
    changes('sum', since) AS c ORDER BY n, customer_event_id;
SELECT c.* FROM changes('count', 'events') AS c ORDER BY customer_event_id;
-- another definition, other aliases
SELECT since, c.* FROM unnest('{late event,unmapped,filtered,"updated, deleted"}'::text[]) WITH ORDINALITY AS s(since, n),
    changes('updated', since) AS c ORDER BY n, customer_event_id;
SELECT since, c.* FROM unnest('{late event,mapped,unmapped}'::text[]) WITH ORDINALITY AS s(since, n),
    changes('sum', since, '{c-1}') AS c ORDER BY n, customer_event_id;
-- no change is from before since
SELECT m.name, t.name, count(*) AS before_since FROM metric_id AS m, moment AS t, unnest('{"{acme}","{c-1}"}'::text[]) AS c(customers),
    usage_metric_changes(m.id, c.customers::text[], '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', t.at) AS changed
WHERE m.name <> 'deleted' AND changed_at < t.at GROUP BY m.name, t.name;
-- an update of the metric changes events with another value, when it was made; those that are what they were are not told
SELECT count(sent('asked-' || n, jsonb_build_object('n', n, 'm', 2 * n - n % 2, 'one', 1, 'user', 'u-' || n % 2),
    '{"customerAlias": "asked", "eventType": "asked"}')) FROM generate_series(1, 4) AS n;
CREATE TABLE updated AS
SELECT n, before, after, (create_usage_metric(before || jsonb_build_object('name', 'updated ' || n, 'eventType', 'asked')) ->> 'id')::uuid AS id,
    NULL::timestamptz AS since
FROM (VALUES (1, '{"metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}'::jsonb, '{"unit": "bytes"}'::jsonb),
    (2, '{"metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}', '{"aggregationProperty": "m"}'),
    (3, '{"metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}', '{"metricType": "GROUPED", "groupingProperty": "user"}'),
    (4, '{"metricType": "SIMPLE", "aggregationType": "COUNT"}', '{"aggregationType": "SUM", "aggregationProperty": "one"}'),
    (5, '{"metricType": "SIMPLE", "aggregationType": "COUNT"}', '{"aggregationType": "UNIQUE", "aggregationProperty": "user"}'),
    (6, '{"metricType": "SIMPLE", "aggregationType": "UNIQUE", "aggregationProperty": "user"}', '{"aggregationProperty": "n"}'),
    (7, '{"metricType": "GROUPED", "aggregationType": "SUM", "aggregationProperty": "n", "groupingProperty": "user"}', '{"groupingProperty": "n"}'),
    (8, '{"metricType": "SIMPLE", "aggregationType": "COUNT"}', '{"propertyFilters": {"user": ["u-1"]}}'),
    (9, '{"metricType": "SIMPLE", "aggregationType": "PERCENTILE", "aggregationProperty": "n", "percentile": 0.5}', '{"percentile": 0.9}'),
    (10, '{"metricType": "SIMPLE", "aggregationType": "PERCENTILE", "aggregationProperty": "n", "percentile": 0.5}', '{"aggregationProperty": "m"}')) AS u (n,
    before, after) ORDER BY n;
UPDATE updated SET since = clock_timestamp();
SELECT count(pg_sleep(0.005));
SELECT count(update_usage_metric(id, before || jsonb_build_object('name', 'updated ' || n, 'eventType', 'asked') || after)) FROM updated;
SELECT count(pg_sleep(0.005));
SELECT clock_timestamp() AS then \gset
SELECT n, after, string_agg(concat_ws(' ', customer_event_id, change, old_value, new_value), ', ' ORDER BY c.ordinality) AS changes,
    bool_and(changed_at > since AND changed_at < :'then') AS with_the_metric
FROM updated LEFT JOIN LATERAL usage_metric_changes(id, '{asked}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', since) WITH ORDINALITY AS c ON true
    GROUP BY n, after ORDER BY n;
-- of a metric that was not there yet, all its events are added, when it was made
SELECT concat_ws(' ', customer_event_id, change, old_value, new_value, changed_at > '2000-01-01Z' AND changed_at < :'then') FROM updated,
    usage_metric_changes(id, '{asked}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', '2000-01-01Z') WHERE n = 8;
-- an alias changes events when it was mapped, or deleted, and what was corrected since then later than that
SELECT create_customer_alias('{"customerId": "c-asked", "value": "asked"}') ->> 'id' AS alias \gset
SELECT count(pg_sleep(0.005));
SELECT clock_timestamp() AS mapped \gset
SELECT count(pg_sleep(0.005));
SELECT sent('asked-1', '{"n": 1, "user": "u-1", "corrected": true}', '{"customerAlias": "asked", "eventType": "asked"}') IS NOT NULL;
SELECT concat_ws(' ', customer_event_id, change, old_value, new_value, CASE WHEN changed_at < :'then' THEN 'before'
    WHEN changed_at < :'mapped' THEN 'when mapped' ELSE 'when corrected' END) FROM updated,
    usage_metric_changes(id, '{c-asked}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', :'then') WHERE n = 8;
SELECT delete_customer_alias(:'alias') IS NOT NULL;
SELECT concat_ws(' ', customer_event_id, change, old_value, new_value, changed_at > :'mapped') FROM updated,
    usage_metric_changes(id, '{c-asked}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', :'mapped') WHERE n = 8;
DROP TABLE updated;
-- in the order in which they changed
SELECT string_agg(customer_event_id, ' ' ORDER BY n) FROM ROWS
    FROM (changes('sum', 'taken back')) WITH ORDINALITY AS c(customer_event_id, change, old_value, new_value, old_event, new_event, n)
    WHERE customer_event_id IN ('late', 'after');
-- the differences add up
SELECT m.name, count(*) AS compared, count(*) FILTER (WHERE a.changed <> coalesce((a.now ->> 'value')::numeric,
    0) - coalesce((a.past ->> 'value')::numeric, 0)) AS differing
FROM metric_id AS m, moment AS t, unnest('{"{acme}","{c-1}","{acme,acme-2}","{c-1,acme,VOID}","{}"}'::text[]) AS c(customers),
     LATERAL (SELECT calculate_usage_metric(m.id, c.customers::text[], '[2026-10-01 00:00Z, 2026-11-01 00:00Z)') AS now,
         CASE WHEN t.name <> 'nothing' THEN calculate_usage_metric(m.id, c.customers::text[], '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', t.at) END AS past,
              (SELECT coalesce(sum(coalesce(new_value, 0) - coalesce(old_value, 0)), 0)
                  FROM usage_metric_changes(m.id, c.customers::text[], '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', t.at)) AS changed) AS a
WHERE m.name IN ('sum', 'count', 'updated') GROUP BY m.n, m.name ORDER BY m.n;
SELECT count(*) FROM usage_metric_changes((SELECT id FROM metric_id WHERE name = 'sum'), '{acme}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', 'infinity');
SELECT count(*) FROM usage_metric_changes((SELECT id FROM metric_id WHERE name = 'sum'), '{acme}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)',
    clock_timestamp() + '1 hour');
SELECT m.name, arguments, faults(format('SELECT count(*) FROM usage_metric_changes(%L, %s)', m.id, arguments)) FROM metric_id AS m,
    unnest(ARRAY['NULL, ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'', now()', '''{acme}'', NULL, now()', '''{acme}'', ''[2026-10-01 00:00Z,)'', now()',
    '''{acme}'', ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'', NULL']) WITH ORDINALITY AS a(arguments, n) WHERE m.name IN ('sum', 'deleted') ORDER BY m.n, a.n;
SELECT faults('SELECT count(*) FROM usage_metric_changes(NULL, ''{acme}'', ''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'', now())'),
    faults('SELECT count(*) FROM usage_metric_changes(''00000000-0000-7000-8000-000000000000'', ''{acme}'', '
    '''[2026-10-01 00:00Z, 2026-11-01 00:00Z)'', now())');

-- why an event counts, or does not
CREATE FUNCTION explained(metric uuid, event uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer jsonb := explain_usage_event(metric, event);
BEGIN
    RETURN concat_ws(' ', CASE WHEN (answer ->> 'counts')::boolean THEN 'counts' END, CASE WHEN (answer ->> 'skipped')::boolean THEN 'skipped' END,
        answer -> 'value', 'grouping ' || (answer -> 'grouping')::text, regexp_replace(answer ->> 'reasons', '[0-9a-f-]{36}', '<id>', 'g'),
        CASE WHEN answer -> 'event' <> coalesce(get_usage_event(event), answer -> 'event')
        OR (answer #>> '{event,id}')::uuid <> event THEN 'another event' END);
END $$;
SELECT metric('explained', '{"aggregationType": "SUM", "metricType": "GROUPED", "groupingProperty": "kind",
    "propertyFilters": {"color": ["red"], "size": ["l"]}, "propertiesToNegate": ["size"]}') AS explained \gset
SELECT metric('unique', '{"aggregationType": "UNIQUE"}') AS unique, metric('counted') AS counted,
    metric('half', '{"aggregationType": "PERCENTILE", "percentile": 0.5}') AS half \gset
CREATE TEMPORARY TABLE explained_event AS SELECT n, properties, sent('x-' || n, properties::jsonb, fields::jsonb) AS id FROM (VALUES
    (1, '{"n": 1.50, "color": "red", "kind": "a"}', '{}'), (2, '{"n": "1.50", "color": "red", "kind": null}', '{}'), (3, '{"n": "one", "color": "red"}', '{}'),
    (4, '{"color": "red", "kind": "a"}', '{}'), (5, '{"n": null, "color": "red"}', '{}'), (6, '{"n": true, "color": "red"}', '{}'),
    (7, '{"n": {"a": 1}, "color": "red"}', '{}'), (8, '{"n": 1, "color": "blue"}', '{}'), (9, '{"n": 1}', '{}'),
    (10, '{"n": 1, "color": "red", "size": "l"}', '{}'),
    (11, '{"n": 1, "color": "red"}', '{"customerAlias": "VOID"}'), (12, '{"n": 1, "color": "red"}', '{"eventType": "other"}'),
    (13, '{"color": "blue"}', '{"eventType": "a \"quoted\" type", "customerAlias": "VOID"}'), (14, '{"n": 1, "color": "blue"}', '{"customerAlias": "VOID"}')
) AS v(n, properties, fields);
SELECT properties, explained(:'explained', id), explained(:'unique', id), explained(:'half', id), explained(:'counted', id) FROM explained_event ORDER BY n;
-- versions that were superseded say so, with all else
SELECT sent('x-1', '{"n": 2, "color": "red"}') IS NOT NULL, sent('x-8', '{"n": 2, "color": "red"}') IS NOT NULL,
    sent('x-14', '{"n": 2, "color": "red"}') IS NOT NULL;
SELECT properties, explained(:'explained', id), explained(:'counted', id),
    (explain_usage_event(:'explained', id) #>> '{reasons,0}') = 'was superseded by event ' || (SELECT e.id FROM usage_events AS e
    WHERE e.customer_event_id = 'x-' || n) AS by FROM explained_event WHERE n IN (1, 8, 14) ORDER BY n;
SELECT jsonb_pretty(explain_usage_event(:'explained', id) #- '{event,id}' #- '{event,sequenceAccountId}') FROM explained_event WHERE n = 2;
SELECT sum((explain_usage_event(:'counted', e.id) ->> 'counts')::boolean::integer)
    = (calculate_usage_metric(:'counted', (SELECT array_agg(customer_alias) FROM usage_events),
    '[0001-01-01 00:00Z, 9999-01-01 00:00Z)') ->> 'value')::integer AS as_calculated FROM usage_events AS e;
-- what is not there
SELECT explain_usage_event(:'counted', uuid_v7()) IS NULL, explain_usage_event(:'counted', NULL) IS NULL,
    faults(format('SELECT explain_usage_event(NULL, %L)', id)), faults(format('SELECT explain_usage_event(''00000000-0000-7000-8000-000000000000'', %L)', id)),
    (SELECT faults(format('SELECT explain_usage_event(%L, %L)', m.id, e.id)) FROM metric_id AS m WHERE m.name = 'deleted')
    FROM explained_event AS e WHERE n = 1;
SELECT usage_events.create_account('other') AS other \gset
SET usage_events.account_id = :'other';
SELECT metric('others') AS others \gset
SELECT explain_usage_event(:'others', id) IS NULL, faults(format('SELECT explain_usage_event(%L, %L)', :'counted', id)) FROM explained_event WHERE n = 1;
RESET usage_events.account_id;

\pset format aligned
\pset tuples_only off
DROP FUNCTION explained(uuid, uuid), changes(text, text, text[]), answers(), shown(jsonb), faults(text), moment_of(text), noted(text), metric(text, jsonb),
    sent(text, jsonb, jsonb);
DROP TABLE moment, metric_id, at_first, explained_event;
\i test/helpers/empty.sql
DELETE FROM usage_events.account WHERE account_id = :'other';
