-- pg_cron.sql: brings the rollups of usage metrics up to date every 10 seconds, by pg_cron
--
-- For servers that do not preload usage_events.  With shared_preload_libraries =
-- 'usage_events' and usage_events.refresh_interval set, its background worker does
-- the same, and none of this is needed.
--
-- Rollups never change an answer: without a refresh, answers are only slower.
--
-- Run it in the database of the events, with pg_cron in it, as a superuser: the job
-- runs as who made it, and an ordinary role refreshes its own account alone.  Nobody
-- else's code runs with a superuser's rights by that: see docs/operations.md.
-- Where pg_cron is in another database, cron.schedule_in_database() takes this
-- one's name as its fourth argument.

-- A run that is not over when the next is due delays it. What is left after 1,000
-- steps is for the next run.
SELECT cron.schedule('refresh usage rollups', '10 seconds', 'SELECT usage_events.refresh_rollups()');

-- Every minute instead, which pg_cron before 1.5 can do as well (of the same name,
-- it replaces the job above), each call in a transaction of its own:
--   SELECT cron.schedule('refresh usage rollups', '* * * * *',
--       'DO $do$BEGIN FOR call IN 1 .. 6 LOOP PERFORM usage_events.refresh_rollups(); COMMIT; END LOOP; END$do$');

-- pg_cron keeps a row of each run, 8,640 a day, until somebody deletes it.
SELECT cron.schedule('forget runs of refreshes', '0 3 * * *',
    $$DELETE FROM cron.job_run_details AS run USING cron.job
      WHERE job.jobid = run.jobid AND job.jobname = 'refresh usage rollups' AND run.end_time < now() - interval '7 days'$$);
