-- A time zone that this server does not know, as after a restore elsewhere: its limits and alerts can be looked at, updated and deleted.
\i test/helpers/empty.sql
\i test/helpers/outcome.sql
SELECT create_usage_metric('{"name": "calls", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "COUNT"}') ->> 'id' AS calls \gset
SELECT jsonb_build_object('name', 'A day', 'usageMetricId', :'calls', 'period', 'DAY', 'timezone', 'Europe/Berlin') AS scope \gset
SELECT create_usage_limit(:'scope' || '{"limit": 1, "mode": "BLOCK"}'::jsonb) ->> 'id' AS limit,
    create_usage_alert(:'scope' || '{"thresholds": [1], "direction": "ABOVE"}'::jsonb) ->> 'id' AS alert \gset
UPDATE usage_events.usage_limit SET timezone = 'Mars/Olympus';
UPDATE usage_events.usage_alert SET timezone = 'Mars/Olympus';

SELECT get_usage_limit(:'limit') ->> 'timezone' AS of_limit, get_usage_alert(:'alert') ->> 'timezone' AS of_alert;
SELECT list_usage_limits() #>> '{items,0,timezone}' AS of_limit, list_usage_alerts() #>> '{items,0,timezone}' AS of_alert;
-- When its periods begin nobody can say.
SELECT state, message, detail, hint FROM pg_temp.outcome(format('SELECT check_usage_limit(%L, %L)', 'acme', :'calls'));
SELECT state, message, hint FROM pg_temp.outcome('SELECT create_usage_event(''{"customerAlias": "acme", "eventType": "call"}'')');
SELECT state, message FROM pg_temp.outcome('SELECT count(*) FROM usage_limit_status');

SELECT update_usage_limit(:'limit', get_usage_limit(:'limit') || '{"timezone": "UTC"}') ->> 'timezone' AS of_limit;
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call"}') IS NOT NULL AS stored;
-- alerts keep no refresh from its work
SET client_min_messages = error;
SELECT usage_events.refresh_rollups() > 0 AS refreshed, usage_events.refresh_rollups() >= 0 AS again;
RESET client_min_messages;
UPDATE usage_events.usage_limit SET timezone = 'Mars/Olympus';
SELECT delete_usage_limit(:'limit') ->> 'timezone' AS of_limit, delete_usage_alert(:'alert') ->> 'timezone' AS of_alert;
SELECT (SELECT count(*) FROM usage_limits) AS limits, (SELECT count(*) FROM usage_alerts) AS alerts;

\i test/helpers/empty.sql
