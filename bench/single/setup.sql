-- What a careful user would write without the extension: the same rules, the same
-- tables, the same answer, in PL/pgSQL.

CREATE FUNCTION create_usage_event_plpgsql(body jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account uuid := usage_events.current_account_id();
    faults text[] := '{}';
    new_id uuid := uuid_v7();
    key text;
    at timestamptz;
    properties jsonb := coalesce(body -> 'eventProperties', '{}');
    stored usage_events.event;
    field text;
BEGIN
    IF body IS NULL OR jsonb_typeof(body) <> 'object' THEN
        RAISE EXCEPTION 'invalid usage event' USING ERRCODE = '22023';
    END IF;
    FOREACH field IN ARRAY '{customerAlias,eventType}'::text[] LOOP
        IF jsonb_typeof(body -> field) IS DISTINCT FROM 'string' THEN
            faults := faults || format('"%s" must be a string', field);
        ELSIF btrim(body ->> field) = '' THEN
            faults := faults || format('"%s" must not be blank', field);
        ELSIF length(body ->> field) > 255 THEN
            faults := faults || format('"%s" is too long', field);
        END IF;
    END LOOP;
    key := body ->> 'customerEventId';
    IF key IS NULL THEN
        key := new_id::text;
    ELSIF jsonb_typeof(body -> 'customerEventId') <> 'string' OR btrim(key) = '' OR length(key) > 255 THEN
        faults := faults || '"customerEventId" is wrong'::text;
    END IF;
    IF body ->> 'eventTimestamp' IS NULL THEN
        at := clock_timestamp();
    ELSIF body ->> 'eventTimestamp' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)$' THEN
        BEGIN
            at := (body ->> 'eventTimestamp')::timestamptz;
        EXCEPTION WHEN others THEN
            faults := faults || '"eventTimestamp" is wrong'::text;
        END;
    ELSE
        faults := faults || '"eventTimestamp" is wrong'::text;
    END IF;
    IF jsonb_typeof(properties) <> 'object' OR pg_column_size(properties) > 65536 THEN
        faults := faults || '"eventProperties" is wrong'::text;
    END IF;
    IF faults <> '{}' THEN
        RAISE EXCEPTION 'invalid usage event' USING ERRCODE = '22023', DETAIL = array_to_string(faults, E'\n');
    END IF;

    INSERT INTO usage_events.event
        (account_id, customer_event_id, id, event_timestamp, customer_alias, event_type, event_properties)
    VALUES (account, key, new_id, at, body ->> 'customerAlias', body ->> 'eventType', properties)
    ON CONFLICT (account_id, customer_event_id) DO NOTHING;
    IF NOT found THEN
        SELECT * INTO stored FROM usage_events.event
        WHERE account_id = account AND customer_event_id = key FOR UPDATE;
        IF stored.customer_alias = body ->> 'customerAlias' AND stored.event_type = body ->> 'eventType'
           AND stored.event_properties = properties
           AND (body ->> 'eventTimestamp' IS NULL OR stored.event_timestamp = at) THEN
            new_id := stored.id;
            at := stored.event_timestamp;
        ELSE
            INSERT INTO usage_events.superseded_event
                (account_id, id, event_timestamp, superseded_at, superseded_by, customer_event_id,
                 customer_alias, event_type, event_properties)
            VALUES (account, stored.id, stored.event_timestamp, clock_timestamp(), new_id, key,
                    stored.customer_alias, stored.event_type, stored.event_properties);
            UPDATE usage_events.event
            SET id = new_id, event_timestamp = at, customer_alias = body ->> 'customerAlias',
                event_type = body ->> 'eventType', event_properties = properties
            WHERE account_id = account AND customer_event_id = key;
        END IF;
    END IF;

    RETURN jsonb_build_object(
        'id', new_id, 'customerEventId', key, 'customerAlias', body ->> 'customerAlias',
        'eventType', body ->> 'eventType', 'sequenceAccountId', account,
        'eventTimestamp', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'eventProperties', properties);
END
$$;
