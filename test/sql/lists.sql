-- Lists of usage events: filters, orders, pages; faults all at once.
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.customer_alias;
SELECT usage_events.create_account('other') AS other \gset
SELECT usage_events.create_event(:'other',
    '{"customerEventId": "o-1", "customerAlias": "acme", "eventType": "login", "eventTimestamp": "2026-10-01T00:00:00Z"}') IS NOT NULL AS of_another_account;
-- e-1 to e-12, created in that order; by fours they have the same timestamp, the later ones the earlier
SELECT count(create_usage_event(jsonb_build_object('customerEventId', 'e-' || n, 'customerAlias', (ARRAY['acme', 'globex', 'VOID', 'initech'])[1 + n % 4],
    'eventType', CASE n % 3 WHEN 0 THEN 'login' ELSE 'call' END, 'eventTimestamp', '2026-10-0' || 4 - (n + 3) / 4 || 'T00:00:00Z')))
FROM generate_series(1, 12) AS n;
SELECT string_agg(concat_ws(' ', substr(customer_event_id, 3), customer_alias, event_type, to_char(event_timestamp AT TIME ZONE 'UTC', 'DD')),
    ', ' ORDER BY id) AS events
FROM usage_events WHERE account_id = usage_events.current_account_id();

-- a page in one line: the numbers of its events, its total, and where it leads
CREATE FUNCTION shown(page jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT string_agg(substr(item ->> 'customerEventId', 3), ' ' ORDER BY n)
        FROM jsonb_array_elements(page -> 'items') WITH ORDINALITY AS i(item, n)), 'none')
        || ' of ' || coalesce(page #>> '{pagination,totalResultSize}', 'null')
        || CASE WHEN page #>> '{pagination,before}' IS NULL THEN '' ELSE ', before' END || CASE
            WHEN page #>> '{pagination,after}' IS NULL THEN '' ELSE ', after' END $$;
\pset format unaligned
\pset tuples_only on

-- defaults, and what a page is made of
SELECT shown(list_usage_events());
SELECT jsonb_pretty(list_usage_events(event_type => 'nothing'));
SELECT bool_and(item = get_usage_event((item ->> 'id')::uuid)) AS items_are_events FROM jsonb_array_elements(list_usage_events(100) -> 'items') AS item;
SELECT shown(list_usage_events(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) AS nulls_are_defaults;
SELECT create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerEventId', 'x-' || n, 'customerAlias', 'many', 'eventType', 'many'))
    FROM generate_series(1, 9) AS n)) IS NOT NULL;
SELECT shown(list_usage_events());
DELETE FROM usage_events.event WHERE customer_alias = 'many';
SET usage_events.account_id = :'other';
SELECT shown(list_usage_events());
RESET usage_events.account_id;

-- every argument
SELECT shown(list_usage_events(5)), shown(list_usage_events(1)), shown(list_usage_events(100));
SELECT shown(list_usage_events(5, page_offset => 5)), shown(list_usage_events(5, page_offset => 11)), shown(list_usage_events(page_offset => 12)),
    shown(list_usage_events(page_offset => 10000));
SELECT shown(list_usage_events(sort_order => 'asc')), shown(list_usage_events(sort_order => 'Desc'));
SELECT shown(list_usage_events(sort_by => 'eventTimestamp')), shown(list_usage_events(sort_by => 'eventTimestamp', sort_order => 'ASC'));
SELECT shown(list_usage_events(customer_aliases => '{acme}')), shown(list_usage_events(customer_aliases => '{acme, globex, acme, nobody}')),
    shown(list_usage_events(customer_aliases => '{VOID, NULL}'));
SELECT shown(list_usage_events(customer_aliases => '{}')), shown(list_usage_events(customer_aliases => '{NULL}')),
    shown(list_usage_events(customer_aliases => '{Acme, acm%}'));
SELECT shown(list_usage_events(customer_aliases => '{{acme}, {globex}}'));
SELECT shown(list_usage_events(event_type => 'login')), shown(list_usage_events(event_type => 'Login')), shown(list_usage_events(event_type => ''));
SELECT shown(list_usage_events(2, customer_aliases => '{acme, globex}', event_type => 'call', sort_by => 'eventTimestamp', sort_order => 'ASC',
    event_timestamp_after => '2026-10-02Z'));
-- an id: the event's in any spelling, or the sender's
SELECT shown(list_usage_events(event_id => 'e-7')), shown(list_usage_events(event_id => '7')), shown(list_usage_events(event_id => 'o-1')),
    shown(list_usage_events(event_id => ''));
SELECT shown(list_usage_events(event_id => id::text)), shown(list_usage_events(event_id => upper(id::text))) FROM usage_events WHERE customer_event_id = 'e-7';
SELECT shown(list_usage_events(event_id => id::text)) AS of_another_account FROM usage_events WHERE customer_event_id = 'o-1';
SELECT create_usage_event(jsonb_build_object('customerEventId', id, 'customerAlias', 'acme', 'eventType', 'call')) IS NOT NULL FROM usage_events
    WHERE customer_event_id = 'e-7';
SELECT jsonb_array_length(list_usage_events(event_id => id::text) -> 'items') AS one_by_each_id FROM usage_events WHERE customer_event_id = 'e-7';
DELETE FROM usage_events.event WHERE customer_event_id !~ '^[eo]-';
-- a period has its first moment and not its last
SELECT shown(list_usage_events(event_timestamp_after => '2026-10-02Z')), shown(list_usage_events(event_timestamp_before => '2026-10-02Z'));
SELECT shown(list_usage_events(event_timestamp_after => '2026-10-01 23:59:59.999999Z', event_timestamp_before => '2026-10-02 00:00:00.000001Z'));
SELECT shown(list_usage_events(event_timestamp_after => '2026-10-02Z', event_timestamp_before => '2026-10-02Z')),
    shown(list_usage_events(event_timestamp_after => '2026-10-03Z', event_timestamp_before => '2026-10-01Z'));
SELECT shown(list_usage_events(event_timestamp_after => '-infinity', event_timestamp_before => 'infinity'));
-- aliases that are mapped to nobody: by value and by customer; VOID is never among them, others' mappings count nothing
SELECT shown(list_usage_events(unmapped_aliases_only => true)), shown(list_usage_events(unmapped_aliases_only => false));
SELECT create_customer_alias('{"customerId": "customer-1", "value": "acme"}') ->> 'id' AS alias,
    create_customer_alias('{"customerId": "globex", "value": "g"}') IS NOT NULL AS by_customer \gset
SELECT shown(list_usage_events(unmapped_aliases_only => true)), shown(list_usage_events(1, unmapped_aliases_only => true, event_type => 'call')),
    shown(list_usage_events(unmapped_aliases_only => true, customer_aliases => '{acme, VOID}'));
SELECT shown(list_usage_events(unmapped_aliases_only => true, sort_by => 'eventTimestamp', customer_aliases => '{acme, initech}'));
SELECT delete_customer_alias(:'alias') IS NOT NULL;
SELECT shown(list_usage_events(unmapped_aliases_only => true));
SET usage_events.account_id = :'other';
SELECT shown(list_usage_events(unmapped_aliases_only => true));
RESET usage_events.account_id;
-- every combination of filters and orders is what SQL says, and its total; counted beforehand or not, which leads to other statements
PREPARE combinations AS
SELECT count(*) AS lists, sum(cardinality(expected)) AS events, count(*) FILTER (WHERE listed IS DISTINCT FROM expected) AS wrong,
       count(*) FILTER (WHERE total = cardinality(expected)) AS counted, count(*) FILTER (WHERE total <> cardinality(expected)) AS miscounted
FROM unnest(ARRAY['createdAt', 'eventTimestamp']) AS sort_by, unnest(ARRAY['ASC', 'DESC']) AS sort_order,
    (VALUES (NULL::text[]), ('{}'), ('{acme}'), ('{globex,VOID}')) AS a(aliases),
     (VALUES (NULL), ('call')) AS t(type), (VALUES (NULL), ('e-5')) AS i(event_id), unnest('{false,true}'::boolean[]) AS unmapped,
     (VALUES (NULL::timestamptz, NULL::timestamptz), ('2026-10-02Z', NULL), ('2026-10-01Z', '2026-10-03Z')) AS p(first, beyond),
     LATERAL (SELECT list_usage_events(100, NULL, NULL, 0, sort_by, sort_order, aliases, unmapped, type, event_id, beyond, first) AS page) AS l,
     LATERAL (SELECT (page #>> '{pagination,totalResultSize}')::integer AS total,
         ARRAY(SELECT item ->> 'customerEventId' FROM jsonb_array_elements(page -> 'items') AS item) AS listed) AS m,
     LATERAL (SELECT coalesce(array_agg(customer_event_id ORDER BY place * CASE sort_order WHEN 'ASC' THEN 1 ELSE -1 END), '{}') AS expected
         FROM (SELECT *, row_number() OVER (ORDER BY CASE sort_by WHEN 'createdAt' THEN NULL ELSE event_timestamp END, id) AS place FROM usage_events
             WHERE account_id = usage_events.current_account_id()) AS e
         WHERE (aliases IS NULL OR customer_alias = ANY (aliases)) AND (type IS NULL OR event_type = type)
             AND (i.event_id IS NULL OR customer_event_id = i.event_id)
           AND (first IS NULL OR event_timestamp >= first) AND (beyond IS NULL OR event_timestamp < beyond)
           AND (NOT unmapped OR customer_alias IN (SELECT customer_alias FROM unmapped_customer_aliases))) AS e;
EXECUTE combinations;
SET usage_events.list_total_limit = 0;
EXECUTE combinations;
RESET usage_events.list_total_limit;
DEALLOCATE combinations;

-- Pages, forward to the end and back to the begin: the whole list, each event once.
CREATE FUNCTION walk(page_limit integer, sort_by text, sort_order text, filter text[], forward boolean)
    RETURNS TABLE (ids text[], pages integer, totals text[]) LANGUAGE plpgsql AS $$
DECLARE
    page jsonb := list_usage_events(page_limit, sort_by => sort_by, sort_order => sort_order, customer_aliases => filter);
    page_ids text[];
BEGIN
    -- backward from the last page of all
    WHILE NOT forward AND page #>> '{pagination,after}' IS NOT NULL LOOP
        page := list_usage_events(page_limit, page #>> '{pagination,after}', sort_by => sort_by, sort_order => sort_order, customer_aliases => filter);
    END LOOP;
    pages := 0;
    LOOP
        SELECT array_agg(item ->> 'id' ORDER BY n) INTO page_ids FROM jsonb_array_elements(page -> 'items') WITH ORDINALITY AS i(item, n);
        ids := CASE WHEN forward THEN ids || page_ids ELSE page_ids || ids END;
        pages := pages + 1;
        totals := array_append(totals, page #>> '{pagination,totalResultSize}');
        IF forward THEN
            EXIT WHEN page #>> '{pagination,after}' IS NULL;
            page := list_usage_events(page_limit, page #>> '{pagination,after}', NULL, 0, sort_by, sort_order, filter);
        ELSE
            EXIT WHEN page #>> '{pagination,before}' IS NULL;
            page := list_usage_events(page_limit, NULL, page #>> '{pagination,before}', 0, sort_by, sort_order, filter);
        END IF;
    END LOOP;
    RETURN NEXT;
END $$;
\pset tuples_only off
SELECT sort_by, sort_order, page_limit, filter IS NOT NULL AS filtered, forward.pages, forward.ids = expected AS forward, backward.ids = expected AS backward,
       array_remove(forward.totals || backward.totals, cardinality(expected)::text) AS other_totals
FROM unnest(ARRAY['createdAt', 'eventTimestamp']) AS sort_by, unnest(ARRAY['ASC', 'DESC']) AS sort_order,
     unnest(ARRAY[1, 3, 4, 100]) AS page_limit, (VALUES (NULL::text[]), ('{acme,initech}')) AS f(filter),
     walk(page_limit, sort_by, sort_order, filter, true) AS forward, walk(page_limit, sort_by, sort_order, filter, false) AS backward,
     LATERAL (SELECT array_agg(id::text ORDER BY row_number * CASE sort_order WHEN 'ASC' THEN 1 ELSE -1 END) AS expected
         FROM (SELECT id, row_number() OVER (ORDER BY CASE sort_by WHEN 'createdAt' THEN NULL ELSE event_timestamp END, id) FROM usage_events
             WHERE account_id = usage_events.current_account_id() AND (filter IS NULL OR customer_alias = ANY (filter))) AS e) AS e
ORDER BY sort_by, sort_order, page_limit, filtered;
\pset tuples_only on
-- an offset counts from the cursor, in the direction of reading
SELECT list_usage_events(2) #>> '{pagination,after}' AS after \gset
SELECT shown(list_usage_events(2, :'after')), shown(list_usage_events(2, :'after', page_offset => 3)), shown(list_usage_events(2, :'after', page_offset => 10));
SELECT list_usage_events(2, page_offset => 8) #>> '{pagination,before}' AS before \gset
SELECT shown(list_usage_events(2, before => :'before')), shown(list_usage_events(2, before => :'before', page_offset => 3)),
    shown(list_usage_events(2, before => :'before', page_offset => 8));
-- it may be written in either base64, with its padding or without
SELECT shown(list_usage_events(2, translate(:'after', '-_', '+/'))), shown(list_usage_events(2, rpad(:'after', (length(:'after') + 3) / 4 * 4, '=')));
-- the total: exact, or not counted, also where a fifth as many customers would have to be looked for; that of the first page goes with the cursor
SET usage_events.list_total_limit = 11;
SELECT shown(list_usage_events(2)), shown(list_usage_events(2, event_type => 'call')), shown(list_usage_events(2, :'after')),
    shown(list_usage_events(2, unmapped_aliases_only => true, event_timestamp_after => '2026-10-02Z'));
SELECT shown(list_usage_events(2, page #>> '{pagination,after}')) FROM list_usage_events(2) AS page;
SET usage_events.list_total_limit = 12;
SELECT shown(list_usage_events(2)), shown(list_usage_events(2, unmapped_aliases_only => true));
SET usage_events.list_total_limit = 0;
SELECT shown(list_usage_events(2)), shown(list_usage_events(2, event_type => 'nothing'));
RESET usage_events.list_total_limit;
-- what comes later is not of the list; what is corrected is shown as it was there, and as it is in a new list only
SELECT list_usage_events(2, customer_aliases => '{VOID}') #>> '{pagination,after}' AS after_void \gset
SELECT create_usage_event('{"customerEventId": "e-2", "customerAlias": "new", "eventType": "new"}') ->> 'customerAlias',
    create_usage_event('{"customerEventId": "e-13", "customerAlias": "VOID", "eventType": "new"}') ->> 'customerAlias';
SELECT create_usage_event('{"customerEventId": "e-2", "customerAlias": "newer", "eventType": "new"}') ->> 'customerAlias';
SELECT shown(list_usage_events(100, :'after')), list_usage_events(100, :'after') #>> '{items,8,customerAlias}';
SELECT shown(list_usage_events(2, :'after_void', customer_aliases => '{VOID}')), shown(list_usage_events(100, customer_aliases => '{VOID}'));
SELECT shown(list_usage_events(100)), list_usage_events(100) #>> '{items,0,customerAlias}';
-- another account's cursor shows nothing but one's own
SET usage_events.account_id = :'other';
SELECT jsonb_path_query_array(list_usage_events(100, :'after'), '$.items[*].customerEventId');
RESET usage_events.account_id;

-- Faults: every one, by its name in the HTTP API.
\i test/helpers/outcome.sql
CREATE FUNCTION faults(arguments text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN answer ELSE concat_ws(' ', state, message || ':', detail) END
    FROM pg_temp.outcome(format('SELECT shown(list_usage_events(%s))', arguments)) $$;
SELECT list_usage_events(0, page_offset => -1, sort_by => 'id', sort_order => 'up', after => 'x', before => 'y');
\echo :LAST_ERROR_SQLSTATE
SELECT list_usage_events(101, after => 'x');
SELECT arguments, faults(arguments) FROM unnest(ARRAY['-2147483648', '2147483647', 'page_offset => 10001', 'sort_by => $$createdat$$', 'sort_by => $$$$',
    'sort_order => $$ASC $$', 'sort_order => $$$$', 'after => $$$$, before => $$$$']) WITH ORDINALITY AS f(arguments, n) ORDER BY n;
SELECT name, faults(format('2, after => %L', cursor)), faults(format('2, before => %L', cursor))
    FROM (VALUES (1, 'empty', ''), (2, 'blank', ' '), (3, 'no base64', 'a cursor'), (4, 'another text', 'AAAA'),
    (5, 'an id', (SELECT id::text FROM usage_events WHERE customer_event_id = 'e-1')),
    (6, 'cut at its end', left(:'after', -1)), (7, 'cut at its begin', substr(:'after', 2)), (8, 'longer', :'after' || 'A'), (9, 'twice', :'after' || :'after'),
    (10, 'with another version', 'B' || substr(:'after', 2)),
    (11, 'with one letter changed', overlay(:'after' PLACING CASE substr(:'after', 30, 1) WHEN 'x' THEN 'y' ELSE 'x' END FROM 30)),
    (12, 'in capitals', upper(:'after')), (13, 'of another order', list_usage_events(1, sort_by => 'eventTimestamp') #>> '{pagination,after}'),
    (14, 'of another direction', list_usage_events(1, sort_order => 'ASC') #>> '{pagination,after}'))
AS c(n, name, cursor) ORDER BY n;
-- of the same order, but of other filters, or of another list
SELECT faults(format('2, after => %L, %s', :'after', filter))
    FROM unnest(ARRAY['event_type => $$call$$', 'event_id => $$$$', 'customer_aliases => $${}$$', 'unmapped_aliases_only => true',
    'event_timestamp_after => $$2026-10-01Z$$', 'event_timestamp_before => $$2026-10-01Z$$', 'unmapped_aliases_only => false'])
        WITH ORDINALITY AS f(filter, n) ORDER BY n;
SELECT list_customer_aliases(2, :'after');
-- every letter of it is guarded
SELECT count(*) FILTER (WHERE faults(format('2, %L', overlay(:'after' PLACING CASE substr(:'after', n, 1) WHEN 'A' THEN 'Q' ELSE 'A' END
    FROM n))) !~ '^22023 invalid parameters of a list: "after" is ') AS accepted
FROM generate_series(1, length(:'after')) AS n;

-- A list looks through so many corrections since its first page, and no more; and through so many aliases for those of nobody.
SELECT count(DISTINCT superseded_by) AS corrections FROM usage_event_history WHERE superseded_by IS NOT NULL;
SET usage_events.list_lookup_limit = 2;
SELECT shown(list_usage_events(2, :'after'));
SET usage_events.list_lookup_limit = 1;
SELECT shown(list_usage_events(2, :'after'));
\echo :LAST_ERROR_SQLSTATE
SELECT shown(list_usage_events(2, page #>> '{pagination,after}')) FROM list_usage_events(2) AS page;
SELECT count(DISTINCT customer_alias) AS aliases FROM usage_events \gset
SET usage_events.list_lookup_limit = :aliases;
SELECT shown(list_usage_events(2, unmapped_aliases_only => true));
SELECT :aliases - 1 AS fewer \gset
SET usage_events.list_lookup_limit = :fewer;
SELECT list_usage_events(2, unmapped_aliases_only => true);
\echo :LAST_ERROR_SQLSTATE
SELECT shown(list_usage_events(2, unmapped_aliases_only => true, customer_aliases => '{newer,alice,VOID,newer,nobody}'));
RESET usage_events.list_lookup_limit;

\pset format aligned
\pset tuples_only off
DROP FUNCTION faults(text), walk(integer, text, text, text[], boolean), shown(jsonb);
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.customer_alias;
DELETE FROM usage_events.account WHERE account_id = :'other';
