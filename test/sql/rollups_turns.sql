-- Refreshes of few steps come to every customer, also where the first are marked anew each time, and each refresh is a session of its own.
\set QUIET on
\pset format unaligned
SELECT usage_events.create_account('turns') AS account \gset
SET usage_events.account_id = :'account';
SELECT create_usage_metric('{"name": "turns", "eventType": "turn", "metricType": "SIMPLE", "aggregationType": "COUNT"}') IS NOT NULL AS is_made;
CREATE FUNCTION send_turns(account uuid, aliases text[]) RETURNS bigint LANGUAGE sql VOLATILE
RETURN (SELECT count(usage_events.create_event(account, jsonb_build_object('customerAlias', alias, 'eventType', 'turn', 'eventTimestamp',
    '2026-10-01T00:00:00Z'))) FROM unnest(aliases) AS alias);
CREATE VIEW turns_marked AS
SELECT string_agg(DISTINCT customer_alias, ' ') AS marked FROM usage_events.dirty_bucket
    WHERE account_id = usage_events.current_account_id() AND event_type <> '';
SELECT send_turns(:'account', '{a,b,c,d,e}');
DO $$BEGIN WHILE usage_events.refresh_rollups(usage_events.current_account_id()) > 0 LOOP COMMIT; END LOOP; END$$;
SELECT * FROM turns_marked;
SELECT send_turns(:'account', '{a,b,c,d,e}');
\c
SELECT usage_events.refresh_rollups(:'account', 2);
SELECT send_turns(:'account', '{a,b}');
\c
SELECT usage_events.refresh_rollups(:'account', 2);
SELECT send_turns(:'account', '{a,b}');
\c
SELECT usage_events.refresh_rollups(:'account', 2);
SELECT send_turns(:'account', '{a,b}');
SET usage_events.account_id = :'account';
SELECT coalesce(marked, '') !~ '[cde]' AS came_to_the_last FROM turns_marked;
SELECT usage_events.refresh_rollups(:'account', 20) > 0 AS goes_around, usage_events.refresh_rollups(:'account', 20) = 0 AS ends;
SELECT coalesce(marked, '') AS marked FROM turns_marked;
DELETE FROM usage_events.metric_progress WHERE account_id = usage_events.current_account_id();
DELETE FROM usage_events.metric_rollup WHERE account_id = usage_events.current_account_id();
DELETE FROM usage_events.dirty_bucket WHERE account_id = usage_events.current_account_id();
DELETE FROM usage_events.metric WHERE account_id = usage_events.current_account_id();
DELETE FROM usage_events.event WHERE account_id = usage_events.current_account_id();
DELETE FROM usage_events.account WHERE account_id = usage_events.current_account_id();
DROP VIEW turns_marked;
DROP FUNCTION send_turns(uuid, text[]);
