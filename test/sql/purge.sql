-- Retention: usage_events.purge() deletes old events for good, in steps, and what is kept stays right.
CREATE ROLE purge_admin;
CREATE ROLE purge_app;
SELECT usage_events.grant_access('purge_admin', 'admin'), usage_events.grant_access('purge_app', 'ingest');
SELECT usage_events.create_account('purged') AS account \gset
SELECT usage_events.create_account('other') AS other \gset
SET usage_events.account_id = :'account';

CREATE FUNCTION sent(key text, alias text, at text, n numeric) RETURNS text LANGUAGE sql
AS $$SELECT create_usage_event(jsonb_build_object('customerEventId', key, 'customerAlias', alias, 'eventType', 'call',
    'eventTimestamp', at, 'eventProperties', jsonb_build_object('n', n))) ->> 'customerEventId'$$;
-- what the metric says of a month, with rollups or without
CREATE FUNCTION month_of(metric uuid, month timestamptz, as_of timestamptz DEFAULT NULL) RETURNS text LANGUAGE sql
AS $$SELECT (c ->> 'value') || ' of ' || (c ->> 'eventCount')
     FROM calculate_usage_metric(metric, '{acme}', tstzrange(month, (month AT TIME ZONE 'UTC' + '1 month') AT TIME ZONE 'UTC'), as_of) AS c$$;
CREATE FUNCTION stored() RETURNS text LANGUAGE sql VOLATILE
AS $$SELECT string_agg(customer_event_id, ' ' ORDER BY customer_event_id COLLATE "C") || ' | '
         || coalesce((SELECT string_agg(customer_event_id, ' ' ORDER BY customer_event_id COLLATE "C") FROM usage_event_history), '')
     FROM usage_events WHERE customer_event_id NOT LIKE 'many%'$$;

SELECT create_usage_metric('{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM",
    "aggregationProperty": "n"}') ->> 'id' AS metric \gset
SELECT sent('january', 'acme', '2024-01-10T00:00:00Z', 1),
       sent('corrected', 'acme', '2024-01-11T00:00:00Z', 2),
       sent('moved here', 'acme', '2024-03-12T00:00:00Z', 4),
       sent('moved away', 'acme', '2024-01-13T00:00:00Z', 8),
       sent('march', 'acme', '2024-03-14T00:00:00Z', 16),
       sent('edge', 'acme', '2024-03-01T00:00:00Z', 32),
       sent('before the edge', 'acme', '2024-02-29T23:59:59.999999Z', 64);
SELECT count(sent('many ' || n, 'acme', to_char(timestamp '2024-02-01' + n * interval '1 minute', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 1))
    FROM generate_series(1, 600) AS n;
SELECT pg_sleep(0.01);
SELECT now() AS then \gset
SELECT pg_sleep(0.01);
SELECT sent('corrected', 'acme', '2024-01-11T00:00:00Z', 3),
       sent('moved here', 'acme', '2024-01-12T00:00:00Z', 5),
       sent('moved away', 'acme', '2024-03-13T00:00:00Z', 9);
DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP NULL; END LOOP; END$$;
SELECT month_of(:'metric', '2024-01-01Z') AS january, month_of(:'metric', '2024-02-01Z') AS february, month_of(:'metric', '2024-03-01Z') AS march,
       month_of(:'metric', '2024-03-01Z', :'then') AS march_then, stored();

-- who may, and what is refused
SET ROLE purge_app;
SELECT usage_events.purge('2024-03-01Z');
DELETE FROM usage_events.event;
RESET ROLE;
SELECT usage_events.purge(NULL);
SELECT usage_events.purge('3000-01-01Z');
SELECT usage_events.purge('-infinity');
SELECT usage_events.purge('2024-03-01Z', max_rows => 0);
SELECT usage_events.purge('2024-03-01Z', max_rows => 100001);
SELECT usage_events.purge('2024-03-01Z', '0184421e-a9cc-711b-af93-bf0511d4d833');
SELECT month_of(:'metric', '2024-01-01Z') AS january;

-- in steps, the oldest first: from the first on nothing is answered of that time
SET ROLE purge_admin;
SELECT usage_events.purge('2024-03-01Z', :'account', 2);
SELECT stored();
SELECT month_of(:'metric', '2024-01-01Z') AS january;
SELECT usage_events.purge('2024-03-01Z', max_rows => 500), usage_events.purge('2024-03-01Z', max_rows => 500) AS rest;
DO $$BEGIN WHILE usage_events.purge('2024-03-01Z', max_rows => 10) > 0 LOOP NULL; END LOOP; END$$;
SELECT count(*) AS many FROM usage_events WHERE customer_event_id LIKE 'many%';
SELECT count(*) AS old_rollups FROM usage_events.metric_rollup WHERE level > 0 AND bucket < '2024-03-01Z';

-- an event with a version that is kept stays whole; so does what is known of the kept month, now and then, with rollups and without
SELECT stored(), month_of(:'metric', '2024-03-01Z') AS march, month_of(:'metric', '2024-03-01Z', :'then') AS march_then;
DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP NULL; END LOOP; END$$;
SELECT month_of(:'metric', '2024-03-01Z') AS march, month_of(:'metric', '2024-03-01Z', :'then') AS march_then;
RESET ROLE;
BEGIN;
TRUNCATE usage_events.metric_rollup, usage_events.metric_progress, usage_events.dirty_bucket;
SELECT month_of(:'metric', '2024-03-01Z') AS march, month_of(:'metric', '2024-03-01Z', :'then') AS march_then;
ROLLBACK;
SET ROLE purge_admin;
SELECT customer_event_id, old_value, new_value, change FROM usage_metric_changes(:'metric', '{acme}', '[2024-03-01Z, 2024-04-01Z)', :'then');
SELECT jsonb_array_length(get_usage_event_history(id) -> 'items') AS versions FROM usage_events WHERE customer_event_id = 'moved here';

RESET ROLE;

-- every question about a time before
SELECT month_of(:'metric', '2024-02-01Z', :'then');
SELECT count(*) FROM usage_metric_series(:'metric', '{acme}', '[2024-02-29 23:00Z, 2024-03-02Z)', 'day');
SELECT count(*) FROM usage_metric_by_customer(:'metric', '[2024-02-29 23:59:59.999999Z, 2024-03-02Z)');
SELECT count(*) FROM usage_metric_changes(:'metric', '{acme}', '[2024-01-01Z, 2024-03-02Z)', :'then');
SELECT usage_events.calculate_metric(:'account', :'metric', '{acme}', '[2024-01-01Z, 2024-03-02Z)');
SELECT count(*) FROM usage_metric_series(:'metric', '{acme}', '[2024-03-01Z, 2024-03-02Z)', 'day');
SELECT customer, value FROM usage_metric_by_customer(:'metric', '[2024-03-01Z, 2024-04-01Z)');

-- every event of a time before, with its other faults
SELECT sent('late', 'acme', '2024-02-29T23:59:59Z', 1);
SELECT create_usage_event('{"customerAlias": "", "eventType": "call", "eventTimestamp": "2024-01-01T00:00:00Z"}');
SELECT create_usage_events('[{"customerAlias": "acme", "eventType": "call"},
    {"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2024-01-01T00:00:00Z"}]');
SELECT ingest_usage_events('[{"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2024-01-01T00:00:00Z"},
    {"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2024-03-01T00:00:00Z", "customerEventId": "in time"}, 5]') - 'outcomes' AS ingested;
SELECT faults FROM rejected_usage_events ORDER BY id;
COPY usage_event_import FROM stdin;
{"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2024-02-01T00:00:00Z"}
\.
SELECT usage_events.create_event(:'account', '{"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2024-02-01T00:00:00Z"}');
SELECT usage_events.create_events(:'account', '[{"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2024-02-01T00:00:00Z"}]');
SELECT sent('march', 'acme', '2024-02-01T00:00:00Z', 16);
SELECT '{"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2024-02-01T00:00:00Z"}'::usage_event IS NOT NULL AS type_knows_no_account;

-- another account is not touched
SET usage_events.account_id = :'other';
SELECT sent('january', 'acme', '2024-01-10T00:00:00Z', 1);
SELECT usage_events.create_event(:'account', '{"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2024-02-01T00:00:00Z"}');
SELECT usage_events.create_event(:'other',
    '{"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2024-02-01T00:00:00Z"}') ->> 'sequenceAccountId' = :'other' AS stored;
SET usage_events.account_id = :'account';

-- the horizon goes with its transaction, and never back
BEGIN;
SELECT usage_events.purge('2024-04-01Z') > 0 AS purged;
SELECT sent('march again', 'acme', '2024-03-31T00:00:00Z', 1);
ROLLBACK;
SELECT sent('march again', 'acme', '2024-03-31T00:00:00Z', 1);
SELECT usage_events.purge('2023-01-01Z');
SELECT purged_before AT TIME ZONE 'UTC' AS purged_before FROM usage_events.purge_horizon;

-- rejected events that came before go, others stay
SET ROLE purge_admin;
SELECT usage_events.purge(now() - interval '1 hour') > 0 AS purged, (SELECT count(*) FROM rejected_usage_events) AS rejected;
SELECT pg_sleep(0.01);
SELECT usage_events.purge(now()) AS purged_rejected, (SELECT count(*) FROM rejected_usage_events) AS rejected;

RESET ROLE;
RESET usage_events.account_id;
DROP FUNCTION sent, month_of, stored;
SELECT usage_events.revoke_access('purge_admin'), usage_events.revoke_access('purge_app');
DROP ROLE purge_admin, purge_app;
DO $$
DECLARE account uuid; place regclass;
BEGIN
    FOR account IN SELECT account_id FROM usage_events.account WHERE name IN ('purged', 'other') LOOP
        FOR place IN SELECT oid FROM pg_class WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r' LOOP
            EXECUTE format('DELETE FROM %s WHERE account_id = %L', place, account);
        END LOOP;
    END LOOP;
END$$;
