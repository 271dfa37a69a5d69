-- What monitoring reads: usage_events.account_status and usage_events.storage_status.
SELECT usage_events.create_account('status') AS account \gset
SELECT usage_events.create_account('silent') AS silent \gset
CREATE ROLE status_reader;
CREATE ROLE status_admin;
SELECT usage_events.grant_access('status_reader', 'read'), usage_events.grant_access('status_admin', 'admin');
SET usage_events.account_id = :'account';
SELECT create_usage_metric('{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "COUNT"}') ->> 'name' AS metric;
SELECT count(create_usage_metric(jsonb_build_object('name', name, 'metricType', 'SIMPLE', 'eventType', 'call', 'aggregationType', 'COUNT')))
    FROM unnest('{kept,given up}'::text[]) AS name;
SELECT delete_usage_metric(id) IS NOT NULL AS deleted FROM usage_metrics WHERE name = 'given up';
SELECT name, metric_count, metric_version_count, limit_count, alert_count FROM usage_events.account_status WHERE name IN ('status', 'silent') ORDER BY name;
DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP NULL; END LOOP; END$$;
SELECT count(create_usage_event(jsonb_build_object('customerEventId', 'e-' || n % 8, 'customerAlias', 'acme', 'eventType', 'call', 'eventProperties',
    jsonb_build_object('n', n))))
FROM generate_series(1, 10) AS n;
SELECT ingest_usage_events('[{}, 1, 2]') ->> 'refused' AS refused;

-- all that came in the last minute: 8 events, 2 of which replaced others, and 3 that were refused
CREATE VIEW seen AS
SELECT name, stored_last_minute, superseded_last_minute, rejected_last_minute, rejected_waiting, marks_waiting > 0 AS marks, purged_before,
       newest_event_age_seconds BETWEEN 0 AND 3600 AS age, refresh_lag_seconds BETWEEN 0 AND 3600 AS lag
FROM usage_events.account_status WHERE name IN ('status', 'silent') ORDER BY name;
SELECT * FROM seen;
DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP NULL; END LOOP; END$$;
SELECT usage_events.purge('2020-01-01Z');
SELECT name, marks, lag, purged_before AT TIME ZONE 'UTC' AS purged_before FROM seen;
-- a minute and more ago: no more
UPDATE usage_events.event SET id = overlay(id::text PLACING '0184421e-a9cc' FROM 1)::uuid WHERE account_id = :'account';
UPDATE usage_events.superseded_event SET id = overlay(id::text PLACING '0184421e-a9cc' FROM 1)::uuid,
    superseded_by = overlay(superseded_by::text PLACING '0184421e-a9cc' FROM 1)::uuid WHERE account_id = :'account';
UPDATE usage_events.rejected_event SET id = overlay(id::text PLACING '0184421e-a9cc' FROM 1)::uuid WHERE account_id = :'account';
SELECT name, stored_last_minute, superseded_last_minute, rejected_last_minute, rejected_waiting, age FROM seen;

-- an account sees itself; the tables of all are the administrator's
SET ROLE status_reader;
SELECT name FROM usage_events.account_status;
SELECT count(*) FROM usage_events.storage_status;
SET ROLE status_admin;
SELECT table_name, table_bytes >= 0 AND index_bytes > 0 AND live_rows >= 0 AND dead_rows >= 0 AND rows_inserted >= 0 AS sizes
FROM usage_events.storage_status ORDER BY table_name COLLATE "C";
RESET ROLE;

-- ids by time
SELECT uuid_v7_floor('2022-11-04 15:28:20.428Z'), uuid_v7_timestamp(uuid_v7_floor('2022-11-04 15:28:20.428999Z')) AT TIME ZONE 'UTC' AS moment;
SELECT uuid_v7_floor('1970-01-01Z'), uuid_v7_floor(now()) <= uuid_v7() AS not_above, uuid_v7_floor(now() + interval '1 hour') > uuid_v7() AS above;
SELECT uuid_v7_floor('1969-12-31 23:59:59.999999Z');
SELECT uuid_v7_floor('infinity');

RESET usage_events.account_id;
DROP VIEW seen;
SELECT usage_events.revoke_access('status_reader'), usage_events.revoke_access('status_admin');
DROP ROLE status_reader, status_admin;
DO $$
DECLARE account uuid; place regclass;
BEGIN
    FOR account IN SELECT account_id FROM usage_events.account WHERE name IN ('status', 'silent') LOOP
        FOR place IN SELECT oid FROM pg_class WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r' LOOP
            EXECUTE format('DELETE FROM %s WHERE account_id = %L', place, account);
        END LOOP;
    END LOOP;
END$$;
