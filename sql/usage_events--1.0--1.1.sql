\echo Use "ALTER EXTENSION usage_events UPDATE TO '1.1'" to load this file. \quit

COMMENT ON COLUMN usage_events.metric_rollup.latest_timestamp IS 'Time of the last event that counted or was skipped, and of a LATEST metric of the event that the value is from; NULL in rows that version 1.0 wrote';
