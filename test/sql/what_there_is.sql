-- What there is: customers that have events, types of events and their properties, and what was refused.
\pset format unaligned
\pset tuples_only on
\i test/helpers/empty.sql
\i test/helpers/outcome.sql
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN answer ELSE concat_ws(' ', state, message || ':', detail, hint) END FROM pg_temp.outcome(call) $$;
SELECT list_usage_customers(), list_usage_event_types(), list_usage_event_properties('call'), list_rejected_usage_events();

-- customers: in the order of their bytes, with their last event; those that were taken back are nobody's
SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'customerEventId', n::text,
    'eventTimestamp', '2026-10-0' || n || 'T00:00:00Z'))))
FROM unnest('{b,a,VOID,B,b,Z,ä}'::text[]) WITH ORDINALITY AS v(alias, n);
SELECT create_customer_alias('{"customerId": "mine", "value": "b"}') ->> 'customerId';
SELECT jsonb_array_elements(list_usage_customers() -> 'items');
SELECT list_usage_customers() -> 'pagination';
-- pages, there and back
CREATE FUNCTION aliases_of(page jsonb) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(i ->> 'customerAlias', ' ' ORDER BY n)
    FROM jsonb_array_elements(page -> 'items') WITH ORDINALITY AS a(i, n) $$;
SELECT list_usage_customers(2) AS first \gset
SELECT list_usage_customers(2, after => :'first'::jsonb -> 'pagination' ->> 'after') AS second \gset
SELECT list_usage_customers(2, after => :'second'::jsonb -> 'pagination' ->> 'after') AS third \gset
SELECT list_usage_customers(2, before => :'third'::jsonb -> 'pagination' ->> 'before') AS back \gset
SELECT aliases_of(:'first'), aliases_of(:'second'), aliases_of(:'third'), aliases_of(:'back'),
    (:'third'::jsonb -> 'pagination' ->> 'after') IS NULL AS ends, (:'first'::jsonb -> 'pagination' ->> 'before') IS NULL AS begins;
-- the last event of all types; so many of them, and no more
SELECT count(create_usage_event(jsonb_build_object('customerAlias', 'Z', 'eventType', type, 'eventTimestamp', '2026-10-1' || n || 'T00:00:00Z')))
FROM unnest('{late,later,and late}'::text[]) WITH ORDINALITY AS t(type, n);
SELECT jsonb_array_elements(list_usage_customers(3) -> 'items') ->> 'lastEventTimestamp';
SET usage_events.list_lookup_limit = 6;
SELECT faults('SELECT list_usage_customers()');
SELECT faults('SELECT list_usage_customers(1)') LIKE '{"items"%' AS fewer;
RESET usage_events.list_lookup_limit;
-- what comes or goes between two pages moves nobody
SELECT create_usage_event('{"customerAlias": "A", "eventType": "call"}') ->> 'customerAlias';
SELECT aliases_of(list_usage_customers(2, after => :'first'::jsonb -> 'pagination' ->> 'after'));
-- an alias with many events costs no more than another: the index leads from one to the next
SELECT count(create_usage_event(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'customerEventId', alias || n)))
FROM unnest('{VOID,Z}'::text[]) AS alias, generate_series(1, 2000) AS n;
CREATE FUNCTION rows_read() RETURNS bigint LANGUAGE sql AS $$ SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0)::bigint FROM pg_stat_xact_all_tables
    WHERE schemaname = 'usage_events' AND relname = 'event' $$;
BEGIN;
SELECT aliases_of(list_usage_customers());
SELECT rows_read() < 1000 AS few_were_read;
COMMIT;

-- types, of the newest events
SELECT create_usage_event('{"customerAlias": "a", "eventType": "sent", "eventTimestamp": "2026-10-01T00:00:00Z"}') ->> 'eventType';
SELECT i ->> 'eventType', i ->> 'eventCount' FROM jsonb_array_elements(list_usage_event_types() -> 'items') AS i;
SELECT list_usage_event_types() -> 'sample';
SET usage_events.sample_limit = 1;
SELECT list_usage_event_types();
RESET usage_events.sample_limit;

-- properties: names, types, examples
SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', 'a', 'eventType', 'properties', 'eventProperties', p) ORDER BY n)))
FROM (VALUES (1, '{"n": 1, "t": "x", "b": true, "o": {}, "l": [], "0": null}'::jsonb), (2, '{"n": "1", "t": "y"}'), (3, '{"n": 1.0, "t": "z", "b": null}'),
    (4, '{"n": 2, "t": "w", "o": 5}'), (5, jsonb_build_object('long', repeat('x', 101), repeat('n', 255), 1, repeat('m', 256), 1, 'big', 1e101))) AS v(n, p);
SELECT jsonb_array_elements(list_usage_event_properties('properties') -> 'items');
-- a name that is too long is left out, and so is what is beyond a thousand
SELECT list_usage_event_properties('properties') -> 'sample';
SELECT create_usage_event(jsonb_build_object('customerAlias', 'a', 'eventType', 'many', 'eventProperties', jsonb_object_agg(n, n))) IS NOT NULL
FROM generate_series(1, 1001) AS n;
SELECT jsonb_array_length(p -> 'items'), p -> 'sample' FROM list_usage_event_properties('many') AS p;
-- of another type, or older than the sample, there is nothing to tell
SELECT list_usage_event_properties('nothing'), list_usage_event_properties(NULL);
SET usage_events.sample_limit = 1;
SELECT list_usage_event_properties('properties');
RESET usage_events.sample_limit;

-- refused events: the newest first, in pages
SELECT ingest_usage_events('[{}, 1, {"customerAlias": "a"}]') ->> 'refused';
SELECT i ->> 'body', i -> 'faults', (i ->> 'rejectedAt')::timestamptz > now() - interval '1 hour'
FROM jsonb_array_elements(list_rejected_usage_events() -> 'items') AS i;
SELECT list_rejected_usage_events(2) AS first \gset
SELECT list_rejected_usage_events(2, after => :'first'::jsonb -> 'pagination' ->> 'after') AS second \gset
SELECT jsonb_array_length(:'second'::jsonb -> 'items'), :'second'::jsonb #>> '{items,0,body}', :'second'::jsonb #>> '{pagination,totalResultSize}',
    list_rejected_usage_events(2, before => :'second'::jsonb -> 'pagination' ->> 'before') -> 'items' = :'first'::jsonb -> 'items';
-- given up once
SELECT delete_rejected_usage_event(id) - '{id,rejectedAt}'::text[] FROM rejected_usage_events WHERE body = '1';
SELECT delete_rejected_usage_event((:'first'::jsonb #>> '{items,1,id}')::uuid) IS NULL, delete_rejected_usage_event(NULL) IS NULL;
SELECT body FROM rejected_usage_events ORDER BY id;
SELECT (retry_rejected_usage_events('{}') ->> 'refused'), retry_rejected_usage_events() ->> 'refused';

-- another account has nothing of it
SELECT usage_events.create_account('another') AS account \gset
SET usage_events.account_id = :'account';
SELECT list_usage_customers() -> 'items', list_usage_event_types(), list_usage_event_properties('call') -> 'items', list_rejected_usage_events() -> 'items';
SELECT get_usage_status() - '{newestEventAgeSeconds,refreshLagSeconds}'::text[];
RESET usage_events.account_id;
SELECT count(*) FROM jsonb_object_keys(get_usage_status());

-- refusals
SELECT n, faults(call) FROM (VALUES (1, 'SELECT list_usage_customers(0)'), (2, 'SELECT list_usage_customers(101, after => ''x'', before => ''y'')'),
    (3, 'SELECT list_usage_customers(after => ''x'')'), (4, 'SELECT list_usage_customers(before => list_rejected_usage_events(1) #>> ''{pagination,after}'')'),
    (5, 'SELECT list_rejected_usage_events(0, after => ''x'')'),
    (6, 'SELECT list_rejected_usage_events(after => list_usage_customers(1) #>> ''{pagination,after}'')')
) AS v(n, call) ORDER BY n;

\pset format aligned
\pset tuples_only off
DROP FUNCTION faults(text), aliases_of(jsonb), rows_read();
\i test/helpers/empty.sql
