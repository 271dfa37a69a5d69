-- outbox.sql: create_usage_event() for a database that cannot have the extension
--
-- Plain SQL and PL/pgSQL, for PostgreSQL 13 and newer.  Events are stored in the transaction of the business change, in the table
-- usage_events.outbox_event; a server of yours that has the extension subscribes to it, and counts each of them once.
-- docs/managed.md says how.  Run it as the owner of the database's tables:  psql -f outbox.sql
--
-- To let a role store events:
--   GRANT USAGE ON SCHEMA usage_events TO app;  GRANT INSERT ON usage_events.outbox_event TO app;
BEGIN;

CREATE SCHEMA usage_events;
COMMENT ON SCHEMA usage_events IS 'Usage events on their way to the server that counts them';

CREATE TABLE usage_events.outbox_event (
    id uuid CONSTRAINT outbox_event_pkey PRIMARY KEY,
    event jsonb NOT NULL
);
COMMENT ON TABLE usage_events.outbox_event IS 'Usage events; rows are added, and deleted by usage_events.trim_outbox()';
COMMENT ON COLUMN usage_events.outbox_event.id IS 'A UUID of version 7: the time inside it is when the event was stored here, to the microsecond';

-- Of two events with one customerEventId the later call counts, and ids tell which that is.
CREATE FUNCTION usage_events.outbox_id(moment timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
SELECT (substr(milliseconds, 1, 8) || '-' || substr(milliseconds, 9) || '-7' || fraction || right(gen_random_uuid()::text, 18))::uuid
FROM (SELECT trunc(extract(epoch FROM moment) * 1000000)::bigint AS microseconds) AS clock,
     LATERAL (SELECT lpad(to_hex(microseconds / 1000), 12, '0') AS milliseconds,
                     lpad(to_hex(microseconds % 1000 * 4096 / 1000), 3, '0') AS fraction) AS hexadecimal
$$;

-- What the server that counts would say of a key, as far as SQL can tell.
CREATE FUNCTION usage_events.key_fault(name text, value jsonb, is_required boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT '"' || name || '" ' || CASE
    WHEN value IS NULL THEN CASE WHEN is_required THEN 'is missing.' END
    WHEN jsonb_typeof(value) = 'null' THEN CASE WHEN is_required THEN 'must be a string.' END
    WHEN jsonb_typeof(value) <> 'string' THEN 'must be a string.'
    WHEN value #>> '{}' ~ '^\s*$' THEN 'must not be blank.'
    WHEN length(value #>> '{}') > 255 THEN 'must have at most 255 characters.'
    WHEN value #>> '{}' ~ '^\s|\s$' THEN 'must not begin or end with white space.'
    WHEN value #>> '{}' ~ '[\x01-\x1f\x7f]' THEN 'must not contain a control character.'
END
$$;

-- The date is looked at without what datetime() of older servers does not know: fractions, Z, and leap seconds.
CREATE FUNCTION usage_events.time_fault(value jsonb) RETURNS text LANGUAGE sql STABLE AS $$
SELECT '"eventTimestamp" ' || CASE
    WHEN value IS NULL OR jsonb_typeof(value) = 'null' THEN NULL
    WHEN jsonb_typeof(value) <> 'string' THEN 'must be a string.'
    WHEN value #>> '{}' !~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d' THEN 'is no time of ISO 8601.'
    WHEN value #>> '{}' !~ '([Zz]|[+-]\d\d(:?\d\d)?)$' THEN 'has no offset from UTC, such as "Z" or "+02:00".'
    WHEN value #>> '{}' !~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?([Zz]|[+-]\d\d(:?\d\d)?)$'
      OR jsonb_path_exists(to_jsonb(substr(value #>> '{}', 1, 10)), '$.datetime("YYYY-MM-DD")', silent => true) IS NOT TRUE
      OR substr(value #>> '{}', 12, 2) > '23' OR substr(value #>> '{}', 15, 2) > '59'
      OR coalesce(substring(value #>> '{}' FROM '^.{16}:(\d\d)'), '00') > '60' THEN 'is no time of ISO 8601.'
END
$$;

CREATE FUNCTION usage_events.properties_fault(value jsonb) RETURNS text LANGUAGE sql STABLE AS $$
SELECT '"eventProperties" ' || CASE
    WHEN value IS NULL OR jsonb_typeof(value) = 'null' THEN NULL
    WHEN jsonb_typeof(value) <> 'object' THEN 'must be an object.'
    WHEN octet_length(value::text) > 65536 THEN 'must have at most 64 kB.'
END
$$;

-- As the extension's, but for the answer, which has no id and no account: these come where the event is counted.
CREATE FUNCTION create_usage_event(event jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    row_id uuid := usage_events.outbox_id(moment);
    faults text;
    stored jsonb;
BEGIN
    IF event IS NULL THEN
        RAISE EXCEPTION 'usage event must not be NULL' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF jsonb_typeof(event) <> 'object' THEN
        faults := 'It is no object.';
    ELSE
        faults := nullif(concat_ws(E'\n', usage_events.key_fault('customerAlias', event -> 'customerAlias', true),
            usage_events.key_fault('eventType', event -> 'eventType', true),
            usage_events.key_fault('customerEventId', event -> 'customerEventId', false),
            usage_events.time_fault(event -> 'eventTimestamp'), usage_events.properties_fault(event -> 'eventProperties')), '');
    END IF;
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'invalid usage event' USING ERRCODE = 'invalid_parameter_value', DETAIL = faults;
    END IF;
    -- What the server that counts would add is added here: the event is the same, however often it comes.
    stored := jsonb_build_object(
        'customerAlias', event -> 'customerAlias',
        'eventType', event -> 'eventType',
        'customerEventId', coalesce(event ->> 'customerEventId', row_id::text),
        'eventTimestamp', coalesce(event ->> 'eventTimestamp', to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
        'eventProperties', coalesce(nullif(event -> 'eventProperties', 'null'), '{}'));
    INSERT INTO usage_events.outbox_event VALUES (row_id, stored);
    RETURN stored;
END
$$;
COMMENT ON FUNCTION create_usage_event(jsonb) IS
'Stores a usage event in the outbox, in this transaction, and returns it. The same event sent again, and another of the same customerEventId, are what the server that counts makes of them. Error: 22023 naming every fault';

-- Rows that are older are deleted here and, by replication, there.  What has not been replicated is in the WAL all the same.
CREATE FUNCTION usage_events.trim_outbox(keep interval DEFAULT '30 days') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    trimmed bigint;
BEGIN
    DELETE FROM usage_events.outbox_event
    WHERE id < (left(usage_events.outbox_id(clock_timestamp() - keep)::text, 18) || '-8000-000000000000')::uuid;
    GET DIAGNOSTICS trimmed = ROW_COUNT;
    RETURN trimmed;
END
$$;
COMMENT ON FUNCTION usage_events.trim_outbox(interval) IS 'Deletes events from the outbox that were stored longer ago, and says how many';

-- Rows are never changed.  TRUNCATE would be for good, and is not published.
CREATE PUBLICATION usage_events_outbox FOR TABLE usage_events.outbox_event WITH (publish = 'insert, delete');

COMMIT;
