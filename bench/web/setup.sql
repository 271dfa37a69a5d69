-- Last month's events, in the order of time and with the ids that they would have had if sent at that time: :events of the
-- customer 'large', a 50th of them of 'medium' and a 5000th of 'small'; and a metric over them, rolled up.
SET search_path = api, public;
SET client_min_messages = warning;
-- What is measured comes later.
ALTER SYSTEM SET max_wal_size = '8GB';
SELECT pg_reload_conf() \g /dev/null

CREATE TABLE bench_month AS
SELECT moment AS begin, moment + interval '1 month' AS "end"
FROM (SELECT date_trunc('month', now(), 'UTC') - interval '1 month' AS moment) AS month;

INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
SELECT usage_events.current_account_id(),
       (lpad(to_hex((extract(epoch FROM moment.at) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(4 * n + customer.number), 15, '0'))::uuid,
       moment.at, customer.number || '-' || n, customer.alias, 'message-sent',
       jsonb_build_object('length', round((random() * 1000)::numeric, 2), 'type', 'text_message', 'channel', 'sms', 'region', 'eu-west-1')
FROM generate_series(1, :events) AS n
CROSS JOIN bench_month
CROSS JOIN LATERAL (SELECT begin + ("end" - begin) * ((n - 0.5) / :events) AS at) AS moment
CROSS JOIN LATERAL (VALUES (0, 'large', true), (1, 'medium', n % 50 = 25), (2, 'small', n % 5000 = 2500)) AS customer (number, alias, sends)
WHERE customer.sends;

SELECT create_usage_metric('{"name": "Characters", "metricType": "SIMPLE", "eventType": "message-sent", "aggregationType": "SUM",
    "aggregationProperty": "length"}') \g /dev/null
DO $$
BEGIN
    LOOP
        EXIT WHEN usage_events.refresh_rollups() = 0;
        COMMIT;
    END LOOP;
END
$$;
VACUUM ANALYZE;
CHECKPOINT;
