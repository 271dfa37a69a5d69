-- Changes that do not come through the extension's own statements: whatever a superuser does to the tables, no answer
-- uses rollups made before it, and the next refreshes make them anew.
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
\i test/helpers/empty.sql
-- a month in many customers, one of them with enough events for days and hours
SELECT count(create_usage_events(batch)) FROM (
    SELECT jsonb_agg(jsonb_build_object('customerEventId', n::text, 'customerAlias',
        CASE WHEN n <= 600 THEN 'acme' ELSE 'customer ' || n % 30 END, 'eventType', 'call',
        'eventTimestamp', to_char(timestamp '2026-10-01' + n * interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'eventProperties',
        jsonb_build_object('n', n, 'region', n % 3))) AS batch
    FROM generate_series(1, 700) AS n) AS b;
SELECT create_usage_metric('{"name": "sum", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "SUM",
    "aggregationProperty": "n"}') ->> 'id' AS sum \gset
SELECT create_usage_metric('{"name": "by region", "metricType": "GROUPED", "eventType": "call", "aggregationType": "COUNT",
    "groupingProperty": "region"}') ->> 'id' AS regions \gset
SELECT usage_events.create_account('other') AS other \gset

-- what the metrics say of a customer, of all, and as of a moment; and what the rows say
CREATE FUNCTION says() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT concat_ws(' ',
        (SELECT string_agg(calculate_usage_metric(id, '{acme}', '[2026-10-01Z, 2026-12-01Z)') ->> CASE metric_type WHEN 'SIMPLE' THEN 'value'
            ELSE 'groupedValues' END, ' ' ORDER BY name) FROM usage_metrics),
        (SELECT sum(value) FROM usage_metrics AS m, usage_metric_by_customer(m.id, '[2026-10-01Z, 2026-12-01Z)') WHERE m.name = 'sum'),
        (SELECT calculate_usage_metric(id, '{acme}', '[2026-10-01Z, 2026-12-01Z)', clock_timestamp()) ->> 'value' FROM usage_metrics WHERE name = 'sum'))
$$;
CREATE FUNCTION ought_to_say() RETURNS text LANGUAGE sql VOLATILE AS $$
    WITH event AS (SELECT * FROM usage_events.event WHERE account_id = usage_events.current_account_id() AND event_timestamp >= '2026-10-01Z'
        AND event_timestamp < '2026-12-01Z'),
    metric AS (SELECT * FROM usage_metrics WHERE account_id = usage_events.current_account_id()),
    value AS (SELECT coalesce(sum((event_properties ->> 'n')::numeric), 0) AS of_all,
        coalesce(sum((event_properties ->> 'n')::numeric) FILTER (WHERE customer_alias = 'acme'), 0) AS of_acme
        FROM event JOIN metric USING (event_type) WHERE name = 'sum'
            AND (property_filters = '{}' OR property_filters -> 'region' @> (event_properties -> 'region')))
    SELECT concat_ws(' ',
        (SELECT coalesce(jsonb_agg(jsonb_build_object('value', count, 'grouping', region, 'eventCount', count) ORDER BY region), '[]') FROM (
            SELECT count(*), event_properties ->> 'region' AS region FROM event JOIN metric USING (event_type)
                WHERE name = 'by region' AND customer_alias = 'acme' GROUP BY 2) AS g),
        of_acme, (SELECT of_all FROM value WHERE EXISTS (SELECT FROM event JOIN metric USING (event_type) WHERE name = 'sum')), of_acme)
    FROM value
$$;
\i test/helpers/refresh.sql
-- whether an answer is taken from rollups: it is wrong if they are
CREATE FUNCTION uses_rollups() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    before text = says();
    after text;
BEGIN
    BEGIN
        ALTER TABLE usage_events.metric_rollup DISABLE TRIGGER usage_events_watch;
        UPDATE usage_events.metric_rollup SET value = value + 1000000 WHERE level = 1;
        after = says();
        RAISE SQLSTATE 'TEST1';
    EXCEPTION WHEN SQLSTATE 'TEST1' THEN
        RETURN before <> after;
    END;
END $$;
CALL pg_temp.refresh();
SELECT says() = ought_to_say(), uses_rollups();

-- beside a subscription that does not say to which tables it is, nothing is taken from rollups
SET client_min_messages = error;
CREATE SUBSCRIPTION of_something CONNECTION 'dbname=nowhere' PUBLICATION something WITH (connect = false);
SELECT says() = ought_to_say(), uses_rollups(), usage_events.refresh_rollups();
ALTER SUBSCRIPTION of_something SET (slot_name = NONE);
DROP SUBSCRIPTION of_something;
RESET client_min_messages;
CALL pg_temp.refresh();
SELECT says() = ought_to_say(), uses_rollups();

-- a change: taken back, inside a savepoint that is taken back, and committed; then rolled up anew
CREATE TABLE change (number serial, statement text);
INSERT INTO change (statement) VALUES
    ('UPDATE usage_events.event SET event_properties = event_properties || ''{"n": 5000}'' WHERE customer_event_id = ''17'''),
    ('UPDATE usage_events.event SET customer_alias = ''customer 3'' WHERE customer_event_id = ''18'''),
    ('UPDATE usage_events.event SET event_type = ''other'' WHERE customer_event_id = ''19'''),
    ('UPDATE usage_events.event SET event_timestamp = event_timestamp + interval ''3 days'' WHERE customer_event_id = ''20'''),
    ('UPDATE usage_events.event SET account_id = (SELECT account_id FROM usage_events.account WHERE name = ''other'') WHERE customer_event_id = ''21'''),
    ('DELETE FROM usage_events.event WHERE customer_event_id = ''22'''),
    ('DELETE FROM usage_events.event USING usage_events.account WHERE event.account_id = account.account_id AND customer_event_id = ''23'''),
    ('WITH gone AS (DELETE FROM usage_events.event WHERE customer_event_id = ''24'' RETURNING *) SELECT count(*) FROM gone'),
    ('INSERT INTO usage_events.event SELECT account_id, uuid_v7(), event_timestamp, customer_event_id || '' again'', customer_alias, event_type, '
        'event_properties FROM usage_events.event WHERE customer_event_id = ''25'''),
    ('INSERT INTO usage_events.event SELECT * FROM usage_events.event WHERE customer_event_id = ''26'' ON CONFLICT (account_id, customer_event_id) DO UPDATE '
        'SET event_properties = ''{"n": 7, "region": 9}'''),
    ('MERGE INTO usage_events.event AS e USING (SELECT 27) AS n ON customer_event_id = ''27'' WHEN MATCHED THEN UPDATE SET event_properties = ''{"n": 77}'''),
    ('MERGE INTO usage_events.event AS e USING (SELECT 28) AS n ON customer_event_id = ''28'' WHEN MATCHED THEN DELETE'),
    ('COPY usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties) FROM PROGRAM '
        '$$echo ''00000000-0000-8000-8000-000000000001;00000000-0000-7000-8000-000000000001;2026-10-15 12:00Z;copied;acme;call;'
            '{"n": 1000, "region": 5}''$$ (DELIMITER '';'')'),
    ('DO $do$ BEGIN DELETE FROM usage_events.event WHERE customer_event_id = ''29''; END $do$'),
    ('DO $do$ BEGIN PERFORM set_config(''session_replication_role'', ''replica'', true); DELETE FROM usage_events.event WHERE '
        'customer_event_id = ''30''; END $do$'),
    ('DO $do$ BEGIN ALTER TABLE usage_events.event DISABLE TRIGGER ALL; DELETE FROM usage_events.event WHERE customer_event_id = ''31''; ALTER TABLE '
        'usage_events.event ENABLE TRIGGER ALL; END $do$'),
    ('DO $do$ BEGIN ALTER TABLE usage_events.event DISABLE TRIGGER ALL; DELETE FROM usage_events.event WHERE customer_event_id = ''36''; ALTER TABLE '
        'usage_events.event ENABLE TRIGGER ALL, ENABLE ALWAYS TRIGGER usage_events_watch; END $do$'),
    ('DO $do$ BEGIN DROP TRIGGER usage_events_watch ON usage_events.event; DELETE FROM usage_events.event WHERE customer_event_id = ''38''; CREATE TRIGGER '
        'usage_events_watch BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON usage_events.event FOR EACH STATEMENT EXECUTE FUNCTION '
        'usage_events.watch_changes(); ALTER TABLE usage_events.event ENABLE ALWAYS TRIGGER usage_events_watch; END $do$'),
    ('DO $do$ BEGIN ALTER TRIGGER usage_events_watch ON usage_events.event RENAME TO other; ALTER TABLE usage_events.event DISABLE TRIGGER other; '
        'DELETE FROM usage_events.event WHERE customer_event_id = ''39''; ALTER TABLE usage_events.event ENABLE ALWAYS TRIGGER other; '
        'ALTER TRIGGER other ON usage_events.event RENAME TO usage_events_watch; END $do$'),
    ('DO $do$ BEGIN CREATE TABLE whole (LIKE usage_events.event) PARTITION BY RANGE (event_timestamp); ALTER TABLE whole ATTACH PARTITION '
        'usage_events.event DEFAULT; DELETE FROM whole WHERE customer_event_id = ''37''; ALTER TABLE whole DETACH PARTITION usage_events.event; '
        'DROP TABLE whole; END $do$'),
    ('UPDATE usage_events.metric SET property_filters = ''{"region": [1]}'' WHERE name = ''sum'''),
    ('UPDATE usage_events.metric SET property_filters = ''{}'' WHERE name = ''sum'''),
    ('UPDATE usage_events.metric SET event_type = ''other'''),
    ('UPDATE usage_events.metric SET event_type = ''call'''),
    ('DELETE FROM usage_events.metric_rollup WHERE level = 1'),
    ('DELETE FROM usage_events.metric_rollup WHERE level = 0 AND customer_alias <> ''acme'''),
    ('UPDATE usage_events.metric_rollup SET value = value + 1, event_count = event_count + 1'),
    ('DELETE FROM usage_events.metric_rollup'),
    ('DELETE FROM usage_events.metric_progress'),
    ('UPDATE usage_events.metric_progress SET event_type = ''other'''),
    ('DO $do$ BEGIN PERFORM create_usage_event(''{"customerAlias": "acme", "eventType": "call", "customerEventId": "32", "eventTimestamp": '
        '"2026-10-03T00:00:00Z", "eventProperties": {"n": 9, "region": 0}}''); DELETE FROM usage_events.dirty_bucket; END $do$'),
    ('DO $do$ BEGIN PERFORM create_usage_event(''{"customerAlias": "acme", "eventType": "call", "customerEventId": "33", "eventTimestamp": '
        '"2026-10-04T00:00:00Z", "eventProperties": {"n": 9, "region": 0}}''); UPDATE usage_events.dirty_bucket SET bucket = ''2027-01-01Z''; END $do$'),
    ('DO $do$ BEGIN DELETE FROM usage_events.event WHERE customer_event_id = ''34''; DELETE FROM usage_events.dirty_bucket '
        'WHERE seconds < 0; END $do$'),
    ('DO $do$ BEGIN DELETE FROM usage_events.event WHERE customer_event_id = ''35''; UPDATE usage_events.dirty_bucket '
        'SET event_type = ''other'' WHERE seconds < 0; END $do$'),
    ('TRUNCATE usage_events.event');
CREATE TABLE found (number integer, taken_back boolean, still_rolled_up boolean, in_transaction boolean, in_savepoint boolean, committed boolean,
    at_once_from_rollups boolean, rolled_up boolean);
CREATE PROCEDURE try_change(number integer, statement text) LANGUAGE plpgsql AS $$
DECLARE
    f found;
BEGIN
    f.number = number;
    EXECUTE statement;
    f.in_transaction = says() = ought_to_say();
    ROLLBACK;
    f.taken_back = says() = ought_to_say();
    f.still_rolled_up = uses_rollups();
    COMMIT;
    BEGIN
        EXECUTE statement;
        RAISE SQLSTATE 'TEST1';
    EXCEPTION WHEN SQLSTATE 'TEST1' THEN
        NULL;
    END;
    BEGIN
        EXECUTE statement;
        f.in_savepoint = says() = ought_to_say();
    END;
    COMMIT;
    f.committed = says() = ought_to_say();
    f.at_once_from_rollups = uses_rollups();
    COMMIT;
    CALL pg_temp.refresh();
    f.rolled_up = says() = ought_to_say() AND (uses_rollups() OR statement ~ 'TRUNCATE|''other''$');
    INSERT INTO found SELECT f.*;
    COMMIT;
END $$;
SELECT format('CALL try_change(%s, %L)', number, statement) FROM change ORDER BY number \gexec
-- all, and the same of each: right in the transaction and after it, rollups not used from the commit on, until they are made anew
SELECT count(*) FROM found;
SELECT statement, f.* FROM found AS f JOIN change USING (number)
WHERE NOT (taken_back AND still_rolled_up AND in_transaction AND in_savepoint AND committed AND rolled_up) OR at_once_from_rollups ORDER BY number;

-- of our own statements none forgets what is rolled up
TRUNCATE usage_events.metric, usage_events.metric_progress, usage_events.metric_rollup;
SELECT create_usage_metric('{"name": "sum", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "SUM", "aggregationProperty": "n"}') IS NOT NULL;
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call", "customerEventId": "1", "eventTimestamp": "2026-10-03T00:00:00Z",
    "eventProperties": {"n": 9}}') IS NOT NULL;
CALL pg_temp.refresh();
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call", "customerEventId": "1", "eventProperties": {"n": 10}}') IS NOT NULL,
    create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerAlias', 'acme', 'eventType', 'call', 'customerEventId', n::text))
        FROM generate_series(1, 500) AS n)) IS NOT NULL,
    ingest_usage_events('[{"customerAlias": "acme", "eventType": "call", "customerEventId": "1"}, {}]') IS NOT NULL,
    create_customer_alias('{"customerId": "c", "value": "acme"}') IS NOT NULL;
COPY usage_event_import FROM STDIN;
{"customerAlias": "acme", "eventType": "call", "customerEventId": "2"}
\.
SELECT retry_rejected_usage_events() IS NOT NULL, usage_events.purge('2020-01-01Z'), usage_events.purge('2020-01-02Z');
SELECT update_usage_metric(id, '{"name": "sums", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "SUM",
    "aggregationProperty": "n"}') IS NOT NULL FROM usage_metrics;
SELECT delete_usage_metric((create_usage_metric('{"name": "n", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "COUNT"}') ->> 'id')::uuid)
    IS NOT NULL;
SELECT count(*) FROM usage_events.dirty_bucket WHERE seconds < 0;
CALL pg_temp.refresh();
SELECT count(*) FROM usage_events.dirty_bucket WHERE seconds < 0;

-- a change behind a refresh of the same transaction is another one; a metric is built in a transaction that has written if it was made while another one had
SELECT count(create_usage_event(jsonb_build_object('customerEventId', 'past ' || n, 'customerAlias', 'acme', 'eventType', 'past',
    'eventTimestamp', to_char(timestamp '2026-10-01' + n * interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'eventProperties', jsonb_build_object('n', n))))
        FROM generate_series(1, 100) AS n;
SELECT create_usage_metric('{"name": "past", "metricType": "SIMPLE", "eventType": "past", "aggregationType": "SUM",
    "aggregationProperty": "n"}') ->> 'id' AS past \gset
BEGIN;
SELECT pg_current_xact_id() IS NOT NULL, usage_events.refresh_rollups() > 0;
COMMIT;
CALL pg_temp.refresh();
BEGIN;
DELETE FROM usage_events.event WHERE customer_event_id = 'past 40';
SELECT count(usage_events.refresh_rollups()) FROM generate_series(1, 5);
SELECT is_built, (SELECT count(*) FROM usage_events.dirty_bucket WHERE seconds < 0) FROM usage_events.metric_progress WHERE event_type = 'past';
DELETE FROM usage_events.event WHERE customer_event_id = 'past 41';
COMMIT;
SELECT calculate_usage_metric(:'past', '{acme}', '[2026-10-01Z, 2026-11-01Z)') ->> 'value' AS says,
    sum((event_properties ->> 'n')::numeric) AS ought_to_say FROM usage_events WHERE event_type = 'past';
CALL pg_temp.refresh();

-- what another's trigger does inside of one of ours is not ours
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM usage_events.event WHERE customer_event_id = '5'; RETURN NEW; END $$;
CREATE TRIGGER meddle BEFORE INSERT ON usage_events.event FOR EACH ROW EXECUTE FUNCTION meddle();
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call", "customerEventId": "new"}') IS NOT NULL;
SELECT count(*) FROM usage_events.dirty_bucket WHERE seconds < 0;
-- nor where it stands in a WITH that nobody reads, or is a COPY
CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n integer; BEGIN WITH unread AS (DELETE FROM usage_events.event WHERE false)
    SELECT 1 INTO n; RETURN NEW; END $$;
CALL pg_temp.refresh();
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call", "customerEventId": "new by WITH"}') IS NOT NULL;
SELECT count(*) > 0 FROM usage_events.dirty_bucket WHERE seconds < 0;
CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN COPY usage_events.event FROM PROGRAM 'true'; RETURN NEW; END $$;
CALL pg_temp.refresh();
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call", "customerEventId": "new by COPY"}') IS NOT NULL;
SELECT count(*) > 0 FROM usage_events.dirty_bucket WHERE seconds < 0;
DROP TRIGGER meddle ON usage_events.event;
DROP FUNCTION meddle();
-- nor what a rule adds to it
CALL pg_temp.refresh();
CREATE RULE meddle AS ON UPDATE TO usage_events.metric DO ALSO DELETE FROM usage_events.event WHERE customer_event_id = '6';
SELECT update_usage_metric(id, '{"name": "total", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "SUM", "aggregationProperty": "n"}')
    IS NOT NULL FROM usage_metrics WHERE name = 'sums';
SELECT count(*) > 0 FROM usage_events.dirty_bucket WHERE seconds < 0;
DROP RULE meddle ON usage_events.metric;

-- nor does a change by hand run what others were let put on the table of marks
CREATE FUNCTION attack() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'run as %', current_user; END $$;
CREATE TRIGGER attack BEFORE INSERT ON usage_events.dirty_bucket FOR EACH ROW EXECUTE FUNCTION attack();
DELETE FROM usage_events.event WHERE customer_event_id = '7';
DROP TRIGGER attack ON usage_events.dirty_bucket;
DROP FUNCTION attack();
SHOW session_replication_role;

-- while the trigger is off nothing is taken from rollups, nor are there any made
CALL pg_temp.refresh();
ALTER TABLE usage_events.event DISABLE TRIGGER usage_events_watch;
SELECT usage_events.refresh_rollups();
DELETE FROM usage_events.event WHERE customer_event_id = '6';
SELECT usage_events.refresh_rollups();
ALTER TABLE usage_events.event ENABLE ALWAYS TRIGGER usage_events_watch;
SELECT usage_events.refresh_rollups() > 0;
-- whoever makes a table after it was turned off needs no rights here
CALL pg_temp.refresh();
CREATE ROLE nobody_here;
BEGIN;
SAVEPOINT one;
ALTER TABLE usage_events.event DISABLE TRIGGER usage_events_watch;
RELEASE one;
SET ROLE nobody_here;
CREATE TEMPORARY TABLE of_nobody ();
ROLLBACK;
DROP ROLE nobody_here;
-- nor while rows come and go by a table that the events inherit from, or that inherits from them: no trigger of theirs fires
CALL pg_temp.refresh();
CREATE FUNCTION past_is_right() RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT (calculate_usage_metric(id, '{acme}', '[2026-10-01Z, 2026-11-01Z)') ->> 'value')::numeric
        = (SELECT sum((event_properties ->> 'n')::numeric) FROM usage_events WHERE event_type = 'past')
    FROM usage_metrics WHERE name = 'past'
$$;
SELECT past_is_right();
CREATE TABLE child () INHERITS (usage_events.event);
INSERT INTO child SELECT account_id, uuid_v7(), event_timestamp, 'in the child', customer_alias, event_type, event_properties
    FROM usage_events.event WHERE customer_event_id = 'past 50';
SELECT past_is_right();
DROP TABLE child;
SELECT past_is_right();
CREATE TABLE whole (LIKE usage_events.event) PARTITION BY RANGE (event_timestamp);
ALTER TABLE whole ATTACH PARTITION usage_events.event DEFAULT;
DELETE FROM whole WHERE customer_event_id = 'past 51';
SELECT past_is_right(), usage_events.refresh_rollups();
ALTER TABLE whole DETACH PARTITION usage_events.event;
SELECT past_is_right(), usage_events.refresh_rollups() > 0;
DROP TABLE whole;
DROP FUNCTION past_is_right();

-- whoever may truncate, and sees one account alone, has rollups of all forgotten
CALL pg_temp.refresh();
CREATE ROLE truncates_by_hand;
GRANT USAGE ON SCHEMA usage_events TO truncates_by_hand;
GRANT ALL ON ALL TABLES IN SCHEMA usage_events TO truncates_by_hand;
INSERT INTO usage_events.metric_progress (account_id, metric_version_id, event_type, is_built, started_at) VALUES (:'other',
    '00000000-0000-8000-8000-00000000000a', 'call', true, now());
BEGIN;
SET LOCAL ROLE truncates_by_hand;
TRUNCATE usage_events.event, usage_events.metric_rollup;
RESET ROLE;
SELECT count(DISTINCT p.account_id) > 1 AS are_several,
    bool_and(EXISTS (SELECT FROM usage_events.dirty_bucket AS d WHERE d.account_id = p.account_id AND d.event_type = '' AND d.seconds < 0)) AS are_forgotten
FROM usage_events.metric_progress AS p;
ROLLBACK;
DROP OWNED BY truncates_by_hand;
DROP ROLE truncates_by_hand;

-- as does whoever may change rows of all by another policy, by somebody's view, or as an owner whose policies are not forced, and is under ours elsewhere
CREATE ROLE changes_of_all;
GRANT USAGE ON SCHEMA usage_events TO changes_of_all;
GRANT ALL ON ALL TABLES IN SCHEMA usage_events TO changes_of_all;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA usage_events TO changes_of_all;
CREATE VIEW of_all AS SELECT * FROM usage_events.event;
GRANT ALL ON of_all TO changes_of_all;
CREATE PROCEDURE try_of_all(before text, statement text) LANGUAGE plpgsql AS $$
DECLARE
    are_forgotten boolean;
BEGIN
    TRUNCATE usage_events.dirty_bucket;
    COMMIT;
    EXECUTE before;
    SET LOCAL ROLE changes_of_all;
    EXECUTE statement;
    RESET ROLE;
    SELECT count(DISTINCT p.account_id) > 1
        AND bool_and(EXISTS (SELECT FROM usage_events.dirty_bucket AS d WHERE d.account_id = p.account_id AND d.seconds < 0)) INTO are_forgotten
    FROM usage_events.metric_progress AS p;
    ROLLBACK;
    RAISE NOTICE '% by %', are_forgotten, statement;
END $$;
CALL try_of_all('CREATE POLICY of_all ON usage_events.event FOR ALL TO changes_of_all USING (true)', 'DELETE FROM usage_events.event WHERE false');
CALL try_of_all('SELECT', 'DELETE FROM of_all WHERE false');
CALL try_of_all('DO $do$ DECLARE t text; BEGIN ALTER SCHEMA usage_events OWNER TO changes_of_all;
    FOR t IN SELECT relname FROM pg_class WHERE relnamespace = ''usage_events''::regnamespace AND relkind = ''r'' LOOP
        EXECUTE format(''ALTER TABLE usage_events.%I OWNER TO changes_of_all'', t); END LOOP;
    ALTER TABLE usage_events.event NO FORCE ROW LEVEL SECURITY; END $do$', 'DELETE FROM usage_events.event WHERE false');
DROP PROCEDURE try_of_all(text, text);
DROP VIEW of_all;
DROP OWNED BY changes_of_all;
DROP ROLE changes_of_all;

-- nobody else can have a trigger of it, and whose rights do not let him change events needs none
CREATE ROLE changes_by_hand;
SELECT usage_events.grant_access('changes_by_hand', 'ingest');
SET ROLE changes_by_hand;
CREATE TEMP TABLE mine (n integer);
CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH STATEMENT EXECUTE FUNCTION usage_events.watch_changes();
DELETE FROM usage_events.event;
RESET ROLE;
SELECT usage_events.watch_changes();

-- statements of which policies refuse every row change nothing, and cost the account nothing, however many there are
CREATE PROCEDURE try_to_forget(statement text) LANGUAGE plpgsql AS $$
DECLARE
    forgotten bigint;
BEGIN
    SET LOCAL ROLE changes_by_hand;
    EXECUTE statement;
    RESET ROLE;
    SELECT count(*) INTO forgotten FROM usage_events.dirty_bucket WHERE seconds < 0;
    ROLLBACK;
    RAISE NOTICE '% by %', forgotten, statement;
END $$;
CREATE TABLE nothing (number serial, statement text);
INSERT INTO nothing (statement) VALUES
    ('INSERT INTO usage_events.event SELECT * FROM usage_events.event WHERE false'),
    ('INSERT INTO usage_events.event SELECT * FROM usage_events.event WHERE false ON CONFLICT (account_id, customer_event_id) DO UPDATE '
        'SET event_type = ''x'''),
    ('WITH unread AS (INSERT INTO usage_events.event SELECT * FROM usage_events.event WHERE false) SELECT'),
    ('UPDATE usage_events.event SET event_type = ''x'' WHERE false'),
    ('MERGE INTO usage_events.event AS e USING (SELECT 1 WHERE false) AS n ON customer_event_id = ''1'' WHEN MATCHED THEN UPDATE SET event_type = ''x'' WHEN '
        'NOT MATCHED THEN INSERT (event_type) VALUES (''x'')'),
    ('INSERT INTO usage_events.metric_progress (account_id, metric_version_id, event_type, started_at) SELECT account_id, metric_version_id, event_type, '
        'started_at FROM usage_events.metric_progress WHERE false'),
    ('UPDATE usage_events.metric SET event_type = ''x'' WHERE false'),
    ('INSERT INTO events_of_others SELECT * FROM events_of_others WHERE false'),
    ('SELECT insert_none()');
CALL pg_temp.refresh();
SELECT count(*), (SELECT count(*) FROM usage_events.dirty_bucket WHERE seconds < 0) FROM usage_events.metric_progress;
-- what is done with the rights of somebody else, by his view or function, is another matter
CREATE VIEW events_of_others AS SELECT * FROM usage_events.event;
GRANT SELECT, INSERT ON events_of_others TO changes_by_hand;
CREATE FUNCTION insert_none() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO usage_events.event SELECT *
    FROM usage_events.event WHERE false; END $$;
SELECT format('CALL try_to_forget(%L)', statement) FROM nothing ORDER BY number \gexec
-- as is another policy, which may let rows pass
CREATE POLICY may_write ON usage_events.event FOR ALL TO changes_by_hand USING (true);
SELECT format('CALL try_to_forget(%L)', statement) FROM nothing WHERE statement ~ 'usage_events.event ' ORDER BY number \gexec
DROP POLICY may_write ON usage_events.event;
DROP PROCEDURE try_to_forget(text);
DROP FUNCTION insert_none();
DROP VIEW events_of_others;
DROP TABLE nothing;
DROP TABLE mine;

\pset format aligned
\pset tuples_only off
DROP PROCEDURE try_change(integer, text);
DELETE FROM usage_events.account WHERE account_id = :'other';
DROP FUNCTION says(), ought_to_say(), uses_rollups();
DROP TABLE change, found;
SELECT usage_events.revoke_access('changes_by_hand');
DROP ROLE changes_by_hand;
\i test/helpers/empty.sql
DELETE FROM usage_events.account WHERE account_id = :'other';
