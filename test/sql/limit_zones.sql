-- A time zone that this server does not know, as after a restore elsewhere: what has periods by its clock is put off or refused, and nothing else is.
\i test/helpers/empty.sql
\i test/helpers/outcome.sql
CREATE FUNCTION pg_temp.metric(aggregation text) RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric(jsonb_build_object('name', aggregation, 'metricType', 'SIMPLE', 'eventType', aggregation, 'aggregationType', aggregation,
        'aggregationProperty', 'n', 'propertyFilters', '{"kind": ["counted"]}'::jsonb)) ->> 'id')::uuid
$$;
CREATE FUNCTION pg_temp.scope(name text, metric uuid, fields jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('name', name, 'usageMetricId', metric, 'period', 'MONTH', 'timezone', 'Europe/Berlin') || fields
$$;
CREATE FUNCTION pg_temp.limit(name text, metric uuid, fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_limit(pg_temp.scope(name, metric, '{"limit": 100, "mode": "BLOCK"}' || fields)) ->> 'id')::uuid
$$;
CREATE FUNCTION pg_temp.alert(name text, metric uuid, fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_alert(pg_temp.scope(name, metric, '{"thresholds": [5], "direction": "ABOVE"}' || fields)) ->> 'id')::uuid
$$;
CREATE FUNCTION pg_temp.event(key text, alias text, n numeric, type text, kind text DEFAULT 'counted', day text DEFAULT '2026-10-20')
RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('customerEventId', key, 'customerAlias', alias, 'eventType', type, 'eventTimestamp', day || 'T00:00:00Z',
        'eventProperties', jsonb_build_object('n', n, 'kind', kind))
$$;
CREATE FUNCTION pg_temp.send(event jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'stored' ELSE concat_ws(' | ', state, message, detail, hint) END
    FROM pg_temp.outcome(format('SELECT create_usage_event(%L)', event))
$$;
CREATE FUNCTION pg_temp.ingest(VARIADIC events jsonb[]) RETURNS TABLE (outcome text, fault text) LANGUAGE sql AS $$
    SELECT o ->> 'outcome', o #>> '{faults,0,fault}' FROM jsonb_array_elements(ingest_usage_events(to_jsonb(events)) -> 'outcomes') WITH ORDINALITY AS a(o, n)
    ORDER BY n
$$;
SELECT pg_temp.metric('SUM') AS sum, pg_temp.metric('MAX') AS max \gset
SELECT pg_temp.send(pg_temp.event('s', 'acme', 50, 'SUM')), pg_temp.send(pg_temp.event('m', 'acme', 50, 'MAX'));
SELECT pg_temp.limit('Month', :'sum') AS month, pg_temp.limit('Most', :'max') AS most, pg_temp.limit('Own', :'sum', '{"customer": "own"}') AS own,
    pg_temp.limit('Year', :'sum', '{"period": "YEAR", "timezone": "UTC"}') AS year, pg_temp.limit('Ever', :'sum', '{"period": "ALL_TIME"}') AS ever \gset
SELECT pg_temp.alert('Near', :'sum') AS near, pg_temp.alert('Far', :'sum', '{"timezone": "UTC"}') AS far \gset
UPDATE usage_events.usage_limit SET timezone = 'Mars/Olympus' WHERE timezone = 'Europe/Berlin';
UPDATE usage_events.usage_alert SET timezone = 'Mars/Olympus' WHERE timezone = 'Europe/Berlin';
-- other sessions would be told by a function
SELECT update_usage_limit(:'year', get_usage_limit(:'year') || '{"name": "A year"}') ->> 'name' AS told;

-- They can be looked at.
SELECT get_usage_limit(:'month') ->> 'timezone' AS of_limit, get_usage_alert(:'near') ->> 'timezone' AS of_alert;
SELECT list_usage_limits() #>> '{items,0,timezone}' AS of_limit, list_usage_alerts() #>> '{items,0,timezone}' AS of_alert;
-- When periods begin nobody can say: there is no answer of what was used.  All of time has no clock.
SELECT state, message, detail, hint FROM pg_temp.outcome(format('SELECT check_usage_limit(%L, %L)', 'acme', :'sum'));
SELECT state, message FROM pg_temp.outcome(format('SELECT check_usage_limit(%L, %L)', 'own', :'sum'));
SELECT name, customer, period_start IS NULL AS no_start, used, remaining FROM usage_limit_status ORDER BY name COLLATE "C", customer COLLATE "C";

-- One that adds is refused; in a batch it is that one alone.
SELECT pg_temp.send(pg_temp.event('s1', 'acme', 1, 'SUM'));
SELECT pg_temp.send(pg_temp.event('m1', 'acme', 1, 'MAX'));
SELECT * FROM pg_temp.ingest(pg_temp.event('s2', 'acme', 1, 'SUM'), pg_temp.event('o1', 'acme', 1, 'other'), pg_temp.event('s3', 'acme', 1, 'SUM', 'free'),
    pg_temp.event('s', 'acme', 40, 'SUM'), pg_temp.event('m', 'acme', 40, 'MAX'), pg_temp.event('s4', 'acme', 1, 'SUM'), pg_temp.event('s4', 'acme', 2, 'SUM'));
SELECT state, message, detail, hint FROM pg_temp.outcome(format('SELECT create_usage_events(%L)', jsonb_build_array(
    pg_temp.event('s4', 'acme', 1, 'SUM'), pg_temp.event('o2', 'acme', 1, 'other'))));
-- What does not count passes, what is less than before at the same moment, and what is taken back.
SELECT pg_temp.send(pg_temp.event('s5', 'acme', 1, 'SUM', 'free')), pg_temp.send(pg_temp.event('s', 'acme', 30, 'SUM')),
    pg_temp.send(pg_temp.event('s', 'acme', 30, 'SUM')), pg_temp.send(pg_temp.event('m', 'VOID', 50, 'MAX'));
-- At another moment it may be of another period, as it may be of another customer.
SELECT pg_temp.send(pg_temp.event('s', 'acme', 20, 'SUM', 'counted', '2026-10-21'));
SELECT pg_temp.send(pg_temp.event('s', 'globex', 20, 'SUM'));
SELECT pg_temp.send(pg_temp.event('s', 'acme', 31, 'SUM'));
SELECT sum((event_properties ->> 'n')::int) AS stored FROM usage_events WHERE event_type = 'SUM' AND event_properties ->> 'kind' = 'counted';

-- Alerts keep no refresh from its work, nor other alerts.
SET usage_events.usage_alert_retention = 0;
SET client_min_messages = error;
SELECT usage_events.refresh_rollups() > 0 AS refreshed;
SELECT usage_events.refresh_rollups() >= 0 AS again;
SELECT a.name, e.threshold, e.state FROM usage_alert_events AS e JOIN usage_alerts AS a ON a.id = e.usage_alert_id;
-- What changed meanwhile is told as soon as the zone is known again.
SELECT pg_temp.send(pg_temp.event('now', 'hooli', 7, 'SUM') - 'eventTimestamp');
SELECT delete_usage_limit(:'month') ->> 'timezone' AS of_limit;
SELECT pg_temp.send(pg_temp.event('now', 'hooli', 7, 'SUM') - 'eventTimestamp'),
    pg_temp.send(pg_temp.event('then', 'initech', 7, 'SUM', day => '2020-01-20'));
SELECT usage_events.refresh_rollups() > 0 AS refreshed;
SELECT usage_events.refresh_rollups() >= 0 AS again;
SELECT a.name, e.customer, e.state FROM usage_alert_events AS e JOIN usage_alerts AS a ON a.id = e.usage_alert_id WHERE e.customer = 'hooli';
UPDATE usage_events.usage_alert SET timezone = 'Europe/Berlin' WHERE id = :'near';
SELECT usage_events.refresh_rollups() > 0 AS refreshed;
SELECT a.name, e.customer, e.state FROM usage_alert_events AS e JOIN usage_alerts AS a ON a.id = e.usage_alert_id WHERE e.customer = 'hooli'
ORDER BY a.name COLLATE "C";
-- But not what changed in a period that is over by then.
SELECT a.name, e.customer, e.state FROM usage_alert_events AS e JOIN usage_alerts AS a ON a.id = e.usage_alert_id WHERE e.customer = 'initech';
UPDATE usage_events.usage_alert SET timezone = 'Mars/Olympus' WHERE id = :'near';
-- With another zone the present period is another, of which it tells once more.
BEGIN;
SELECT update_usage_alert(:'near', get_usage_alert(:'near') || '{"timezone": "UTC"}') ->> 'timezone' AS of_alert;
SELECT usage_events.refresh_rollups() > 0 AS refreshed;
SELECT count(DISTINCT period_start) AS periods, min(state) AS state FROM usage_alert_events WHERE usage_alert_id = :'near' AND customer = 'hooli';
ROLLBACK;
RESET client_min_messages;

-- They can be updated with a zone that is known, and deleted: events get in again, up to the limit.
SELECT update_usage_limit(:'own', get_usage_limit(:'own')) ->> 'timezone' AS of_limit;
SELECT update_usage_limit(:'own', get_usage_limit(:'own') || '{"timezone": "UTC"}') ->> 'timezone' AS of_limit;
SELECT pg_temp.send(pg_temp.event('o', 'own', 90, 'SUM'));
SELECT pg_temp.send(pg_temp.event('o3', 'own', 11, 'SUM'));
SELECT update_usage_alert(:'far', get_usage_alert(:'far') || '{"timezone": "Europe/Berlin"}') ->> 'timezone' AS of_alert;
SELECT update_usage_alert(:'near', get_usage_alert(:'near') || '{"timezone": "UTC"}') ->> 'timezone' AS of_alert;
SELECT timezone FROM usage_alerts WHERE id = :'near';
SELECT update_usage_alert(:'near', get_usage_alert(:'near') || '{"timezone": "Europe/Berlin"}') ->> 'timezone' AS of_alert;
UPDATE usage_events.usage_alert SET timezone = 'Mars/Olympus' WHERE id = :'near';
SELECT delete_usage_limit(:'most') ->> 'timezone' AS of_limit, delete_usage_alert(:'near') ->> 'timezone' AS of_alert;
SELECT (SELECT count(*) FROM usage_limits) AS limits, (SELECT count(*) FROM usage_alerts) AS alerts;

\i test/helpers/empty.sql
