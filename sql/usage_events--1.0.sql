-- base.sql: the schema, the version, ids, and what views do with writes
--
-- The first of the files of which make puts the script together: see SUBJECTS in the Makefile.
-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION usage_events" to load this file. \quit

-- Storage and administration live in the schema usage_events, the API in the schema that CREATE EXTENSION names.
-- Nobody need expose the former.

CREATE SCHEMA usage_events;

COMMENT ON SCHEMA usage_events IS
'Storage and administration of usage events; the API is in the schema of the extension';

-- Version -------------------------------------------------------------------

CREATE FUNCTION usage_events.library_version() RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'library_version';

COMMENT ON FUNCTION usage_events.library_version() IS
'Version of the loaded library; differs from the extension''s version while an upgrade is half done';

-- Ids -----------------------------------------------------------------------

CREATE FUNCTION @extschema@.uuid_v7() RETURNS uuid
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'uuid_v7';

COMMENT ON FUNCTION @extschema@.uuid_v7() IS
'A new UUID of version 7 (RFC 9562), above every one that this function made in this backend before';

CREATE FUNCTION @extschema@.uuid_v7_timestamp(id uuid) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'uuid_v7_timestamp';

COMMENT ON FUNCTION @extschema@.uuid_v7_timestamp(uuid) IS
'The moment inside a UUID of version 7 (RFC 9562), to the microsecond; to the millisecond where others made the id, who may
have random bits there; NULL for other versions';

CREATE FUNCTION @extschema@.uuid_v7_floor(moment timestamptz) RETURNS uuid
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'uuid_v7_floor';

COMMENT ON FUNCTION @extschema@.uuid_v7_floor(timestamptz) IS
'The lowest UUID of version 7 (RFC 9562) of that moment: what was ingested from then on has an id that is not below it. Error: 22023 for a moment that no such id can have';

-- Writing to views ----------------------------------------------------------

-- Each row has checks, history and marks, which the functions see to.  Without a trigger the server would write to the table.
CREATE FUNCTION usage_events.refuse_view_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
        MESSAGE = format('view "%s" takes no writes', TG_TABLE_NAME),
        DETAIL = 'It shows what the functions of the extension have written.',
        HINT = TG_ARGV[0];
END
$$;

COMMENT ON FUNCTION usage_events.refuse_view_write() IS
'Trigger of the views, which says what to call instead of writing to them. Error: 0A000';
-- account.sql: accounts, their keys for the HTTP API, up to when they were purged, and the guard on dropping all of it

-- Accounts ------------------------------------------------------------------

CREATE FUNCTION usage_events.current_account_id() RETURNS uuid
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'current_account_id';

COMMENT ON FUNCTION usage_events.current_account_id() IS
'The account whose events are written and read: the setting usage_events.account_id, or else the default account. Errors: PT401 in a request over HTTP for which no account was chosen, by an API key or by whoever set it; 28000 where the setting is the nil UUID, which means none';

CREATE TABLE usage_events.account (
    account_id uuid NOT NULL,
    name text NOT NULL,
    CONSTRAINT account_pkey PRIMARY KEY (account_id)
);

COMMENT ON TABLE usage_events.account IS 'Who meters its customers here; sees its own events alone';
COMMENT ON COLUMN usage_events.account.account_id IS 'Unique id; the time inside it is when the account was made';
COMMENT ON COLUMN usage_events.account.name IS 'Name for people to read; need not be unique';

SELECT pg_catalog.pg_extension_config_dump('usage_events.account',
    'WHERE account_id <> ''00000000-0000-8000-8000-000000000001''');

-- The default account is a constant of the library: restoring a dump finds it made.
INSERT INTO usage_events.account (account_id, name)
VALUES (usage_events.current_account_id(), 'default');

CREATE FUNCTION usage_events.create_account(name text) RETURNS uuid
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_account';

COMMENT ON FUNCTION usage_events.create_account(text) IS
'Makes an account of that name (not blank, at most 255 characters) and returns its id. Errors: 22004 for NULL, 22023 for a name that is none';

-- Replication ---------------------------------------------------------------

-- Each database has the default account from its beginning.  A subscriber of all tables is sent it once more, and would
-- never get past its key.  The trigger fires in what applies changes, and not where an account is made.
CREATE FUNCTION usage_events.keep_default_account() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM usage_events.account WHERE account_id = NEW.account_id) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION usage_events.keep_default_account() IS
'Trigger of usage_events.account for what comes by logical replication: the default account is there already';

CREATE TRIGGER usage_events_default_account BEFORE INSERT ON usage_events.account
    FOR EACH ROW WHEN (NEW.account_id OPERATOR(pg_catalog.=) '00000000-0000-8000-8000-000000000001'::pg_catalog.uuid)
    EXECUTE FUNCTION usage_events.keep_default_account();

ALTER TABLE usage_events.account ENABLE REPLICA TRIGGER usage_events_default_account;

COMMENT ON TRIGGER usage_events_default_account ON usage_events.account IS
'Passes by the default account of a publisher, where there is one already';

-- API keys ------------------------------------------------------------------

CREATE TABLE usage_events.api_key (
    account_id uuid NOT NULL,
    client_id text COLLATE pg_catalog."C" NOT NULL,
    secret_hash bytea NOT NULL,
    label text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    access text NOT NULL DEFAULT 'full',
    customer text COLLATE pg_catalog."C",
    metric_ids uuid[],
    CONSTRAINT api_key_pkey PRIMARY KEY (account_id, client_id)
);

COMMENT ON TABLE usage_events.api_key IS 'Keys by which clients of the HTTP API show whose account they act for';
COMMENT ON COLUMN usage_events.api_key.account_id IS 'The account that the key acts for';
COMMENT ON COLUMN usage_events.api_key.client_id IS 'The public half: the account''s id, a point, and 16 hexadecimal digits';
COMMENT ON COLUMN usage_events.api_key.secret_hash IS 'SHA-256 of the client secret, which has 256 random bits and is stored nowhere';
COMMENT ON COLUMN usage_events.api_key.label IS 'What the key is for';
COMMENT ON COLUMN usage_events.api_key.created_at IS 'When the key was made';
COMMENT ON COLUMN usage_events.api_key.expires_at IS 'From when on the key is refused; NULL: never';
COMMENT ON COLUMN usage_events.api_key.access IS 'full; ingest: may send events, and nothing else; read: may ask, and change nothing';
COMMENT ON COLUMN usage_events.api_key.customer IS 'The id of the one customer that the key sees; NULL: all';
COMMENT ON COLUMN usage_events.api_key.metric_ids IS 'The usage metrics that the key sees; NULL: all';

SELECT pg_catalog.pg_extension_config_dump('usage_events.api_key', '');

CREATE FUNCTION usage_events.create_api_key(
    account_id uuid,
    label text,
    access text DEFAULT 'full',
    customer text DEFAULT NULL,
    metric_ids uuid[] DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL
) RETURNS TABLE (client_id text, client_secret text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'create_api_key';

COMMENT ON FUNCTION usage_events.create_api_key(uuid, text, text, text, uuid[], timestamptz) IS
'Makes an API key of the account, with a label of at most 255 characters, and shows its secret: once, only a hash of it is stored. access: full; ingest: the key may send events, and nothing else; read: it may ask, and change nothing. A read key may be one of a customer, by the customer''s id: it sees nothing of others; and of 1 to 100 usage metrics. It is refused from expires_at on. Errors: 22004 for NULL as one of the first three, 22023 for an account that does not exist, a label that is none, or naming every other fault';

CREATE FUNCTION usage_events.rotate_api_key(client_id text, grace interval DEFAULT '0')
RETURNS TABLE (client_id text, client_secret text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'rotate_api_key';

COMMENT ON FUNCTION usage_events.rotate_api_key(text, interval) IS
'Makes another API key of the same account, label and scope, which does not expire by itself, and lets the old one expire after the grace. Errors: 22004 for NULL, 22023 for a key that does not exist or has expired, or a negative grace';

CREATE FUNCTION usage_events.expire_api_key(client_id text, expires_at timestamptz) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'expire_api_key';

COMMENT ON FUNCTION usage_events.expire_api_key(text, timestamptz) IS
'Lets an API key expire at that moment, or never for NULL: one that has expired is good again then. Errors: 22004 for NULL as the key, 22023 for one that does not exist';

CREATE FUNCTION usage_events.revoke_api_key(client_id text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'revoke_api_key';

COMMENT ON FUNCTION usage_events.revoke_api_key(text) IS
'Lets an API key expire now. Errors as expire_api_key()';

CREATE FUNCTION usage_events.list_api_keys(account_id uuid)
RETURNS TABLE (client_id text, label text, created_at timestamptz, expires_at timestamptz, access text, customer text, metric_ids uuid[])
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
AS 'MODULE_PATHNAME', 'list_api_keys';

COMMENT ON FUNCTION usage_events.list_api_keys(uuid) IS
'The API keys of the account, without their secrets, which nobody has. Error: 22004 for NULL';

-- Portal tokens -------------------------------------------------------------

-- They are not dumped: each ends within a day.

CREATE TABLE usage_events.portal_token (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    customer text COLLATE pg_catalog."C" NOT NULL,
    metric_ids uuid[],
    CONSTRAINT portal_token_pkey PRIMARY KEY (account_id, id)
);

CREATE INDEX portal_token_end_idx ON usage_events.portal_token (account_id, expires_at);

COMMENT ON TABLE usage_events.portal_token IS 'Tokens by which a page shows a customer its own usage, for a while; a new one takes the row of one that has ended';
COMMENT ON COLUMN usage_events.portal_token.account_id IS 'The account that made the token';
COMMENT ON COLUMN usage_events.portal_token.id IS 'Unique id; its client id is the account''s id, a point, and this one';
COMMENT ON COLUMN usage_events.portal_token.secret_hash IS 'SHA-256 of the client secret, which has 256 random bits and is stored nowhere';
COMMENT ON COLUMN usage_events.portal_token.created_at IS 'When the token was made';
COMMENT ON COLUMN usage_events.portal_token.expires_at IS 'From when on the token is refused';
COMMENT ON COLUMN usage_events.portal_token.customer IS 'The id of the one customer that the token sees';
COMMENT ON COLUMN usage_events.portal_token.metric_ids IS 'The usage metrics that the token sees; NULL: all';

-- Horizon -------------------------------------------------------------------

CREATE TABLE usage_events.purge_horizon (
    account_id uuid NOT NULL,
    purged_before timestamptz NOT NULL,
    CONSTRAINT purge_horizon_pkey PRIMARY KEY (account_id)
);

COMMENT ON TABLE usage_events.purge_horizon IS 'Accounts of which old events were purged';
COMMENT ON COLUMN usage_events.purge_horizon.account_id IS 'The account whose events they were';
COMMENT ON COLUMN usage_events.purge_horizon.purged_before IS 'Events that happened before this moment were purged, and are refused; no metric is calculated of a time before it';

SELECT pg_catalog.pg_extension_config_dump('usage_events.purge_horizon', '');

-- Guard ---------------------------------------------------------------------

CREATE FUNCTION usage_events.guard_drop() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'guard_drop';

COMMENT ON FUNCTION usage_events.guard_drop() IS
'Refuses to drop the extension while it holds events, unless usage_events.allow_drop is on. Error: 2BP01';

CREATE EVENT TRIGGER usage_events_guard_drop ON ddl_command_start
    WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'DROP LANGUAGE', 'DROP TABLE', 'DROP VIEW',
                 'DROP MATERIALIZED VIEW', 'DROP FOREIGN TABLE', 'DROP SEQUENCE', 'DROP TYPE', 'DROP DOMAIN',
                 'DROP FUNCTION', 'DROP PROCEDURE', 'DROP ROUTINE', 'DROP AGGREGATE', 'DROP OPERATOR',
                 'DROP OPERATOR CLASS', 'DROP OPERATOR FAMILY', 'DROP COLLATION', 'DROP ACCESS METHOD')
    EXECUTE FUNCTION usage_events.guard_drop();

-- Also for who has turned triggers off by session_replication_role.
ALTER EVENT TRIGGER usage_events_guard_drop ENABLE ALWAYS;

COMMENT ON EVENT TRIGGER usage_events_guard_drop IS 'Keeps DROP EXTENSION usage_events from taking usage events along';
-- event.sql: events: their tables, functions and views, and COPY

-- Tables --------------------------------------------------------------------

CREATE TABLE usage_events.event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    event_timestamp timestamptz NOT NULL,
    customer_event_id text COLLATE pg_catalog."C" NOT NULL,
    customer_alias text COLLATE pg_catalog."C" NOT NULL,
    event_type text COLLATE pg_catalog."C" NOT NULL,
    event_properties jsonb NOT NULL,
    CONSTRAINT event_pkey PRIMARY KEY (account_id, customer_event_id)
);

-- Each index costs every event: these two, beside the key, are what metrics and lists find events by.
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
    customer_event_id text COLLATE pg_catalog."C" NOT NULL,
    customer_alias text COLLATE pg_catalog."C" NOT NULL,
    event_type text COLLATE pg_catalog."C" NOT NULL,
    event_properties jsonb NOT NULL,
    CONSTRAINT superseded_event_pkey PRIMARY KEY (account_id, customer_event_id, id)
);
CREATE UNIQUE INDEX superseded_event_id_key ON usage_events.superseded_event (account_id, id);
CREATE INDEX superseded_event_by_idx ON usage_events.superseded_event (account_id, superseded_by);

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

CREATE TABLE usage_events.rejected_event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    body text NOT NULL,
    faults jsonb NOT NULL,
    taken_at timestamptz,
    CONSTRAINT rejected_event_pkey PRIMARY KEY (account_id, id)
);

CREATE INDEX rejected_event_taken_idx ON usage_events.rejected_event (account_id) WHERE taken_at IS NOT NULL;

COMMENT ON TABLE usage_events.rejected_event IS 'Events that were refused on their way in, kept to be looked at and sent again';
COMMENT ON COLUMN usage_events.rejected_event.account_id IS 'The account to which it was sent';
COMMENT ON COLUMN usage_events.rejected_event.id IS 'Id of the rejection, a UUID of version 7; the time inside it is when it was rejected';
COMMENT ON COLUMN usage_events.rejected_event.body IS 'The event as it came';
COMMENT ON COLUMN usage_events.rejected_event.faults IS 'Why it was refused: [{"field", "fault"}], without field where the event as a whole is meant';
COMMENT ON COLUMN usage_events.rejected_event.taken_at IS 'When it was sent again: the next refresh deletes the row; NULL: it waits';

SELECT pg_catalog.pg_extension_config_dump('usage_events.rejected_event', 'WHERE taken_at IS NULL');

CREATE TABLE usage_events.rejected_overflow (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    event_count bigint NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT rejected_overflow_pkey PRIMARY KEY (account_id, id)
);

COMMENT ON TABLE usage_events.rejected_overflow IS 'How many refused events were not kept, because their account had as many as it may: a row for each transaction that there was at a time, to be added up';
COMMENT ON COLUMN usage_events.rejected_overflow.account_id IS 'The account to which they were sent';
COMMENT ON COLUMN usage_events.rejected_overflow.id IS 'Id of the row, a UUID of version 7';
COMMENT ON COLUMN usage_events.rejected_overflow.event_count IS 'Refused events that were not kept, and counted here';
COMMENT ON COLUMN usage_events.rejected_overflow.last_at IS 'When the last of them was refused';

SELECT pg_catalog.pg_extension_config_dump('usage_events.rejected_overflow', '');

-- One event -----------------------------------------------------------------

-- One unnamed parameter, and no overload: PostgREST then passes the whole body.
CREATE FUNCTION @extschema@.create_usage_event(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_usage_event';

COMMENT ON FUNCTION @extschema@.create_usage_event(jsonb) IS
'Create a usage event
Takes {"customerAlias", "eventType", "customerEventId", "eventTimestamp", "eventProperties"}, the first two required, stores it for the session''s account, and returns what is stored, with "id" and "sequenceAccountId". The same event sent again is stored once; another with the same customerEventId supersedes it. Errors: 22023 naming every fault, 22004 for NULL, 23505 for a conflict where usage_events.on_conflict is refuse, 53400 where a metric would be above a usage limit';

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

CREATE FUNCTION @extschema@.get_usage_event_history(id uuid) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'get_usage_event_history';

COMMENT ON FUNCTION @extschema@.get_usage_event_history(uuid) IS
'Get all versions of a usage event
Takes the id of any version and returns {"items"}: all of them, the oldest first, each with "supersededAt" and "supersededBy", which are null in the current one. NULL where the session''s account has none. Error: 54000 for an answer of more text than a sixth of usage_events.max_memory: the view usage_event_history has the versions, too';

-- Many events ---------------------------------------------------------------

-- Many at once: as the same events one by one, in the order given.
CREATE FUNCTION @extschema@.create_usage_events(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_usage_events';

COMMENT ON FUNCTION @extschema@.create_usage_events(jsonb) IS
'Create usage events, all or none
Takes an array of events as create_usage_event() takes one, stores them as if sent one by one, and returns an array of what is stored, in the same order. Errors: 22023 naming the faulty events, of many the first, by their index (from 0) with their faults; 54000 for more than usage_events.max_memory can take, or an answer of more than a sixth of it as text; otherwise as create_usage_event()';

CREATE FUNCTION usage_events.create_events(account_id uuid, events jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_events';

COMMENT ON FUNCTION usage_events.create_events(uuid, jsonb) IS
'create_usage_events() for an account named by the caller, who may act for any. Errors as there, and 22023 for an account that does not exist';

CREATE FUNCTION @extschema@.ingest_usage_events(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ingest_usage_events';

COMMENT ON FUNCTION @extschema@.ingest_usage_events(jsonb) IS
'Create usage events, each that can be
Takes an array of events, stores those that pass, keeps the others in rejected_usage_events (as far as usage_events.max_rejected_events and max_rejected_bytes allow: a fault says if not), and returns {"created", "superseded", "unchanged", "refused", "outcomes"}: four totals, and for each event in order {"index", "outcome", "id"} or {"index", "outcome": "refused", "faults": [{"field", "fault"}]}. Under usage_events.on_conflict = refuse, other content of a customerEventId that is there is refused so, too. Errors: 22023 for what is no array, 22004 for NULL';

-- One unnamed parameter here as well: PostgREST passes a body of text/plain.
CREATE FUNCTION @extschema@.ingest_usage_events_text(text) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ingest_usage_events_text';

COMMENT ON FUNCTION @extschema@.ingest_usage_events_text(text) IS
'Create usage events, each that can be, from text
ingest_usage_events() for an array as text, of which an element may be no JSON, or hold what the database cannot, such as \u0000: it is refused, and the others are stored. Errors as there, and 22P02, 22P05 for text of which one cannot tell where its elements end';

CREATE FUNCTION usage_events.ingest_events(account_id uuid, events jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ingest_events';

COMMENT ON FUNCTION usage_events.ingest_events(uuid, jsonb) IS
'ingest_usage_events() for an account named by the caller, who may act for any. Errors as there, and 22023 for an account that does not exist';

CREATE FUNCTION @extschema@.retry_rejected_usage_events(ids uuid[] DEFAULT NULL) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'retry_rejected_usage_events';

COMMENT ON FUNCTION @extschema@.retry_rejected_usage_events(uuid[]) IS
'Send rejected usage events again
Takes ids of rejected_usage_events, or NULL for all of the session''s account, sends these events again in the order in which they were rejected, and returns what ingest_usage_events() would. Those that are refused again are kept again, under a new id';

CREATE FUNCTION @extschema@.delete_rejected_usage_event(id uuid) RETURNS jsonb
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'delete_rejected_usage_event';

COMMENT ON FUNCTION @extschema@.delete_rejected_usage_event(uuid) IS
'Give up a rejected usage event
Takes the id of one of rejected_usage_events, deletes it, and returns it: {"id", "rejectedAt", "body", "faults"}. NULL where the session''s account has none that waits';

CREATE FUNCTION @extschema@.list_rejected_usage_events(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_rejected_usage_events';

COMMENT ON FUNCTION @extschema@.list_rejected_usage_events(integer, text, text) IS
'List rejected usage events
A page of rejected_usage_events of the session''s account, the newest first, {"items": [{"id", "rejectedAt", "body", "faults"}], "pagination": {"after", "before", "totalResultSize"}}: page_limit items (1 to 100), from a cursor of an earlier page on (after or before). body is the event as it came, as text. Errors: 22023 naming each faulty argument by its name in the HTTP API; 54000 for an answer of more text than a sixth of usage_events.max_memory';

CREATE FUNCTION @extschema@.list_usage_customers(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_customers';

COMMENT ON FUNCTION @extschema@.list_usage_customers(integer, text, text) IS
'List customers that have usage events
A page of the aliases that events of the session''s account came with, in the order of their bytes, {"items": [{"customerAlias", "customerId", "lastEventTimestamp"}], "pagination": {"after", "before", "totalResultSize"}}: page_limit items (1 to 100), from a cursor of an earlier page on (after or before). customerId is null where the alias is mapped to nobody. VOID is none of them, and totalResultSize is null: they are not counted. Errors: 22023 naming each faulty argument by its name in the HTTP API, 54000 where the customers of the page have events of more types than usage_events.list_lookup_limit';

CREATE FUNCTION @extschema@.list_usage_event_types() RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_event_types';

COMMENT ON FUNCTION @extschema@.list_usage_event_types() IS
'List types of usage events
The types of the newest events of the session''s account, as many as usage_events.sample_limit says: {"items": [{"eventType", "eventCount", "lastEventTimestamp"}], "sample": {"eventCount", "isComplete"}}. isComplete: these were all the events that there are';

CREATE FUNCTION @extschema@.list_usage_event_properties(event_type text) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_event_properties';

COMMENT ON FUNCTION @extschema@.list_usage_event_properties(text) IS
'List properties of usage events
What events of a type have as eventProperties, by those of the type among the newest events of the session''s account, as many as usage_events.sample_limit says, in at most 16 MB: {"items": [{"name", "types", "eventCount", "examples"}], "sample": {"eventCount", "isComplete"}}. types: string, number, boolean, null, object, array. examples: up to three different short values. At most 1,000 properties are told, of names of at most 255 bytes. isComplete: all of all events of the type is told';

CREATE FUNCTION @extschema@.list_usage_events(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL,
    page_offset integer DEFAULT 0,
    sort_by text DEFAULT 'createdAt',
    sort_order text DEFAULT 'DESC',
    customer_aliases text[] DEFAULT NULL,
    unmapped_aliases_only boolean DEFAULT false,
    event_type text DEFAULT NULL,
    event_id text DEFAULT NULL,
    event_timestamp_before timestamptz DEFAULT NULL,
    event_timestamp_after timestamptz DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_events';

COMMENT ON FUNCTION @extschema@.list_usage_events(integer, text, text, integer, text, text, text[], boolean, text, text, timestamptz, timestamptz) IS
'List usage events
A page of the session''s account''s events, {"items", "pagination": {"after", "before", "totalResultSize"}}: page_limit items (1 to 100), page_offset of them skipped (0 to 10,000), from a cursor of an earlier page on (after or before), sorted by createdAt or eventTimestamp, ASC or DESC; of any of the aliases (as they came with events: a customer''s id is none, VOID is), of aliases that are mapped to no customer, of a type, with an id (the event''s or the sender''s), before a moment (exclusive) and after one (inclusive). The pages after the first show the list as it was then, but for transactions that were still open. totalResultSize is exact, and null where more than usage_events.list_total_limit events, or a fifth as many pairs of a customer and a type, would have to be looked at. Errors: 22023 naming each faulty argument by its name in the HTTP API, 54000 where more than usage_events.list_lookup_limit corrections since the first page, aliases, or pairs of a customer and a type, or five times as many events, would have to be looked through';

-- Views ---------------------------------------------------------------------

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
COMMENT ON COLUMN @extschema@.usage_events.ingested_at IS 'When this version was stored, to the microsecond';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE ON @extschema@.usage_events FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_usage_event(), which also corrects the event of that customerEventId, or create_usage_events() for many, or COPY them to usage_event_import.');
CREATE TRIGGER refuse_delete INSTEAD OF DELETE ON @extschema@.usage_events FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('To take an event back, call create_usage_event() with its customerEventId and the customerAlias VOID. Events are deleted for good by usage_events.purge() and usage_events.erase_customer().');

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
COMMENT ON COLUMN @extschema@.usage_event_history.ingested_at IS 'When this version was stored, to the microsecond';
COMMENT ON COLUMN @extschema@.usage_event_history.superseded_at IS 'When another version took its place';
COMMENT ON COLUMN @extschema@.usage_event_history.superseded_by IS 'Id of the version that took its place';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.usage_event_history FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_usage_event(): the version that an event replaces comes to be here by itself.');

CREATE VIEW @extschema@.rejected_usage_events WITH (security_invoker = true) AS
SELECT id,
       body,
       faults,
       account_id,
       @extschema@.uuid_v7_timestamp(id) AS rejected_at
FROM usage_events.rejected_event
WHERE taken_at IS NULL;

COMMENT ON VIEW @extschema@.rejected_usage_events IS 'Events that were refused on their way in; retry_rejected_usage_events() sends them again';
COMMENT ON COLUMN @extschema@.rejected_usage_events.id IS 'Id of the rejection';
COMMENT ON COLUMN @extschema@.rejected_usage_events.body IS 'The event as it came';
COMMENT ON COLUMN @extschema@.rejected_usage_events.faults IS 'Why it was refused: [{"field", "fault"}]';
COMMENT ON COLUMN @extschema@.rejected_usage_events.account_id IS 'The account to which it was sent';
COMMENT ON COLUMN @extschema@.rejected_usage_events.rejected_at IS 'When it was rejected, to the microsecond';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.rejected_usage_events FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('What ingest_usage_events() refuses comes to be here by itself; retry_rejected_usage_events() sends it again.');

-- Import --------------------------------------------------------------------

CREATE VIEW @extschema@.usage_event_import WITH (security_invoker = true) AS
SELECT ''::text AS event WHERE false;

COMMENT ON VIEW @extschema@.usage_event_import IS
'COPY usage_event_import FROM ... (FORMAT csv, DELIMITER E''\x01'', QUOTE E''\x02''): one JSON event a line, or CSV whose header names fields of events and properties. Always empty to read. usage_events.import_on_error says what happens to a line that is no event. Errors: 22P04 where COPY''s options would change a line';
COMMENT ON COLUMN @extschema@.usage_event_import.event IS 'An event as create_usage_event() takes it';

CREATE FUNCTION usage_events.import_usage_events() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'import_usage_events';

COMMENT ON FUNCTION usage_events.import_usage_events() IS
'Gathers the rows that a statement writes to usage_event_import, and stores them in batches. Errors as create_usage_events()';

CREATE TRIGGER usage_event_import_begin BEFORE INSERT ON @extschema@.usage_event_import
    FOR EACH STATEMENT EXECUTE FUNCTION usage_events.import_usage_events();

CREATE TRIGGER usage_event_import_row INSTEAD OF INSERT ON @extschema@.usage_event_import
    FOR EACH ROW EXECUTE FUNCTION usage_events.import_usage_events();

CREATE TRIGGER usage_event_import_end AFTER INSERT ON @extschema@.usage_event_import
    FOR EACH STATEMENT EXECUTE FUNCTION usage_events.import_usage_events();
-- outbox.sql: events that come from databases without the extension, by logical replication of their outbox

-- Tables --------------------------------------------------------------------

CREATE TABLE usage_events.outbox (
    account_id uuid NOT NULL,
    subscription text COLLATE pg_catalog."C" NOT NULL,
    attached_at timestamptz NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (subscription)
);

COMMENT ON TABLE usage_events.outbox IS 'Which account the events of a subscription are for';
COMMENT ON COLUMN usage_events.outbox.account_id IS 'The account';
COMMENT ON COLUMN usage_events.outbox.subscription IS 'The subscription, by its name';
COMMENT ON COLUMN usage_events.outbox.attached_at IS 'Since when';

SELECT pg_catalog.pg_extension_config_dump('usage_events.outbox', '');

-- What is subscribed to has the columns id and event alone: examples/outbox/outbox.sql.  The key is that of the other database.
CREATE TABLE usage_events.outbox_event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    event jsonb,
    outcome text COLLATE pg_catalog."C" NOT NULL,
    event_id uuid,
    CONSTRAINT outbox_event_pkey PRIMARY KEY (id)
);

CREATE INDEX outbox_event_version_idx ON usage_events.outbox_event (account_id, event_id);

COMMENT ON TABLE usage_events.outbox_event IS 'Which rows of an outbox have come, so that none is taken twice; a row goes when it is deleted from the outbox';
COMMENT ON COLUMN usage_events.outbox_event.account_id IS 'The account that its event was for';
COMMENT ON COLUMN usage_events.outbox_event.id IS 'Id of the row in the outbox, a UUID of version 7; the time inside it is when the event was stored there';
COMMENT ON COLUMN usage_events.outbox_event.event IS 'NULL: the event is where events are';
COMMENT ON COLUMN usage_events.outbox_event.outcome IS 'created, superseded, unchanged or refused, as by ingest_usage_events(); older: a later version of the event had come before';
COMMENT ON COLUMN usage_events.outbox_event.event_id IS 'Id of the version of the event that it is; NULL where it is none';

SELECT pg_catalog.pg_extension_config_dump('usage_events.outbox_event', '');

-- What comes ----------------------------------------------------------------

CREATE FUNCTION usage_events.subscription_account() RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    subscription_name text;
    account uuid;
BEGIN
    SELECT subname INTO subscription_name
    FROM pg_subscription JOIN pg_stat_get_subscription(NULL) AS worker ON subid = oid
    WHERE worker.pid = pg_backend_pid();
    SELECT outbox.account_id INTO account FROM usage_events.outbox WHERE outbox.subscription = subscription_name;
    IF account IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'events of an outbox come without an account that they are for',
            DETAIL = CASE WHEN subscription_name IS NULL THEN 'They come by no subscription.'
                ELSE format('No account has the subscription "%s".', subscription_name) END,
            HINT = 'Call usage_events.attach_outbox() with the subscription and an account: what came is tried again.';
    END IF;
    RETURN account;
END
$$;

COMMENT ON FUNCTION usage_events.subscription_account() IS
'The account that has the subscription whose changes this process applies. Error: 55000 where there is none';

-- Rows are copied in no order when a subscription begins, and replicated in that of their commits.  An event of an earlier call
-- never takes the place of one of a later call: their ids tell.
CREATE FUNCTION usage_events.outbox_has_newer(account_id uuid, row_id uuid, customer_event_id text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    version uuid;
BEGIN
    SELECT stored.id INTO version FROM usage_events.event AS stored
    WHERE stored.account_id = outbox_has_newer.account_id AND stored.customer_event_id = outbox_has_newer.customer_event_id;
    RETURN FOUND AND EXISTS (
        SELECT FROM usage_events.outbox_event AS came
        WHERE came.account_id = outbox_has_newer.account_id AND came.event_id = version AND came.id > outbox_has_newer.row_id);
END
$$;

COMMENT ON FUNCTION usage_events.outbox_has_newer(uuid, uuid, text) IS
'Whether the current version of an event came from a later row of an outbox than the one of this id';

CREATE FUNCTION usage_events.receive_outbox_event() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    outcome jsonb = '{"outcome": "older"}';
BEGIN
    IF EXISTS (SELECT FROM usage_events.outbox_event WHERE id = NEW.id) THEN
        RETURN NULL;
    END IF;
    NEW.account_id = usage_events.subscription_account();
    IF NOT usage_events.outbox_has_newer(NEW.account_id, NEW.id, NEW.event ->> 'customerEventId') THEN
        outcome = usage_events.ingest_events(NEW.account_id, jsonb_build_array(NEW.event)) -> 'outcomes' -> 0;
    END IF;
    NEW.outcome = outcome ->> 'outcome';
    NEW.event_id = outcome ->> 'id';
    NEW.event = NULL;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION usage_events.receive_outbox_event() IS
'Trigger of usage_events.outbox_event: stores the event of a row that comes, or keeps it as refused, and passes by a row that has come before. Error: 55000 where the row comes by no subscription that an account has';

CREATE TRIGGER usage_events_receive BEFORE INSERT ON usage_events.outbox_event
    FOR EACH ROW EXECUTE FUNCTION usage_events.receive_outbox_event();

-- As a replica's.  A restore brings rows that have come already, in the ordinary mode.
ALTER TABLE usage_events.outbox_event ENABLE REPLICA TRIGGER usage_events_receive;

COMMENT ON TRIGGER usage_events_receive ON usage_events.outbox_event IS 'Stores the event of a row that comes by logical replication';

-- Attaching -----------------------------------------------------------------

CREATE FUNCTION usage_events.check_outbox_can_be() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF usage_events.is_distributed() THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'where the tables are distributed no outbox can be attached',
            HINT = 'Attach it in a database whose tables are not.';
    END IF;
END
$$;

COMMENT ON FUNCTION usage_events.check_outbox_can_be() IS
'Whether outboxes may be attached and detached here. Error: 0A000 where the tables are distributed';

CREATE FUNCTION usage_events.attach_outbox(subscription text, account_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    other uuid;
BEGIN
    PERFORM usage_events.check_outbox_can_be();
    IF attach_outbox.subscription IS NULL OR attach_outbox.account_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'a subscription and an account are needed';
    END IF;
    IF NOT EXISTS (SELECT FROM usage_events.account WHERE account.account_id = attach_outbox.account_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('account %s does not exist', attach_outbox.account_id);
    END IF;
    INSERT INTO usage_events.outbox VALUES (attach_outbox.account_id, attach_outbox.subscription, statement_timestamp())
    ON CONFLICT DO NOTHING;
    SELECT outbox.account_id INTO other FROM usage_events.outbox WHERE outbox.subscription = attach_outbox.subscription;
    IF other <> attach_outbox.account_id THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the subscription "%s" is attached to another account', attach_outbox.subscription),
            DETAIL = format('Its events are for the account %s.', other),
            HINT = 'Call usage_events.detach_outbox() first.';
    END IF;
END
$$;

COMMENT ON FUNCTION usage_events.attach_outbox(text, uuid) IS
'Has the events of an outbox, which come by the subscription of that name, stored for the account: each once, and those that are refused kept in rejected_usage_events. The subscription may be made before or after. For superusers, as subscriptions are. Errors: 22004, 22023 for an account that does not exist, 55000 where it is attached to another, 0A000 where the tables are distributed';

CREATE FUNCTION usage_events.detach_outbox(subscription text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM usage_events.check_outbox_can_be();
    IF EXISTS (SELECT FROM pg_subscription JOIN pg_database ON pg_database.oid = subdbid
               WHERE datname = current_database() AND subname = detach_outbox.subscription AND subenabled) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the subscription "%s" is still there', detach_outbox.subscription),
            HINT = 'Drop the subscription first, or disable it: its events would find no account.';
    END IF;
    DELETE FROM usage_events.outbox WHERE outbox.subscription = detach_outbox.subscription;
    RETURN FOUND;
END
$$;

COMMENT ON FUNCTION usage_events.detach_outbox(text) IS
'Takes an outbox away from its account; whether it had one. Events stay, and so does what has come: attached once more, to a new subscription with a copy of all rows, none counts twice. For superusers. Errors: 55000 while the subscription is enabled, 0A000 where the tables are distributed';

-- Status --------------------------------------------------------------------

CREATE VIEW usage_events.outbox_status WITH (security_invoker = true) AS
SELECT outbox.account_id,
       outbox.subscription,
       outbox.attached_at,
       worker.count OPERATOR(pg_catalog.>) 0 AS is_running,
       EXTRACT(epoch FROM pg_catalog.statement_timestamp() OPERATOR(pg_catalog.-) worker.heard_at)::double precision AS lag_seconds
FROM usage_events.outbox AS outbox
CROSS JOIN LATERAL (
    SELECT pg_catalog.count(process.pid), pg_catalog.max(GREATEST(process.last_msg_send_time, process.latest_end_time)) AS heard_at
    FROM pg_catalog.pg_subscription AS subscription
    JOIN pg_catalog.pg_database AS database ON database.oid OPERATOR(pg_catalog.=) subscription.subdbid
    JOIN pg_catalog.pg_stat_subscription AS process ON process.subid OPERATOR(pg_catalog.=) subscription.oid AND process.relid IS NULL
    WHERE database.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
      AND subscription.subname::text OPERATOR(pg_catalog.=) outbox.subscription
) AS worker;

COMMENT ON VIEW usage_events.outbox_status IS 'The outboxes that accounts have, and how far behind they are';
COMMENT ON COLUMN usage_events.outbox_status.account_id IS 'The account that its events are for';
COMMENT ON COLUMN usage_events.outbox_status.subscription IS 'The subscription, by its name';
COMMENT ON COLUMN usage_events.outbox_status.attached_at IS 'Since when its events are for the account';
COMMENT ON COLUMN usage_events.outbox_status.is_running IS 'Whether a process applies what it brings';
COMMENT ON COLUMN usage_events.outbox_status.lag_seconds IS 'How long ago the other server sent what came last, in seconds; a server that has nothing to send says so from time to time. NULL where nothing runs';

-- A function, so that the view account_status is of tables of accounts alone: Citus joins those with no other.
CREATE FUNCTION usage_events.outbox_lag_seconds(account_id uuid) RETURNS double precision
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT max(CASE WHEN status.is_running THEN status.lag_seconds ELSE 'Infinity' END)
            FROM usage_events.outbox_status AS status WHERE status.account_id = outbox_lag_seconds.account_id);
END
$$;

COMMENT ON FUNCTION usage_events.outbox_lag_seconds(uuid) IS
'How far behind the outboxes of an account are that the caller may see: the most, in seconds; Infinity where nothing applies one, NULL where there is none';
-- event_type.sql: the type usage_event

-- The type ------------------------------------------------------------------

CREATE TYPE @extschema@.usage_event;

CREATE FUNCTION usage_events.usage_event_in(cstring) RETURNS @extschema@.usage_event
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_in';

COMMENT ON FUNCTION usage_events.usage_event_in(cstring) IS 'Input of the type usage_event';

CREATE FUNCTION usage_events.usage_event_out(@extschema@.usage_event) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_out';

COMMENT ON FUNCTION usage_events.usage_event_out(@extschema@.usage_event) IS 'Output of the type usage_event';

CREATE FUNCTION usage_events.usage_event_recv(internal) RETURNS @extschema@.usage_event
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_recv';

COMMENT ON FUNCTION usage_events.usage_event_recv(internal) IS 'Binary input of the type usage_event';

CREATE FUNCTION usage_events.usage_event_send(@extschema@.usage_event) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_send';

COMMENT ON FUNCTION usage_events.usage_event_send(@extschema@.usage_event) IS 'Binary output of the type usage_event';

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

-- Casts ---------------------------------------------------------------------

CREATE FUNCTION usage_events.usage_event_from_jsonb(jsonb) RETURNS @extschema@.usage_event
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_from_jsonb';

COMMENT ON FUNCTION usage_events.usage_event_from_jsonb(jsonb) IS 'Cast from jsonb, with the checks of the type''s input';

CREATE FUNCTION usage_events.usage_event_to_jsonb(@extschema@.usage_event) RETURNS jsonb
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_to_jsonb';

COMMENT ON FUNCTION usage_events.usage_event_to_jsonb(@extschema@.usage_event) IS 'Cast to jsonb';

CREATE CAST (jsonb AS @extschema@.usage_event)
    WITH FUNCTION usage_events.usage_event_from_jsonb AS ASSIGNMENT;

CREATE CAST (@extschema@.usage_event AS jsonb)
    WITH FUNCTION usage_events.usage_event_to_jsonb AS ASSIGNMENT;

-- What json_build_object() and drivers that know json alone give.
CREATE CAST (json AS @extschema@.usage_event) WITH INOUT AS ASSIGNMENT;

CREATE CAST (@extschema@.usage_event AS json) WITH INOUT AS ASSIGNMENT;

-- Comparing -----------------------------------------------------------------

-- As jsonb does it, so that DISTINCT, GROUP BY, ORDER BY, UNION and indexes work with the type.

CREATE FUNCTION usage_events.usage_event_lt(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_lt';

COMMENT ON FUNCTION usage_events.usage_event_lt(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is less than the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_le(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_le';

COMMENT ON FUNCTION usage_events.usage_event_le(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is at most the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_eq(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_eq';

COMMENT ON FUNCTION usage_events.usage_event_eq(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event equals the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_ne(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_ne';

COMMENT ON FUNCTION usage_events.usage_event_ne(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event differs from the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_ge(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_ge';

COMMENT ON FUNCTION usage_events.usage_event_ge(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is at least the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_gt(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_gt';

COMMENT ON FUNCTION usage_events.usage_event_gt(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is greater than the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_cmp(@extschema@.usage_event, @extschema@.usage_event) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_cmp';

COMMENT ON FUNCTION usage_events.usage_event_cmp(@extschema@.usage_event, @extschema@.usage_event) IS 'Order of two events: that of their JSON, less than, equal to, or greater than 0';

CREATE FUNCTION usage_events.usage_event_hash(@extschema@.usage_event) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_hash';

COMMENT ON FUNCTION usage_events.usage_event_hash(@extschema@.usage_event) IS 'Hash of an event';

CREATE FUNCTION usage_events.usage_event_hash_extended(@extschema@.usage_event, bigint) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_hash_extended';

COMMENT ON FUNCTION usage_events.usage_event_hash_extended(@extschema@.usage_event, bigint) IS 'Hash of an event, of 64 bits and with a seed';

CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_lt,
    COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=), RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel
);

CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_le,
    COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>), RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel
);

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>), RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES, MERGES
);

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=), RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);

CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<), RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel
);

CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_gt,
    COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=), RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel
);

COMMENT ON OPERATOR @extschema@.< (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is less than the second';

COMMENT ON OPERATOR @extschema@.<= (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is at most the second';

COMMENT ON OPERATOR @extschema@.= (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event equals the second';

COMMENT ON OPERATOR @extschema@.<> (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event differs from the second';

COMMENT ON OPERATOR @extschema@.>= (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is at least the second';

COMMENT ON OPERATOR @extschema@.> (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is greater than the second';

CREATE OPERATOR CLASS @extschema@.usage_event_ops DEFAULT FOR TYPE @extschema@.usage_event USING btree AS
    OPERATOR 1 @extschema@.<,
    OPERATOR 2 @extschema@.<=,
    OPERATOR 3 @extschema@.=,
    OPERATOR 4 @extschema@.>=,
    OPERATOR 5 @extschema@.>,
    FUNCTION 1 usage_events.usage_event_cmp;

CREATE OPERATOR CLASS @extschema@.usage_event_ops DEFAULT FOR TYPE @extschema@.usage_event USING hash AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 usage_events.usage_event_hash,
    FUNCTION 2 usage_events.usage_event_hash_extended;

COMMENT ON OPERATOR FAMILY @extschema@.usage_event_ops USING btree IS 'Order of events, that of their JSON';

COMMENT ON OPERATOR FAMILY @extschema@.usage_event_ops USING hash IS 'Hashes of events';

COMMENT ON OPERATOR CLASS @extschema@.usage_event_ops USING btree IS 'Order of events, that of their JSON';

COMMENT ON OPERATOR CLASS @extschema@.usage_event_ops USING hash IS 'Hashes of events';
-- customer.sql: customers, and the aliases under which their events come in

-- Table ---------------------------------------------------------------------

CREATE TABLE usage_events.customer_alias (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    customer_id text COLLATE pg_catalog."C" NOT NULL,
    value text COLLATE pg_catalog."C" NOT NULL,
    label text,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT customer_alias_pkey PRIMARY KEY (account_id, id)
);

CREATE UNIQUE INDEX customer_alias_value_key ON usage_events.customer_alias (account_id, value) WHERE deleted_at IS NULL;
CREATE INDEX customer_alias_customer_idx ON usage_events.customer_alias (account_id, customer_id) WHERE deleted_at IS NULL;

COMMENT ON TABLE usage_events.customer_alias IS 'Names under which events come in, and the customers they belong to';
COMMENT ON COLUMN usage_events.customer_alias.account_id IS 'The account whose customer it is';
COMMENT ON COLUMN usage_events.customer_alias.id IS 'Unique id, a UUID of version 7';
COMMENT ON COLUMN usage_events.customer_alias.customer_id IS 'The customer, by the account''s own id; an alias of itself without being set up';
COMMENT ON COLUMN usage_events.customer_alias.value IS 'The alias; of one customer at a time';
COMMENT ON COLUMN usage_events.customer_alias.label IS 'For people to read';
COMMENT ON COLUMN usage_events.customer_alias.created_at IS 'When the alias was made';
COMMENT ON COLUMN usage_events.customer_alias.deleted_at IS 'When it was deleted; NULL while it is in force';

SELECT pg_catalog.pg_extension_config_dump('usage_events.customer_alias', '');

-- Functions -----------------------------------------------------------------

CREATE FUNCTION @extschema@.create_customer_alias(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_customer_alias';

COMMENT ON FUNCTION @extschema@.create_customer_alias(jsonb) IS
'Create a customer alias
Takes {"customerId", "value", "label"}, the last optional, and maps the alias to the customer: events that came with it count as the customer''s from now on, also those that came before. The same again is a retry, and answered as the first time. Errors: 22023 naming every fault, also where the alias is another customer''s; 22004 for NULL';

CREATE FUNCTION @extschema@.update_customer_alias(id uuid, alias jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'update_customer_alias';

COMMENT ON FUNCTION @extschema@.update_customer_alias(uuid, jsonb) IS
'Change the label of a customer alias
Takes {"label"}, a string or null, and returns the alias; NULL where the session''s account has none of that id. Errors: 22023 naming every fault, 22004 for NULL as the alias';

CREATE FUNCTION @extschema@.delete_customer_alias(id uuid) RETURNS jsonb
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'delete_customer_alias';

COMMENT ON FUNCTION @extschema@.delete_customer_alias(uuid) IS
'Delete a customer alias
Its events belong to nobody from now on, until the alias is mapped again. Returns the alias; NULL where the session''s account has none of that id';

CREATE FUNCTION @extschema@.list_customer_aliases(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL,
    value text DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_customer_aliases';

COMMENT ON FUNCTION @extschema@.list_customer_aliases(integer, text, text, text) IS
'List customer aliases
A page of the session''s account''s aliases, the newest first, or the one of that value, in pages as those of list_usage_events(), each of the moment at which it is read. Errors as there';

-- Views ---------------------------------------------------------------------

CREATE VIEW @extschema@.customer_aliases WITH (security_invoker = true) AS
SELECT id,
       customer_id,
       value,
       label,
       created_at,
       account_id
FROM usage_events.customer_alias
WHERE deleted_at IS NULL;

COMMENT ON VIEW @extschema@.customer_aliases IS 'Names under which events come in, and the customers they belong to';
COMMENT ON COLUMN @extschema@.customer_aliases.id IS 'Id of the alias';
COMMENT ON COLUMN @extschema@.customer_aliases.customer_id IS 'The customer';
COMMENT ON COLUMN @extschema@.customer_aliases.value IS 'The alias';
COMMENT ON COLUMN @extschema@.customer_aliases.label IS 'For people to read';
COMMENT ON COLUMN @extschema@.customer_aliases.created_at IS 'When the alias was made';
COMMENT ON COLUMN @extschema@.customer_aliases.account_id IS 'The account whose customer it is';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.customer_aliases FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_customer_alias(), update_customer_alias() or delete_customer_alias().');

-- One step of the recursion is one search in an index: from an alias to the next.
-- So is each look whether it is mapped: the first from it on, because that order
-- leaves the planner one index to choose, also of a table that it knows nothing of.
CREATE VIEW usage_events.unmapped_alias WITH (security_invoker = true) AS
WITH RECURSIVE alias (value) AS (
    (SELECT customer_alias FROM usage_events.event
     WHERE account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
     ORDER BY customer_alias LIMIT 1)
    UNION ALL
    SELECT (SELECT customer_alias FROM usage_events.event
            WHERE account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
              AND customer_alias OPERATOR(pg_catalog.>) alias.value
            ORDER BY customer_alias LIMIT 1)
    FROM alias
    WHERE alias.value IS NOT NULL
)
SELECT alias.value
FROM alias
WHERE alias.value OPERATOR(pg_catalog.<>) 'VOID'
  AND ((SELECT mapped.value FROM usage_events.customer_alias AS mapped
       WHERE mapped.account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
         AND mapped.deleted_at IS NULL AND mapped.value OPERATOR(pg_catalog.>=) alias.value
       ORDER BY mapped.value LIMIT 1) OPERATOR(pg_catalog.=) alias.value) IS NOT TRUE
  AND ((SELECT mapped.customer_id FROM usage_events.customer_alias AS mapped
       WHERE mapped.account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
         AND mapped.deleted_at IS NULL AND mapped.customer_id OPERATOR(pg_catalog.>=) alias.value
       ORDER BY mapped.customer_id LIMIT 1) OPERATOR(pg_catalog.=) alias.value) IS NOT TRUE;

COMMENT ON VIEW usage_events.unmapped_alias IS 'Aliases of the session''s account''s events that belong to no customer yet';
COMMENT ON COLUMN usage_events.unmapped_alias.value IS 'The alias';

-- An alias has its events in the order of time by type: from the last of a type to the last of the one before.
CREATE VIEW @extschema@.unmapped_customer_aliases WITH (security_invoker = true) AS
SELECT alias.value AS customer_alias,
       (WITH RECURSIVE last_of (event_type, event_timestamp) AS (
            (SELECT event_type, event_timestamp FROM usage_events.event
             WHERE account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
               AND customer_alias OPERATOR(pg_catalog.=) alias.value
             ORDER BY event_type DESC, event_timestamp DESC LIMIT 1)
            UNION ALL
            SELECT before.event_type, before.event_timestamp
            FROM last_of
            CROSS JOIN LATERAL (
                SELECT event_type, event_timestamp FROM usage_events.event
                WHERE account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
                  AND customer_alias OPERATOR(pg_catalog.=) alias.value
                  AND event_type OPERATOR(pg_catalog.<) last_of.event_type
                ORDER BY event_type DESC, event_timestamp DESC LIMIT 1
            ) AS before
        )
        SELECT pg_catalog.max(event_timestamp) FROM last_of) AS last_event_timestamp
FROM usage_events.unmapped_alias AS alias;

COMMENT ON VIEW @extschema@.unmapped_customer_aliases IS 'Aliases of the session''s account''s events that belong to no customer yet; the alias VOID never does';
COMMENT ON COLUMN @extschema@.unmapped_customer_aliases.customer_alias IS 'The alias';
COMMENT ON COLUMN @extschema@.unmapped_customer_aliases.last_event_timestamp IS 'When its last usage happened';
-- metric.sql: usage metrics: what is counted of which events

-- Tables --------------------------------------------------------------------

CREATE TABLE usage_events.metric (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    version_id uuid NOT NULL,
    name text NOT NULL,
    description text,
    metric_type text NOT NULL,
    event_type text COLLATE pg_catalog."C" NOT NULL,
    aggregation_type text NOT NULL,
    aggregation_property text,
    percentile numeric,
    grouping_property text,
    unit text,
    property_filters jsonb NOT NULL,
    properties_to_negate jsonb,
    case_sensitive boolean NOT NULL,
    expression text,
    parameters jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT metric_pkey PRIMARY KEY (account_id, id)
);

COMMENT ON TABLE usage_events.metric IS 'Usage metrics in their current version: what is counted of which events';
COMMENT ON COLUMN usage_events.metric.account_id IS 'The account whose metric it is';
COMMENT ON COLUMN usage_events.metric.id IS 'Unique id, a UUID of version 7, the same in all versions of the metric';
COMMENT ON COLUMN usage_events.metric.version_id IS 'Id of this version of the metric, a UUID of version 7; the time inside it is since when it is in force';
COMMENT ON COLUMN usage_events.metric.name IS 'For people to read; should be unique';
COMMENT ON COLUMN usage_events.metric.description IS 'For people to read';
COMMENT ON COLUMN usage_events.metric.metric_type IS 'SIMPLE, or GROUPED by a property';
COMMENT ON COLUMN usage_events.metric.event_type IS 'Type of the events that are aggregated';
COMMENT ON COLUMN usage_events.metric.aggregation_type IS 'COUNT, UNIQUE, SUM, MAX, MIN, AVERAGE, LATEST, PERCENTILE or CUSTOM';
COMMENT ON COLUMN usage_events.metric.aggregation_property IS 'Property of the event that is aggregated; NULL for COUNT and CUSTOM';
COMMENT ON COLUMN usage_events.metric.percentile IS 'Of a PERCENTILE: the share of its values, from 0 to 1, that are at most the answer';
COMMENT ON COLUMN usage_events.metric.grouping_property IS 'Property by whose values a GROUPED metric is split';
COMMENT ON COLUMN usage_events.metric.unit IS 'For people to read';
COMMENT ON COLUMN usage_events.metric.property_filters IS 'Events are aggregated whose properties have one of these values: {property: [value, ...]}';
COMMENT ON COLUMN usage_events.metric.properties_to_negate IS 'Properties whose filter holds for the events that have none of the values: [property, ...]';
COMMENT ON COLUMN usage_events.metric.case_sensitive IS 'Whether filters tell upper case from lower case';
COMMENT ON COLUMN usage_events.metric.expression IS 'SQL aggregate of a CUSTOM metric';
COMMENT ON COLUMN usage_events.metric.parameters IS 'Parameters of a CUSTOM metric''s expression: [{"id", "usageMetricId", "name", "type", "description", "defaultValue"}]';
COMMENT ON COLUMN usage_events.metric.created_at IS 'When the metric was made';
COMMENT ON COLUMN usage_events.metric.deleted_at IS 'When it was deleted; NULL while it is in force';

SELECT pg_catalog.pg_extension_config_dump('usage_events.metric', '');

CREATE TABLE usage_events.superseded_metric (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    version_id uuid NOT NULL,
    name text NOT NULL,
    description text,
    metric_type text NOT NULL,
    event_type text COLLATE pg_catalog."C" NOT NULL,
    aggregation_type text NOT NULL,
    aggregation_property text,
    percentile numeric,
    grouping_property text,
    unit text,
    property_filters jsonb NOT NULL,
    properties_to_negate jsonb,
    case_sensitive boolean NOT NULL,
    expression text,
    parameters jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT superseded_metric_pkey PRIMARY KEY (account_id, id, version_id)
);

COMMENT ON TABLE usage_events.superseded_metric IS 'Versions of usage metrics that were updated or deleted; rows are only ever added';
COMMENT ON COLUMN usage_events.superseded_metric.account_id IS 'The account whose metric it was';
COMMENT ON COLUMN usage_events.superseded_metric.id IS 'Id of the metric, the same in all its versions';
COMMENT ON COLUMN usage_events.superseded_metric.version_id IS 'Id of this version of the metric; the time inside it is since when it was in force';
COMMENT ON COLUMN usage_events.superseded_metric.name IS 'As this version had it, as all columns from here on; see usage_events.metric';
COMMENT ON COLUMN usage_events.superseded_metric.description IS 'For people to read';
COMMENT ON COLUMN usage_events.superseded_metric.metric_type IS 'SIMPLE, or GROUPED by a property';
COMMENT ON COLUMN usage_events.superseded_metric.event_type IS 'Type of the events that were aggregated';
COMMENT ON COLUMN usage_events.superseded_metric.aggregation_type IS 'COUNT, UNIQUE, SUM, MAX, MIN, AVERAGE, LATEST, PERCENTILE or CUSTOM';
COMMENT ON COLUMN usage_events.superseded_metric.aggregation_property IS 'Property of the event that was aggregated';
COMMENT ON COLUMN usage_events.superseded_metric.percentile IS 'Of a PERCENTILE: the share of its values, from 0 to 1, that were at most the answer';
COMMENT ON COLUMN usage_events.superseded_metric.grouping_property IS 'Property by whose values the metric was split';
COMMENT ON COLUMN usage_events.superseded_metric.unit IS 'For people to read';
COMMENT ON COLUMN usage_events.superseded_metric.property_filters IS 'Filters of properties';
COMMENT ON COLUMN usage_events.superseded_metric.properties_to_negate IS 'Properties whose filter was negated';
COMMENT ON COLUMN usage_events.superseded_metric.case_sensitive IS 'Whether filters told upper case from lower case';
COMMENT ON COLUMN usage_events.superseded_metric.expression IS 'SQL aggregate of a CUSTOM metric';
COMMENT ON COLUMN usage_events.superseded_metric.parameters IS 'Parameters of a CUSTOM metric''s expression';
COMMENT ON COLUMN usage_events.superseded_metric.created_at IS 'When the metric was made';
COMMENT ON COLUMN usage_events.superseded_metric.deleted_at IS 'NULL: a deletion is the last version';

SELECT pg_catalog.pg_extension_config_dump('usage_events.superseded_metric', '');

-- Functions -----------------------------------------------------------------

CREATE FUNCTION @extschema@.create_usage_metric(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_usage_metric';

COMMENT ON FUNCTION @extschema@.create_usage_metric(jsonb) IS
'Create a usage metric
Takes {"name", "description", "metricType", "eventType", "aggregationType", "aggregationProperty", "percentile", "groupingProperty", "unit", "propertyFilters", "propertiesToNegate", "caseSensitive"}: name, metricType (SIMPLE, GROUPED), eventType and aggregationType (COUNT, UNIQUE, SUM, MAX, MIN, AVERAGE, LATEST, PERCENTILE) are required, aggregationProperty is for all but COUNT, percentile (0 to 1; 0.5 is the median) for PERCENTILE alone, groupingProperty where GROUPED; stores it for the session''s account, and returns what is stored. Errors: 22023 naming every fault, 22004 for NULL, 54000 where the account has as many as usage_events.max_metrics or max_metric_versions allow';

CREATE FUNCTION @extschema@.get_usage_metric(id uuid) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'get_usage_metric';

COMMENT ON FUNCTION @extschema@.get_usage_metric(uuid) IS
'Get a usage metric
As create_usage_metric() returned it; one that was deleted has deletedAt. NULL where the session''s account has none of that id';

CREATE FUNCTION @extschema@.update_usage_metric(id uuid, metric jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'update_usage_metric';

COMMENT ON FUNCTION @extschema@.update_usage_metric(uuid, jsonb) IS
'Update a usage metric
Takes all of the metric as create_usage_metric() does, and returns what is stored; what was before stays known, and what changes nothing is no update. NULL where the session''s account has none of that id, or it was deleted. Errors: 22023 naming every fault, 22004 for NULL as the metric, 54000 where the account has as many versions as usage_events.max_metric_versions allows';

CREATE FUNCTION @extschema@.delete_usage_metric(id uuid) RETURNS jsonb
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'delete_usage_metric';

COMMENT ON FUNCTION @extschema@.delete_usage_metric(uuid) IS
'Delete a usage metric
It is no longer listed, and what it was stays known. Returns the metric; NULL where the session''s account has none of that id, or it was deleted already';

CREATE FUNCTION @extschema@.list_usage_metrics(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL,
    name text DEFAULT NULL,
    metric_id text DEFAULT NULL,
    event_types text[] DEFAULT NULL,
    event_properties text[] DEFAULT NULL,
    aggregation_types text[] DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_metrics';

COMMENT ON FUNCTION @extschema@.list_usage_metrics(integer, text, text, text, text, text[], text[], text[]) IS
'List usage metrics
A page of the session''s account''s metrics, the newest first, but for deleted ones; of a name and of an id that contain these texts, in upper or lower case, of any of these event types, of any of these aggregation properties, of any of these aggregation types. Pages are as those of list_customer_aliases(). Errors as there';

CREATE FUNCTION @extschema@.list_usage_metric_versions(
    metric_id uuid,
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_metric_versions';

COMMENT ON FUNCTION @extschema@.list_usage_metric_versions(uuid, integer, text, text) IS
'List versions of a usage metric
A page of all versions of a metric of the session''s account, the newest first: the metric as it was, with "versionId", "inForceSince", and "supersededAt", which is null for the last one. The last version of a metric that was deleted is the deletion. NULL where the account has none of that id. Pages are as those of list_customer_aliases(). Errors as there';

CREATE FUNCTION usage_events.create_custom_metric(metric jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_custom_metric';

COMMENT ON FUNCTION usage_events.create_custom_metric(jsonb) IS
'Makes a metric whose value is an SQL expression over events, for administrators. Takes {"name", "description", "eventType", "expression", "unit", "parameters": [{"name", "type", "description", "defaultValue"}]}: name, eventType and expression are required, a type is INTEGER or POSITIVE_INTEGER. The expression may use the columns id, customer_event_id, customer_alias, event_type, event_timestamp and event_properties, parameters by their names, and aggregates, immutable functions and operators of pg_catalog, and must give a number. Errors: 22023 naming every fault, 22004 for NULL, 42501 in an HTTP request';

CREATE FUNCTION usage_events.update_custom_metric(id uuid, metric jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'update_custom_metric';

COMMENT ON FUNCTION usage_events.update_custom_metric(uuid, jsonb) IS
'Updates such a metric: takes all of it as create_custom_metric() does, and returns what is stored; what was before stays known. NULL where the session''s account has none of that id, or it was deleted. Errors as there';

-- View ----------------------------------------------------------------------

CREATE VIEW @extschema@.usage_metrics WITH (security_invoker = true) AS
SELECT id,
       name,
       description,
       metric_type,
       event_type,
       aggregation_type,
       aggregation_property,
       percentile,
       grouping_property,
       unit,
       property_filters,
       properties_to_negate,
       case_sensitive,
       created_at,
       account_id
FROM usage_events.metric
WHERE deleted_at IS NULL;

COMMENT ON VIEW @extschema@.usage_metrics IS 'Usage metrics: what is counted of which events';
COMMENT ON COLUMN @extschema@.usage_metrics.id IS 'Id of the metric';
COMMENT ON COLUMN @extschema@.usage_metrics.name IS 'For people to read; should be unique';
COMMENT ON COLUMN @extschema@.usage_metrics.description IS 'For people to read';
COMMENT ON COLUMN @extschema@.usage_metrics.metric_type IS 'SIMPLE, or GROUPED by a property';
COMMENT ON COLUMN @extschema@.usage_metrics.event_type IS 'Type of the events that are aggregated';
COMMENT ON COLUMN @extschema@.usage_metrics.aggregation_type IS 'COUNT, UNIQUE, SUM, MAX, MIN, AVERAGE, LATEST, PERCENTILE or CUSTOM';
COMMENT ON COLUMN @extschema@.usage_metrics.aggregation_property IS 'Property of the event that is aggregated';
COMMENT ON COLUMN @extschema@.usage_metrics.percentile IS 'Of a PERCENTILE: the share of its values, from 0 to 1, that are at most the answer';
COMMENT ON COLUMN @extschema@.usage_metrics.grouping_property IS 'Property by whose values a GROUPED metric is split';
COMMENT ON COLUMN @extschema@.usage_metrics.unit IS 'For people to read';
COMMENT ON COLUMN @extschema@.usage_metrics.property_filters IS 'Events are aggregated whose properties have one of these values: {property: [value, ...]}';
COMMENT ON COLUMN @extschema@.usage_metrics.properties_to_negate IS 'Properties whose filter holds for the events that have none of the values: [property, ...]';
COMMENT ON COLUMN @extschema@.usage_metrics.case_sensitive IS 'Whether filters tell upper case from lower case';
COMMENT ON COLUMN @extschema@.usage_metrics.created_at IS 'When the metric was made';
COMMENT ON COLUMN @extschema@.usage_metrics.account_id IS 'The account whose metric it is';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.usage_metrics FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_usage_metric(), update_usage_metric() or delete_usage_metric().');
-- rollup.sql: rollups: a cache of what metrics say of whole intervals of time

-- Tables --------------------------------------------------------------------

-- They are not dumped: without them every answer is the same, and takes longer.

CREATE TABLE usage_events.metric_rollup (
    account_id uuid NOT NULL,
    metric_version_id uuid NOT NULL,
    customer_alias text COLLATE pg_catalog."C" NOT NULL,
    level smallint NOT NULL,
    bucket timestamptz NOT NULL,
    group_key text COLLATE pg_catalog."C" NOT NULL,
    unique_key text COLLATE pg_catalog."C" NOT NULL,
    is_branch boolean NOT NULL,
    event_count bigint NOT NULL,
    skipped_event_count bigint NOT NULL,
    min_event_id uuid,
    max_event_id uuid,
    oldest_id uuid,
    newest_id uuid,
    latest_timestamp timestamptz,
    latest_id uuid,
    group_value text,
    value numeric,
    CONSTRAINT metric_rollup_pkey PRIMARY KEY (account_id, metric_version_id, level, customer_alias, bucket, group_key, unique_key)
) WITH (fillfactor = 80);

COMMENT ON TABLE usage_events.metric_rollup IS 'What a metric says of a customer''s events in whole intervals of time: a tree, finer where there are many events';
COMMENT ON COLUMN usage_events.metric_rollup.account_id IS 'The account whose metric it is';
COMMENT ON COLUMN usage_events.metric_rollup.metric_version_id IS 'The version of the metric';
COMMENT ON COLUMN usage_events.metric_rollup.customer_alias IS 'The alias that the events came with; empty in the row that says that all aliases are there';
COMMENT ON COLUMN usage_events.metric_rollup.level IS 'Length of the interval: 0 all time, 1 a month, 2 a day, 3 an hour, 4 a minute, 5 a second, in UTC; -1 in the row that says that all aliases are there';
COMMENT ON COLUMN usage_events.metric_rollup.bucket IS 'Begin of the interval; -infinity for all time';
COMMENT ON COLUMN usage_events.metric_rollup.group_key IS 'Key of the group, of a GROUPED metric; otherwise empty';
COMMENT ON COLUMN usage_events.metric_rollup.unique_key IS 'Key of a single value, of a UNIQUE metric or a PERCENTILE; otherwise empty';
COMMENT ON COLUMN usage_events.metric_rollup.is_branch IS 'Whether there are rows of the next level for this interval';
COMMENT ON COLUMN usage_events.metric_rollup.event_count IS 'Events that counted, and of a PERCENTILE''s value those that have it';
COMMENT ON COLUMN usage_events.metric_rollup.skipped_event_count IS 'Events that would have counted, had their property had a usable value';
COMMENT ON COLUMN usage_events.metric_rollup.min_event_id IS 'Lowest id of those that counted';
COMMENT ON COLUMN usage_events.metric_rollup.max_event_id IS 'Highest id of those that counted';
COMMENT ON COLUMN usage_events.metric_rollup.oldest_id IS 'Lowest id of those that counted or were skipped';
COMMENT ON COLUMN usage_events.metric_rollup.newest_id IS 'Highest id of those that counted or were skipped';
COMMENT ON COLUMN usage_events.metric_rollup.latest_timestamp IS 'Time of the event that the value is from, of a LATEST metric';
COMMENT ON COLUMN usage_events.metric_rollup.latest_id IS 'Id of the event that the value is from, of a LATEST metric';
COMMENT ON COLUMN usage_events.metric_rollup.group_value IS 'Value of the group; NULL for events without one';
COMMENT ON COLUMN usage_events.metric_rollup.value IS 'Sum, maximum, minimum or latest value, or of a PERCENTILE the single value';

CREATE TABLE usage_events.metric_progress (
    account_id uuid NOT NULL,
    metric_version_id uuid NOT NULL,
    event_type text COLLATE pg_catalog."C" NOT NULL,
    horizon xid8,
    customer_alias text COLLATE pg_catalog."C",
    is_built boolean NOT NULL DEFAULT false,
    started_at timestamptz NOT NULL,
    refreshed_at timestamptz,
    turn_at timestamptz,
    turn_event_type text COLLATE pg_catalog."C",
    turn_customer_alias text COLLATE pg_catalog."C",
    CONSTRAINT metric_progress_pkey PRIMARY KEY (account_id, metric_version_id)
);

CREATE INDEX metric_progress_type_idx ON usage_events.metric_progress (account_id, event_type);

COMMENT ON TABLE usage_events.metric_progress IS 'Metrics whose rollups are kept: changed events of these types are marked in usage_events.dirty_bucket';
COMMENT ON COLUMN usage_events.metric_progress.account_id IS 'The account whose metric it is';
COMMENT ON COLUMN usage_events.metric_progress.metric_version_id IS 'The version of the metric';
COMMENT ON COLUMN usage_events.metric_progress.event_type IS 'Type of the events that it aggregates';
COMMENT ON COLUMN usage_events.metric_progress.horizon IS 'Transactions before this one may not have known of the metric: nothing is rolled up until they are over';
COMMENT ON COLUMN usage_events.metric_progress.customer_alias IS 'Up to this alias, in order, events are rolled up; NULL: none yet';
COMMENT ON COLUMN usage_events.metric_progress.is_built IS 'Whether those of all aliases are';
COMMENT ON COLUMN usage_events.metric_progress.started_at IS 'Since when rollups are kept for this version';
COMMENT ON COLUMN usage_events.metric_progress.refreshed_at IS 'When they were last brought up to date';
COMMENT ON COLUMN usage_events.metric_progress.turn_at IS 'When the account last had its turn of a refresh, also one that failed: the next is the account''s that has waited longest';
COMMENT ON COLUMN usage_events.metric_progress.turn_event_type IS 'Where that turn ended among the marks of the account: type of the events; empty where it came to the end of them';
COMMENT ON COLUMN usage_events.metric_progress.turn_customer_alias IS 'And the alias';

CREATE TABLE usage_events.dirty_bucket (
    account_id uuid NOT NULL,
    event_type text COLLATE pg_catalog."C" NOT NULL,
    customer_alias text COLLATE pg_catalog."C" NOT NULL,
    bucket timestamptz NOT NULL,
    marked_at timestamptz NOT NULL,
    seconds smallint NOT NULL,
    first_id uuid,
    last_id uuid,
    watched_by text COLLATE pg_catalog."C"
);

CREATE INDEX dirty_bucket_idx ON usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket);

COMMENT ON TABLE usage_events.dirty_bucket IS 'Seconds and minutes whose events were changed since they were rolled up: rollups that contain them are not used until they are refreshed';
COMMENT ON COLUMN usage_events.dirty_bucket.account_id IS 'The account whose events they are';
COMMENT ON COLUMN usage_events.dirty_bucket.event_type IS 'Type of the events; empty in the row that says that marks are kept, and in those that say that something was changed without marks';
COMMENT ON COLUMN usage_events.dirty_bucket.customer_alias IS 'The alias that the events have, or had; empty: of all customers who have events from first_id to last_id there';
COMMENT ON COLUMN usage_events.dirty_bucket.bucket IS 'Begin of the second, or minute';
COMMENT ON COLUMN usage_events.dirty_bucket.marked_at IS 'When it was marked';
COMMENT ON COLUMN usage_events.dirty_bucket.seconds IS '1, or 60: so many seconds are marked; below 0 where something was changed without marks: no rollups are used until a refresh has begun anew';
COMMENT ON COLUMN usage_events.dirty_bucket.first_id IS 'In a mark of all customers: the lowest id of the events that it is of; NULL: of any';
COMMENT ON COLUMN usage_events.dirty_bucket.last_id IS 'And the highest';
COMMENT ON COLUMN usage_events.dirty_bucket.watched_by IS 'In the row that says that marks are kept: since which state of the trigger usage_events_watch; otherwise NULL';

-- Marks have no key.  Where all tables are published, or a shard moves, rows that go have to be found.
ALTER TABLE usage_events.dirty_bucket REPLICA IDENTITY FULL;

-- Refresh -------------------------------------------------------------------

CREATE FUNCTION usage_events.refresh_rollups(account_id uuid DEFAULT NULL, max_steps integer DEFAULT 1000) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'refresh_rollups';

COMMENT ON FUNCTION usage_events.refresh_rollups(uuid, integer) IS
'Brings the rollups of an account up to date, or of all accounts that the caller may see: in steps of an alias, at most so many. Returns how many it took; 0 when nothing is left that can be done now. Of several accounts each has a turn of usage_events.refresh_account_time, first the one that has waited longest. Never changes an answer and never makes a writer wait; several may run side by side. No triggers fire, and a superuser refreshes with the rights of the tables'' owner. Errors: 42501 where these have different owners, 25001 under another isolation level than READ COMMITTED, 22023 for fewer steps than 1';

CREATE VIEW usage_events.rollup_status WITH (security_invoker = true) AS
SELECT progress.account_id,
       metric.id AS metric_id,
       metric.name,
       progress.event_type,
       CASE WHEN EXISTS (SELECT FROM usage_events.dirty_bucket AS dirty
                         WHERE dirty.account_id OPERATOR(pg_catalog.=) progress.account_id
                           AND dirty.event_type OPERATOR(pg_catalog.=) '' AND dirty.seconds OPERATOR(pg_catalog.<) 0::smallint) THEN 'waiting'
            WHEN NOT progress.is_built AND progress.customer_alias IS NULL THEN 'waiting'
            WHEN NOT progress.is_built THEN 'building'
            ELSE 'ready'
       END AS state,
       progress.customer_alias AS built_through,
       (SELECT pg_catalog.count(*) FROM usage_events.dirty_bucket AS dirty
        WHERE dirty.account_id OPERATOR(pg_catalog.=) progress.account_id
          AND dirty.event_type OPERATOR(pg_catalog.=) progress.event_type) AS dirty_buckets,
       (SELECT pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.min(dirty.marked_at) FROM usage_events.dirty_bucket AS dirty
        WHERE dirty.account_id OPERATOR(pg_catalog.=) progress.account_id
          AND dirty.event_type OPERATOR(pg_catalog.=) progress.event_type) AS lag,
       progress.started_at,
       progress.refreshed_at
FROM usage_events.metric_progress AS progress
JOIN usage_events.metric AS metric
    ON metric.account_id OPERATOR(pg_catalog.=) progress.account_id
   AND metric.version_id OPERATOR(pg_catalog.=) progress.metric_version_id;

COMMENT ON VIEW usage_events.rollup_status IS 'Metrics whose rollups are kept, and how far they are';
COMMENT ON COLUMN usage_events.rollup_status.account_id IS 'The account whose metric it is';
COMMENT ON COLUMN usage_events.rollup_status.metric_id IS 'Id of the metric';
COMMENT ON COLUMN usage_events.rollup_status.name IS 'Name of the metric';
COMMENT ON COLUMN usage_events.rollup_status.event_type IS 'Type of the events that it aggregates';
COMMENT ON COLUMN usage_events.rollup_status.state IS 'waiting: for a refresh, after a change by hand as well, or for transactions that began before the metric was there; building: alias by alias; ready';
COMMENT ON COLUMN usage_events.rollup_status.built_through IS 'The last alias, in order, whose events are rolled up';
COMMENT ON COLUMN usage_events.rollup_status.dirty_buckets IS 'Marks of changed events of the type, which the next refresh will take away';
COMMENT ON COLUMN usage_events.rollup_status.lag IS 'Age of the oldest mark; NULL where there is none';
COMMENT ON COLUMN usage_events.rollup_status.started_at IS 'Since when rollups are kept for the metric''s present version';
COMMENT ON COLUMN usage_events.rollup_status.refreshed_at IS 'When a refresh last had something to do, or found nothing, to the minute';

-- Changes by others ---------------------------------------------------------

CREATE FUNCTION usage_events.watch_changes() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'watch_changes';

COMMENT ON FUNCTION usage_events.watch_changes() IS
'Trigger of the tables that rollups are made of: before a statement that is not one of the extension''s own, such as a DELETE by hand, COPY or a restore, it has the rollups of all accounts forgotten, until a refresh makes them anew';

-- A statement of an account that is too many is nothing beside one that is missed: they fire in each mode of sessions.
-- Marks may be added, and rollups, marks and progress truncated: that they are gone shows by itself.
DO $$
DECLARE
    watched record;
BEGIN
    FOR watched IN
        SELECT * FROM (VALUES ('event', 'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
                              ('metric', 'INSERT OR UPDATE OR DELETE OR TRUNCATE'),
                              ('purge_horizon', 'UPDATE OR DELETE OR TRUNCATE'),
                              ('metric_rollup', 'INSERT OR UPDATE OR DELETE'),
                              ('metric_progress', 'INSERT OR UPDATE OR DELETE'),
                              ('dirty_bucket', 'UPDATE OR DELETE')) AS t(name, changes)
    LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER usage_events_watch BEFORE %s ON usage_events.%I FOR EACH STATEMENT'
            ' EXECUTE FUNCTION usage_events.watch_changes()', watched.changes, watched.name);
        EXECUTE pg_catalog.format('ALTER TABLE usage_events.%I ENABLE ALWAYS TRIGGER usage_events_watch', watched.name);
        EXECUTE pg_catalog.format('COMMENT ON TRIGGER usage_events_watch ON usage_events.%I IS %L', watched.name,
            'Has rollups forgotten before a statement that is not one of the extension''s own');
    END LOOP;
END
$$;

-- What a subscription brings is not seen by triggers: see usage_events.watch_changes().
CREATE FUNCTION usage_events.watch_subscriptions() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'watch_subscriptions';

COMMENT ON FUNCTION usage_events.watch_subscriptions() IS
'Event trigger: has rollups forgotten when a subscription to events ends, or is changed. Error: 42501 where the schema usage_events and its tables have different owners';

CREATE EVENT TRIGGER usage_events_watch_subscriptions ON ddl_command_start
    WHEN TAG IN ('ALTER SUBSCRIPTION', 'DROP SUBSCRIPTION')
    EXECUTE FUNCTION usage_events.watch_subscriptions();

ALTER EVENT TRIGGER usage_events_watch_subscriptions ENABLE ALWAYS;

COMMENT ON EVENT TRIGGER usage_events_watch_subscriptions IS 'Has rollups forgotten when a subscription to events ends, or is changed';
-- usage.sql: usage: what metrics say

CREATE FUNCTION @extschema@.calculate_usage_metric(
    metric_id uuid,
    customer_aliases text[],
    period tstzrange,
    as_of timestamptz DEFAULT NULL,
    parameters jsonb DEFAULT NULL,
    filters jsonb DEFAULT NULL,
    group_by text[] DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'calculate_usage_metric';

COMMENT ON FUNCTION @extschema@.calculate_usage_metric(uuid, text[], tstzrange, timestamptz, jsonb, jsonb, text[]) IS
'Calculate a usage metric
What the metric says of these customers, by alias or id, in the period: {"name", "metricType", "eventType", "aggregationType", "eventCount", "value", "unit", "minEventId", "maxEventId", "skippedEventCount"}, and of a GROUPED metric "groupedValues": [{"grouping", "value", "eventCount"}]. value is exact; null for MAX, MIN, AVERAGE, LATEST and PERCENTILE of no events. LATEST of several events at the latest time is of the one with the highest id. skippedEventCount: events that would have counted, had their property had a usable value. as_of: as events, aliases and the metric itself were known at that moment, what was written in its microsecond included. parameters: of a CUSTOM metric, by name. filters: written as the propertyFilters of a metric, events have to pass them as well. group_by: up to three properties whose values make the groups, in place of those of a GROUPED metric; a "grouping" is an object of them then, and the answer says "filters" and "groupBy". Both are answered from the events, and not of a CUSTOM metric. Errors: P0002 where there is no such metric, 22004 for NULL, 22023 for a period without start or end, or empty, and for filters or group_by that could not be meant, 0A000 for them of a CUSTOM metric, 54000 for more groups than usage_events.max_groups';

CREATE FUNCTION usage_events.calculate_metric(
    account_id uuid,
    metric_id uuid,
    customer_aliases text[],
    period tstzrange,
    as_of timestamptz DEFAULT NULL,
    parameters jsonb DEFAULT NULL,
    filters jsonb DEFAULT NULL,
    group_by text[] DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'calculate_metric';

COMMENT ON FUNCTION usage_events.calculate_metric(uuid, uuid, text[], tstzrange, timestamptz, jsonb, jsonb, text[]) IS
'calculate_usage_metric() for an account named by the caller, who may act for any. Errors as there';

CREATE FUNCTION @extschema@.usage_metric_series(
    metric_id uuid,
    customer_aliases text[],
    period tstzrange,
    step text,
    timezone text DEFAULT 'UTC',
    as_of timestamptz DEFAULT NULL,
    filters jsonb DEFAULT NULL,
    group_by text[] DEFAULT NULL
) RETURNS TABLE (period_start timestamptz, period_end timestamptz, event_count bigint, value numeric, skipped_event_count bigint, grouped_values jsonb)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 31
AS 'MODULE_PATHNAME', 'usage_metric_series';

COMMENT ON FUNCTION @extschema@.usage_metric_series(uuid, text[], tstzrange, text, text, timestamptz, jsonb, text[]) IS
'Calculate a usage metric step by step
As calculate_usage_metric(), a row for each step (minute, hour, day, week from Monday on, month) of the clock of a time zone, by its name in the IANA database; the first and the last are cut off by the period. Errors as there, 22023 for another step or an unknown time zone, 54000 for more than 100,000 steps, or more than 5 million of them times the customers'' aliases';

CREATE FUNCTION @extschema@.usage_metric_by_customer(
    metric_id uuid,
    period tstzrange,
    as_of timestamptz DEFAULT NULL,
    filters jsonb DEFAULT NULL,
    group_by text[] DEFAULT NULL
) RETURNS TABLE (customer text, event_count bigint, value numeric, skipped_event_count bigint, grouped_values jsonb)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'usage_metric_by_customer';

COMMENT ON FUNCTION @extschema@.usage_metric_by_customer(uuid, tstzrange, timestamptz, jsonb, text[]) IS
'Calculate a usage metric for every customer
As calculate_usage_metric(), a row for each customer with events that count or are skipped, in the order of their names: the customer''s id, or the alias where it is mapped to nobody. Errors as there';

CREATE FUNCTION @extschema@.usage_metric_changes(
    metric_id uuid,
    customer_aliases text[],
    period tstzrange,
    since timestamptz
) RETURNS TABLE (customer_event_id text, old_event_id uuid, new_event_id uuid, old_value numeric, new_value numeric, changed_at timestamptz, change text)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100
AS 'MODULE_PATHNAME', 'usage_metric_changes';

COMMENT ON FUNCTION @extschema@.usage_metric_changes(uuid, text[], tstzrange, timestamptz) IS
'Explain what has changed in a usage metric
The events that make the difference between the metric as of a moment and now, in the order in which they changed: which version counted then and which does now, with which value (1 where events are counted; NULL where the version does not count), and change: added, removed or corrected. changed_at is when the version that is current now came, or, of an event that is the same since, when the metric was updated, or an alias of these customers made or deleted: never before that moment. Where the metric was not there yet, all its events are added. Events whose value is the same are told where another value of UNIQUE, another group, or another time of LATEST makes the difference. For SUM and COUNT the differences add up to that of the metric. Errors as calculate_usage_metric()';

CREATE FUNCTION @extschema@.explain_usage_event(metric_id uuid, event_id uuid) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'explain_usage_event';

COMMENT ON FUNCTION @extschema@.explain_usage_event(uuid, uuid) IS
'Explain whether a usage event counts in a metric
Takes the id of any version of an event: {"counts", "skipped", "reasons": [...], "value", "grouping", "event"}. Of one that was refused and kept, by its id in rejected_usage_events, "reasons" says why and "body" has it as it came. NULL where the session''s account has no such event. Error: P0002 where there is no such metric';
-- limit.sql: usage limits: how much of a metric a customer may use in a period

-- Tables --------------------------------------------------------------------

CREATE TABLE usage_events.usage_limit (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    version_id uuid NOT NULL,
    name text NOT NULL,
    metric_id uuid NOT NULL,
    customer text COLLATE pg_catalog."C",
    period text NOT NULL,
    timezone text NOT NULL,
    anchor timestamptz,
    limit_value numeric NOT NULL,
    mode text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT usage_limit_pkey PRIMARY KEY (account_id, id)
);

-- Whoever stores an event asks by metric and customer.
CREATE INDEX usage_limit_metric_idx ON usage_events.usage_limit (account_id, metric_id, customer) WHERE deleted_at IS NULL;

COMMENT ON TABLE usage_events.usage_limit IS 'Usage limits in their current version: how much of a metric a customer may use in a period';
COMMENT ON COLUMN usage_events.usage_limit.account_id IS 'The account whose limit it is';
COMMENT ON COLUMN usage_events.usage_limit.id IS 'Unique id, a UUID of version 7, the same in all versions of the limit';
COMMENT ON COLUMN usage_events.usage_limit.version_id IS 'Id of this version of the limit, a UUID of version 7; the time inside it is since when it is in force';
COMMENT ON COLUMN usage_events.usage_limit.name IS 'For people to read';
COMMENT ON COLUMN usage_events.usage_limit.metric_id IS 'The metric whose value is limited';
COMMENT ON COLUMN usage_events.usage_limit.customer IS 'Whose use is limited, by an alias or the customer''s id; NULL: that of each customer';
COMMENT ON COLUMN usage_events.usage_limit.period IS 'HOUR, DAY, WEEK, MONTH, YEAR or ALL_TIME: the limit is for the use of each';
COMMENT ON COLUMN usage_events.usage_limit.timezone IS 'The time zone by whose clock periods begin';
COMMENT ON COLUMN usage_events.usage_limit.anchor IS 'At whose day and time periods begin; NULL: on the calendar';
COMMENT ON COLUMN usage_events.usage_limit.limit_value IS 'The most that the metric''s value may be';
COMMENT ON COLUMN usage_events.usage_limit.mode IS 'BLOCK: no event is taken that would go beyond; REPORT: it is only told';
COMMENT ON COLUMN usage_events.usage_limit.created_at IS 'When the limit was made';
COMMENT ON COLUMN usage_events.usage_limit.updated_at IS 'When this version was written';
COMMENT ON COLUMN usage_events.usage_limit.deleted_at IS 'When it was deleted; NULL while it is in force';

SELECT pg_catalog.pg_extension_config_dump('usage_events.usage_limit', '');

CREATE TABLE usage_events.superseded_usage_limit (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    version_id uuid NOT NULL,
    name text NOT NULL,
    metric_id uuid NOT NULL,
    customer text COLLATE pg_catalog."C",
    period text NOT NULL,
    timezone text NOT NULL,
    anchor timestamptz,
    limit_value numeric NOT NULL,
    mode text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT superseded_usage_limit_pkey PRIMARY KEY (account_id, id, version_id)
);

COMMENT ON TABLE usage_events.superseded_usage_limit IS 'Versions of usage limits that were updated or deleted; rows are only ever added';
COMMENT ON COLUMN usage_events.superseded_usage_limit.account_id IS 'The account whose limit it was';
COMMENT ON COLUMN usage_events.superseded_usage_limit.id IS 'Id of the limit, the same in all its versions';
COMMENT ON COLUMN usage_events.superseded_usage_limit.version_id IS 'Id of this version of the limit; the time inside it is since when it was in force';
COMMENT ON COLUMN usage_events.superseded_usage_limit.name IS 'As this version had it, as all columns from here on; see usage_events.usage_limit';
COMMENT ON COLUMN usage_events.superseded_usage_limit.metric_id IS 'The metric whose value was limited';
COMMENT ON COLUMN usage_events.superseded_usage_limit.customer IS 'Whose use was limited; NULL: that of each customer';
COMMENT ON COLUMN usage_events.superseded_usage_limit.period IS 'HOUR, DAY, WEEK, MONTH, YEAR or ALL_TIME';
COMMENT ON COLUMN usage_events.superseded_usage_limit.timezone IS 'The time zone by whose clock periods began';
COMMENT ON COLUMN usage_events.superseded_usage_limit.anchor IS 'At whose day and time periods began; NULL: on the calendar';
COMMENT ON COLUMN usage_events.superseded_usage_limit.limit_value IS 'The most that the metric''s value might be';
COMMENT ON COLUMN usage_events.superseded_usage_limit.mode IS 'BLOCK or REPORT';
COMMENT ON COLUMN usage_events.superseded_usage_limit.created_at IS 'When the limit was made';
COMMENT ON COLUMN usage_events.superseded_usage_limit.updated_at IS 'When this version was written';
COMMENT ON COLUMN usage_events.superseded_usage_limit.deleted_at IS 'NULL: a deletion is the last version';

SELECT pg_catalog.pg_extension_config_dump('usage_events.superseded_usage_limit', '');

-- Functions -----------------------------------------------------------------

CREATE FUNCTION @extschema@.create_usage_limit(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_usage_limit';

COMMENT ON FUNCTION @extschema@.create_usage_limit(jsonb) IS
'Create a usage limit
Takes {"name", "usageMetricId", "customer", "period", "timezone", "anchor", "limit", "mode"}: name, usageMetricId, period (HOUR, DAY, WEEK, MONTH, YEAR, ALL_TIME), limit (the most that the metric''s value may be, 0 or more) and mode (BLOCK, REPORT) are required; customer is an alias or a customer''s id, each customer where it is null; periods begin on the calendar of timezone, UTC unless it is given, or with anchor at its day and time; stores it for the session''s account, and returns what is stored. Errors: 22023 naming every fault, 22004 for NULL, 54000 where the account has as many as usage_events.max_limits or max_limit_versions allow';

CREATE FUNCTION @extschema@.get_usage_limit(id uuid) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'get_usage_limit';

COMMENT ON FUNCTION @extschema@.get_usage_limit(uuid) IS
'Get a usage limit
As create_usage_limit() returned it; one that was deleted has deletedAt. NULL where the session''s account has none of that id';

CREATE FUNCTION @extschema@.update_usage_limit(id uuid, usage_limit jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'update_usage_limit';

COMMENT ON FUNCTION @extschema@.update_usage_limit(uuid, jsonb) IS
'Update a usage limit
Takes all of the limit as create_usage_limit() does, and returns what is stored; what was before stays known, and what changes nothing is no update. NULL where the session''s account has none of that id, or it was deleted. Errors: 22023 naming every fault, 22004 for NULL as the limit, 54000 where the account has as many versions as usage_events.max_limit_versions allows';

CREATE FUNCTION @extschema@.delete_usage_limit(id uuid) RETURNS jsonb
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'delete_usage_limit';

COMMENT ON FUNCTION @extschema@.delete_usage_limit(uuid) IS
'Delete a usage limit
It holds for nobody any more, and what it was stays known. Returns the limit; NULL where the session''s account has none of that id, or it was deleted already';

CREATE FUNCTION @extschema@.list_usage_limits(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL,
    name text DEFAULT NULL,
    usage_metric_id text DEFAULT NULL,
    customer text DEFAULT NULL,
    period text DEFAULT NULL,
    mode text DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_limits';

COMMENT ON FUNCTION @extschema@.list_usage_limits(integer, text, text, text, text, text, text, text) IS
'List usage limits
A page of the session''s account''s limits, the newest first, but for deleted ones; of a name that contains this text, in upper or lower case, of this metric, of the customer as the limit names it, of this period, of this mode. Pages are as those of list_customer_aliases(). Errors as there, 22023 for what is no UUID, no period, no mode';

CREATE FUNCTION @extschema@.check_usage_limit(
    customer text,
    usage_metric_id uuid,
    amount numeric DEFAULT 1,
    at timestamptz DEFAULT pg_catalog.now()
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'check_usage_limit';

COMMENT ON FUNCTION @extschema@.check_usage_limit(text, uuid, numeric, timestamptz) IS
'Check a usage limit
Whether a customer, by an alias or the customer''s id, may use so much more of a metric at a moment: {"allowed", "limits": [{"usageLimitId", "limit", "used", "remaining", "periodStart", "periodEnd"}]}, with each limit that holds for the customer: a customer''s own takes the place of the general one of the same period. used is the value of the metric in the period that has the moment, over all of the customer''s aliases; amount is the number of one more event where the metric reads one of each (SUM, MAX, MIN, AVERAGE, LATEST, PERCENTILE), and how many more where it counts (COUNT, UNIQUE). allowed: no limit, whatever its mode, would be passed. A read: two that ask at once may both be allowed what is left for one; a limit of mode BLOCK lets one through. Errors: 22004 for NULL, 22023 naming every fault, among them a metric that is not there or was deleted, and for a period of which events were purged';

CREATE FUNCTION usage_events.limit_status() RETURNS TABLE (usage_limit_id uuid, name text, usage_metric_id uuid, customer text, period_start timestamptz, period_end timestamptz, "limit" numeric, used numeric, remaining numeric, mode text)
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'limit_status';

COMMENT ON FUNCTION usage_events.limit_status() IS
'The rows of usage_limit_status. Error: 54000 where there are more than usage_events.max_limit_status_rows';

-- Views ----------------------------------------------------------------------

CREATE VIEW @extschema@.usage_limits WITH (security_invoker = true) AS
SELECT id,
       name,
       metric_id AS usage_metric_id,
       customer,
       period,
       timezone,
       anchor,
       limit_value AS "limit",
       mode,
       created_at,
       updated_at,
       account_id
FROM usage_events.usage_limit
WHERE deleted_at IS NULL;

COMMENT ON VIEW @extschema@.usage_limits IS 'Usage limits: how much of a metric a customer may use in a period';
COMMENT ON COLUMN @extschema@.usage_limits.id IS 'Id of the limit';
COMMENT ON COLUMN @extschema@.usage_limits.name IS 'For people to read';
COMMENT ON COLUMN @extschema@.usage_limits.usage_metric_id IS 'The metric whose value is limited';
COMMENT ON COLUMN @extschema@.usage_limits.customer IS 'Whose use is limited, by an alias or the customer''s id; NULL: that of each customer';
COMMENT ON COLUMN @extschema@.usage_limits.period IS 'HOUR, DAY, WEEK, MONTH, YEAR or ALL_TIME: the limit is for the use of each';
COMMENT ON COLUMN @extschema@.usage_limits.timezone IS 'The time zone by whose clock periods begin';
COMMENT ON COLUMN @extschema@.usage_limits.anchor IS 'At whose day and time periods begin; NULL: on the calendar';
COMMENT ON COLUMN @extschema@.usage_limits."limit" IS 'The most that the metric''s value may be';
COMMENT ON COLUMN @extschema@.usage_limits.mode IS 'BLOCK: no event is taken that would go beyond; REPORT: it is only told';
COMMENT ON COLUMN @extschema@.usage_limits.created_at IS 'When the limit was made';
COMMENT ON COLUMN @extschema@.usage_limits.updated_at IS 'When it was last updated';
COMMENT ON COLUMN @extschema@.usage_limits.account_id IS 'The account whose limit it is';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.usage_limits FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_usage_limit(), update_usage_limit() or delete_usage_limit().');

CREATE VIEW @extschema@.usage_limit_status WITH (security_invoker = true) AS
SELECT status.usage_limit_id,
       status.name,
       status.usage_metric_id,
       status.customer,
       status.period_start,
       status.period_end,
       status."limit",
       status.used,
       status.remaining,
       status.mode
FROM usage_events.limit_status() AS status;

COMMENT ON VIEW @extschema@.usage_limit_status IS
'What each customer has used of each limit in its present period: for a limit of each customer those with events in it, but for those with a limit of their own, and the customer whose own a limit is';
COMMENT ON COLUMN @extschema@.usage_limit_status.usage_limit_id IS 'Id of the limit';
COMMENT ON COLUMN @extschema@.usage_limit_status.name IS 'Its name';
COMMENT ON COLUMN @extschema@.usage_limit_status.usage_metric_id IS 'The metric whose value is limited';
COMMENT ON COLUMN @extschema@.usage_limit_status.customer IS 'The customer''s id or, of an alias that is nobody''s, the alias';
COMMENT ON COLUMN @extschema@.usage_limit_status.period_start IS 'When the present period began; NULL for all of time';
COMMENT ON COLUMN @extschema@.usage_limit_status.period_end IS 'When it ends; NULL for all of time';
COMMENT ON COLUMN @extschema@.usage_limit_status."limit" IS 'The most that the metric''s value may be';
COMMENT ON COLUMN @extschema@.usage_limit_status.used IS 'The metric''s value in the period, over all of the customer''s aliases; NULL where it has none, and where events of the period were purged';
COMMENT ON COLUMN @extschema@.usage_limit_status.remaining IS 'How far it is below the limit; NULL where events of the period were purged';
COMMENT ON COLUMN @extschema@.usage_limit_status.mode IS 'BLOCK: no event is taken that would go beyond; REPORT: it is only told';
-- limit_lock.sql: who stores events under a usage limit waits for who does so already

-- Half of a page is left free: each event under a limit updates its row, and the index need not know.
CREATE TABLE usage_events.usage_limit_lock (
    account_id uuid NOT NULL,
    metric_id uuid NOT NULL,
    customer_hash integer NOT NULL,
    turn bigint NOT NULL,
    CONSTRAINT usage_limit_lock_pkey PRIMARY KEY (account_id, metric_id, customer_hash)
) WITH (fillfactor = 50);

COMMENT ON TABLE usage_events.usage_limit_lock IS 'Whoever stores events under a BLOCK limit updates the row of metric and customer, and so waits for others until they commit. A row that is not there is made; none says what was used';
COMMENT ON COLUMN usage_events.usage_limit_lock.account_id IS 'The account whose limit it is';
COMMENT ON COLUMN usage_events.usage_limit_lock.metric_id IS 'The metric whose value is limited';
COMMENT ON COLUMN usage_events.usage_limit_lock.customer_hash IS 'A number that is made of the customer''s id, or of the alias of nobody known: customers with the same wait for each other';
COMMENT ON COLUMN usage_events.usage_limit_lock.turn IS 'How often it was taken: another with each, so that a transaction of one snapshot fails rather than overlook the events of who came before';
-- alert.sql: usage alerts: thresholds of a metric's value, and that they were crossed

-- Definitions ---------------------------------------------------------------

CREATE TABLE usage_events.usage_alert (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    version_id uuid NOT NULL,
    name text NOT NULL,
    metric_id uuid NOT NULL,
    customer text COLLATE pg_catalog."C",
    period text NOT NULL,
    timezone text NOT NULL,
    anchor timestamptz,
    thresholds numeric[] NOT NULL,
    direction text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT usage_alert_pkey PRIMARY KEY (account_id, id)
);

COMMENT ON TABLE usage_events.usage_alert IS 'Usage alerts in their current version: thresholds of what a metric says of a customer in a period';
COMMENT ON COLUMN usage_events.usage_alert.account_id IS 'The account whose alert it is';
COMMENT ON COLUMN usage_events.usage_alert.id IS 'Unique id, a UUID of version 7, the same in all versions of the alert';
COMMENT ON COLUMN usage_events.usage_alert.version_id IS 'Id of this version of the alert, a UUID of version 7; the time inside it is since when it is in force';
COMMENT ON COLUMN usage_events.usage_alert.name IS 'For people to read';
COMMENT ON COLUMN usage_events.usage_alert.metric_id IS 'The metric whose value is watched';
COMMENT ON COLUMN usage_events.usage_alert.customer IS 'Whose use is watched, by an alias or the customer''s id; NULL: that of each customer';
COMMENT ON COLUMN usage_events.usage_alert.period IS 'HOUR, DAY, WEEK, MONTH, YEAR or ALL_TIME: the use of each is watched by itself';
COMMENT ON COLUMN usage_events.usage_alert.timezone IS 'The time zone by whose clock periods begin';
COMMENT ON COLUMN usage_events.usage_alert.anchor IS 'At whose day and time periods begin; NULL: on the calendar';
COMMENT ON COLUMN usage_events.usage_alert.thresholds IS 'Values at which it is told, ascending';
COMMENT ON COLUMN usage_events.usage_alert.direction IS 'ABOVE: when the value reaches a threshold; BELOW: when it falls below one where it was before';
COMMENT ON COLUMN usage_events.usage_alert.created_at IS 'When the alert was made';
COMMENT ON COLUMN usage_events.usage_alert.updated_at IS 'When this version was written';
COMMENT ON COLUMN usage_events.usage_alert.deleted_at IS 'When it was deleted; NULL while it is in force';

SELECT pg_catalog.pg_extension_config_dump('usage_events.usage_alert', '');

CREATE TABLE usage_events.superseded_usage_alert (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    version_id uuid NOT NULL,
    name text NOT NULL,
    metric_id uuid NOT NULL,
    customer text COLLATE pg_catalog."C",
    period text NOT NULL,
    timezone text NOT NULL,
    anchor timestamptz,
    thresholds numeric[] NOT NULL,
    direction text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT superseded_usage_alert_pkey PRIMARY KEY (account_id, id, version_id)
);

COMMENT ON TABLE usage_events.superseded_usage_alert IS 'Versions of usage alerts that were updated or deleted; rows are only ever added';
COMMENT ON COLUMN usage_events.superseded_usage_alert.account_id IS 'The account whose alert it was';
COMMENT ON COLUMN usage_events.superseded_usage_alert.id IS 'Id of the alert, the same in all its versions';
COMMENT ON COLUMN usage_events.superseded_usage_alert.version_id IS 'Id of this version of the alert; the time inside it is since when it was in force';
COMMENT ON COLUMN usage_events.superseded_usage_alert.name IS 'As this version had it, as all columns from here on; see usage_events.usage_alert';
COMMENT ON COLUMN usage_events.superseded_usage_alert.metric_id IS 'The metric whose value was watched';
COMMENT ON COLUMN usage_events.superseded_usage_alert.customer IS 'Whose use was watched; NULL: that of each customer';
COMMENT ON COLUMN usage_events.superseded_usage_alert.period IS 'HOUR, DAY, WEEK, MONTH, YEAR or ALL_TIME';
COMMENT ON COLUMN usage_events.superseded_usage_alert.timezone IS 'The time zone by whose clock periods began';
COMMENT ON COLUMN usage_events.superseded_usage_alert.anchor IS 'At whose day and time periods began; NULL: on the calendar';
COMMENT ON COLUMN usage_events.superseded_usage_alert.thresholds IS 'Values at which it was told, ascending';
COMMENT ON COLUMN usage_events.superseded_usage_alert.direction IS 'ABOVE or BELOW';
COMMENT ON COLUMN usage_events.superseded_usage_alert.created_at IS 'When the alert was made';
COMMENT ON COLUMN usage_events.superseded_usage_alert.updated_at IS 'When this version was written';
COMMENT ON COLUMN usage_events.superseded_usage_alert.deleted_at IS 'NULL: a deletion is the last version';

SELECT pg_catalog.pg_extension_config_dump('usage_events.superseded_usage_alert', '');

-- Evaluation ----------------------------------------------------------------

-- Neither of the next two is dumped: without them a refresh looks at all customers once.

CREATE TABLE usage_events.usage_alert_progress (
    account_id uuid NOT NULL,
    usage_alert_id uuid NOT NULL,
    version_id uuid NOT NULL,
    metric_version_id uuid NOT NULL,
    customer_alias text COLLATE pg_catalog."C" NOT NULL,
    is_over boolean NOT NULL,
    CONSTRAINT usage_alert_progress_pkey PRIMARY KEY (account_id, usage_alert_id)
);

COMMENT ON TABLE usage_events.usage_alert_progress IS 'How far a refresh has looked at all customers for an alert: when it or its metric has a new version, and where events were changed by hand';
COMMENT ON COLUMN usage_events.usage_alert_progress.account_id IS 'The account whose alert it is';
COMMENT ON COLUMN usage_events.usage_alert_progress.usage_alert_id IS 'The alert';
COMMENT ON COLUMN usage_events.usage_alert_progress.version_id IS 'In which version';
COMMENT ON COLUMN usage_events.usage_alert_progress.metric_version_id IS 'With which version of its metric';
COMMENT ON COLUMN usage_events.usage_alert_progress.customer_alias IS 'Up to this alias, in order; empty: none yet';
COMMENT ON COLUMN usage_events.usage_alert_progress.is_over IS 'Whether it has looked at all';

CREATE TABLE usage_events.usage_alert_due (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    usage_alert_id uuid NOT NULL,
    customer text COLLATE pg_catalog."C" NOT NULL,
    period_start timestamptz NOT NULL,
    CONSTRAINT usage_alert_due_pkey PRIMARY KEY (account_id, id)
);

CREATE INDEX usage_alert_due_idx ON usage_events.usage_alert_due (account_id, usage_alert_id, customer, period_start);

COMMENT ON TABLE usage_events.usage_alert_due IS 'Customers and periods whose values have changed: a refresh has still to look whether thresholds were crossed';
COMMENT ON COLUMN usage_events.usage_alert_due.account_id IS 'The account whose alert it is';
COMMENT ON COLUMN usage_events.usage_alert_due.id IS 'Unique id, a UUID of version 7: the oldest is looked at first';
COMMENT ON COLUMN usage_events.usage_alert_due.usage_alert_id IS 'The alert';
COMMENT ON COLUMN usage_events.usage_alert_due.customer IS 'The customer';
COMMENT ON COLUMN usage_events.usage_alert_due.period_start IS 'Begin of the period; -infinity: the one that is now';

CREATE TABLE usage_events.usage_alert_state (
    account_id uuid NOT NULL,
    usage_alert_id uuid NOT NULL,
    customer text COLLATE pg_catalog."C" NOT NULL,
    period_start timestamptz NOT NULL,
    threshold numeric NOT NULL,
    is_triggered boolean NOT NULL,
    period_end timestamptz NOT NULL,
    CONSTRAINT usage_alert_state_pkey PRIMARY KEY (account_id, usage_alert_id, customer, period_start, threshold)
);

CREATE INDEX usage_alert_state_end_idx ON usage_events.usage_alert_state (account_id, period_end);

COMMENT ON TABLE usage_events.usage_alert_state IS 'What was said last of thresholds that a customer''s value has reached in a period';
COMMENT ON COLUMN usage_events.usage_alert_state.account_id IS 'The account whose alert it is';
COMMENT ON COLUMN usage_events.usage_alert_state.usage_alert_id IS 'The alert';
COMMENT ON COLUMN usage_events.usage_alert_state.customer IS 'The customer';
COMMENT ON COLUMN usage_events.usage_alert_state.period_start IS 'Begin of the period';
COMMENT ON COLUMN usage_events.usage_alert_state.threshold IS 'The threshold';
COMMENT ON COLUMN usage_events.usage_alert_state.is_triggered IS 'Whether it was told; of an alert BELOW false while the value is not below';
COMMENT ON COLUMN usage_events.usage_alert_state.period_end IS 'End of the period, exclusive: some time after it the row is deleted';

SELECT pg_catalog.pg_extension_config_dump('usage_events.usage_alert_state', '');

CREATE TABLE usage_events.usage_alert_event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    usage_alert_id uuid NOT NULL,
    customer text COLLATE pg_catalog."C" NOT NULL,
    period_start timestamptz,
    threshold numeric NOT NULL,
    value numeric,
    state text NOT NULL,
    occurred_at timestamptz NOT NULL,
    number bigint NOT NULL,
    CONSTRAINT usage_alert_event_pkey PRIMARY KEY (account_id, id)
);

CREATE UNIQUE INDEX usage_alert_event_number_key ON usage_events.usage_alert_event (account_id, number);
CREATE INDEX usage_alert_event_alert_idx ON usage_events.usage_alert_event (account_id, usage_alert_id, id);
CREATE INDEX usage_alert_event_customer_idx ON usage_events.usage_alert_event (account_id, customer, id);

COMMENT ON TABLE usage_events.usage_alert_event IS 'Thresholds that were crossed: rows are only ever added, and deleted when they are old';
COMMENT ON COLUMN usage_events.usage_alert_event.account_id IS 'The account whose alert it is';
COMMENT ON COLUMN usage_events.usage_alert_event.id IS 'Unique id, a UUID of version 7';
COMMENT ON COLUMN usage_events.usage_alert_event.usage_alert_id IS 'The alert';
COMMENT ON COLUMN usage_events.usage_alert_event.customer IS 'The customer';
COMMENT ON COLUMN usage_events.usage_alert_event.period_start IS 'Begin of the period; NULL for ALL_TIME';
COMMENT ON COLUMN usage_events.usage_alert_event.threshold IS 'The threshold that was crossed';
COMMENT ON COLUMN usage_events.usage_alert_event.value IS 'What the metric said; NULL where it said nothing any more';
COMMENT ON COLUMN usage_events.usage_alert_event.state IS 'TRIGGERED, or RESOLVED where corrections have taken the value back';
COMMENT ON COLUMN usage_events.usage_alert_event.occurred_at IS 'When the refresh saw it';
COMMENT ON COLUMN usage_events.usage_alert_event.number IS 'Ascends in the order in which those of an account are committed: consumers go by it';

SELECT pg_catalog.pg_extension_config_dump('usage_events.usage_alert_event', '');

-- Delivery ------------------------------------------------------------------

CREATE TABLE usage_events.usage_alert_consumer (
    account_id uuid NOT NULL,
    consumer text COLLATE pg_catalog."C" NOT NULL,
    acknowledged_through bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT usage_alert_consumer_pkey PRIMARY KEY (account_id, consumer)
);

COMMENT ON TABLE usage_events.usage_alert_consumer IS 'Who takes an account''s alert events: each gets all of them';
COMMENT ON COLUMN usage_events.usage_alert_consumer.account_id IS 'The account whose events they are';
COMMENT ON COLUMN usage_events.usage_alert_consumer.consumer IS 'Name that the consumer goes by';
COMMENT ON COLUMN usage_events.usage_alert_consumer.acknowledged_through IS 'All events up to this number were acknowledged, as a refresh found';
COMMENT ON COLUMN usage_events.usage_alert_consumer.created_at IS 'When it first took events';

SELECT pg_catalog.pg_extension_config_dump('usage_events.usage_alert_consumer', '');

CREATE TABLE usage_events.usage_alert_delivery (
    account_id uuid NOT NULL,
    consumer text COLLATE pg_catalog."C" NOT NULL,
    event_number bigint NOT NULL,
    leased_until timestamptz NOT NULL,
    acknowledged_at timestamptz,
    CONSTRAINT usage_alert_delivery_pkey PRIMARY KEY (account_id, consumer, event_number)
);

COMMENT ON TABLE usage_events.usage_alert_delivery IS 'Alert events that a consumer has taken, or acknowledged, beyond those up to which all are acknowledged';
COMMENT ON COLUMN usage_events.usage_alert_delivery.account_id IS 'The account whose events they are';
COMMENT ON COLUMN usage_events.usage_alert_delivery.consumer IS 'The consumer';
COMMENT ON COLUMN usage_events.usage_alert_delivery.event_number IS 'Number of the event';
COMMENT ON COLUMN usage_events.usage_alert_delivery.leased_until IS 'Until then nobody else of the consumer gets it';
COMMENT ON COLUMN usage_events.usage_alert_delivery.acknowledged_at IS 'When it was acknowledged; NULL: not yet';

SELECT pg_catalog.pg_extension_config_dump('usage_events.usage_alert_delivery', '');

-- Functions -----------------------------------------------------------------

CREATE FUNCTION @extschema@.create_usage_alert(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_usage_alert';

COMMENT ON FUNCTION @extschema@.create_usage_alert(jsonb) IS
'Create a usage alert
Takes {"name", "usageMetricId", "customer", "period", "timezone", "anchor", "thresholds", "direction"}: customer (an alias or a customer''s id; null: every customer), timezone (UTC) and anchor may be left out, period is HOUR, DAY, WEEK, MONTH, YEAR or ALL_TIME, thresholds are up to 20 numbers, ascending, direction is ABOVE or BELOW; stores it for the session''s account, and returns what is stored. Errors: 22023 naming every fault, 22004 for NULL, 54000 where the account has as many as usage_events.max_usage_alerts or max_usage_alert_versions allow';

CREATE FUNCTION @extschema@.get_usage_alert(id uuid) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'get_usage_alert';

COMMENT ON FUNCTION @extschema@.get_usage_alert(uuid) IS
'Get a usage alert
As create_usage_alert() returned it; one that was deleted has deletedAt. NULL where the session''s account has none of that id';

CREATE FUNCTION @extschema@.update_usage_alert(id uuid, alert jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'update_usage_alert';

COMMENT ON FUNCTION @extschema@.update_usage_alert(uuid, jsonb) IS
'Update a usage alert
Takes all of the alert as create_usage_alert() does, and returns what is stored: name and thresholds may be others than before. What was before stays known, and what changes nothing is no update. NULL where the session''s account has none of that id, or it was deleted. Errors: 22023 naming every fault, 22004 for NULL as the alert, 54000 where the account has as many versions as usage_events.max_usage_alert_versions allows';

CREATE FUNCTION @extschema@.delete_usage_alert(id uuid) RETURNS jsonb
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'delete_usage_alert';

COMMENT ON FUNCTION @extschema@.delete_usage_alert(uuid) IS
'Delete a usage alert
It is no longer listed and tells nothing more; what it told stays. Returns the alert; NULL where the session''s account has none of that id, or it was deleted already';

CREATE FUNCTION @extschema@.list_usage_alerts(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL,
    usage_metric_id uuid DEFAULT NULL,
    customer text DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_alerts';

COMMENT ON FUNCTION @extschema@.list_usage_alerts(integer, text, text, uuid, text) IS
'List usage alerts
A page of the session''s account''s alerts, the newest first, but for deleted ones; of a metric, and of a customer, as the alert names the customer. Pages are as those of list_customer_aliases(). Errors as there';

CREATE FUNCTION @extschema@.list_usage_alert_events(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL,
    usage_alert_id uuid DEFAULT NULL,
    customer text DEFAULT NULL,
    state text DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_alert_events';

COMMENT ON FUNCTION @extschema@.list_usage_alert_events(integer, text, text, uuid, text, text) IS
'List usage alert events
A page of the thresholds that were crossed, of the session''s account, the newest first; of an alert, of a customer, in a state (TRIGGERED, RESOLVED). Pages are as those of list_customer_aliases(). Errors as there';

CREATE FUNCTION @extschema@.take_usage_alert_events(consumer text, max_events integer DEFAULT 100, lease interval DEFAULT '1 minute') RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'take_usage_alert_events';

COMMENT ON FUNCTION @extschema@.take_usage_alert_events(text, integer, interval) IS
'Take usage alert events
An array of at most so many events that this consumer has not acknowledged, and that nobody has taken for it: the oldest first, and those of an alert and a customer in order. Until the lease ends nobody else gets them for that consumer, nor later ones of the same alert and customer; then they come again, unless they were acknowledged. Each consumer gets all events. Waits for nobody. Errors: 22004 for NULL, 22023 for a name that is none, for max_events not from 1 to 1000, for a lease not from 1 second to 1 day, 54000 for more than 100 consumers';

CREATE FUNCTION @extschema@.acknowledge_usage_alert_events(consumer text, ids uuid[]) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'acknowledge_usage_alert_events';

COMMENT ON FUNCTION @extschema@.acknowledge_usage_alert_events(text, uuid[]) IS
'Acknowledge usage alert events
The consumer does not get these again. Returns how many were not acknowledged before. Errors: 22004 for NULL, 22023 for a consumer that never took events, and for more than 1000 ids';

-- Views ---------------------------------------------------------------------

CREATE VIEW @extschema@.usage_alerts WITH (security_invoker = true) AS
SELECT id,
       name,
       metric_id AS usage_metric_id,
       customer,
       period,
       timezone,
       anchor,
       thresholds,
       direction,
       created_at,
       account_id
FROM usage_events.usage_alert
WHERE deleted_at IS NULL;

COMMENT ON VIEW @extschema@.usage_alerts IS 'Usage alerts: thresholds of what a metric says of a customer in a period';
COMMENT ON COLUMN @extschema@.usage_alerts.id IS 'Id of the alert';
COMMENT ON COLUMN @extschema@.usage_alerts.name IS 'For people to read';
COMMENT ON COLUMN @extschema@.usage_alerts.usage_metric_id IS 'The metric whose value is watched';
COMMENT ON COLUMN @extschema@.usage_alerts.customer IS 'Whose use is watched, by an alias or the customer''s id; NULL: that of each customer';
COMMENT ON COLUMN @extschema@.usage_alerts.period IS 'HOUR, DAY, WEEK, MONTH, YEAR or ALL_TIME: the use of each is watched by itself';
COMMENT ON COLUMN @extschema@.usage_alerts.timezone IS 'The time zone by whose clock periods begin';
COMMENT ON COLUMN @extschema@.usage_alerts.anchor IS 'At whose day and time periods begin; NULL: on the calendar';
COMMENT ON COLUMN @extschema@.usage_alerts.thresholds IS 'Values at which it is told, ascending';
COMMENT ON COLUMN @extschema@.usage_alerts.direction IS 'ABOVE: when the value reaches a threshold; BELOW: when it falls below one where it was before';
COMMENT ON COLUMN @extschema@.usage_alerts.created_at IS 'When the alert was made';
COMMENT ON COLUMN @extschema@.usage_alerts.account_id IS 'The account whose alert it is';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.usage_alerts FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_usage_alert(), update_usage_alert() or delete_usage_alert().');

CREATE VIEW @extschema@.usage_alert_events WITH (security_invoker = true) AS
SELECT id,
       usage_alert_id,
       customer,
       period_start,
       threshold,
       value,
       state,
       occurred_at,
       account_id
FROM usage_events.usage_alert_event;

COMMENT ON VIEW @extschema@.usage_alert_events IS 'Thresholds of usage alerts that were crossed';
COMMENT ON COLUMN @extschema@.usage_alert_events.id IS 'Id of the event';
COMMENT ON COLUMN @extschema@.usage_alert_events.usage_alert_id IS 'The alert';
COMMENT ON COLUMN @extschema@.usage_alert_events.customer IS 'The customer';
COMMENT ON COLUMN @extschema@.usage_alert_events.period_start IS 'Begin of the period; NULL for ALL_TIME';
COMMENT ON COLUMN @extschema@.usage_alert_events.threshold IS 'The threshold that was crossed';
COMMENT ON COLUMN @extschema@.usage_alert_events.value IS 'What the metric said; NULL where it said nothing any more';
COMMENT ON COLUMN @extschema@.usage_alert_events.state IS 'TRIGGERED, or RESOLVED where corrections have taken the value back';
COMMENT ON COLUMN @extschema@.usage_alert_events.occurred_at IS 'When the refresh saw it';
COMMENT ON COLUMN @extschema@.usage_alert_events.account_id IS 'The account whose alert it is';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.usage_alert_events FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('They are recorded by refreshes of rollups; see create_usage_alert().');
-- retention.sql: what is deleted for good: old events, and customers

-- Old events ----------------------------------------------------------------

CREATE FUNCTION usage_events.purge(before timestamptz, account_id uuid DEFAULT NULL, max_rows integer DEFAULT 10000) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'purge';

COMMENT ON FUNCTION usage_events.purge(timestamptz, uuid, integer) IS
'Deletes, for good, the events of an account (NULL: the session''s) that happened before a moment, with all their versions; an event with a version that is not before it stays whole. Then rollups of that time, events that were refused before, and what usage limits have locked and nobody needs any more. At most max_rows (1 to 100,000) of these a call; returns how many, 0 when nothing is left. From the first call on, events of that time are refused, and no metric is calculated of it. Never waits for who writes. Errors: 22004 for NULL as before, 22023 for one in the future, an account that does not exist, or other max_rows';

-- Customers -----------------------------------------------------------------

CREATE TABLE usage_events.erasure (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    erased_at timestamptz NOT NULL,
    erased_by text NOT NULL,
    event_count bigint NOT NULL,
    version_count bigint NOT NULL,
    rejected_count bigint NOT NULL,
    rollup_count bigint NOT NULL,
    alias_count bigint NOT NULL,
    limit_count bigint NOT NULL,
    CONSTRAINT erasure_pkey PRIMARY KEY (account_id, id)
);

COMMENT ON TABLE usage_events.erasure IS 'What erase_customer() has done, a row for each call that erased something; nothing in it tells whose it was';
COMMENT ON COLUMN usage_events.erasure.account_id IS 'The account whose customer it was';
COMMENT ON COLUMN usage_events.erasure.id IS 'Unique id, a UUID of version 7';
COMMENT ON COLUMN usage_events.erasure.erased_at IS 'When the call was made';
COMMENT ON COLUMN usage_events.erasure.erased_by IS 'The role that had logged in';
COMMENT ON COLUMN usage_events.erasure.event_count IS 'Current events that were deleted';
COMMENT ON COLUMN usage_events.erasure.version_count IS 'Superseded versions that were deleted';
COMMENT ON COLUMN usage_events.erasure.rejected_count IS 'Refused events that were deleted';
COMMENT ON COLUMN usage_events.erasure.rollup_count IS 'Rows of rollups, and of alerts, that were deleted';
COMMENT ON COLUMN usage_events.erasure.alias_count IS 'Mapped aliases that were deleted, past ones too';
COMMENT ON COLUMN usage_events.erasure.limit_count IS 'Versions of usage limits that were deleted, current and past';

SELECT pg_catalog.pg_extension_config_dump('usage_events.erasure', '');

CREATE FUNCTION usage_events.erase_customer(alias text, account_id uuid DEFAULT NULL, max_rows integer DEFAULT 10000) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erase_customer';

COMMENT ON FUNCTION usage_events.erase_customer(text, uuid, integer) IS
'Deletes, for good, what an account (NULL: the session''s) has of a customer, by alias; by the customer''s id, of all aliases that are mapped to it: the customer''s events, their superseded versions, those that were taken back, refused events that name the customer, rollups, portal tokens, limits of its own, and the mapped aliases. At most about max_rows (1 to 100,000) of these a call; returns how many, 0 when nothing is left. May stop at any time and go on later. What usage_events.erasure keeps of it names nobody. Events that are sent for the alias after the last call are new ones. Waits for sessions that write the customer''s events, and at the end for refreshes of the account. Errors: 22004 for NULL as the alias, 22023 for an empty one, VOID, an account that does not exist, or other max_rows; 55000 for one that is an alias of a customer and the id of another who has aliases';
-- http.sql: the HTTP API, through PostgREST

CREATE FUNCTION usage_events.authenticate_request() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'authenticate_request';

COMMENT ON FUNCTION usage_events.authenticate_request() IS
'PostgREST''s pre-request: checks the API key in the header Authorization (Basic, RFC 7617) and the header Sequence-Version, and makes the key''s account the account of the transaction. Writes nothing. Errors: PGRST with status 401 or 400';

CREATE FUNCTION usage_events.openapi() RETURNS json
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'openapi';

COMMENT ON FUNCTION usage_events.openapi() IS
'The HTTP API described in OpenAPI 3.0, as GET / answers it';

-- The name is PostgREST's for a text that is the body as it stands, of a type that its headers tell.
CREATE DOMAIN usage_events."*/*" AS text;

COMMENT ON DOMAIN usage_events."*/*" IS 'The body of an answer over HTTP: JSON, or CSV';

CREATE FUNCTION @extschema@.usage_api_read() RETURNS usage_events."*/*"
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'usage_api_read';

COMMENT ON FUNCTION @extschema@.usage_api_read() IS
'Serve a GET of the HTTP API
What is asked for stands in the header Usage-Request, which the proxy sets. Errors: PGRST with status 400, 403, 404, 405 or 500';

CREATE FUNCTION @extschema@.usage_api_write(bytea) RETURNS json
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'usage_api_write';

COMMENT ON FUNCTION @extschema@.usage_api_write(bytea) IS
'Serve a POST, PUT, DELETE or OPTIONS of the HTTP API
Takes the body as it came; what is asked for stands in the header Usage-Request, which the proxy sets. Errors: PGRST with status 400, 403, 404, 405, 415, 429 or 500';
-- status.sql: what happens at the moment, for monitoring

CREATE VIEW usage_events.account_status WITH (security_invoker = true) AS
SELECT account.account_id,
       account.name,
       (SELECT pg_catalog.count(*) FROM usage_events.event AS event
        WHERE event.account_id OPERATOR(pg_catalog.=) account.account_id
          AND event.id OPERATOR(pg_catalog.>=) minute.first_id)
       OPERATOR(pg_catalog.+)
       (SELECT pg_catalog.count(*) FROM usage_events.superseded_event AS version
        WHERE version.account_id OPERATOR(pg_catalog.=) account.account_id
          AND version.id OPERATOR(pg_catalog.>=) minute.first_id) AS stored_last_minute,
       (SELECT pg_catalog.count(*) FROM usage_events.superseded_event AS version
        WHERE version.account_id OPERATOR(pg_catalog.=) account.account_id
          AND version.superseded_by OPERATOR(pg_catalog.>=) minute.first_id) AS superseded_last_minute,
       (SELECT pg_catalog.count(*) FROM usage_events.rejected_event AS rejected
        WHERE rejected.account_id OPERATOR(pg_catalog.=) account.account_id
          AND rejected.id OPERATOR(pg_catalog.>=) minute.first_id) AS rejected_last_minute,
       (SELECT pg_catalog.count(*) FROM usage_events.rejected_event AS rejected
        WHERE rejected.account_id OPERATOR(pg_catalog.=) account.account_id
          AND rejected.id OPERATOR(pg_catalog.>=) minute.first_id
          AND pg_catalog.jsonb_path_exists(rejected.faults, '$[*].usageLimitId')) AS over_limit_last_minute,
       rejected.waiting AS rejected_waiting,
       rejected.bytes AS rejected_bytes,
       overflow.event_count AS rejected_not_kept,
       overflow.last_at AS rejected_not_kept_at,
       EXTRACT(epoch FROM pg_catalog.statement_timestamp() OPERATOR(pg_catalog.-) (
           SELECT @extschema@.uuid_v7_timestamp(event.id) FROM usage_events.event AS event
           WHERE event.account_id OPERATOR(pg_catalog.=) account.account_id
           ORDER BY event.id DESC LIMIT 1))::double precision AS newest_event_age_seconds,
       mark.waiting AS marks_waiting,
       EXTRACT(epoch FROM pg_catalog.statement_timestamp() OPERATOR(pg_catalog.-) mark.oldest)::double precision AS refresh_lag_seconds,
       (SELECT purged_before FROM usage_events.purge_horizon AS horizon
        WHERE horizon.account_id OPERATOR(pg_catalog.=) account.account_id) AS purged_before,
       usage_events.outbox_lag_seconds(account.account_id) AS outbox_lag_seconds,
       (SELECT pg_catalog.count(*) FROM usage_events.metric AS metric
        WHERE metric.account_id OPERATOR(pg_catalog.=) account.account_id AND metric.deleted_at IS NULL) AS metric_count,
       (SELECT pg_catalog.count(*) FROM usage_events.metric AS metric
        WHERE metric.account_id OPERATOR(pg_catalog.=) account.account_id)
       OPERATOR(pg_catalog.+)
       (SELECT pg_catalog.count(*) FROM usage_events.superseded_metric AS version
        WHERE version.account_id OPERATOR(pg_catalog.=) account.account_id) AS metric_version_count,
       (SELECT pg_catalog.count(*) FROM usage_events.usage_limit AS usage_limit
        WHERE usage_limit.account_id OPERATOR(pg_catalog.=) account.account_id AND usage_limit.deleted_at IS NULL) AS limit_count,
       (SELECT pg_catalog.count(*) FROM usage_events.usage_alert AS alert
        WHERE alert.account_id OPERATOR(pg_catalog.=) account.account_id AND alert.deleted_at IS NULL) AS alert_count
FROM usage_events.account AS account
CROSS JOIN LATERAL (
    SELECT @extschema@.uuid_v7_floor(pg_catalog.statement_timestamp() OPERATOR(pg_catalog.-) '1 minute'::interval) AS first_id
) AS minute
CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) AS waiting,
           COALESCE(pg_catalog.sum(pg_catalog.octet_length(rejected.body) OPERATOR(pg_catalog.+) pg_catalog.pg_column_size(rejected.faults)), 0)::bigint AS bytes
    FROM usage_events.rejected_event AS rejected
    WHERE rejected.account_id OPERATOR(pg_catalog.=) account.account_id AND rejected.taken_at IS NULL
) AS rejected
CROSS JOIN LATERAL (
    SELECT COALESCE(pg_catalog.sum(overflow.event_count), 0)::bigint AS event_count, pg_catalog.max(overflow.last_at) AS last_at
    FROM usage_events.rejected_overflow AS overflow
    WHERE overflow.account_id OPERATOR(pg_catalog.=) account.account_id
) AS overflow
CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) AS waiting, pg_catalog.min(dirty.marked_at) AS oldest
    FROM usage_events.dirty_bucket AS dirty
    WHERE dirty.account_id OPERATOR(pg_catalog.=) account.account_id
      AND dirty.event_type OPERATOR(pg_catalog.<>) ''
) AS mark;

COMMENT ON VIEW usage_events.account_status IS 'What happens to each account at the moment, for monitoring; reads what came in the last minute';
COMMENT ON COLUMN usage_events.account_status.account_id IS 'The account';
COMMENT ON COLUMN usage_events.account_status.name IS 'Its name';
COMMENT ON COLUMN usage_events.account_status.stored_last_minute IS 'Versions of events that were stored in the last minute';
COMMENT ON COLUMN usage_events.account_status.superseded_last_minute IS 'Versions that were superseded in the last minute';
COMMENT ON COLUMN usage_events.account_status.rejected_last_minute IS 'Events that were refused, and kept, in the last minute';
COMMENT ON COLUMN usage_events.account_status.over_limit_last_minute IS 'Those of them that a usage limit kept out; a call that is refused with an error leaves nothing behind, and is not among them';
COMMENT ON COLUMN usage_events.account_status.rejected_waiting IS 'Refused events that wait to be sent again';
COMMENT ON COLUMN usage_events.account_status.rejected_bytes IS 'What these take, with their faults: see usage_events.max_rejected_bytes';
COMMENT ON COLUMN usage_events.account_status.rejected_not_kept IS 'Refused events that were not kept, because the account had as many as it may, since ever';
COMMENT ON COLUMN usage_events.account_status.rejected_not_kept_at IS 'When the last of them was refused; NULL where all were kept';
COMMENT ON COLUMN usage_events.account_status.newest_event_age_seconds IS 'How long ago the newest current event was stored, in seconds; NULL where there is none';
COMMENT ON COLUMN usage_events.account_status.marks_waiting IS 'Marks of changed events that the next refresh of rollups will take away';
COMMENT ON COLUMN usage_events.account_status.refresh_lag_seconds IS 'Age of the oldest mark, in seconds; NULL where there is none';
COMMENT ON COLUMN usage_events.account_status.purged_before IS 'Up to when events were purged; NULL where none were';
COMMENT ON COLUMN usage_events.account_status.outbox_lag_seconds IS 'How far behind the account''s outboxes are: the most of usage_events.outbox_status; Infinity where nothing applies one; NULL where there is none';
COMMENT ON COLUMN usage_events.account_status.metric_count IS 'Metrics in force: see usage_events.max_metrics';
COMMENT ON COLUMN usage_events.account_status.metric_version_count IS 'Versions of metrics, those of deleted ones included: see usage_events.max_metric_versions';
COMMENT ON COLUMN usage_events.account_status.limit_count IS 'Usage limits in force: see usage_events.max_limits';
COMMENT ON COLUMN usage_events.account_status.alert_count IS 'Usage alerts in force: see usage_events.max_usage_alerts';

CREATE VIEW usage_events.storage_status WITH (security_invoker = true) AS
SELECT statistics.relname AS table_name,
       statistics.n_live_tup AS live_rows,
       statistics.n_dead_tup AS dead_rows,
       pg_catalog.pg_table_size(statistics.relid) AS table_bytes,
       pg_catalog.pg_indexes_size(statistics.relid) AS index_bytes,
       statistics.n_tup_ins AS rows_inserted,
       statistics.n_tup_upd AS rows_updated,
       statistics.n_tup_del AS rows_deleted,
       GREATEST(statistics.last_vacuum, statistics.last_autovacuum) AS vacuumed_at,
       GREATEST(statistics.last_analyze, statistics.last_autoanalyze) AS analyzed_at
FROM pg_catalog.pg_stat_all_tables AS statistics
WHERE statistics.schemaname OPERATOR(pg_catalog.=) 'usage_events';

COMMENT ON VIEW usage_events.storage_status IS 'The tables of all accounts together, for monitoring, by the server''s statistics: numbers of rows are estimates';
COMMENT ON COLUMN usage_events.storage_status.table_name IS 'Table of the schema usage_events';
COMMENT ON COLUMN usage_events.storage_status.live_rows IS 'Rows, as estimated';
COMMENT ON COLUMN usage_events.storage_status.dead_rows IS 'Rows that wait for vacuum, as estimated';
COMMENT ON COLUMN usage_events.storage_status.table_bytes IS 'Size without indexes, in bytes';
COMMENT ON COLUMN usage_events.storage_status.index_bytes IS 'Size of the indexes, in bytes';
COMMENT ON COLUMN usage_events.storage_status.rows_inserted IS 'Counter since the statistics were reset: of event, the events that were created';
COMMENT ON COLUMN usage_events.storage_status.rows_updated IS 'Counter: of event, those that were superseded';
COMMENT ON COLUMN usage_events.storage_status.rows_deleted IS 'Counter: of event, those that were purged';
COMMENT ON COLUMN usage_events.storage_status.vacuumed_at IS 'When the table was last vacuumed, by whomever';
COMMENT ON COLUMN usage_events.storage_status.analyzed_at IS 'When it was last analyzed, by whomever';

CREATE FUNCTION @extschema@.get_usage_status() RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'get_usage_status';

COMMENT ON FUNCTION @extschema@.get_usage_status() IS
'Get the status of the account
What usage_events.account_status says of the session''s account: {"storedLastMinute", "supersededLastMinute", "rejectedLastMinute", "rejectedWaiting", "rejectedBytes", "rejectedNotKept", "rejectedNotKeptAt", "newestEventAgeSeconds", "marksWaiting", "refreshLagSeconds", "purgedBefore"}';
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
