-- What a careful user would write without the extension: the same rules, the same
-- rows, the same answer, in PL/pgSQL; and the indexes that such a table needs: the key, and a customer's time.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS by_hand CASCADE;
CREATE SCHEMA by_hand;
CREATE TABLE by_hand.event (LIKE usage_events.event, PRIMARY KEY (account_id, customer_event_id));
CREATE INDEX ON by_hand.event (account_id, customer_alias, event_timestamp);
CREATE TABLE by_hand.superseded_event (LIKE usage_events.superseded_event, PRIMARY KEY (account_id, customer_event_id, id));

CREATE OR REPLACE FUNCTION create_usage_event_plpgsql(body jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account uuid := usage_events.current_account_id();
    new_id uuid := uuid_v7();
    key text := body ->> 'customerEventId';
    moment text := body ->> 'eventTimestamp';
    properties jsonb := coalesce(body -> 'eventProperties', '{}');
    faults text[] := '{}';
    event_at timestamptz;
    stored by_hand.event;
    field text;
BEGIN
    IF body IS NULL OR jsonb_typeof(body) <> 'object' THEN
        RAISE EXCEPTION 'invalid usage event' USING ERRCODE = '22023';
    END IF;

    FOREACH field IN ARRAY '{customerAlias,eventType,customerEventId}'::text[] LOOP
        CONTINUE WHEN field = 'customerEventId' AND body ->> field IS NULL;
        IF jsonb_typeof(body -> field) IS DISTINCT FROM 'string' THEN
            faults := faults || format('"%s" must be a string', field);
        ELSIF body ->> field !~ '\S' THEN
            faults := faults || format('"%s" must not be blank', field);
        ELSIF length(body ->> field) > 255 THEN
            faults := faults || format('"%s" is too long', field);
        END IF;
    END LOOP;
    key := coalesce(key, new_id::text);

    IF moment IS NULL THEN
        event_at := clock_timestamp();
    ELSIF jsonb_typeof(body -> 'eventTimestamp') = 'string'
        AND moment ~* '^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)$' THEN
        BEGIN
            -- cut to microseconds, where the server would round
            event_at := regexp_replace(replace(moment, ',', '.'), '(\.\d{6})\d+', '\1')::timestamptz;
            IF event_at NOT BETWEEN '0001-01-01Z' AND '9999-12-31 23:59:59.999999Z' OR moment ~ 'T24' THEN
                faults := faults || '"eventTimestamp" is out of range'::text;
            END IF;
        EXCEPTION WHEN data_exception THEN
            faults := faults || '"eventTimestamp" does not exist'::text;
        END;
    ELSE
        faults := faults || '"eventTimestamp" must be ISO 8601 with an offset'::text;
    END IF;

    IF jsonb_typeof(properties) <> 'object' THEN
        faults := faults || '"eventProperties" must be an object'::text;
    ELSIF pg_column_size(properties) > 65536 THEN
        faults := faults || '"eventProperties" is too large'::text;
    END IF;
    IF faults <> '{}' THEN
        RAISE EXCEPTION 'invalid usage event' USING ERRCODE = '22023', DETAIL = array_to_string(faults, E'\n');
    END IF;

    INSERT INTO by_hand.event
        (account_id, customer_event_id, id, event_timestamp, customer_alias, event_type, event_properties)
    VALUES (account, key, new_id, event_at, body ->> 'customerAlias', body ->> 'eventType', properties)
    ON CONFLICT (account_id, customer_event_id) DO NOTHING;
    IF NOT found THEN
        SELECT * INTO stored FROM by_hand.event
        WHERE account_id = account AND customer_event_id = key FOR UPDATE;
        IF stored.customer_alias = body ->> 'customerAlias' AND stored.event_type = body ->> 'eventType'
            AND stored.event_properties = properties AND (moment IS NULL OR stored.event_timestamp = event_at) THEN
            new_id := stored.id;
            event_at := stored.event_timestamp;
        ELSE
            INSERT INTO by_hand.superseded_event
                (account_id, id, event_timestamp, superseded_at, superseded_by, customer_event_id,
                 customer_alias, event_type, event_properties)
            VALUES (account, stored.id, stored.event_timestamp, clock_timestamp(), new_id, key,
                    stored.customer_alias, stored.event_type, stored.event_properties);
            UPDATE by_hand.event
            SET id = new_id, event_timestamp = event_at, customer_alias = body ->> 'customerAlias',
                event_type = body ->> 'eventType', event_properties = properties
            WHERE account_id = account AND customer_event_id = key;
        END IF;
    END IF;

    RETURN jsonb_build_object(
        'id', new_id, 'customerEventId', key, 'customerAlias', body ->> 'customerAlias',
        'eventType', body ->> 'eventType', 'sequenceAccountId', account,
        'eventTimestamp', regexp_replace(to_char(event_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '\.?0+$', '') || 'Z',
        'eventProperties', properties);
END
$$;
