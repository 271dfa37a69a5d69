\set ECHO none
-- refresh.sql: pg_temp.refresh() and pg_temp.refresh_until_ready() bring rollups up to date
--
-- Each in a transaction of its own, and several: one begins with a new metric, and the next ones build it.  The first
-- is for the few metrics of a test, which may be such that they never become ready.
CREATE PROCEDURE pg_temp.refresh() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 5 LOOP
        PERFORM usage_events.refresh_rollups();
        COMMIT;
    END LOOP;
END $$;
-- transactions of others, such as an autovacuum, may delay it
CREATE PROCEDURE pg_temp.refresh_until_ready() LANGUAGE plpgsql AS $$
DECLARE
    steps bigint;
BEGIN
    FOR i IN 1 .. 6000 LOOP
        steps := usage_events.refresh_rollups();
        COMMIT;
        EXIT WHEN steps = 0 AND NOT EXISTS (SELECT FROM usage_events.rollup_status WHERE state <> 'ready' OR dirty_buckets > 0);
        PERFORM pg_sleep(0.01) WHERE i > 5;
    END LOOP;
END $$;
\set ECHO all
