-- Accounts with a metric of all their events: "plain" has no alert, the others one of each customer.  In "near" 1,000 customers are just below it.
CREATE FUNCTION bench_send(account uuid, customers int, n numeric) RETURNS bigint LANGUAGE sql AS $$
	SELECT set_config('usage_events.account_id', account::text, false);
	SELECT count(*) FROM jsonb_array_elements(create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerAlias', 'customer-' || c, 'eventType', 'call',
		'eventProperties', jsonb_build_object('n', n))) FROM generate_series(1, customers) AS c))) $$;
CREATE PROCEDURE bench_alerts_refresh(account uuid) LANGUAGE plpgsql AS $$
BEGIN
	WHILE usage_events.refresh_rollups(account) > 0 LOOP
		COMMIT;
	END LOOP;
END $$;
CREATE TABLE bench_alert_account AS SELECT name, usage_events.create_account(name) AS id FROM unnest(ARRAY['plain', 'watched', 'one', 'near']) AS name;
SELECT set_config('usage_events.account_id', id::text, false), create_usage_metric('{"name": "calls", "eventType": "call", "metricType": "SIMPLE",
	"aggregationType": "SUM", "aggregationProperty": "n"}') FROM bench_alert_account;
SELECT set_config('usage_events.account_id', id::text, false), create_usage_alert(jsonb_build_object('name', 'near', 'usageMetricId',
	(SELECT m.id FROM usage_events.metric AS m WHERE m.account_id = a.id), 'period', 'MONTH', 'thresholds', '[1000000]'::jsonb, 'direction', 'ABOVE'))
FROM bench_alert_account AS a WHERE name <> 'plain';
SELECT bench_send(id, CASE name WHEN 'one' THEN 1 ELSE 1000 END, 999000) FROM bench_alert_account;
