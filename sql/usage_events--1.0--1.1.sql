\echo Use "ALTER EXTENSION usage_events UPDATE TO '1.1'" to load this file. \quit

COMMENT ON COLUMN usage_events.metric_rollup.latest_timestamp IS 'Time of the last event that counted or was skipped, and of a LATEST metric of the event that the value is from; NULL in rows that version 1.0 wrote';

COMMENT ON COLUMN usage_events.dirty_bucket.first_id IS 'Lowest id of the new versions that the mark is of, where none was replaced in its time; NULL: of any changes';
COMMENT ON COLUMN usage_events.dirty_bucket.last_id IS 'In a mark of all customers: the highest; NULL: of any';

ALTER INDEX usage_events.dirty_bucket_idx SET (deduplicate_items = off);

-- Nor what is changed while the trigger does not fire, which may be over before anybody looks.
CREATE FUNCTION usage_events.watch_tables() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'watch_tables';

COMMENT ON FUNCTION usage_events.watch_tables() IS
'Event trigger: has rollups forgotten when usage_events_watch on the table of events is turned off or on, or made anew, or the table becomes part of an inheritance tree. Error: 42501 where the schema usage_events and its tables have different owners';

REVOKE EXECUTE ON FUNCTION usage_events.watch_tables() FROM PUBLIC;

CREATE EVENT TRIGGER usage_events_watch_tables ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'ALTER TRIGGER', 'CREATE TRIGGER')
    EXECUTE FUNCTION usage_events.watch_tables();

ALTER EVENT TRIGGER usage_events_watch_tables ENABLE ALWAYS;

COMMENT ON EVENT TRIGGER usage_events_watch_tables IS 'Has rollups forgotten when changes of events are no longer seen';
