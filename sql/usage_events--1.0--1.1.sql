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

-- It takes the tables in the order in which writers do.
CREATE OR REPLACE FUNCTION usage_events.distribute(shard_count integer DEFAULT 32) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation text;
    function text;
    trigger record;
    is_distributed boolean;
    anchor CONSTANT text = 'usage_events.account';
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        RAISE NOTICE 'nothing is distributed: this database has no Citus'
            USING HINT = 'Create the extension citus, and add nodes, first.';
        RETURN;
    END IF;
    IF shard_count IS NULL OR shard_count < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'shard_count must be 1 or more';
    END IF;

    -- In the order in which whoever stores an event under a limit comes to them.
    LOCK TABLE usage_events.usage_limit_lock, usage_events.event, usage_events.superseded_event, usage_events.dirty_bucket IN ACCESS EXCLUSIVE MODE;

    -- Citus distributes no table that has one.
    FOR trigger IN
        SELECT tgname AS name, tgrelid::regclass AS relation FROM pg_trigger
        WHERE tgfoid IN ('usage_events.watch_changes'::regproc, 'usage_events.keep_default_account'::regproc)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', trigger.name, trigger.relation);
    END LOOP;

    FOREACH relation IN ARRAY ARRAY(
        SELECT format('usage_events.%I', class.relname) AS name
        FROM pg_class AS class
        JOIN pg_depend AS depend ON depend.classid = 'pg_class'::regclass AND depend.objid = class.oid AND depend.deptype = 'e'
        WHERE class.relnamespace = 'usage_events'::regnamespace AND class.relkind = 'r'
          AND class.relname NOT IN ('outbox', 'outbox_event')
        ORDER BY class.oid <> anchor::regclass, name)
    LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = $1::regclass)'
            INTO is_distributed USING relation;
        CONTINUE WHEN is_distributed;
        IF relation = anchor THEN
            EXECUTE 'SELECT create_distributed_table($1::regclass, ''account_id'', colocate_with => ''none'', shard_count => $2)'
                USING relation, shard_count;
        ELSE
            EXECUTE 'SELECT create_distributed_table($1::regclass, ''account_id'', colocate_with => $2)'
                USING relation, anchor;
        END IF;
    END LOOP;

    -- Not those whose account may be NULL: Citus 14.0.1 crashes of that.
    FOREACH function IN ARRAY ARRAY['create_event', 'create_events', 'ingest_events', 'calculate_metric', 'create_api_key', 'list_api_keys']
    LOOP
        EXECUTE 'SELECT create_distributed_function($1::regproc::regprocedure, ''account_id'', colocate_with => $2)'
            USING 'usage_events.' || function, anchor;
    END LOOP;
END
$$;
