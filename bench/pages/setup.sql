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

CREATE PROCEDURE bench_cursors() LANGUAGE plpgsql AS $$
DECLARE
    events bigint := (SELECT count(*) FROM usage_events.event);
BEGIN
    TRUNCATE bench_cursor;
    INSERT INTO bench_cursor
    SELECT n, list_usage_events(page_offset => (random() * (events - 100))::int) #>> '{pagination,after}'
    FROM generate_series(0, 19) AS n;
END
$$;
