-- Events of a thousand customers, unevenly, in ten types, and in two more, one that is rare and one of long ago; and each list, with its pages.
CREATE TABLE bench_list (name text, filters text);
CREATE TABLE bench_time (middle timestamptz, latest timestamptz);
CREATE TABLE bench_cursor (list text, cursor text);

INSERT INTO bench_list
SELECT filter || ', by ' || sort_by || CASE WHEN sort_order = 'ASC' THEN ', ascending' ELSE '' END,
       format('sort_by => %L, sort_order => %L', sort_by, sort_order) || arguments
FROM unnest(ARRAY['createdAt', 'eventTimestamp']) AS sort_by, unnest(ARRAY['DESC', 'ASC']) AS sort_order,
     (VALUES ('all', ''),
             ('a common type', ', event_type => $$type-3$$'),
             ('a rare type', ', event_type => $$rare$$'),
             ('a type of long ago', ', event_type => $$past$$'),
             ('an absent type', ', event_type => $$none$$'),
             ('any customer', ', customer_aliases => ARRAY[$$customer-$$ || (random() * 1000)::int]'),
             ('a customer of long ago', ', customer_aliases => $${past}$$'),
             ('three customers of a type', ', customer_aliases => $${customer-1,customer-500,customer-900}$$, event_type => $$type-3$$'),
             ('the last hour', ', event_timestamp_after => (SELECT latest - interval $$1 hour$$ FROM bench_time)'),
             ('a past hour', ', event_timestamp_after => (SELECT middle FROM bench_time), event_timestamp_before => (SELECT middle + interval $$1 hour$$ FROM bench_time)'),
             ('unmapped aliases', ', unmapped_aliases_only => true')) AS f(filter, arguments);

CREATE PROCEDURE bench_fill(from_event int, to_event int, is_random boolean) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
    SELECT usage_events.current_account_id(), uuid_v7(),
           timestamptz '2026-01-01Z' + CASE WHEN is_random THEN random() * to_event * interval '0.5 s' ELSE n * interval '0.5 s' + random() * interval '1 min' END,
           'event-' || n, CASE WHEN n BETWEEN 1001 AND 1100 THEN 'past' ELSE 'customer-' || (random() ^ 2 * 1000)::int END,
           CASE WHEN n BETWEEN 1001 AND 3000 THEN 'past' WHEN n % 40000 = 0 THEN 'rare' ELSE 'type-' || n % 10 END, '{"length": 500, "type": "text_message"}'
    FROM generate_series(from_event, to_event) AS n;
    -- half of the customers are known
    INSERT INTO usage_events.customer_alias (account_id, id, customer_id, value, created_at)
    SELECT usage_events.current_account_id(), uuid_v7(), 'c-' || n, 'customer-' || n, now() FROM generate_series(0, 499) AS n
    WHERE NOT EXISTS (SELECT FROM usage_events.customer_alias);
END
$$;

-- Through each list in up to 20 steps, as far as pages may skip.
CREATE PROCEDURE bench_cursors() LANGUAGE plpgsql AS $$
DECLARE
    list record;
    cursor text;
BEGIN
    TRUNCATE bench_cursor, bench_time;
    INSERT INTO bench_time SELECT timestamptz '2026-01-01Z' + (max(event_timestamp) - timestamptz '2026-01-01Z') / 2, max(event_timestamp) FROM usage_events.event;
    FOR list IN SELECT * FROM bench_list WHERE name NOT LIKE 'any customer,%' LOOP
        cursor := NULL;
        FOR n IN 1 .. 20 LOOP
            EXECUTE format('SELECT list_usage_events(1, after => $1, page_offset => 10000, %s) #>> ''{pagination,after}''', list.filters) INTO cursor USING cursor;
            EXIT WHEN cursor IS NULL;
            INSERT INTO bench_cursor VALUES (list.name, cursor);
        END LOOP;
    END LOOP;
END
$$;

-- Milliseconds of first pages and of deep ones, where there are any, in turn.
CREATE FUNCTION bench_pages_of(list text, times int) RETURNS SETOF numeric LANGUAGE plpgsql AS $$
DECLARE
    asked_for text := (SELECT format('SELECT list_usage_events(20, after => $1, %s)', filters) FROM bench_list WHERE name = list);
    cursors text[] := array_prepend(NULL, ARRAY(SELECT cursor FROM bench_cursor AS c WHERE c.list = bench_pages_of.list));
    began timestamptz;
BEGIN
    FOR n IN 0 .. times - 1 LOOP
        began := clock_timestamp();
        EXECUTE asked_for USING cursors[1 + n % cardinality(cursors)];
        RETURN NEXT extract(epoch FROM clock_timestamp() - began) * 1000;
    END LOOP;
END
$$;

CREATE ROLE bench_reader LOGIN;
SELECT usage_events.grant_access('bench_reader', 'read');
GRANT SELECT ON bench_list, bench_cursor, bench_time TO bench_reader;
