-- Batches of events of October 2026, with 2,000 customers; keys are UUIDs made from a number.

CREATE FUNCTION bench_storage_key(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN md5(n::text)::uuid;

CREATE FUNCTION bench_storage_batch(first bigint, last bigint, version int) RETURNS jsonb LANGUAGE sql VOLATILE

RETURN (SELECT jsonb_agg(jsonb_build_object('customerEventId', bench_storage_key(n), 'customerAlias', 'customer-' || n % 2000, 'eventType', 'message-sent',
    'eventTimestamp', to_json('2026-10-01Z'::timestamptz + n * interval '2 seconds'), 'eventProperties', jsonb_build_object('length', n % 1000, 'type', 'text_message', 'version', version)))
    FROM generate_series(first, last) AS n);

CREATE PROCEDURE bench_storage_fill(first bigint, last bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 0 .. (last - first) / 1000 LOOP
        PERFORM create_usage_events(bench_storage_batch(first + n * 1000, least(last, first + n * 1000 + 999), 1));
        COMMIT;
    END LOOP;
END
$$;

-- Each tenth event of a range is sent again, with other content.
CREATE PROCEDURE bench_storage_correct(events bigint, version int) LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 0 .. events / 1000 - 1 LOOP
        PERFORM create_usage_events((SELECT jsonb_agg(event) FROM jsonb_array_elements(bench_storage_batch(n * 1000 + 1, n * 1000 + 1000, version)) WITH ORDINALITY AS e (event, number) WHERE number % 10 = version % 10));
        COMMIT;
    END LOOP;
END
$$;
