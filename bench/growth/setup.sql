-- Loads events in steps of a million, in batches of 10,000, and prints the rate of
-- each step: only the time in the statement, from text, counts.
CREATE PROCEDURE load_steps(millions int, key_order text, statement text) LANGUAGE plpgsql AS $$
DECLARE
    body text;
    began timestamptz;
    spent interval;
BEGIN
    FOR step IN 1 .. millions LOOP
        spent := '0';
        FOR batch IN 0 .. 99 LOOP
            SELECT jsonb_agg(jsonb_build_object(
                'customerEventId', CASE key_order WHEN 'ascending' THEN uuid_v7() ELSE gen_random_uuid() END,
                'customerAlias', 'customer-' || (random() * 9999)::int, 'eventType', 'type-' || n % 5,
                'eventTimestamp', to_json(timestamptz '2026-01-01Z' + (step - 1 + random()) * interval '1 day'),
                'eventProperties', jsonb_build_object('length', (random() * 1000)::int, 'type', 'text_message', 'channel', 'sms', 'region', 'eu-west-1')))::text
            INTO body FROM generate_series(1, 10000) AS n;
            began := clock_timestamp();
            EXECUTE statement USING body::jsonb;
            COMMIT;
            spent := spent + (clock_timestamp() - began);
        END LOOP;
        RAISE NOTICE '% %', step, round(1000000 / extract(epoch FROM spent));
    END LOOP;
END
$$;
