-- Refreshes of few steps come to every customer, also where the first are marked anew each time.
\set QUIET on
\pset format unaligned
SELECT usage_events.create_account('turns') AS account \gset
SET usage_events.account_id = :'account';
SELECT create_usage_metric('{"name": "turns", "eventType": "turn", "metricType": "SIMPLE", "aggregationType": "COUNT"}') IS NOT NULL AS is_made;
CREATE FUNCTION pg_temp.send(aliases text[]) RETURNS bigint LANGUAGE sql VOLATILE
RETURN (SELECT count(create_usage_event(jsonb_build_object('customerAlias', alias, 'eventType', 'turn', 'eventTimestamp', '2026-10-01T00:00:00Z'))) FROM unnest(aliases) AS alias);
CREATE VIEW pg_temp.marked AS
SELECT string_agg(DISTINCT customer_alias, ' ') AS marked FROM usage_events.dirty_bucket WHERE account_id = usage_events.current_account_id() AND event_type <> '';
SELECT pg_temp.send('{a,b,c,d,e}');
DO $$BEGIN WHILE usage_events.refresh_rollups(usage_events.current_account_id()) > 0 LOOP COMMIT; END LOOP; END$$;
SELECT * FROM pg_temp.marked;
SELECT pg_temp.send('{a,b,c,d,e}');
SELECT usage_events.refresh_rollups(:'account', 2);
SELECT pg_temp.send('{a,b}');
SELECT usage_events.refresh_rollups(:'account', 2);
SELECT pg_temp.send('{a,b}');
SELECT usage_events.refresh_rollups(:'account', 2);
SELECT pg_temp.send('{a,b}');
SELECT coalesce(marked, '') !~ '[cde]' AS came_to_the_last FROM pg_temp.marked;
SELECT usage_events.refresh_rollups(:'account', 20) > 0 AS goes_around, usage_events.refresh_rollups(:'account', 20) = 0 AS ends;
SELECT coalesce(marked, '') AS marked FROM pg_temp.marked;
DELETE FROM usage_events.metric_progress WHERE account_id = usage_events.current_account_id();
DELETE FROM usage_events.metric_rollup WHERE account_id = usage_events.current_account_id();
DELETE FROM usage_events.dirty_bucket WHERE account_id = usage_events.current_account_id();
DELETE FROM usage_events.metric WHERE account_id = usage_events.current_account_id();
DELETE FROM usage_events.event WHERE account_id = usage_events.current_account_id();
DELETE FROM usage_events.account WHERE account_id = usage_events.current_account_id();
