-- An account that has a metric of each of three types of events, and a BLOCK limit for two of them; another that has no limit; and one
-- with 5,000 of single customers.
SELECT usage_events.create_account('limits') AS account, usage_events.create_account('no limits') AS other, usage_events.create_account('own limits') AS own \gset
CREATE FUNCTION bench_metric(type text) RETURNS uuid LANGUAGE sql AS $$
	SELECT (create_usage_metric(jsonb_build_object('name', type, 'eventType', type, 'metricType', 'SIMPLE', 'aggregationType', 'SUM',
		'aggregationProperty', 'length')) ->> 'id')::uuid $$;
SET usage_events.account_id = :'other';
SELECT bench_metric('free');
SET usage_events.account_id = :'own';
SELECT bench_metric('own') AS own_metric \gset
SELECT count(create_usage_limit(jsonb_build_object('name', 'l', 'usageMetricId', :'own_metric', 'customer', 'customer-' || n, 'period', 'MONTH', 'limit', 1e15,
	'mode', 'BLOCK'))) FROM generate_series(100, 5099) AS n;
SET usage_events.account_id = :'account';
SELECT bench_metric('free');
SELECT bench_metric('limited') AS limited \gset
SELECT bench_metric('one') AS one \gset
SELECT create_usage_limit(jsonb_build_object('name', 'l', 'usageMetricId', id, 'period', 'MONTH', 'limit', 1e15, 'mode', 'BLOCK'))
FROM unnest(ARRAY[:'limited', :'one']::uuid[]) AS id;
CREATE TABLE bench_account AS SELECT :'account' AS limits, :'other' AS no_limits, :'own' AS own_limits;

-- A hundred events of a type of each of 900 customers, over the month until now, and rolled up.
CREATE PROCEDURE bench_month(type text) LANGUAGE plpgsql AS $$
BEGIN
	FOR batch IN 0 .. 89 LOOP
		PERFORM create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerAlias', 'customer-' || 100 + n % 900, 'eventType', type,
			'eventTimestamp', date_trunc('month', now()) + (now() - date_trunc('month', now())) * (n / 90000.0),
			'eventProperties', jsonb_build_object('length', 100 + n % 900))) FROM generate_series(batch * 1000, batch * 1000 + 999) AS n));
		COMMIT;
	END LOOP;
	WHILE usage_events.refresh_rollups() > 0 LOOP
		COMMIT;
	END LOOP;
END $$;
