\set ECHO none
-- refresh.sql: pg_temp.refresh() brings rollups up to date, of the few metrics that a test has
--
-- Each in a transaction of its own, and several: one begins with a new metric, and the next ones build it.
CREATE PROCEDURE pg_temp.refresh() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 5 LOOP
        PERFORM usage_events.refresh_rollups();
        COMMIT;
    END LOOP;
END $$;
\set ECHO all
