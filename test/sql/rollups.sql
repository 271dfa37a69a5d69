-- Rollups: what there is of them, when they are refreshed, and that nothing depends on them but time.
\pset format unaligned
\pset tuples_only on
\i test/helpers/empty.sql
-- events of an alias, from a moment on, so far from each other; each worth its number
CREATE FUNCTION sent(alias text, first timestamptz, every interval, number integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'customerEventId', alias || n,
        'eventTimestamp', to_char((first + n * every) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'eventProperties',
        jsonb_build_object('n', n, 'kind', n % 3)))))
    FROM generate_series(0, number - 1) AS n $$;
CREATE FUNCTION metric(name text, fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric(jsonb_build_object('name', name, 'metricType', 'SIMPLE', 'eventType', 'call', 'aggregationType', 'SUM', 'aggregationProperty',
        'n') || fields) ->> 'id')::uuid $$;
CREATE FUNCTION id_of(wanted text) RETURNS uuid LANGUAGE sql AS $$ SELECT id FROM usage_metrics WHERE name = wanted $$;
-- what metrics say of all customers, in all and of a period that begins and ends inside of everything
CREATE FUNCTION answers() RETURNS TABLE (metric text, answer text) LANGUAGE sql AS $$
    SELECT m.name, string_agg(concat_ws(' ', c.customer, c.event_count, c.value, c.grouped_values), ', ' ORDER BY p.n, c.customer)
    FROM (SELECT * FROM usage_metrics WHERE account_id = usage_events.current_account_id() OFFSET 0) AS m,
        unnest('{"[2026-10-01 00:00Z, 2026-12-01 00:00Z)","[2026-10-05 00:00:30.1Z, 2026-10-20 12:00:00.5Z]"}'::text[]) WITH ORDINALITY AS p(period, n),
        usage_metric_by_customer(m.id, p.period::tstzrange) AS c GROUP BY m.name $$;
CREATE TEMPORARY TABLE at_first (metric text, answer text);
-- those that differ from what they were
CREATE FUNCTION differing() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT metric FROM (TABLE at_first EXCEPT SELECT * FROM answers()) AS a UNION SELECT metric
        FROM (SELECT * FROM answers() EXCEPT TABLE at_first) AS b ORDER BY 1 $$;
CREATE FUNCTION status() RETURNS TABLE (name text, state text, built_through text, dirty_buckets bigint, has_lag boolean, just_started boolean,
    just_refreshed boolean) LANGUAGE sql AS $$
    SELECT name, state, built_through, dirty_buckets, lag > '0' AND lag < '10 minutes', clock_timestamp() - started_at < '10 minutes',
        clock_timestamp() - refreshed_at < '10 minutes' FROM usage_events.rollup_status ORDER BY name $$;
\i test/helpers/refresh.sql
-- makes so many steps, once no other transaction stands in the way
CREATE PROCEDURE stepped(steps integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 6000 LOOP
        EXIT WHEN EXISTS (SELECT FROM usage_events.rollup_status WHERE state <> 'waiting');
        PERFORM usage_events.refresh_rollups(usage_events.current_account_id(), steps);
        COMMIT;
        PERFORM pg_sleep(0.01) WHERE i > 5;
    END LOOP;
END $$;

-- nothing to do
SELECT usage_events.refresh_rollups(), usage_events.refresh_rollups(usage_events.current_account_id()), usage_events.refresh_rollups(max_steps => 1);
SELECT count(*) FROM usage_events.rollup_status;
-- few events, many in a second, a minute, an hour, a day, a month
SELECT sent('daily', '2026-10-01 12:00Z', '1 day', 31), sent('month', '2026-10-01 00:00Z', '2 hours', 300), sent('day', '2026-10-05 00:00Z', '4 minutes', 300),
    sent('hour', '2026-10-05 13:00Z', '10 seconds', 300), sent('dense', '2026-10-05 13:13Z', '0.05 seconds', 1000),
    sent('minute', '2026-10-05 13:13Z', '0.05 seconds', 1100), sent('second', '2026-10-05 13:13:13Z', '0.0005 seconds', 1100),
    sent('single', '2026-10-20 12:00:00.5Z', '1 second', 1);
SELECT count(*) FROM usage_events.dirty_bucket;
SELECT metric('sum') IS NOT NULL;
SELECT * FROM status();
SELECT count(*) FROM usage_events.metric_rollup;
INSERT INTO at_first SELECT * FROM answers();
TABLE at_first;

-- built alias by alias, ready, with marks of what was changed
CALL stepped(2);
SELECT * FROM status();
SELECT * FROM differing();
CALL pg_temp.refresh_until_ready();
SELECT * FROM status();
SELECT usage_events.refresh_rollups();
SELECT * FROM differing();
SELECT sent('single', '2026-10-20 12:00:00.5Z', '1 second', 1), sent('new', '2026-10-20 12:00:00Z', '1 second', 3),
    sent('newer', '2026-10-20 12:00Z', '2 months', 3);
SELECT * FROM status();
SELECT * FROM differing();
DELETE FROM at_first;
INSERT INTO at_first SELECT * FROM answers();
TABLE at_first;
SELECT usage_events.refresh_rollups();
SELECT * FROM status();
SELECT * FROM differing();
SELECT usage_events.refresh_rollups();

-- a tree: as deep as there are many events, and no deeper; a level's buckets are all there, or none
CREATE FUNCTION tree(wanted text) RETURNS TABLE (alias text, months bigint, days bigint, hours bigint, minutes bigint, seconds bigint,
    deepest_rows bigint) LANGUAGE sql AS $$
    SELECT customer_alias, count(DISTINCT bucket) FILTER (WHERE level = 1), count(DISTINCT bucket) FILTER (WHERE level = 2),
        count(DISTINCT bucket) FILTER (WHERE level = 3), count(DISTINCT bucket) FILTER (WHERE level = 4), count(DISTINCT bucket) FILTER (WHERE level = 5),
        count(*) FILTER (WHERE NOT is_branch)
    FROM usage_events.metric_rollup AS r JOIN usage_events.metric AS m ON m.version_id = r.metric_version_id WHERE m.name = wanted AND customer_alias <> ''
        GROUP BY customer_alias ORDER BY customer_alias $$;
SELECT * FROM tree('sum');
SELECT level, count(*) AS rows, sum(event_count) AS events, bool_and(account_id = usage_events.current_account_id()) AS of_account
    FROM usage_events.metric_rollup GROUP BY level ORDER BY level;
SELECT metric('unique', '{"aggregationType": "UNIQUE"}') IS NOT NULL,
    metric('grouped', '{"aggregationType": "AVERAGE", "metricType": "GROUPED", "groupingProperty": "kind"}') IS NOT NULL,
    metric('latest', '{"aggregationType": "LATEST"}') IS NOT NULL,
       metric('median', '{"aggregationType": "PERCENTILE", "percentile": 0.5}') IS NOT NULL,
           metric('grouped median', '{"aggregationType": "PERCENTILE", "percentile": 0.5, "metricType": "GROUPED", "groupingProperty": "kind"}') IS NOT NULL,
           metric('skipped', '{"aggregationProperty": "nothing"}') IS NOT NULL;
DELETE FROM at_first;
INSERT INTO at_first SELECT * FROM answers();
CALL pg_temp.refresh_until_ready();
SELECT * FROM differing();
-- the values of a UNIQUE metric, and of a PERCENTILE, have a row each: down to hours only
SELECT * FROM tree('unique');
SELECT * FROM tree('median');
SELECT * FROM tree('grouped') WHERE alias IN ('daily', 'second');
-- what was a leaf becomes a branch, and a branch stays one
SELECT sent('single', '2026-10-20 12:00:00.5Z', '1 second', 300);
SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', 'VOID', 'eventType', 'call', 'customerEventId', 'second' || n))))
    FROM generate_series(0, 298) AS n;
DELETE FROM at_first;
INSERT INTO at_first SELECT * FROM answers();
CALL pg_temp.refresh_until_ready();
SELECT * FROM differing();
SELECT * FROM tree('sum') WHERE alias IN ('single', 'second');
SELECT sent('second', '2026-10-05 13:13:13Z', '0.002 seconds', 300);
DELETE FROM at_first;
INSERT INTO at_first SELECT * FROM answers();
CALL pg_temp.refresh_until_ready();
SELECT * FROM differing();
-- what is answered comes from them, where nothing has changed
BEGIN;
ALTER TABLE usage_events.metric_rollup DISABLE TRIGGER usage_events_watch;
UPDATE usage_events.metric_rollup SET value = value + 1000000, event_count = event_count + 1000 WHERE customer_alias = 'daily' AND level = 1;
CREATE FUNCTION pg_temp.said_of(name text, period tstzrange) RETURNS text LANGUAGE sql
RETURN calculate_usage_metric(id_of(name), '{daily}', period) ->> 'value';
-- all of a month, its events and a part of the time after them, and not all of its events
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)'), pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-10-31 12:00:01Z)'),
    pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-10-31 12:00Z)'), pg_temp.said_of('sum', '[2026-10-01 00:00:01Z, 2026-10-31 12:00:01Z)');
-- with an event after all of them
SAVEPOINT none;
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "after", "eventTimestamp": "2026-10-31T12:00:01Z",
    "eventProperties": {"n": 7.5}}') IS NOT NULL;
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)'), pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-10-31 12:00:01Z)');
-- one in the second of the last, which counts before it and after it
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "same", "eventTimestamp": "2026-10-31T12:00:00.9Z",
    "eventProperties": {"n": 100}}') IS NOT NULL;
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)'), pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-10-31 12:00:00.5Z)'),
    pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-10-31 12:00:01Z)');
-- late ones, in the second of another, in one of their own, and many as a batch, which marks minutes and those of all customers
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "late", "eventTimestamp": "2026-10-07T12:00:00.5Z",
    "eventProperties": {"n": 1000}}') IS NOT NULL;
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "own", "eventTimestamp": "2026-10-07T13:00:00.5Z",
    "eventProperties": {"n": 10000}}') IS NOT NULL;
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', 'daily', 'eventType', 'call', 'eventTimestamp',
    format('2026-10-08T12:00:%sZ', n), 'eventProperties', '{"n": 5000}'::jsonb)))) FROM generate_series(10, 29) AS n;
SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'eventTimestamp',
    '2026-10-09T12:00:00.5Z', 'eventProperties', '{"n": 100000}'::jsonb)))) FROM unnest('{daily,single,x,y,z}'::text[]) AS alias;
SELECT customer_alias, bucket, seconds, first_id IS NOT NULL AS has_first, last_id IS NOT NULL AS has_last FROM usage_events.dirty_bucket
    WHERE event_type = 'call' ORDER BY 1, 2;
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
-- many, which are not read one by one
SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', 'daily', 'eventType', 'call', 'eventTimestamp',
    format('2026-10-%sT%s:00:00Z', day, hour), 'eventProperties', '{"n": 1000000}'::jsonb))))
    FROM generate_series(10, 20) AS day, generate_series(10, 12) AS hour;
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
-- once one of them is corrected, the month does not hold any more
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "late", "eventTimestamp": "2026-10-07T12:00:00.5Z",
    "eventProperties": {"n": 2000}}') IS NOT NULL;
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
-- marks that do not say what they are of are taken for all, as those of version 1.0
ROLLBACK TO SAVEPOINT none;
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "late", "eventTimestamp": "2026-10-07T12:00:00.5Z",
    "eventProperties": {"n": 1000}}') IS NOT NULL;
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
ALTER TABLE usage_events.dirty_bucket DISABLE TRIGGER usage_events_watch;
UPDATE usage_events.dirty_bucket SET first_id = NULL WHERE customer_alias = 'daily';
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
-- an event whose id is lower than the newest that was rolled up, as of a transaction that was slow, may be in it
UPDATE usage_events.dirty_bucket SET first_id = (SELECT newest_id FROM usage_events.metric_rollup WHERE customer_alias = 'daily' AND level = 1
    AND newest_id IS NOT NULL LIMIT 1) WHERE customer_alias = 'daily';
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
-- and where the last one is not of the month any more
ROLLBACK TO SAVEPOINT none;
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "daily30", "eventTimestamp": "2026-11-08T12:00:00Z",
    "eventProperties": {"n": 7.5}}') IS NOT NULL;
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
-- where an earlier one was corrected
ROLLBACK TO SAVEPOINT none;
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "daily7", "eventTimestamp": "2026-10-08T12:00:00Z",
    "eventProperties": {"n": 7.5}}') IS NOT NULL;
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
-- rows of version 1.0 do not say until when
ROLLBACK TO SAVEPOINT none;
UPDATE usage_events.metric_rollup SET latest_timestamp = NULL WHERE customer_alias = 'daily' AND level = 1;
SELECT pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)'), pg_temp.said_of('sum', '[2026-10-01 00:00Z, 2026-10-31 12:00:01Z)');
ROLLBACK;

-- whatever is lost of them, the answers stay, and a refresh brings them back
TRUNCATE usage_events.metric_rollup;
SELECT * FROM differing();
CALL pg_temp.refresh_until_ready();
SELECT count(*) > 100 AS rolled_up FROM usage_events.metric_rollup;
SELECT * FROM differing();
TRUNCATE usage_events.dirty_bucket;
SELECT * FROM differing();
CALL pg_temp.refresh_until_ready();
SELECT * FROM differing();
TRUNCATE usage_events.metric_progress;
SELECT * FROM differing();
SELECT count(*) FROM status();
CALL pg_temp.refresh_until_ready();
SELECT count(*), count(*) FILTER (WHERE state = 'ready') FROM status();
SELECT * FROM differing();
-- with events that came meanwhile
TRUNCATE usage_events.metric_progress;
SELECT sent('meanwhile', '2026-10-06 00:00Z', '1 minute', 10);
DELETE FROM at_first;
INSERT INTO at_first SELECT * FROM answers();
CALL pg_temp.refresh_until_ready();
SELECT * FROM differing();
SELECT create_usage_event('{"customerAlias": "meanwhile", "eventType": "call", "customerEventId": "meanwhile1", "eventTimestamp": "2026-10-06T00:01:00Z",
    "eventProperties": {"n": 1000}}') IS NOT NULL;
TRUNCATE usage_events.dirty_bucket;
DELETE FROM at_first;
INSERT INTO at_first SELECT * FROM answers();
CALL pg_temp.refresh_until_ready();
SELECT * FROM differing();
SELECT create_usage_event('{"customerAlias": "meanwhile", "eventType": "call", "customerEventId": "meanwhile1", "eventTimestamp": "2026-10-06T00:01:00Z",
    "eventProperties": {"n": 2000}}') IS NOT NULL;
TRUNCATE usage_events.metric_rollup, usage_events.dirty_bucket, usage_events.metric_progress;
DELETE FROM at_first;
INSERT INTO at_first SELECT * FROM answers();
CALL pg_temp.refresh_until_ready();
SELECT * FROM differing();
SELECT count(*), count(*) FILTER (WHERE state = 'ready') FROM status();

-- a metric that is another, or is no more, has others, or none
SELECT update_usage_metric(id_of('unique'),
    '{"name": "unique", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "MAX", "aggregationProperty": "n"}') IS NOT NULL,
    delete_usage_metric(id_of('grouped')) IS NOT NULL, delete_usage_metric(id_of('latest')) IS NOT NULL;
SELECT name, state, built_through FROM usage_events.rollup_status ORDER BY name;
DELETE FROM at_first;
INSERT INTO at_first SELECT * FROM answers();
CALL pg_temp.refresh_until_ready();
SELECT name, state FROM usage_events.rollup_status ORDER BY name;
SELECT m.name, count(*) > 10 AS rolled_up FROM usage_events.metric_rollup AS r
    LEFT JOIN usage_metrics AS m ON m.id = (SELECT id FROM usage_events.metric WHERE version_id = r.metric_version_id AND deleted_at IS NULL)
    GROUP BY m.name ORDER BY m.name;
SELECT * FROM differing();

-- refusals
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT usage_events.refresh_rollups();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT usage_events.refresh_rollups(usage_events.current_account_id());
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT usage_events.refresh_rollups(NULL, 0);
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.refresh_rollups(NULL, -1);
SELECT usage_events.refresh_rollups(NULL, NULL);
SELECT usage_events.refresh_rollups('00000000-0000-7000-8000-000000000000');
\set VERBOSITY terse
BEGIN READ ONLY;
SELECT usage_events.refresh_rollups();
ROLLBACK;
\set VERBOSITY default
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT * FROM differing();
ROLLBACK;

-- another account's are its own
SELECT usage_events.create_account('other') AS other \gset
SET usage_events.account_id = :'other';
SELECT metric('others') IS NOT NULL, sent('others', '2026-10-06 00:00Z', '1 minute', 10);
RESET usage_events.account_id;
CREATE ROLE regress_usage_events_reader;
CREATE ROLE regress_usage_events_sender;
CREATE ROLE regress_usage_events_admin;
SELECT usage_events.grant_access('regress_usage_events_reader', 'read');
SELECT usage_events.grant_access('regress_usage_events_sender', 'ingest');
SELECT usage_events.grant_access('regress_usage_events_admin', 'admin');
GRANT USAGE ON SCHEMA public TO regress_usage_events_reader, regress_usage_events_sender, regress_usage_events_admin;
GRANT SELECT ON at_first TO regress_usage_events_reader, regress_usage_events_sender;

-- who reads calculates, and does not refresh; nor does who sends
SELECT create_usage_event('{"customerAlias": "daily", "eventType": "call", "customerEventId": "daily7", "eventTimestamp": "2026-10-08T12:00:00Z",
    "eventProperties": {"n": 7.5}}') IS NOT NULL;
DELETE FROM at_first;
INSERT INTO at_first SELECT * FROM answers();
SET ROLE regress_usage_events_reader;
SELECT * FROM differing();
SELECT explain_usage_event(id_of('sum'), id) ->> 'counts',
    (SELECT count(*) FROM usage_metric_series(id_of('sum'), '{daily}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', 'day')),
    (SELECT count(*) FROM usage_metric_changes(id_of('sum'), '{daily}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)', now())) FROM usage_events
    WHERE customer_event_id = 'daily7';
SELECT name, state, dirty_buckets > 0 AS dirty FROM usage_events.rollup_status ORDER BY name;
SELECT usage_events.refresh_rollups();
SELECT usage_events.calculate_metric(usage_events.current_account_id(), id_of('sum'), '{daily}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
DELETE FROM usage_events.dirty_bucket;
DELETE FROM usage_events.metric_rollup;
UPDATE usage_events.metric_progress SET is_built = true;
SET ROLE regress_usage_events_sender;
SELECT sent('sender', '2026-10-06 00:00Z', '1 minute', 3);
SELECT name, answer FROM (SELECT m.name, calculate_usage_metric(m.id, '{sender}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)') ->> 'value' AS answer
    FROM usage_metrics AS m) AS a ORDER BY name;
SELECT usage_events.refresh_rollups();
SELECT usage_events.calculate_metric(usage_events.current_account_id(), id_of('sum'), '{daily}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)');
DELETE FROM usage_events.dirty_bucket;
INSERT INTO usage_events.metric_rollup SELECT * FROM usage_events.metric_rollup;
UPDATE usage_events.metric_progress SET is_built = true;
RESET ROLE;
-- an administrator refreshes his account's, and by its id another's
DELETE FROM at_first;
INSERT INTO at_first SELECT * FROM answers();
SET ROLE regress_usage_events_admin;
SELECT usage_events.refresh_rollups() > 0;
SELECT name, state, dirty_buckets FROM usage_events.rollup_status ORDER BY name;
SELECT usage_events.calculate_metric(usage_events.current_account_id(), id_of('sum'), '{sender}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)') ->> 'value';
RESET ROLE;
SELECT name, state FROM usage_events.rollup_status WHERE name = 'others';
SELECT count(*) FROM usage_events.metric_rollup WHERE account_id = :'other';
CREATE PROCEDURE refreshed_by(role regrole, account uuid) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 6000 LOOP
        EXECUTE 'SET ROLE ' || role;
        PERFORM usage_events.refresh_rollups(account);
        RESET ROLE;
        EXIT WHEN NOT EXISTS (SELECT FROM usage_events.rollup_status WHERE account_id = account AND state <> 'ready');
        COMMIT;
        PERFORM pg_sleep(0.01) WHERE i > 5;
    END LOOP;
END $$;
CALL refreshed_by('regress_usage_events_admin', :'other');
SELECT name, state FROM usage_events.rollup_status WHERE name = 'others';
SELECT count(*) > 0 AS rolled_up FROM usage_events.metric_rollup WHERE account_id = :'other';
SELECT * FROM differing();

\pset format aligned
\pset tuples_only off
DROP PROCEDURE stepped(integer), refreshed_by(regrole, uuid);
DROP FUNCTION tree(text), status(), differing(), answers(), id_of(text), metric(text, jsonb), sent(text, timestamptz, interval, integer);
DROP TABLE at_first;
DROP OWNED BY regress_usage_events_reader, regress_usage_events_sender, regress_usage_events_admin;
DROP ROLE regress_usage_events_reader, regress_usage_events_sender, regress_usage_events_admin;
\i test/helpers/empty.sql
DELETE FROM usage_events.account WHERE account_id = :'other';
