-- Usage alerts: made, updated, deleted, listed, and every refusal; thresholds crossed, and delivered.
\i test/helpers/empty.sql
\i test/helpers/outcome.sql
\i test/helpers/refresh.sql
SET TIME ZONE 'UTC';
\pset format unaligned
\pset tuples_only on
SELECT create_usage_metric('{"name": "tokens", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "SUM", "aggregationProperty": "n"}')
    ->> 'id' AS tokens \gset
-- an alert's body: 100 and 200 tokens a month, but for these fields
CREATE FUNCTION body(fields jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('name', 'tokens', 'usageMetricId', (SELECT id FROM usage_metrics WHERE name = 'tokens'), 'period', 'MONTH',
        'thresholds', '[100, 200]'::jsonb, 'direction', 'ABOVE') || fields $$;
-- without what changes from run to run
CREATE FUNCTION shown(alert jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT alert - '{id,sequenceAccountId,createdAt,usageMetricId}'::text[] || jsonb_build_object('deletedAt', alert ->> 'deletedAt' IS NOT NULL) $$;
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'accepted' ELSE concat_ws(' ', state, message || ':', detail) END
    FROM pg_temp.outcome('SELECT ' || call) $$;
CREATE FUNCTION refused(fields jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT faults(format('create_usage_alert(%L)', body(fields))) $$;
-- a customer has used so much at a time; the same key again is a correction
CREATE PROCEDURE used(customer text, tokens numeric, at text DEFAULT '2026-10-05T12:00:00Z', key text DEFAULT NULL) LANGUAGE sql AS $$
    SELECT create_usage_event(jsonb_build_object('customerAlias', customer, 'eventType', 'call', 'eventTimestamp', at, 'eventProperties',
        jsonb_build_object('n', tokens), 'customerEventId', key)) $$;
-- what was told since this was last asked
CREATE TABLE seen (number bigint);
CREATE PROCEDURE told() LANGUAGE plpgsql AS $$
DECLARE
    e record;
BEGIN
    CALL pg_temp.refresh_until_ready();
    FOR e IN SELECT ev.*, al.name FROM usage_events.usage_alert_event AS ev JOIN usage_events.usage_alert AS al ON al.id = ev.usage_alert_id
        WHERE ev.number > (SELECT coalesce(max(number), 0) FROM seen) ORDER BY ev.number
    LOOP
        RAISE NOTICE '%: % of % since %: % at %', e.name, e.state, e.customer, coalesce(e.period_start::date::text, 'ever'), e.value, e.threshold;
        INSERT INTO seen VALUES (e.number);
    END LOOP;
END $$;
SELECT create_usage_alert(body()) AS alert \gset
SELECT jsonb_pretty(shown(:'alert'));
CALL used('acme', 60, key => 'a');
CALL told();
CALL used('acme', 60, key => 'b');
CALL told();
CALL used('acme', 10, key => 'b');
CALL told();
CALL used('acme', 600, key => 'b');
CALL told();
SELECT count(*) FROM usage_events.usage_alert_due;
