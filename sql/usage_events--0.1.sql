-- usage_events--0.1.sql: all SQL objects of the extension, by section
-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION usage_events" to load this file. \quit

-- Storage and administration live in the schema usage_events, the API in the
-- schema that CREATE EXTENSION names.  Nobody need expose the former.

CREATE SCHEMA usage_events;

COMMENT ON SCHEMA usage_events IS
'Storage and administration of usage events; the API is in the schema of the extension';

-- Version ------------------------------------------------------------------

CREATE FUNCTION usage_events.library_version() RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'library_version';

COMMENT ON FUNCTION usage_events.library_version() IS
'Version of the loaded library; differs from the extension''s version while an upgrade is half done';

-- Ids ----------------------------------------------------------------------

CREATE FUNCTION @extschema@.uuid_v7() RETURNS uuid
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'uuid_v7';

COMMENT ON FUNCTION @extschema@.uuid_v7() IS
'A new UUID of version 7 (RFC 9562), above every one that this backend made before';

CREATE FUNCTION @extschema@.uuid_v7_timestamp(id uuid) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'uuid_v7_timestamp';

COMMENT ON FUNCTION @extschema@.uuid_v7_timestamp(uuid) IS
'The moment inside a UUID of version 7 (RFC 9562), to the millisecond; NULL for other versions';

-- Accounts -----------------------------------------------------------------

CREATE FUNCTION usage_events.current_account_id() RETURNS uuid
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'current_account_id';

COMMENT ON FUNCTION usage_events.current_account_id() IS
'The account whose events are written and read: the setting usage_events.account_id, or else the default account';

CREATE TABLE usage_events.account (
    account_id uuid NOT NULL,
    name text NOT NULL,
    CONSTRAINT account_pkey PRIMARY KEY (account_id)
);

COMMENT ON TABLE usage_events.account IS 'Who meters its customers here; sees its own events alone';
COMMENT ON COLUMN usage_events.account.account_id IS 'Unique id; the time inside it is when the account was made';
COMMENT ON COLUMN usage_events.account.name IS 'Name for people to read; need not be unique';

-- The default account is a constant of the library: restoring a dump finds it made.
INSERT INTO usage_events.account (account_id, name)
VALUES (usage_events.current_account_id(), 'default');

SELECT pg_catalog.pg_extension_config_dump('usage_events.account',
    'WHERE account_id <> ''00000000-0000-8000-8000-000000000001''');

CREATE FUNCTION usage_events.create_account(name text) RETURNS uuid
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_account';

COMMENT ON FUNCTION usage_events.create_account(text) IS
'Makes an account of that name (not blank, at most 255 characters) and returns its id. Errors: 22004 for NULL, 22023 for a name that is none';

-- Events -------------------------------------------------------------------

CREATE TABLE usage_events.event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    event_timestamp timestamptz NOT NULL,
    customer_event_id text COLLATE "C" NOT NULL,
    customer_alias text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    event_properties jsonb NOT NULL,
    CONSTRAINT event_pkey PRIMARY KEY (account_id, customer_event_id)
);

CREATE UNIQUE INDEX event_id_key ON usage_events.event (account_id, id);
CREATE INDEX event_customer_idx ON usage_events.event (account_id, customer_alias, event_type, event_timestamp);

COMMENT ON TABLE usage_events.event IS 'Usage events in their current version';
COMMENT ON COLUMN usage_events.event.account_id IS 'The account whose event it is';
COMMENT ON COLUMN usage_events.event.id IS 'Id of this version of the event, a UUID of version 7; the time inside it is when it was ingested';
COMMENT ON COLUMN usage_events.event.event_timestamp IS 'When the usage happened; decides which billing period it belongs to';
COMMENT ON COLUMN usage_events.event.customer_event_id IS 'The sender''s id of the event: another event with the same one supersedes it';
COMMENT ON COLUMN usage_events.event.customer_alias IS 'The end customer, by id or alias';
COMMENT ON COLUMN usage_events.event.event_type IS 'What happened; usage metrics refer to it';
COMMENT ON COLUMN usage_events.event.event_properties IS 'Quantities and categories of the event, a JSON object';

SELECT pg_catalog.pg_extension_config_dump('usage_events.event', '');

CREATE TABLE usage_events.superseded_event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    event_timestamp timestamptz NOT NULL,
    superseded_at timestamptz NOT NULL,
    superseded_by uuid NOT NULL,
    customer_event_id text COLLATE "C" NOT NULL,
    customer_alias text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    event_properties jsonb NOT NULL,
    CONSTRAINT superseded_event_pkey PRIMARY KEY (account_id, customer_event_id, id)
);

COMMENT ON TABLE usage_events.superseded_event IS 'Versions of usage events that were superseded; rows are only ever added';
COMMENT ON COLUMN usage_events.superseded_event.account_id IS 'The account whose event it was';
COMMENT ON COLUMN usage_events.superseded_event.id IS 'Id of this version of the event';
COMMENT ON COLUMN usage_events.superseded_event.event_timestamp IS 'When the usage happened, as this version had it';
COMMENT ON COLUMN usage_events.superseded_event.superseded_at IS 'When another version took its place: the time inside superseded_by';
COMMENT ON COLUMN usage_events.superseded_event.superseded_by IS 'Id of the version that took its place';
COMMENT ON COLUMN usage_events.superseded_event.customer_event_id IS 'The sender''s id of the event, the same in all its versions';
COMMENT ON COLUMN usage_events.superseded_event.customer_alias IS 'The end customer, as this version had it';
COMMENT ON COLUMN usage_events.superseded_event.event_type IS 'What happened, as this version had it';
COMMENT ON COLUMN usage_events.superseded_event.event_properties IS 'Quantities and categories, as this version had them';

SELECT pg_catalog.pg_extension_config_dump('usage_events.superseded_event', '');

-- Isolation ----------------------------------------------------------------

-- One text for every table: a row belongs to the account of the session.  A plain
-- comparison, without sub-select, so that it can serve on Citus as well.

ALTER TABLE usage_events.account ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_events.event ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_events.superseded_event ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_account ON usage_events.account
    USING (account_id OPERATOR(pg_catalog.=) usage_events.current_account_id());
CREATE POLICY own_account ON usage_events.event
    USING (account_id OPERATOR(pg_catalog.=) usage_events.current_account_id());
CREATE POLICY own_account ON usage_events.superseded_event
    USING (account_id OPERATOR(pg_catalog.=) usage_events.current_account_id());

-- The type usage_event -----------------------------------------------------

CREATE TYPE @extschema@.usage_event;

CREATE FUNCTION usage_events.usage_event_in(cstring) RETURNS @extschema@.usage_event
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_in';

CREATE FUNCTION usage_events.usage_event_out(@extschema@.usage_event) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_out';

CREATE FUNCTION usage_events.usage_event_recv(internal) RETURNS @extschema@.usage_event
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_recv';

CREATE FUNCTION usage_events.usage_event_send(@extschema@.usage_event) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_send';

CREATE TYPE @extschema@.usage_event (
    INPUT = usage_events.usage_event_in,
    OUTPUT = usage_events.usage_event_out,
    RECEIVE = usage_events.usage_event_recv,
    SEND = usage_events.usage_event_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);

COMMENT ON TYPE @extschema@.usage_event IS
'A usage event that has been checked; its text is the API''s JSON. Errors on input: 22023 naming every fault, 22P02 for what is no JSON';
COMMENT ON FUNCTION usage_events.usage_event_in(cstring) IS 'Input of the type usage_event';
COMMENT ON FUNCTION usage_events.usage_event_out(@extschema@.usage_event) IS 'Output of the type usage_event';
COMMENT ON FUNCTION usage_events.usage_event_recv(internal) IS 'Binary input of the type usage_event';
COMMENT ON FUNCTION usage_events.usage_event_send(@extschema@.usage_event) IS 'Binary output of the type usage_event';

CREATE FUNCTION usage_events.usage_event_from_jsonb(jsonb) RETURNS @extschema@.usage_event
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_from_jsonb';

CREATE FUNCTION usage_events.usage_event_to_jsonb(@extschema@.usage_event) RETURNS jsonb
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_to_jsonb';

COMMENT ON FUNCTION usage_events.usage_event_from_jsonb(jsonb) IS 'Cast from jsonb, with the checks of the type''s input';
COMMENT ON FUNCTION usage_events.usage_event_to_jsonb(@extschema@.usage_event) IS 'Cast to jsonb';

CREATE CAST (jsonb AS @extschema@.usage_event)
    WITH FUNCTION usage_events.usage_event_from_jsonb(jsonb) AS ASSIGNMENT;
CREATE CAST (@extschema@.usage_event AS jsonb)
    WITH FUNCTION usage_events.usage_event_to_jsonb(@extschema@.usage_event) AS ASSIGNMENT;

-- Writing and reading events -----------------------------------------------

-- One unnamed parameter, and no overload: PostgREST then passes the whole body.
CREATE FUNCTION @extschema@.create_usage_event(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_usage_event';

COMMENT ON FUNCTION @extschema@.create_usage_event(jsonb) IS
'Create a usage event
Takes {"customerAlias", "eventType", "customerEventId", "eventTimestamp", "eventProperties"}, the first two required, stores it for the session''s account, and returns what is stored, with "id" and "sequenceAccountId". The same event sent again is stored once; another with the same customerEventId supersedes it. Errors: 22023 naming every fault, 22004 for NULL, 23505 for a conflict where usage_events.on_conflict is refuse';

CREATE FUNCTION usage_events.create_event(account_id uuid, event jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_event';

COMMENT ON FUNCTION usage_events.create_event(uuid, jsonb) IS
'create_usage_event() for an account named by the caller, who may act for any: for servers that serve many accounts. Errors as there, and 22023 for an account that does not exist';

CREATE FUNCTION @extschema@.get_usage_event(id uuid) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'get_usage_event';

COMMENT ON FUNCTION @extschema@.get_usage_event(uuid) IS
'Get a usage event
The current event of that id, as create_usage_event() returned it; NULL where the session''s account has none';

CREATE VIEW @extschema@.usage_events WITH (security_invoker = true) AS
SELECT id,
       customer_event_id,
       customer_alias,
       event_type,
       event_timestamp,
       event_properties,
       account_id,
       @extschema@.uuid_v7_timestamp(id) AS ingested_at
FROM usage_events.event;

COMMENT ON VIEW @extschema@.usage_events IS 'Usage events in their current version';
COMMENT ON COLUMN @extschema@.usage_events.id IS 'Id of this version of the event';
COMMENT ON COLUMN @extschema@.usage_events.customer_event_id IS 'The sender''s id of the event';
COMMENT ON COLUMN @extschema@.usage_events.customer_alias IS 'The end customer, by id or alias';
COMMENT ON COLUMN @extschema@.usage_events.event_type IS 'What happened';
COMMENT ON COLUMN @extschema@.usage_events.event_timestamp IS 'When the usage happened';
COMMENT ON COLUMN @extschema@.usage_events.event_properties IS 'Quantities and categories of the event';
COMMENT ON COLUMN @extschema@.usage_events.account_id IS 'The account whose event it is';
COMMENT ON COLUMN @extschema@.usage_events.ingested_at IS 'When this version was stored, to the millisecond';

CREATE VIEW @extschema@.usage_event_history WITH (security_invoker = true) AS
SELECT id,
       customer_event_id,
       customer_alias,
       event_type,
       event_timestamp,
       event_properties,
       account_id,
       @extschema@.uuid_v7_timestamp(id) AS ingested_at,
       superseded_at,
       superseded_by
FROM usage_events.superseded_event;

COMMENT ON VIEW @extschema@.usage_event_history IS 'Every version of a usage event that was superseded';
COMMENT ON COLUMN @extschema@.usage_event_history.id IS 'Id of this version of the event';
COMMENT ON COLUMN @extschema@.usage_event_history.customer_event_id IS 'The sender''s id of the event';
COMMENT ON COLUMN @extschema@.usage_event_history.customer_alias IS 'The end customer, as this version had it';
COMMENT ON COLUMN @extschema@.usage_event_history.event_type IS 'What happened, as this version had it';
COMMENT ON COLUMN @extschema@.usage_event_history.event_timestamp IS 'When the usage happened, as this version had it';
COMMENT ON COLUMN @extschema@.usage_event_history.event_properties IS 'Quantities and categories, as this version had them';
COMMENT ON COLUMN @extschema@.usage_event_history.account_id IS 'The account whose event it was';
COMMENT ON COLUMN @extschema@.usage_event_history.ingested_at IS 'When this version was stored, to the millisecond';
COMMENT ON COLUMN @extschema@.usage_event_history.superseded_at IS 'When another version took its place';
COMMENT ON COLUMN @extschema@.usage_event_history.superseded_by IS 'Id of the version that took its place';

-- Privileges ---------------------------------------------------------------

REVOKE EXECUTE ON FUNCTION
    @extschema@.create_usage_event(jsonb),
    @extschema@.get_usage_event(uuid),
    usage_events.create_event(uuid, jsonb),
    usage_events.create_account(text)
FROM PUBLIC;

CREATE FUNCTION usage_events.grant_access(role regrole, access text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF role IS NULL OR access IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'role and access must not be null';
    END IF;
    IF access NOT IN ('read', 'ingest', 'admin') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown access: %s', quote_literal(access)),
            HINT = 'Access is ''read'', ''ingest'' or ''admin''.';
    END IF;

    EXECUTE format('GRANT USAGE ON SCHEMA usage_events, @extschema@ TO %s', role);
    EXECUTE format('GRANT SELECT ON usage_events.account, usage_events.event, usage_events.superseded_event TO %s', role);
    EXECUTE format('GRANT SELECT ON @extschema@.usage_events, @extschema@.usage_event_history TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION @extschema@.get_usage_event(uuid) TO %s', role);
    IF access = 'read' THEN
        RETURN;
    END IF;

    EXECUTE format('GRANT INSERT ON usage_events.event, usage_events.superseded_event TO %s', role);
    EXECUTE format('GRANT UPDATE (id, event_timestamp, customer_alias, event_type, event_properties) ON usage_events.event TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION @extschema@.create_usage_event(jsonb) TO %s', role);
    IF access = 'ingest' THEN
        RETURN;
    END IF;

    EXECUTE format('GRANT INSERT ON usage_events.account TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION usage_events.create_event(uuid, jsonb), usage_events.create_account(text) TO %s', role);
END
$$;

COMMENT ON FUNCTION usage_events.grant_access(regrole, text) IS
'Gives a role what it needs: ''read'' the session''s account; ''ingest'': also write to it; ''admin'': also make accounts and write to any. Whoever calls it must hold these rights with grant option. Errors: 22004 for NULL, 22023 for another access';

REVOKE EXECUTE ON FUNCTION usage_events.grant_access(regrole, text) FROM PUBLIC;

-- Guard --------------------------------------------------------------------

CREATE FUNCTION usage_events.guard_drop() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'guard_drop';

COMMENT ON FUNCTION usage_events.guard_drop() IS
'Refuses to drop the extension while it holds events, unless usage_events.allow_drop is on. Error: 2BP01';

CREATE EVENT TRIGGER usage_events_guard_drop ON ddl_command_start
    WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'DROP LANGUAGE')
    EXECUTE FUNCTION usage_events.guard_drop();

COMMENT ON EVENT TRIGGER usage_events_guard_drop IS 'Keeps DROP EXTENSION usage_events from taking usage events along';
