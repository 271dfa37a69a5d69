-- lago.sql: events as Lago's API takes them, from the table foreign_event(event jsonb), to usage events; docs/comparison.md
--
-- Lago knows an event by its subscription and its transaction_id.  Its time is seconds since 1970, as a number or as text; of one that
-- has none it is that of its arrival, which an export has as created_at.
SELECT ingest_usage_events(coalesce(jsonb_agg(jsonb_build_object(
    'customerEventId', (event ->> 'external_subscription_id') || '/' || (event ->> 'transaction_id'),
    'customerAlias', event -> 'external_subscription_id',
    'eventType', event -> 'code',
    'eventTimestamp', CASE WHEN event ->> 'timestamp' ~ '^[0-9.]+$'
        THEN to_char(timestamp '1970-01-01' + (event ->> 'timestamp')::numeric * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        ELSE coalesce(event ->> 'timestamp', event ->> 'created_at') END,
    'eventProperties', event -> 'properties')), '[]')) - 'outcomes' AS moved
FROM foreign_event;
