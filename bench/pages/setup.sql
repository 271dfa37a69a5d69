-- Events of a thousand customers, unevenly, in ten types; and cursors at random depths.
CREATE TABLE bench_cursor (n int, cursor text);

CREATE PROCEDURE bench_fill(from_event int, to_event int) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
    SELECT usage_events.current_account_id(), uuid_v7(), timestamptz '2026-01-01Z' + n * interval '0.5 s' + random() * interval '1 min',
           'event-' || n, 'customer-' || (random() ^ 2 * 1000)::int, 'type-' || n % 10, '{"length": 500, "type": "text_message"}'
    FROM generate_series(from_event, to_event) AS n;
END
$$;

-- From cursor to cursor through the whole list, in 500 steps.
CREATE PROCEDURE bench_cursors() LANGUAGE plpgsql AS $$
DECLARE
    step int := (SELECT count(*) / 510 FROM usage_events.event);
    cursor text;
BEGIN
    TRUNCATE bench_cursor;
    FOR n IN 0 .. 499 LOOP
        cursor := list_usage_events(1, after => cursor, page_offset => step) #>> '{pagination,after}';
        INSERT INTO bench_cursor SELECT n / 25, cursor WHERE n % 25 = 0;
    END LOOP;
END
$$;
