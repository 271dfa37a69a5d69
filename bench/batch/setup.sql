-- The same events in every form in which they are loaded, and the tables by hand.
-- :events of them, in batches of 1,000; keys are UUIDs, in random order.

CREATE TABLE bench_event AS
SELECT n AS number, gen_random_uuid()::text AS key, 'customer-' || (random() * 999)::int AS alias,
       (ARRAY['message-sent', 'api-call', 'ai-tokens', 'seat-login', 'storage-gigabyte-hours'])[1 + n % 5] AS type,
       date_trunc('milliseconds', timestamptz '2026-10-01Z' + random() * interval '31 days') AS at,
       jsonb_build_object('length', (random() * 1000)::int, 'type', 'text_message', 'channel', 'sms', 'region', 'eu-west-1') AS properties
FROM generate_series(1, :events) AS n;

CREATE TABLE bench_batch AS
SELECT (number - 1) / 1000 AS batch,
       jsonb_agg(jsonb_build_object('customerEventId', key, 'customerAlias', alias, 'eventType', type,
                                    'eventTimestamp', to_json(at), 'eventProperties', properties) ORDER BY number)::text AS body
FROM bench_event GROUP BY 1 ORDER BY 1;

-- the shape and the indexes of usage_events.event
CREATE TABLE bench_copy (LIKE usage_events.event INCLUDING ALL);

-- Lago's table of events on PostgreSQL, by its shape: a primary key and eight more indexes
CREATE TABLE bench_lago (
    id uuid PRIMARY KEY, organization_id uuid NOT NULL, customer_id uuid, transaction_id varchar NOT NULL, code varchar NOT NULL,
    properties jsonb NOT NULL, "timestamp" timestamp, created_at timestamp NOT NULL, updated_at timestamp NOT NULL, metadata jsonb NOT NULL,
    subscription_id uuid, deleted_at timestamp, external_customer_id varchar, external_subscription_id varchar,
    precise_total_amount_cents numeric(40, 15));
CREATE UNIQUE INDEX ON bench_lago (organization_id, external_subscription_id, transaction_id);
CREATE INDEX ON bench_lago (external_subscription_id, organization_id, code, "timestamp") INCLUDE (properties) WHERE deleted_at IS NULL;
CREATE INDEX ON bench_lago (external_subscription_id, organization_id, "timestamp") INCLUDE (code) WHERE deleted_at IS NULL;
CREATE INDEX ON bench_lago (created_at) WHERE deleted_at IS NULL;
CREATE INDEX ON bench_lago (organization_id, code);
CREATE INDEX ON bench_lago (organization_id, created_at DESC) WHERE deleted_at IS NULL;
CREATE INDEX ON bench_lago (organization_id, "timestamp" DESC) WHERE deleted_at IS NULL;
CREATE INDEX ON bench_lago (organization_id, transaction_id) WHERE deleted_at IS NULL;

CREATE FUNCTION bench_lago_insert(body jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO bench_lago (id, organization_id, transaction_id, code, properties, "timestamp", created_at, updated_at, metadata,
        external_customer_id, external_subscription_id)
    SELECT uuid_v7(), '00000000-0000-8000-8000-000000000001', "customerEventId", "eventType", "eventProperties", "eventTimestamp", clock_timestamp(),
        clock_timestamp(), '{}', "customerAlias", "customerAlias"
    FROM jsonb_to_recordset(body) AS e("customerEventId" text, "eventTimestamp" timestamp, "customerAlias" text, "eventType" text, "eventProperties" jsonb)
$$;

-- Each batch is a call and a transaction, as an application sends them.
CREATE PROCEDURE bench_each(statement text) LANGUAGE plpgsql AS $$
DECLARE
    each record;
BEGIN
    FOR each IN SELECT body FROM bench_batch LOOP
        EXECUTE statement USING each.body;
        COMMIT;
    END LOOP;
END
$$;

SELECT format('COPY (SELECT ''00000000-0000-8000-8000-000000000001''::uuid, uuid_v7(), at, key, alias, type, properties FROM bench_event ORDER BY number) TO %L (FORMAT binary)', :'folder' || '/typed') \gexec
SELECT format('COPY (SELECT json_build_object(''customerEventId'', key, ''customerAlias'', alias, ''eventType'', type, ''eventTimestamp'', at, ''eventProperties'', properties) FROM bench_event ORDER BY number) TO %L (FORMAT csv, DELIMITER E''\x01'', QUOTE E''\x02'')', :'folder' || '/ndjson') \gexec
SELECT format('COPY (SELECT json_build_object(''namespace'', ''00000000-0000-8000-8000-000000000001'', ''id'', key, ''type'', type, ''subject'', alias, ''source'', ''bench'', ''time'', to_char(at AT TIME ZONE ''UTC'', ''YYYY-MM-DD HH24:MI:SS''), ''data'', properties::text, ''ingested_at'', to_char(now() AT TIME ZONE ''UTC'', ''YYYY-MM-DD HH24:MI:SS''), ''stored_at'', to_char(now() AT TIME ZONE ''UTC'', ''YYYY-MM-DD HH24:MI:SS''), ''store_row_id'', uuid_v7()) FROM bench_event ORDER BY number) TO %L (FORMAT csv, DELIMITER E''\x01'', QUOTE E''\x02'')', :'folder' || '/clickhouse') \gexec
VACUUM ANALYZE bench_event, bench_batch;
