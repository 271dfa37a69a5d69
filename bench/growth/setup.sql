-- An event as text, which is made in less time than it is stored.
CREATE FUNCTION bench_event(key_order text, step int, n int) RETURNS text LANGUAGE sql AS $$
    SELECT format('{"customerEventId": "%s", "customerAlias": "customer-%s", "eventType": "type-%s", "eventTimestamp": "%sZ",'
        ' "eventProperties": {"length": %s, "type": "text_message", "channel": "sms", "region": "eu-west-1"}}',
        CASE key_order WHEN 'ascending' THEN uuid_v7() ELSE gen_random_uuid() END, (random() * 9999)::int, n % 5,
        replace((timestamp '2026-01-01' + (step - 1 + random()) * interval '1 day')::text, ' ', 'T'), (random() * 1000)::int)
$$;

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
            SELECT '[' || string_agg(bench_event(key_order, step, n), ',') || ']' INTO body FROM generate_series(1, 10000) AS n;
            began := clock_timestamp();
            EXECUTE statement USING body::jsonb;
            COMMIT;
            spent := spent + (clock_timestamp() - began);
        END LOOP;
        RAISE NOTICE '% %', step, round(1000000 / extract(epoch FROM spent));
    END LOOP;
END
$$;
