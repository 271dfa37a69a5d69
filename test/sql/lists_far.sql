-- Lists whose events are few among many, or all at the far end of the order: they are not looked for along all others.
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.customer_alias;
-- 600 events of long ago, then 12,000 others, the last five of which have the same type as those, and every 2,000th a type of
-- its own; a moment for each twenty of them
INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
SELECT usage_events.current_account_id(), uuid_v7(), timestamptz '2026-10-01Z' + n / 20 * interval '1 minute', 'e-' || n,
    CASE WHEN n <= 600 THEN 'old-' || n % 3 ELSE 'c-' || n % 7 END,
    CASE WHEN n <= 600 OR n > 12595 THEN 'past' WHEN n % 2000 = 0 THEN 'rare' ELSE 't-' || n % 3 END, '{}'
FROM generate_series(1, 12600) AS n;

-- Pages to the end and back: what they have of the list, in order, which is to be what SQL says of it.
CREATE FUNCTION walked(filters text, forward boolean) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    page jsonb;
    ids text[] := '{}';
    cursor text;
BEGIN
    FOR place IN 1 .. 4 LOOP
        EXECUTE format('SELECT list_usage_events(%s, after => %L)', filters, cursor) INTO page;
        ids := ids || ARRAY(SELECT item ->> 'id' FROM jsonb_array_elements(page -> 'items') WITH ORDINALITY AS i(item, n) ORDER BY n);
        cursor := page #>> '{pagination,after}';
        EXIT WHEN cursor IS NULL;
    END LOOP;
    IF NOT forward THEN
        cursor := page #>> '{pagination,before}';
        EXECUTE format('SELECT list_usage_events(%s, before => %L)', filters, cursor) INTO page;
        ids := ARRAY(SELECT item ->> 'id' FROM jsonb_array_elements(page -> 'items') WITH ORDINALITY AS i(item, n) ORDER BY n);
    END IF;
    RETURN ids;
END $$;
CREATE FUNCTION expected(condition text, sort_order text, forward boolean) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    ids text[];
BEGIN
    EXECUTE format('SELECT ARRAY(SELECT id::text FROM usage_events WHERE %s ORDER BY %s)', condition, sort_order) INTO ids;
    -- four pages of seven; and the third, from the fourth back, or the last but one
    RETURN CASE WHEN forward THEN ids[1:28] WHEN cardinality(ids) > 21 THEN ids[15:21] WHEN cardinality(ids) > 7
        THEN ids[(cardinality(ids) - 1) / 7 * 7 - 6:(cardinality(ids) - 1) / 7 * 7] ELSE ids END;
END $$;
CREATE TABLE list (name text, filters text, condition text);
INSERT INTO list VALUES
    ('all', '', 'true'),
    ('a common type', ', event_type => $$t-1$$', 'event_type = $$t-1$$'),
    ('a rare type', ', event_type => $$rare$$', 'event_type = $$rare$$'),
    ('a past type', ', event_type => $$past$$', 'event_type = $$past$$'),
    ('an absent type', ', event_type => $$none$$', 'event_type = $$none$$'),
    ('a customer', ', customer_aliases => $${c-3}$$', 'customer_alias = $$c-3$$'),
    ('a past customer', ', customer_aliases => $${old-1}$$', 'customer_alias = $$old-1$$'),
    ('a past customer and another', ', customer_aliases => $${old-1,c-3,old-1,nobody}$$', 'customer_alias IN ($$old-1$$, $$c-3$$)'),
    ('a customer''s rare type', ', customer_aliases => $${c-3,c-5}$$, event_type => $$rare$$',
        'customer_alias IN ($$c-3$$, $$c-5$$) AND event_type = $$rare$$'),
    ('a past period', ', event_timestamp_before => $$2026-10-01 00:20Z$$', 'event_timestamp < $$2026-10-01 00:20Z$$'),
    ('a period in the midst', ', event_timestamp_after => $$2026-10-01 02:00Z$$, event_timestamp_before => $$2026-10-01 02:01Z$$',
        'event_timestamp >= $$2026-10-01 02:00Z$$ AND event_timestamp < $$2026-10-01 02:01Z$$'),
    ('a type in a period', ', event_type => $$t-2$$, event_timestamp_before => $$2026-10-01 00:40Z$$',
        'event_type = $$t-2$$ AND event_timestamp < $$2026-10-01 00:40Z$$'),
    ('unmapped', ', unmapped_aliases_only => true', 'customer_alias <> $$c-1$$');
SELECT create_customer_alias('{"customerId": "customer", "value": "c-1"}') IS NOT NULL AS mapped;
PREPARE wrong AS
SELECT name, sort_by, sort_order, forward FROM list, (VALUES ('createdAt', 'id'), ('eventTimestamp', 'event_timestamp')) AS s(sort_by, columns),
    unnest(ARRAY['ASC', 'DESC']) AS sort_order, unnest(ARRAY[true, false]) AS forward
WHERE walked(format('7, sort_by => %L, sort_order => %L', sort_by, sort_order) || filters, forward)
    IS DISTINCT FROM expected(condition, columns || ' ' || sort_order || ', id ' || sort_order, forward);
EXECUTE wrong;
SET usage_events.list_total_limit = 100;
EXECUTE wrong;
RESET usage_events.list_total_limit;
-- totals, which are exact, or null
CREATE FUNCTION total(filters text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    total text;
BEGIN
    EXECUTE format('SELECT coalesce(list_usage_events(%s) #>> ''{pagination,totalResultSize}'', ''null'')', filters) INTO total;
    RETURN total;
END $$;
CREATE FUNCTION counted(condition text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    total bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM usage_events WHERE ' || condition INTO total;
    RETURN total;
END $$;
SET usage_events.list_total_limit = 20000;
SELECT name, counted(condition), total('7' || filters) AS by_id, total('7, sort_by => $$eventTimestamp$$' || filters) AS by_time FROM list;
SET usage_events.list_total_limit = 100;
SELECT name, total('7' || filters) AS by_id, total('7, sort_by => $$eventTimestamp$$' || filters) AS by_time FROM list;
RESET usage_events.list_total_limit;

-- What was corrected while somebody pages is shown as it was, wherever it has gone.
-- (From the last page but one of those at the near end the next leads to the far one.)
CREATE TABLE first_page AS SELECT name, sort_by, filters, list_usage_events(3, sort_by => sort_by, event_type => 'past') AS page
    FROM list, unnest(ARRAY['createdAt', 'eventTimestamp']) AS sort_by WHERE name = 'a past type';
SELECT create_usage_events(jsonb_agg(jsonb_build_object('customerEventId', 'e-' || n, 'customerAlias', 'new',
    'eventType', CASE WHEN n % 2 = 0 THEN 'past' ELSE 't' END))) IS NOT NULL FROM generate_series(585, 592) AS n;
SELECT sort_by, (SELECT string_agg((item ->> 'customerEventId') || ' ' || (item ->> 'customerAlias'), ', ' ORDER BY n)
    FROM jsonb_array_elements(list_usage_events(4, sort_by => sort_by, event_type => 'past', after => page #>> '{pagination,after}') -> 'items')
        WITH ORDINALITY AS i(item, n))
FROM first_page ORDER BY sort_by;

-- What would take too long is refused: so many customers and types, and five times as many events.
SET usage_events.list_lookup_limit = 4;
SELECT list_usage_events(sort_by => 'eventTimestamp');
\echo :LAST_ERROR_SQLSTATE
SELECT list_usage_events(event_type => 'past');
\echo :LAST_ERROR_SQLSTATE
SELECT list_usage_events(event_timestamp_before => '2026-10-01 00:20Z');
-- but not what is found soon
SELECT jsonb_array_length(list_usage_events(event_type => 't-1') -> 'items') AS of_a_common_type,
    jsonb_array_length(list_usage_events(customer_aliases => '{c-2}', sort_by => 'eventTimestamp') -> 'items') AS of_a_customer,
    jsonb_array_length(list_usage_events(event_type => 'past', sort_by => 'eventTimestamp', customer_aliases => '{old-1}') -> 'items') AS of_a_past_one;
RESET usage_events.list_lookup_limit;

DROP TABLE list, first_page;
DROP FUNCTION walked(text, boolean), expected(text, text, boolean), total(text), counted(text);
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.customer_alias;
