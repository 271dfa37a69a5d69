-- 200,000 events of 200 customers in a month, and a metric that is rolled up
SELECT count(create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerEventId', 'e-' || batch || '-' || n, 'customerAlias', 'customer-' || n % 200,
	'eventType', 'message-sent', 'eventTimestamp', to_json('2026-01-01Z'::timestamptz + batch * n * interval '13 seconds'), 'eventProperties', jsonb_build_object('length', n)))
	FROM generate_series(1, 1000) AS n)))
FROM generate_series(1, 200) AS batch;
SELECT create_usage_metric('{"name": "length", "eventType": "message-sent", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "length"}');
DO $$ BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END $$;
VACUUM ANALYZE;
CHECKPOINT;
