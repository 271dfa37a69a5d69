-- access.sql: what an account and a role may see, do and call
--
-- The last of the files: its loops go over all that the others have made.

-- Isolation -----------------------------------------------------------------

CREATE FUNCTION usage_events.written_by_extension() RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'written_by_extension';

COMMENT ON FUNCTION usage_events.written_by_extension() IS
'True while a statement of the extension''s own functions is executed, and where the tables are distributed. Error: 42501 for any other statement, which writes without a trace';

-- One text for every table: a row belongs to the account of the session.  Plain comparisons, without sub-select, so that they
-- can serve on Citus as well.  Forced, they hold for the tables' owner too, unless that is a superuser.
--
-- Of writing the rights that a role has are only half: rows are written by our own functions, which keep what they replace.
DO $$
DECLARE
    relation pg_catalog.regclass;
    own CONSTANT text = 'account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()';
    written CONSTANT text = 'account_id OPERATOR(pg_catalog.=) usage_events.current_account_id() AND usage_events.written_by_extension()';
BEGIN
    FOR relation IN
        SELECT class.oid::pg_catalog.regclass
        FROM pg_catalog.pg_class AS class
        JOIN pg_catalog.pg_depend AS depend
            ON depend.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
           AND depend.objid OPERATOR(pg_catalog.=) class.oid AND depend.deptype OPERATOR(pg_catalog.=) 'e'
        WHERE class.relnamespace OPERATOR(pg_catalog.=) 'usage_events'::pg_catalog.regnamespace
          AND class.relkind OPERATOR(pg_catalog.=) 'r'
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
        EXECUTE pg_catalog.format('CREATE POLICY own_read ON %s FOR SELECT USING (%s)', relation, own);
        EXECUTE pg_catalog.format('CREATE POLICY own_insert ON %s FOR INSERT WITH CHECK (%s)', relation, written);
        EXECUTE pg_catalog.format('CREATE POLICY own_update ON %s FOR UPDATE USING (%s)', relation, written);
        EXECUTE pg_catalog.format('CREATE POLICY own_delete ON %s FOR DELETE USING (%s)', relation, written);
    END LOOP;
END
$$;

-- The planner uses statistics in spite of row-level security, and EXPLAIN would tell of all
-- accounts which values there are, and how often.
CREATE FUNCTION usage_events.hide_statistics() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    relation regclass;
    columns text;
BEGIN
    FOR relation IN
        SELECT class.oid
        FROM pg_class AS class
        JOIN pg_depend AS depend ON depend.classid = 'pg_class'::regclass AND depend.objid = class.oid AND depend.deptype = 'e'
        WHERE class.relnamespace = 'usage_events'::regnamespace AND class.relkind = 'r'
    LOOP
        SELECT string_agg(format('ALTER COLUMN %I SET STATISTICS 0', attname), ', ' ORDER BY attnum) INTO columns
        FROM pg_attribute
        WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped;
        EXECUTE format('ALTER TABLE %s %s', relation, columns);

        -- What was collected before would stay.  Instead the planner is told, of every database the same, that an
        -- account has a tenth of the rows, and a type a twentieth of those: it would reckon with a two hundredth of each.
        DELETE FROM pg_statistic WHERE starelid = relation;
        INSERT INTO pg_statistic (starelid, staattnum, stainherit, stanullfrac, stawidth, stadistinct,
            stakind1, stakind2, stakind3, stakind4, stakind5, staop1, staop2, staop3, staop4, staop5,
            stacoll1, stacoll2, stacoll3, stacoll4, stacoll5)
        SELECT attrelid, attnum, false, 0, 16, CASE attname WHEN 'account_id' THEN 10 ELSE 20 END,
               0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        FROM pg_attribute
        WHERE attrelid = relation AND attname IN ('account_id', 'event_type');
    END LOOP;
END
$$;

COMMENT ON FUNCTION usage_events.hide_statistics() IS
'Has no statistics of the tables'' columns collected, deletes those that were, and gives the planner constants instead: they must not tell one account of another''s values. Made by the extension; to be called again, by a superuser, after pg_upgrade to a version below 18, which loses them. Error: 42501';

SELECT usage_events.hide_statistics();

-- Rights --------------------------------------------------------------------

-- What each access adds to those that it includes: 'read', then 'ingest', then 'http' or 'admin'.  What is everybody's, without a
-- grant, is of the access 'public'.
CREATE FUNCTION usage_events.access_rights() RETURNS TABLE (access text, privilege text, object text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 130
SET search_path = pg_catalog, pg_temp
AS $$
VALUES
    ('public', 'EXECUTE', 'usage_events.library_version'),
    ('public', 'EXECUTE', '@extschema@.uuid_v7'),
    ('public', 'EXECUTE', '@extschema@.uuid_v7_timestamp'),
    ('public', 'EXECUTE', '@extschema@.uuid_v7_floor'),
    ('public', 'EXECUTE', 'usage_events.current_account_id'),
    ('public', 'EXECUTE', 'usage_events.usage_event_in'),
    ('public', 'EXECUTE', 'usage_events.usage_event_out'),
    ('public', 'EXECUTE', 'usage_events.usage_event_recv'),
    ('public', 'EXECUTE', 'usage_events.usage_event_send'),
    ('public', 'EXECUTE', 'usage_events.usage_event_from_jsonb'),
    ('public', 'EXECUTE', 'usage_events.usage_event_to_jsonb'),
    ('public', 'EXECUTE', 'usage_events.usage_event_lt'),
    ('public', 'EXECUTE', 'usage_events.usage_event_le'),
    ('public', 'EXECUTE', 'usage_events.usage_event_eq'),
    ('public', 'EXECUTE', 'usage_events.usage_event_ne'),
    ('public', 'EXECUTE', 'usage_events.usage_event_ge'),
    ('public', 'EXECUTE', 'usage_events.usage_event_gt'),
    ('public', 'EXECUTE', 'usage_events.usage_event_cmp'),
    ('public', 'EXECUTE', 'usage_events.usage_event_hash'),
    ('public', 'EXECUTE', 'usage_events.usage_event_hash_extended'),
    ('public', 'EXECUTE', 'usage_events.written_by_extension'),
    ('public', 'EXECUTE', 'usage_events.access_rights'),

    ('read', 'USAGE', 'usage_events'),
    ('read', 'USAGE', '@extschema@'),
    ('read', 'SELECT', 'usage_events.account'),
    ('read', 'SELECT', 'usage_events.purge_horizon'),
    ('read', 'SELECT', 'usage_events.event'),
    ('read', 'SELECT', 'usage_events.superseded_event'),
    ('read', 'SELECT', 'usage_events.rejected_event'),
    ('read', 'SELECT', 'usage_events.rejected_overflow'),
    ('read', 'SELECT', 'usage_events.outbox'),
    ('read', 'SELECT', 'usage_events.outbox_status'),
    ('read', 'EXECUTE', 'usage_events.outbox_lag_seconds'),
    ('read', 'EXECUTE', '@extschema@.get_usage_event'),
    ('read', 'EXECUTE', '@extschema@.get_usage_event_history'),
    ('read', 'EXECUTE', '@extschema@.list_usage_events'),
    ('read', 'EXECUTE', '@extschema@.list_rejected_usage_events'),
    ('read', 'EXECUTE', '@extschema@.list_usage_customers'),
    ('read', 'EXECUTE', '@extschema@.list_usage_event_types'),
    ('read', 'EXECUTE', '@extschema@.list_usage_event_properties'),
    ('read', 'SELECT', '@extschema@.usage_events'),
    ('read', 'SELECT', '@extschema@.usage_event_history'),
    ('read', 'SELECT', '@extschema@.rejected_usage_events'),
    ('read', 'SELECT', 'usage_events.customer_alias'),
    ('read', 'EXECUTE', '@extschema@.list_customer_aliases'),
    ('read', 'SELECT', '@extschema@.customer_aliases'),
    ('read', 'SELECT', 'usage_events.unmapped_alias'),
    ('read', 'SELECT', '@extschema@.unmapped_customer_aliases'),
    ('read', 'SELECT', 'usage_events.metric'),
    ('read', 'SELECT', 'usage_events.superseded_metric'),
    ('read', 'EXECUTE', '@extschema@.get_usage_metric'),
    ('read', 'EXECUTE', '@extschema@.list_usage_metrics'),
    ('read', 'EXECUTE', '@extschema@.list_usage_metric_versions'),
    ('read', 'SELECT', '@extschema@.usage_metrics'),
    ('read', 'SELECT', 'usage_events.metric_rollup'),
    ('read', 'SELECT', 'usage_events.metric_progress'),
    ('read', 'SELECT', 'usage_events.dirty_bucket'),
    ('read', 'SELECT', 'usage_events.rollup_status'),
    ('read', 'EXECUTE', '@extschema@.calculate_usage_metric'),
    ('read', 'EXECUTE', '@extschema@.usage_metric_series'),
    ('read', 'EXECUTE', '@extschema@.usage_metric_by_customer'),
    ('read', 'EXECUTE', '@extschema@.usage_metric_changes'),
    ('read', 'EXECUTE', '@extschema@.explain_usage_event'),
    ('read', 'SELECT', 'usage_events.usage_alert'),
    ('read', 'SELECT', 'usage_events.superseded_usage_alert'),
    ('read', 'SELECT', 'usage_events.usage_alert_event'),
    ('read', 'EXECUTE', '@extschema@.get_usage_alert'),
    ('read', 'EXECUTE', '@extschema@.list_usage_alerts'),
    ('read', 'EXECUTE', '@extschema@.list_usage_alert_events'),
    ('read', 'SELECT', '@extschema@.usage_alerts'),
    ('read', 'SELECT', '@extschema@.usage_alert_events'),
    ('read', 'SELECT', 'usage_events.usage_limit'),
    ('read', 'SELECT', 'usage_events.superseded_usage_limit'),
    ('read', 'EXECUTE', '@extschema@.get_usage_limit'),
    ('read', 'EXECUTE', '@extschema@.list_usage_limits'),
    ('read', 'EXECUTE', '@extschema@.check_usage_limit'),
    ('read', 'SELECT', '@extschema@.usage_limits'),
    ('read', 'EXECUTE', 'usage_events.limit_status'),
    ('read', 'SELECT', '@extschema@.usage_limit_status'),
    ('read', 'SELECT', 'usage_events.account_status'),
    ('read', 'EXECUTE', '@extschema@.get_usage_status'),

    -- Nothing here lets a role lock a table against others: that takes DELETE, or UPDATE of all columns.
    ('ingest', 'INSERT', 'usage_events.event'),
    ('ingest', 'UPDATE (id, event_timestamp, customer_alias, event_type, event_properties)', 'usage_events.event'),
    ('ingest', 'INSERT', 'usage_events.superseded_event'),
    ('ingest', 'INSERT (account_id, id, body, faults)', 'usage_events.rejected_event'),
    ('ingest', 'UPDATE (id, faults, taken_at)', 'usage_events.rejected_event'),
    ('ingest', 'INSERT', 'usage_events.rejected_overflow'),
    ('ingest', 'UPDATE (event_count, last_at)', 'usage_events.rejected_overflow'),
    ('ingest', 'SELECT', 'usage_events.usage_limit_lock'),
    ('ingest', 'INSERT', 'usage_events.usage_limit_lock'),
    ('ingest', 'UPDATE (turn)', 'usage_events.usage_limit_lock'),
    ('ingest', 'EXECUTE', '@extschema@.create_usage_event'),
    ('ingest', 'EXECUTE', '@extschema@.create_usage_events'),
    ('ingest', 'EXECUTE', '@extschema@.ingest_usage_events'),
    ('ingest', 'EXECUTE', '@extschema@.ingest_usage_events_text'),
    ('ingest', 'EXECUTE', '@extschema@.retry_rejected_usage_events'),
    ('ingest', 'EXECUTE', '@extschema@.delete_rejected_usage_event'),
    -- Whoever may send events may try to insert into the views: their triggers tell what to call.
    ('ingest', 'INSERT', '@extschema@.usage_events'),
    ('ingest', 'INSERT', '@extschema@.usage_event_import'),
    ('ingest', 'INSERT (account_id, id, customer_id, value, label, created_at)', 'usage_events.customer_alias'),
    ('ingest', 'UPDATE (label, deleted_at)', 'usage_events.customer_alias'),
    ('ingest', 'EXECUTE', '@extschema@.create_customer_alias'),
    ('ingest', 'EXECUTE', '@extschema@.update_customer_alias'),
    ('ingest', 'EXECUTE', '@extschema@.delete_customer_alias'),
    ('ingest', 'INSERT', '@extschema@.customer_aliases'),
    -- An expression is SQL that others will run: only administrators put one in force.
    ('ingest', 'INSERT (account_id, id, version_id, name, description, metric_type, event_type, aggregation_type, aggregation_property, percentile, grouping_property, unit, property_filters, properties_to_negate, case_sensitive, created_at)', 'usage_events.metric'),
    ('ingest', 'UPDATE (version_id, name, description, metric_type, event_type, aggregation_type, aggregation_property, percentile, grouping_property, unit, property_filters, properties_to_negate, case_sensitive, deleted_at)', 'usage_events.metric'),
    ('ingest', 'INSERT', 'usage_events.superseded_metric'),
    ('ingest', 'EXECUTE', '@extschema@.create_usage_metric'),
    ('ingest', 'EXECUTE', '@extschema@.update_usage_metric'),
    ('ingest', 'EXECUTE', '@extschema@.delete_usage_metric'),
    ('ingest', 'INSERT', '@extschema@.usage_metrics'),
    ('ingest', 'INSERT (account_id, metric_version_id, event_type, started_at)', 'usage_events.metric_progress'),
    ('ingest', 'INSERT', 'usage_events.dirty_bucket'),
    -- Whether there are keys that see one customer alone.
    ('ingest', 'SELECT (account_id, customer)', 'usage_events.api_key'),
    ('ingest', 'SELECT (account_id)', 'usage_events.portal_token'),
    ('ingest', 'INSERT (account_id, id, version_id, name, metric_id, customer, period, timezone, anchor, thresholds, direction, created_at, updated_at)', 'usage_events.usage_alert'),
    ('ingest', 'UPDATE (version_id, name, timezone, thresholds, updated_at, deleted_at)', 'usage_events.usage_alert'),
    ('ingest', 'INSERT', 'usage_events.superseded_usage_alert'),
    ('ingest', 'EXECUTE', '@extschema@.create_usage_alert'),
    ('ingest', 'EXECUTE', '@extschema@.update_usage_alert'),
    ('ingest', 'EXECUTE', '@extschema@.delete_usage_alert'),
    ('ingest', 'INSERT', '@extschema@.usage_alerts'),
    -- Whose an alias is decides what alerts look at.
    ('ingest', 'INSERT', 'usage_events.usage_alert_due'),
    ('ingest', 'SELECT', 'usage_events.usage_alert_consumer'),
    ('ingest', 'INSERT', 'usage_events.usage_alert_consumer'),
    ('ingest', 'SELECT', 'usage_events.usage_alert_delivery'),
    ('ingest', 'INSERT', 'usage_events.usage_alert_delivery'),
    ('ingest', 'UPDATE (leased_until, acknowledged_at)', 'usage_events.usage_alert_delivery'),
    ('ingest', 'EXECUTE', '@extschema@.take_usage_alert_events'),
    ('ingest', 'EXECUTE', '@extschema@.acknowledge_usage_alert_events'),

    ('ingest', 'INSERT (account_id, id, version_id, name, metric_id, customer, period, timezone, anchor, limit_value, mode, created_at, updated_at)', 'usage_events.usage_limit'),
    ('ingest', 'UPDATE (version_id, name, metric_id, customer, period, timezone, anchor, limit_value, mode, updated_at, deleted_at)', 'usage_events.usage_limit'),
    ('ingest', 'INSERT', 'usage_events.superseded_usage_limit'),
    ('ingest', 'EXECUTE', '@extschema@.create_usage_limit'),
    ('ingest', 'EXECUTE', '@extschema@.update_usage_limit'),
    ('ingest', 'EXECUTE', '@extschema@.delete_usage_limit'),
    ('ingest', 'INSERT', '@extschema@.usage_limits'),

    ('http', 'SELECT (account_id, client_id, secret_hash, expires_at, access, customer, metric_ids)', 'usage_events.api_key'),
    ('http', 'SELECT', 'usage_events.portal_token'),
    ('http', 'INSERT', 'usage_events.portal_token'),
    ('http', 'UPDATE (id, secret_hash, created_at, expires_at, customer, metric_ids)', 'usage_events.portal_token'),
    ('http', 'EXECUTE', 'usage_events.authenticate_request'),
    ('http', 'EXECUTE', 'usage_events.openapi'),
    ('http', 'EXECUTE', '@extschema@.usage_api_read'),
    ('http', 'EXECUTE', '@extschema@.usage_api_write'),

    ('admin', 'INSERT', 'usage_events.account'),
    ('admin', 'EXECUTE', 'usage_events.create_account'),
    ('admin', 'SELECT (account_id, client_id, label, created_at, expires_at, access, customer, metric_ids)', 'usage_events.api_key'),
    ('admin', 'INSERT (account_id, client_id, secret_hash, label, created_at, access, customer, metric_ids, expires_at)', 'usage_events.api_key'),
    ('admin', 'UPDATE (expires_at)', 'usage_events.api_key'),
    ('admin', 'EXECUTE', 'usage_events.create_api_key'),
    ('admin', 'EXECUTE', 'usage_events.rotate_api_key'),
    ('admin', 'EXECUTE', 'usage_events.expire_api_key'),
    ('admin', 'EXECUTE', 'usage_events.revoke_api_key'),
    ('admin', 'EXECUTE', 'usage_events.list_api_keys'),
    ('admin', 'INSERT', 'usage_events.purge_horizon'),
    ('admin', 'UPDATE (purged_before)', 'usage_events.purge_horizon'),
    ('admin', 'DELETE', 'usage_events.event'),
    ('admin', 'DELETE', 'usage_events.superseded_event'),
    ('admin', 'DELETE', 'usage_events.rejected_event'),
    ('admin', 'EXECUTE', 'usage_events.create_event'),
    ('admin', 'EXECUTE', 'usage_events.create_events'),
    ('admin', 'EXECUTE', 'usage_events.ingest_events'),
    ('admin', 'DELETE', 'usage_events.customer_alias'),
    ('admin', 'DELETE', 'usage_events.usage_limit'),
    ('admin', 'DELETE', 'usage_events.superseded_usage_limit'),
    ('admin', 'SELECT (account_id, id, created_at, expires_at, customer, metric_ids)', 'usage_events.portal_token'),
    ('admin', 'DELETE', 'usage_events.portal_token'),
    ('admin', 'INSERT (expression, parameters)', 'usage_events.metric'),
    ('admin', 'UPDATE (expression, parameters)', 'usage_events.metric'),
    ('admin', 'EXECUTE', 'usage_events.create_custom_metric'),
    ('admin', 'EXECUTE', 'usage_events.update_custom_metric'),
    ('admin', 'INSERT', 'usage_events.metric_rollup'),
    ('admin', 'UPDATE', 'usage_events.metric_rollup'),
    ('admin', 'DELETE', 'usage_events.metric_rollup'),
    ('admin', 'INSERT', 'usage_events.metric_progress'),
    ('admin', 'UPDATE', 'usage_events.metric_progress'),
    ('admin', 'DELETE', 'usage_events.metric_progress'),
    ('admin', 'INSERT', 'usage_events.dirty_bucket'),
    ('admin', 'UPDATE', 'usage_events.dirty_bucket'),
    ('admin', 'DELETE', 'usage_events.dirty_bucket'),
    ('admin', 'DELETE', 'usage_events.usage_limit_lock'),
    ('admin', 'DELETE', 'usage_events.usage_alert'),
    ('admin', 'DELETE', 'usage_events.superseded_usage_alert'),
    ('admin', 'SELECT', 'usage_events.usage_alert_progress'),
    ('admin', 'INSERT', 'usage_events.usage_alert_progress'),
    ('admin', 'UPDATE', 'usage_events.usage_alert_progress'),
    ('admin', 'DELETE', 'usage_events.usage_alert_progress'),
    ('admin', 'SELECT', 'usage_events.usage_alert_due'),
    ('admin', 'DELETE', 'usage_events.usage_alert_due'),
    ('admin', 'SELECT', 'usage_events.usage_alert_state'),
    ('admin', 'INSERT', 'usage_events.usage_alert_state'),
    ('admin', 'UPDATE', 'usage_events.usage_alert_state'),
    ('admin', 'DELETE', 'usage_events.usage_alert_state'),
    ('admin', 'INSERT', 'usage_events.usage_alert_event'),
    ('admin', 'DELETE', 'usage_events.usage_alert_event'),
    ('admin', 'UPDATE', 'usage_events.usage_alert_consumer'),
    ('admin', 'DELETE', 'usage_events.usage_alert_consumer'),
    ('admin', 'UPDATE', 'usage_events.usage_alert_delivery'),
    ('admin', 'DELETE', 'usage_events.usage_alert_delivery'),
    ('admin', 'EXECUTE', 'usage_events.refresh_rollups'),
    ('admin', 'EXECUTE', 'usage_events.calculate_metric'),
    ('admin', 'EXECUTE', 'usage_events.purge'),
    ('admin', 'SELECT', 'usage_events.erasure'),
    ('admin', 'INSERT', 'usage_events.erasure'),
    ('admin', 'EXECUTE', 'usage_events.erase_customer'),
    ('admin', 'SELECT', 'usage_events.storage_status')
$$;

COMMENT ON FUNCTION usage_events.access_rights() IS
'What grant_access() grants, a row for each privilege on an object: access ''ingest'' has the rights of ''read'' as well, ''http'' and ''admin'' have those of both; what is ''public'' everybody may';

-- Access of roles -----------------------------------------------------------

CREATE FUNCTION usage_events.grant_access(role regrole, access text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    includes CONSTANT text[] = CASE access
        WHEN 'read' THEN '{read}'
        WHEN 'ingest' THEN '{read, ingest}'
        WHEN 'http' THEN '{read, ingest, http}'
        WHEN 'admin' THEN '{read, ingest, admin}'
    END;
    entitled record;
BEGIN
    IF role IS NULL OR access IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'role and access must not be null';
    END IF;
    IF includes IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown access: %s', quote_literal(access)),
            HINT = 'Access is ''read'', ''ingest'', ''http'' or ''admin''.';
    END IF;

    -- Functions are told by name among those of the extension: others may have one of theirs in the same schema.
    FOR entitled IN
        SELECT rights.privilege,
               CASE rights.privilege WHEN 'USAGE' THEN 'SCHEMA ' || rights.object
                    WHEN 'EXECUTE' THEN 'FUNCTION ' || coalesce(function.oid::regprocedure::text, rights.object)
                    ELSE 'TABLE ' || rights.object END AS object
        FROM usage_events.access_rights() WITH ORDINALITY AS rights (access, privilege, object, place)
        LEFT JOIN (
            SELECT depend.objid AS oid, format('%I.%I', namespace.nspname, proc.proname) AS name
            FROM pg_depend AS depend
            JOIN pg_extension AS extension ON extension.oid = depend.refobjid AND extension.extname = 'usage_events'
            JOIN pg_proc AS proc ON proc.oid = depend.objid
            JOIN pg_namespace AS namespace ON namespace.oid = proc.pronamespace
            WHERE depend.classid = 'pg_proc'::regclass AND depend.refclassid = 'pg_extension'::regclass AND depend.deptype = 'e'
        ) AS function ON rights.privilege = 'EXECUTE' AND function.name = rights.object
        WHERE rights.access = ANY (includes)
        ORDER BY rights.place
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', entitled.privilege, entitled.object, role);
    END LOOP;
END
$$;

COMMENT ON FUNCTION usage_events.grant_access(regrole, text) IS
'Gives a role what it needs: ''read'' the session''s account; ''ingest'': also write to it; ''http'': also answer requests of the HTTP API, for the role that PostgREST takes on; ''admin'': as ingest, and make accounts and API keys and write to any account. Whoever calls it must hold these rights with grant option. Errors: 22004 for NULL, 22023 for another access';

CREATE FUNCTION usage_events.revoke_access(role regrole) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    object record;
BEGIN
    IF role IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'role must not be null';
    END IF;

    FOR object IN
        SELECT CASE WHEN depend.classid = 'pg_proc'::regclass THEN 'FUNCTION ' || depend.objid::regprocedure
                    ELSE 'TABLE ' || depend.objid::regclass END AS name
        FROM pg_depend AS depend
        JOIN pg_extension AS extension ON extension.oid = depend.refobjid AND extension.extname = 'usage_events'
        WHERE depend.refclassid = 'pg_extension'::regclass AND depend.deptype = 'e'
          AND depend.classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', object.name, role);
    END LOOP;
    EXECUTE 'REVOKE USAGE ON SCHEMA usage_events, @extschema@ FROM ' || role;

    -- What another role granted, only that one can revoke.
    FOR object IN
        SELECT DISTINCT acl.grantor::regrole AS grantor
        FROM pg_class AS relation, aclexplode(relation.relacl) AS acl
        WHERE relation.relnamespace = 'usage_events'::regnamespace AND acl.grantee = role
        UNION
        SELECT DISTINCT acl.grantor::regrole
        FROM pg_proc AS function, aclexplode(function.proacl) AS acl
        WHERE function.pronamespace = 'usage_events'::regnamespace AND acl.grantee = role
    LOOP
        RAISE WARNING USING ERRCODE = '01006', -- privilege not revoked
            MESSAGE = format('role %s keeps what role %s granted to it', role, object.grantor),
            HINT = 'Call usage_events.revoke_access() as that role, too.';
    END LOOP;
END
$$;

COMMENT ON FUNCTION usage_events.revoke_access(regrole) IS
'Takes back what grant_access() gave, and every other right that the role was given on the extension''s objects and schemas. Rights that it has through other roles, or through PUBLIC, stay. Error: 22004 for NULL';

CREATE FUNCTION usage_events.renew_access() RETURNS TABLE (role regrole, access text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    FOR role, access IN
        SELECT event_acl.grantee::regrole,
               CASE WHEN bool_or(function_acl.name = 'create_account') THEN 'admin'
                    WHEN bool_or(function_acl.name = 'authenticate_request') THEN 'http'
                    WHEN bool_or(event_acl.privilege_type = 'INSERT') THEN 'ingest'
                    ELSE 'read' END
        FROM pg_class AS relation
        CROSS JOIN aclexplode(relation.relacl) AS event_acl
        LEFT JOIN (
            SELECT function.proname AS name, acl.grantee
            FROM pg_proc AS function, aclexplode(function.proacl) AS acl
            WHERE function.pronamespace = 'usage_events'::regnamespace
        ) AS function_acl ON function_acl.grantee = event_acl.grantee
        WHERE relation.oid = 'usage_events.event'::regclass AND event_acl.privilege_type IN ('SELECT', 'INSERT')
          AND event_acl.grantee NOT IN (relation.relowner, 0)
        GROUP BY event_acl.grantee
        ORDER BY event_acl.grantee::regrole::text COLLATE pg_catalog."C"
    LOOP
        PERFORM usage_events.grant_access(role, access);
        RETURN NEXT;
    END LOOP;
END
$$;

COMMENT ON FUNCTION usage_events.renew_access() IS
'Gives all roles that have access to usage events what that access means in this version: after an update of the extension, or when a dump of an older version was restored. Returns them. Whoever calls it must hold these rights with grant option';

-- Functions of everybody ----------------------------------------------------

-- A function that is not everybody's by the table of rights is nobody's until it is granted.  Last, so that it finds them all.
DO $$
DECLARE
    function pg_catalog.regprocedure;
BEGIN
    FOR function IN
        SELECT depend.objid
        FROM pg_catalog.pg_depend AS depend
        JOIN pg_catalog.pg_extension AS extension
            ON extension.oid OPERATOR(pg_catalog.=) depend.refobjid AND extension.extname OPERATOR(pg_catalog.=) 'usage_events'
        JOIN pg_catalog.pg_proc AS proc ON proc.oid OPERATOR(pg_catalog.=) depend.objid
        JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid OPERATOR(pg_catalog.=) proc.pronamespace
        WHERE depend.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
          AND depend.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
          AND depend.deptype OPERATOR(pg_catalog.=) 'e'
          AND NOT EXISTS (
              SELECT FROM usage_events.access_rights() AS rights
              WHERE rights.access OPERATOR(pg_catalog.=) 'public'
                AND rights.object OPERATOR(pg_catalog.=) pg_catalog.format('%I.%I', namespace.nspname, proc.proname))
    LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function);
    END LOOP;
END
$$;
