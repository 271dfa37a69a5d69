-- distribution.sql: the tables on the nodes of a Citus cluster

CREATE FUNCTION usage_events.is_distributed() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    result boolean = false;
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = ''usage_events.event''::regclass)'
            INTO result;
    END IF;
    RETURN result;
END
$$;

COMMENT ON FUNCTION usage_events.is_distributed() IS 'Whether the tables are distributed over the nodes of a Citus cluster';

-- What is of an account lies together, by account_id: one account's statements go to one shard.
CREATE FUNCTION usage_events.distribute(shard_count integer DEFAULT 32) RETURNS void
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

COMMENT ON FUNCTION usage_events.distribute(integer) IS
'Distributes the tables of accounts over the nodes of a Citus cluster, by account, with the events that they hold, and has the functions that take an account run on its node. Without Citus it says so and does nothing; what is distributed already stays as it is. Writers wait meanwhile. Called on the coordinator by a superuser';

CREATE FUNCTION usage_events.undistribute() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT usage_events.is_distributed() THEN
        RAISE NOTICE 'nothing is distributed';
        RETURN;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
        MESSAGE = 'the tables of an extension cannot be undistributed',
        DETAIL = 'Citus'' undistribute_table() refuses them.',
        HINT = 'Copy the rows of the tables to another database with the extension, by COPY (SELECT * FROM usage_events.event) TO and COPY FROM. docs/scale-out.md has the commands.';
END
$$;

COMMENT ON FUNCTION usage_events.undistribute() IS
'Says what to do instead, where the tables are distributed: Citus cannot take that back for tables of an extension. Error: 0A000';
