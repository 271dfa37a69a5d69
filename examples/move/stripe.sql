-- stripe.sql: meter events as they were sent to Stripe, from the table foreign_event(event jsonb), to usage events; docs/comparison.md
--
-- Stripe's time is seconds since 1970 (v1) or ISO 8601 (v2), and a payload's values are text: a number is made of "value".  Where a meter has
-- other keys than stripe_customer_id and value, write those.
SELECT ingest_usage_events(coalesce(jsonb_agg(jsonb_build_object(
    'customerEventId', event -> 'identifier',
    'customerAlias', event #> '{payload,stripe_customer_id}',
    'eventType', event -> 'event_name',
    'eventTimestamp', CASE WHEN event ->> 'timestamp' ~ '^[0-9]+$'
        THEN to_char(timestamp '1970-01-01' + (event ->> 'timestamp')::bigint * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        ELSE coalesce(event ->> 'timestamp', event ->> 'created') END,
    'eventProperties', (event -> 'payload') - 'stripe_customer_id' ||
        CASE WHEN event #>> '{payload,value}' ~ '^-?[0-9]+(\.[0-9]+)?$'
            THEN jsonb_build_object('value', (event #>> '{payload,value}')::numeric) ELSE '{}' END)), '[]')) - 'outcomes' AS moved
FROM foreign_event;
