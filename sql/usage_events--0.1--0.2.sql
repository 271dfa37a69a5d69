-- usage_events--0.1--0.2.sql: all that version 0.2 adds to 0.1, and changes in it, by section
-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION usage_events UPDATE TO '0.2'" to load this file. \quit

-- Ids ----------------------------------------------------------------------

CREATE FUNCTION @extschema@.uuid_v7_floor(moment timestamptz) RETURNS uuid
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'uuid_v7_floor';

COMMENT ON FUNCTION @extschema@.uuid_v7_floor(timestamptz) IS
'The lowest UUID of version 7 (RFC 9562) of that moment: what was ingested from then on has an id that is not below it. Error: 22023 for a moment that no such id can have';

COMMENT ON FUNCTION @extschema@.uuid_v7() IS
'A new UUID of version 7 (RFC 9562), above every one that this function made in this backend before';

-- Events -------------------------------------------------------------------

DROP INDEX usage_events.event_customer_idx;
CREATE INDEX event_customer_idx ON usage_events.event (account_id, customer_alias, event_timestamp, id);
CREATE INDEX event_timestamp_idx ON usage_events.event (account_id, event_timestamp, id);
CREATE INDEX event_type_idx ON usage_events.event (account_id, event_type, id);
CREATE UNIQUE INDEX superseded_event_id_key ON usage_events.superseded_event (account_id, id);
CREATE INDEX superseded_event_by_idx ON usage_events.superseded_event (account_id, superseded_by);

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

CREATE TABLE usage_events.purge_horizon (
    account_id uuid NOT NULL,
    purged_before timestamptz NOT NULL,
    CONSTRAINT purge_horizon_pkey PRIMARY KEY (account_id)
);

COMMENT ON TABLE usage_events.purge_horizon IS 'Accounts of which old events were purged';
COMMENT ON COLUMN usage_events.purge_horizon.account_id IS 'The account whose events they were';
COMMENT ON COLUMN usage_events.purge_horizon.purged_before IS 'Events that happened before this moment were purged, and are refused; no metric is calculated of a time before it';

SELECT pg_catalog.pg_extension_config_dump('usage_events.purge_horizon', '');

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
COMMENT ON COLUMN usage_events.erasure.rollup_count IS 'Rows of rollups that were deleted';
COMMENT ON COLUMN usage_events.erasure.alias_count IS 'Mapped aliases that were deleted, past ones too';

SELECT pg_catalog.pg_extension_config_dump('usage_events.erasure', '');

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

REVOKE EXECUTE ON FUNCTION usage_events.keep_default_account() FROM PUBLIC;

CREATE TRIGGER usage_events_default_account BEFORE INSERT ON usage_events.account
    FOR EACH ROW WHEN (NEW.account_id OPERATOR(pg_catalog.=) '00000000-0000-8000-8000-000000000001'::pg_catalog.uuid)
    EXECUTE FUNCTION usage_events.keep_default_account();
ALTER TABLE usage_events.account ENABLE REPLICA TRIGGER usage_events_default_account;

COMMENT ON TRIGGER usage_events_default_account ON usage_events.account IS
'Passes by the default account of a publisher, where there is one already';

-- Customers ----------------------------------------------------------------

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

-- Usage metrics ------------------------------------------------------------

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

-- Rollups: a cache of what metrics say of whole intervals of time.  It is not
-- dumped; without it every answer is the same, and takes longer.

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
    watched_by text COLLATE pg_catalog."C"
);
CREATE INDEX dirty_bucket_idx ON usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket);

COMMENT ON TABLE usage_events.dirty_bucket IS 'Seconds and minutes whose events were changed since they were rolled up: rollups that contain them are not used until they are refreshed';
COMMENT ON COLUMN usage_events.dirty_bucket.account_id IS 'The account whose events they are';
COMMENT ON COLUMN usage_events.dirty_bucket.event_type IS 'Type of the events; empty in the row that says that marks are kept, and in those that say that something was changed without marks';
COMMENT ON COLUMN usage_events.dirty_bucket.customer_alias IS 'The alias that the events have, or had; empty: those of all customers';
COMMENT ON COLUMN usage_events.dirty_bucket.bucket IS 'Begin of the second, or minute';
COMMENT ON COLUMN usage_events.dirty_bucket.marked_at IS 'When it was marked';
COMMENT ON COLUMN usage_events.dirty_bucket.seconds IS '1, or 60: so many seconds are marked; below 0 where something was changed without marks: no rollups are used until a refresh has begun anew';
COMMENT ON COLUMN usage_events.dirty_bucket.watched_by IS 'In the row that says that marks are kept: since which state of the trigger usage_events_watch; otherwise NULL';

-- Marks have no key.  Where all tables are published, or a shard moves, rows that go have to be found.
ALTER TABLE usage_events.dirty_bucket REPLICA IDENTITY FULL;

-- Changes by others --------------------------------------------------------

CREATE FUNCTION usage_events.watch_changes() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'watch_changes';

COMMENT ON FUNCTION usage_events.watch_changes() IS
'Trigger of the tables that rollups are made of: before a statement that is not one of the extension''s own, such as a DELETE by hand, COPY or a restore, it has the rollups of all accounts forgotten, until a refresh makes them anew';

REVOKE EXECUTE ON FUNCTION usage_events.watch_changes() FROM PUBLIC;

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

-- API keys -----------------------------------------------------------------

CREATE TABLE usage_events.api_key (
    account_id uuid NOT NULL,
    client_id text COLLATE pg_catalog."C" NOT NULL,
    secret_hash bytea NOT NULL,
    label text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    CONSTRAINT api_key_pkey PRIMARY KEY (account_id, client_id)
);

COMMENT ON TABLE usage_events.api_key IS 'Keys by which clients of the HTTP API show whose account they act for';
COMMENT ON COLUMN usage_events.api_key.account_id IS 'The account that the key acts for';
COMMENT ON COLUMN usage_events.api_key.client_id IS 'The public half: the account''s id, a point, and 16 hexadecimal digits';
COMMENT ON COLUMN usage_events.api_key.secret_hash IS 'SHA-256 of the client secret, which has 256 random bits and is stored nowhere';
COMMENT ON COLUMN usage_events.api_key.label IS 'What the key is for';
COMMENT ON COLUMN usage_events.api_key.created_at IS 'When the key was made';
COMMENT ON COLUMN usage_events.api_key.expires_at IS 'From when on the key is refused; NULL: never';

SELECT pg_catalog.pg_extension_config_dump('usage_events.api_key', '');

CREATE FUNCTION usage_events.create_api_key(account_id uuid, label text)
RETURNS TABLE (client_id text, client_secret text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'create_api_key';

COMMENT ON FUNCTION usage_events.create_api_key(uuid, text) IS
'Makes an API key of the account, with a label of at most 255 characters, and shows its secret: once, only a hash of it is stored. Errors: 22004 for NULL, 22023 for an account that does not exist or a label that is none';

CREATE FUNCTION usage_events.rotate_api_key(client_id text, grace interval DEFAULT '0')
RETURNS TABLE (client_id text, client_secret text)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'rotate_api_key';

COMMENT ON FUNCTION usage_events.rotate_api_key(text, interval) IS
'Makes another API key of the same account and label, and lets the old one expire after the grace. Errors: 22004 for NULL, 22023 for a key that does not exist or has expired, or a negative grace';

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
RETURNS TABLE (client_id text, label text, created_at timestamptz, expires_at timestamptz)
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
AS 'MODULE_PATHNAME', 'list_api_keys';

COMMENT ON FUNCTION usage_events.list_api_keys(uuid) IS
'The API keys of the account, without their secrets, which nobody has. Error: 22004 for NULL';

-- Isolation ----------------------------------------------------------------

COMMENT ON FUNCTION usage_events.current_account_id() IS
'The account whose events are written and read: the setting usage_events.account_id, or else the default account. Errors: PT401 in a request over HTTP for which no account was chosen, by an API key or by whoever set it; 28000 where the setting is the nil UUID, which means none';

CREATE FUNCTION usage_events.written_by_extension() RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'written_by_extension';

COMMENT ON FUNCTION usage_events.written_by_extension() IS
'True while a statement of the extension''s own functions is executed, and where the tables are distributed. Error: 42501 for any other statement, which writes without a trace';

-- One text for every table: a row belongs to the account of the session.  Plain
-- comparisons, without sub-select, so that they can serve on Citus as well.  Forced,
-- they hold for the tables' owner too, unless that is a superuser.
--
-- Of writing the rights that a role has are only half: rows are written by our own
-- functions, which keep what they replace.
DROP POLICY own_account ON usage_events.account;
DROP POLICY own_account ON usage_events.event;
DROP POLICY own_account ON usage_events.superseded_event;

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

REVOKE EXECUTE ON FUNCTION usage_events.hide_statistics() FROM PUBLIC;

SELECT usage_events.hide_statistics();

-- Comparing events ---------------------------------------------------------

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
    FUNCTION 1 usage_events.usage_event_cmp(@extschema@.usage_event, @extschema@.usage_event);

CREATE OPERATOR CLASS @extschema@.usage_event_ops DEFAULT FOR TYPE @extschema@.usage_event USING hash AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 usage_events.usage_event_hash(@extschema@.usage_event),
    FUNCTION 2 usage_events.usage_event_hash_extended(@extschema@.usage_event, bigint);

COMMENT ON OPERATOR FAMILY @extschema@.usage_event_ops USING btree IS 'Order of events, that of their JSON';
COMMENT ON OPERATOR FAMILY @extschema@.usage_event_ops USING hash IS 'Hashes of events';
COMMENT ON OPERATOR CLASS @extschema@.usage_event_ops USING btree IS 'Order of events, that of their JSON';
COMMENT ON OPERATOR CLASS @extschema@.usage_event_ops USING hash IS 'Hashes of events';

-- What json_build_object() and drivers that know json alone give.
CREATE CAST (json AS @extschema@.usage_event) WITH INOUT AS ASSIGNMENT;
CREATE CAST (@extschema@.usage_event AS json) WITH INOUT AS ASSIGNMENT;

-- Writing and reading events -----------------------------------------------

-- Many at once: as the same events one by one, in the order given.
CREATE FUNCTION @extschema@.create_usage_events(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_usage_events';

COMMENT ON FUNCTION @extschema@.create_usage_events(jsonb) IS
'Create usage events, all or none
Takes an array of events as create_usage_event() takes one, stores them as if sent one by one, and returns an array of what is stored, in the same order. Errors: 22023 naming the faulty events, of many the first, by their index (from 0) with their faults; 54000 for more than usage_events.max_memory can take, or an answer of more than a quarter of it as text; otherwise as create_usage_event()';

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

CREATE FUNCTION @extschema@.get_usage_event_history(id uuid) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'get_usage_event_history';

COMMENT ON FUNCTION @extschema@.get_usage_event_history(uuid) IS
'Get all versions of a usage event
Takes the id of any version and returns {"items"}: all of them, the oldest first, each with "supersededAt" and "supersededBy", which are null in the current one. NULL where the session''s account has none. Error: 54000 for an answer of more text than a quarter of usage_events.max_memory: the view usage_event_history has the versions, too';

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
A page of the session''s account''s events, {"items", "pagination": {"after", "before", "totalResultSize"}}: page_limit items (1 to 100), page_offset of them skipped (0 to 10,000), from a cursor of an earlier page on (after or before), sorted by createdAt or eventTimestamp, ASC or DESC; of any of the aliases (as they came with events: a customer''s id is none, VOID is), of aliases that are mapped to no customer, of a type, with an id (the event''s or the sender''s), before a moment (exclusive) and after one (inclusive). The pages after the first show the list as it was then, but for transactions that were still open. totalResultSize is exact, and null where more than usage_events.list_total_limit events would have to be looked at. Errors: 22023 naming each faulty argument by its name in the HTTP API, 54000 where more than usage_events.list_lookup_limit corrections since the first page, or aliases, would have to be looked through';

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
COMMENT ON COLUMN @extschema@.rejected_usage_events.rejected_at IS 'When it was rejected, to the millisecond';

-- Customer aliases ---------------------------------------------------------

CREATE FUNCTION @extschema@.create_customer_alias(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_customer_alias';

COMMENT ON FUNCTION @extschema@.create_customer_alias(jsonb) IS
'Create a customer alias
Takes {"customerId", "value", "label"}, the last optional, and maps the alias to the customer: events that came with it count as his from now on, also those that came before. The same again is a retry, and answered as the first time. Errors: 22023 naming every fault, also where the alias is another customer''s; 22004 for NULL';

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

CREATE VIEW @extschema@.unmapped_customer_aliases WITH (security_invoker = true) AS
SELECT alias.value AS customer_alias,
       (SELECT pg_catalog.max(event_timestamp) FROM usage_events.event
        WHERE account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
          AND customer_alias OPERATOR(pg_catalog.=) alias.value) AS last_event_timestamp
FROM usage_events.unmapped_alias AS alias;

COMMENT ON VIEW @extschema@.unmapped_customer_aliases IS 'Aliases of the session''s account''s events that belong to no customer yet; the alias VOID never does';
COMMENT ON COLUMN @extschema@.unmapped_customer_aliases.customer_alias IS 'The alias';
COMMENT ON COLUMN @extschema@.unmapped_customer_aliases.last_event_timestamp IS 'When its last usage happened';

-- Definitions of usage metrics ---------------------------------------------

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

-- Calculation --------------------------------------------------------------

CREATE FUNCTION @extschema@.calculate_usage_metric(
    metric_id uuid,
    customer_aliases text[],
    period tstzrange,
    as_of timestamptz DEFAULT NULL,
    parameters jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'calculate_usage_metric';

COMMENT ON FUNCTION @extschema@.calculate_usage_metric(uuid, text[], tstzrange, timestamptz, jsonb) IS
'Calculate a usage metric
What the metric says of these customers, by alias or id, in the period: {"name", "metricType", "eventType", "aggregationType", "eventCount", "value", "unit", "minEventId", "maxEventId", "skippedEventCount"}, and of a GROUPED metric "groupedValues": [{"grouping", "value", "eventCount"}]. value is exact; null for MAX, MIN, AVERAGE, LATEST and PERCENTILE of no events. LATEST of several events at the latest time is of the one with the highest id. skippedEventCount: events that would have counted, had their property had a usable value. as_of: as events, aliases and the metric itself were known at that moment, what was written in its microsecond included. parameters: of a CUSTOM metric, by name. Errors: P0002 where there is no such metric, 22004 for NULL, 22023 for a period without start or end, or empty';

CREATE FUNCTION usage_events.calculate_metric(
    account_id uuid,
    metric_id uuid,
    customer_aliases text[],
    period tstzrange,
    as_of timestamptz DEFAULT NULL,
    parameters jsonb DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'calculate_metric';

COMMENT ON FUNCTION usage_events.calculate_metric(uuid, uuid, text[], tstzrange, timestamptz, jsonb) IS
'calculate_usage_metric() for an account named by the caller, who may act for any. Errors as there';

CREATE FUNCTION @extschema@.usage_metric_series(
    metric_id uuid,
    customer_aliases text[],
    period tstzrange,
    step text,
    timezone text DEFAULT 'UTC',
    as_of timestamptz DEFAULT NULL
) RETURNS TABLE (period_start timestamptz, period_end timestamptz, event_count bigint, value numeric, skipped_event_count bigint, grouped_values jsonb)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 31
AS 'MODULE_PATHNAME', 'usage_metric_series';

COMMENT ON FUNCTION @extschema@.usage_metric_series(uuid, text[], tstzrange, text, text, timestamptz) IS
'Calculate a usage metric hour by hour, day by day or month by month
As calculate_usage_metric(), a row for each step (hour, day, month) of the clock of a time zone, by its name in the IANA database; the first and the last are cut off by the period. Errors as there, 22023 for another step or an unknown time zone, 54000 for more than 100,000 steps, or more than 5 million of them times the customers'' aliases';

CREATE FUNCTION @extschema@.usage_metric_by_customer(
    metric_id uuid,
    period tstzrange,
    as_of timestamptz DEFAULT NULL
) RETURNS TABLE (customer text, event_count bigint, value numeric, skipped_event_count bigint, grouped_values jsonb)
LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1000
AS 'MODULE_PATHNAME', 'usage_metric_by_customer';

COMMENT ON FUNCTION @extschema@.usage_metric_by_customer(uuid, tstzrange, timestamptz) IS
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
Takes the id of any version of an event: {"counts", "skipped", "reasons": [...], "value", "grouping", "event"}. NULL where the session''s account has no such event. Error: P0002 where there is no such metric';

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

-- Operations ---------------------------------------------------------------

CREATE FUNCTION usage_events.purge(before timestamptz, account_id uuid DEFAULT NULL, max_rows integer DEFAULT 10000) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'purge';

COMMENT ON FUNCTION usage_events.purge(timestamptz, uuid, integer) IS
'Deletes, for good, the events of an account (NULL: the session''s) that happened before a moment, with all their versions; an event with a version that is not before it stays whole. Then rollups of that time, and events that were refused before. At most max_rows (1 to 100,000) of these a call; returns how many, 0 when nothing is left. From the first call on, events of that time are refused, and no metric is calculated of it. Never waits for who writes. Errors: 22004 for NULL as before, 22023 for one in the future, an account that does not exist, or other max_rows';

CREATE FUNCTION usage_events.erase_customer(alias text, account_id uuid DEFAULT NULL, max_rows integer DEFAULT 10000) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erase_customer';

COMMENT ON FUNCTION usage_events.erase_customer(text, uuid, integer) IS
'Deletes, for good, what an account (NULL: the session''s) has of a customer, by alias; by the customer''s id, of all aliases that are mapped to it: his events, their superseded versions, those that were taken back, refused events that name him, rollups, and the mapped aliases. At most about max_rows (1 to 100,000) of these a call; returns how many, 0 when nothing is left. May stop at any time and go on later. What usage_events.erasure keeps of it names nobody. Events that are sent for the alias after the last call are new ones. Waits for who writes his events, and at the end for refreshes of the account. Errors: 22004 for NULL as the alias, 22023 for an empty one, VOID, an account that does not exist, or other max_rows; 55000 for one that is an alias of a customer and the id of another who has aliases';

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
        WHERE horizon.account_id OPERATOR(pg_catalog.=) account.account_id) AS purged_before
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
COMMENT ON COLUMN usage_events.account_status.rejected_waiting IS 'Refused events that wait to be sent again';
COMMENT ON COLUMN usage_events.account_status.rejected_bytes IS 'What these take, with their faults: see usage_events.max_rejected_bytes';
COMMENT ON COLUMN usage_events.account_status.rejected_not_kept IS 'Refused events that were not kept, because the account had as many as it may, since ever';
COMMENT ON COLUMN usage_events.account_status.rejected_not_kept_at IS 'When the last of them was refused; NULL where all were kept';
COMMENT ON COLUMN usage_events.account_status.newest_event_age_seconds IS 'How long ago the newest current event was stored, in seconds; NULL where there is none';
COMMENT ON COLUMN usage_events.account_status.marks_waiting IS 'Marks of changed events that the next refresh of rollups will take away';
COMMENT ON COLUMN usage_events.account_status.refresh_lag_seconds IS 'Age of the oldest mark, in seconds; NULL where there is none';
COMMENT ON COLUMN usage_events.account_status.purged_before IS 'Up to when events were purged; NULL where none were';

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

-- Scale-out ----------------------------------------------------------------

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
        WHERE tgfoid IN ('usage_events.watch_changes()'::regprocedure, 'usage_events.keep_default_account()'::regprocedure)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', trigger.name, trigger.relation);
    END LOOP;

    FOREACH relation IN ARRAY ARRAY['account', 'event', 'superseded_event', 'rejected_event', 'rejected_overflow', 'purge_horizon', 'erasure',
        'customer_alias', 'metric', 'superseded_metric', 'metric_rollup', 'metric_progress', 'dirty_bucket', 'api_key']
    LOOP
        relation = 'usage_events.' || relation;
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
    FOREACH function IN ARRAY ARRAY['usage_events.create_event(uuid, jsonb)', 'usage_events.create_events(uuid, jsonb)',
        'usage_events.ingest_events(uuid, jsonb)',
        'usage_events.calculate_metric(uuid, uuid, text[], tstzrange, timestamptz, jsonb)',
        'usage_events.create_api_key(uuid, text)', 'usage_events.list_api_keys(uuid)']
    LOOP
        EXECUTE 'SELECT create_distributed_function($1::regprocedure, ''account_id'', colocate_with => $2)'
            USING function, anchor;
    END LOOP;
END
$$;

COMMENT ON FUNCTION usage_events.distribute(integer) IS
'Distributes the tables of accounts over the nodes of a Citus cluster, by account, with the events that they hold, and has the functions that take an account run on its node. Without Citus it says so and does nothing; what is distributed already stays as it is. Writers wait meanwhile. Called on the coordinator by a superuser';

CREATE FUNCTION usage_events.undistribute() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_distributed boolean = false;
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = ''usage_events.event''::regclass)'
            INTO is_distributed;
    END IF;
    IF NOT is_distributed THEN
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

-- HTTP ---------------------------------------------------------------------

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

CREATE FUNCTION @extschema@.usage_api_read() RETURNS json
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'usage_api_read';

COMMENT ON FUNCTION @extschema@.usage_api_read() IS
'Serve a GET of the HTTP API
What is asked for stands in the header Usage-Request, which the proxy sets. Errors: PGRST with status 400, 404, 405 or 500';

CREATE FUNCTION @extschema@.usage_api_write(bytea) RETURNS json
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'usage_api_write';

COMMENT ON FUNCTION @extschema@.usage_api_write(bytea) IS
'Serve a POST, PUT, DELETE or OPTIONS of the HTTP API
Takes the body as it came; what is asked for stands in the header Usage-Request, which the proxy sets. Errors: PGRST with status 400, 404, 405, 415 or 500';

-- Import -------------------------------------------------------------------

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

-- Writing to views ---------------------------------------------------------

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

REVOKE EXECUTE ON FUNCTION usage_events.refuse_view_write() FROM PUBLIC;

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE ON @extschema@.usage_events FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_usage_event(), which also corrects the event of that customerEventId, or create_usage_events() for many, or COPY them to usage_event_import.');
CREATE TRIGGER refuse_delete INSTEAD OF DELETE ON @extschema@.usage_events FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('To take an event back, call create_usage_event() with its customerEventId and the customerAlias VOID. Events are deleted for good by usage_events.purge() and usage_events.erase_customer().');
CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.usage_event_history FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_usage_event(): the version that an event replaces comes to be here by itself.');
CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.rejected_usage_events FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('What ingest_usage_events() refuses comes to be here by itself; retry_rejected_usage_events() sends it again.');
CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.customer_aliases FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_customer_alias(), update_customer_alias() or delete_customer_alias().');
CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.usage_metrics FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_usage_metric(), update_usage_metric() or delete_usage_metric().');

-- Privileges ---------------------------------------------------------------

REVOKE EXECUTE ON FUNCTION
    @extschema@.create_usage_events(jsonb),
    @extschema@.ingest_usage_events(jsonb),
    @extschema@.ingest_usage_events_text(text),
    @extschema@.retry_rejected_usage_events(uuid[]),
    @extschema@.get_usage_event_history(uuid),
    @extschema@.list_usage_events(integer, text, text, integer, text, text, text[], boolean, text, text, timestamptz, timestamptz),
    @extschema@.create_customer_alias(jsonb),
    @extschema@.update_customer_alias(uuid, jsonb),
    @extschema@.delete_customer_alias(uuid),
    @extschema@.list_customer_aliases(integer, text, text, text),
    @extschema@.create_usage_metric(jsonb),
    @extschema@.get_usage_metric(uuid),
    @extschema@.update_usage_metric(uuid, jsonb),
    @extschema@.delete_usage_metric(uuid),
    @extschema@.list_usage_metrics(integer, text, text, text, text, text[], text[], text[]),
    @extschema@.calculate_usage_metric(uuid, text[], tstzrange, timestamptz, jsonb),
    @extschema@.usage_metric_series(uuid, text[], tstzrange, text, text, timestamptz),
    @extschema@.usage_metric_by_customer(uuid, tstzrange, timestamptz),
    @extschema@.usage_metric_changes(uuid, text[], tstzrange, timestamptz),
    @extschema@.explain_usage_event(uuid, uuid),
    @extschema@.usage_api_read(),
    @extschema@.usage_api_write(bytea),
    usage_events.authenticate_request(),
    usage_events.openapi(),
    usage_events.create_events(uuid, jsonb),
    usage_events.ingest_events(uuid, jsonb),
    usage_events.distribute(integer),
    usage_events.undistribute(),
    usage_events.calculate_metric(uuid, uuid, text[], tstzrange, timestamptz, jsonb),
    usage_events.refresh_rollups(uuid, integer),
    usage_events.purge(timestamptz, uuid, integer),
    usage_events.erase_customer(text, uuid, integer),
    usage_events.create_custom_metric(jsonb),
    usage_events.update_custom_metric(uuid, jsonb),
    usage_events.create_api_key(uuid, text),
    usage_events.rotate_api_key(text, interval),
    usage_events.expire_api_key(text, timestamptz),
    usage_events.revoke_api_key(text),
    usage_events.list_api_keys(uuid)
FROM PUBLIC;

CREATE OR REPLACE FUNCTION usage_events.grant_access(role regrole, access text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF role IS NULL OR access IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'role and access must not be null';
    END IF;
    IF access NOT IN ('read', 'ingest', 'http', 'admin') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('unknown access: %s', quote_literal(access)),
            HINT = 'Access is ''read'', ''ingest'', ''http'' or ''admin''.';
    END IF;

    EXECUTE 'GRANT USAGE ON SCHEMA usage_events, @extschema@ TO ' || role;
    EXECUTE 'GRANT SELECT ON usage_events.account, usage_events.event, usage_events.superseded_event, usage_events.rejected_event, usage_events.rejected_overflow, usage_events.purge_horizon, usage_events.customer_alias, usage_events.unmapped_alias TO ' || role;
    EXECUTE 'GRANT SELECT ON usage_events.metric, usage_events.superseded_metric, usage_events.metric_rollup, usage_events.metric_progress, usage_events.dirty_bucket TO ' || role;
    EXECUTE 'GRANT SELECT ON @extschema@.usage_events, @extschema@.usage_event_history, @extschema@.rejected_usage_events, @extschema@.customer_aliases, @extschema@.unmapped_customer_aliases, @extschema@.usage_metrics TO ' || role;
    EXECUTE 'GRANT EXECUTE ON FUNCTION @extschema@.get_usage_event(uuid), @extschema@.get_usage_event_history(uuid), @extschema@.list_usage_events(integer, text, text, integer, text, text, text[], boolean, text, text, timestamptz, timestamptz), @extschema@.list_customer_aliases(integer, text, text, text) TO ' || role;
    EXECUTE 'GRANT EXECUTE ON FUNCTION @extschema@.get_usage_metric(uuid), @extschema@.list_usage_metrics(integer, text, text, text, text, text[], text[], text[]) TO ' || role;
    EXECUTE 'GRANT SELECT ON usage_events.rollup_status, usage_events.account_status TO ' || role;
    EXECUTE 'GRANT EXECUTE ON FUNCTION @extschema@.calculate_usage_metric(uuid, text[], tstzrange, timestamptz, jsonb), @extschema@.usage_metric_series(uuid, text[], tstzrange, text, text, timestamptz), @extschema@.usage_metric_by_customer(uuid, tstzrange, timestamptz), @extschema@.usage_metric_changes(uuid, text[], tstzrange, timestamptz), @extschema@.explain_usage_event(uuid, uuid) TO ' || role;
    IF access = 'read' THEN
        RETURN;
    END IF;

    -- Nothing here lets a role lock a table against others: that takes DELETE, or UPDATE of all columns.
    EXECUTE 'GRANT INSERT ON usage_events.event, usage_events.superseded_event, @extschema@.usage_event_import TO ' || role;
    -- Whoever may send events is told how, by the views' triggers.
    EXECUTE 'GRANT INSERT ON @extschema@.usage_events, @extschema@.customer_aliases, @extschema@.usage_metrics TO ' || role;
    EXECUTE 'GRANT INSERT (account_id, id, body, faults), UPDATE (id, faults, taken_at) ON usage_events.rejected_event TO ' || role;
    EXECUTE 'GRANT INSERT (account_id, id, customer_id, value, label, created_at) ON usage_events.customer_alias TO ' || role;
    EXECUTE 'GRANT INSERT, UPDATE (event_count, last_at) ON usage_events.rejected_overflow TO ' || role;
    EXECUTE 'GRANT UPDATE (id, event_timestamp, customer_alias, event_type, event_properties) ON usage_events.event TO ' || role;
    EXECUTE 'GRANT UPDATE (label, deleted_at) ON usage_events.customer_alias TO ' || role;
    EXECUTE 'GRANT INSERT ON usage_events.superseded_metric, usage_events.dirty_bucket TO ' || role;
    EXECUTE 'GRANT INSERT (account_id, metric_version_id, event_type, started_at) ON usage_events.metric_progress TO ' || role;
    -- An expression is SQL that others will run: only administrators put one in force.
    EXECUTE 'GRANT INSERT (account_id, id, version_id, name, description, metric_type, event_type, aggregation_type, aggregation_property, percentile, grouping_property, unit, property_filters, properties_to_negate, case_sensitive, created_at) ON usage_events.metric TO ' || role;
    EXECUTE 'GRANT UPDATE (version_id, name, description, metric_type, event_type, aggregation_type, aggregation_property, percentile, grouping_property, unit, property_filters, properties_to_negate, case_sensitive, deleted_at) ON usage_events.metric TO ' || role;
    EXECUTE 'GRANT EXECUTE ON FUNCTION @extschema@.create_usage_metric(jsonb), @extschema@.update_usage_metric(uuid, jsonb), @extschema@.delete_usage_metric(uuid) TO ' || role;
    EXECUTE 'GRANT EXECUTE ON FUNCTION @extschema@.create_usage_event(jsonb), @extschema@.create_usage_events(jsonb), @extschema@.ingest_usage_events(jsonb), @extschema@.ingest_usage_events_text(text), @extschema@.retry_rejected_usage_events(uuid[]), @extschema@.create_customer_alias(jsonb), @extschema@.update_customer_alias(uuid, jsonb), @extschema@.delete_customer_alias(uuid) TO ' || role;
    IF access = 'ingest' THEN
        RETURN;
    END IF;

    IF access = 'http' THEN
        EXECUTE 'GRANT SELECT (account_id, client_id, secret_hash, expires_at) ON usage_events.api_key TO ' || role;
        EXECUTE 'GRANT EXECUTE ON FUNCTION usage_events.authenticate_request(), usage_events.openapi(), @extschema@.usage_api_read(), @extschema@.usage_api_write(bytea) TO ' || role;
        RETURN;
    END IF;

    EXECUTE 'GRANT INSERT ON usage_events.account TO ' || role;
    EXECUTE 'GRANT INSERT (expression, parameters), UPDATE (expression, parameters) ON usage_events.metric TO ' || role;
    EXECUTE 'GRANT INSERT, UPDATE (purged_before) ON usage_events.purge_horizon TO ' || role;
    EXECUTE 'GRANT DELETE ON usage_events.event, usage_events.superseded_event, usage_events.rejected_event, usage_events.customer_alias TO ' || role;
    EXECUTE 'GRANT SELECT, INSERT ON usage_events.erasure TO ' || role;
    EXECUTE 'GRANT SELECT ON usage_events.storage_status TO ' || role;
    EXECUTE 'GRANT INSERT, UPDATE, DELETE ON usage_events.metric_rollup, usage_events.metric_progress, usage_events.dirty_bucket TO ' || role;
    EXECUTE 'GRANT SELECT (account_id, client_id, label, created_at, expires_at), INSERT (account_id, client_id, secret_hash, label, created_at), UPDATE (expires_at) ON usage_events.api_key TO ' || role;
    EXECUTE 'GRANT EXECUTE ON FUNCTION usage_events.create_event(uuid, jsonb), usage_events.create_events(uuid, jsonb), usage_events.ingest_events(uuid, jsonb), usage_events.calculate_metric(uuid, uuid, text[], tstzrange, timestamptz, jsonb), usage_events.refresh_rollups(uuid, integer), usage_events.purge(timestamptz, uuid, integer), usage_events.erase_customer(text, uuid, integer), usage_events.create_account(text), usage_events.create_custom_metric(jsonb), usage_events.update_custom_metric(uuid, jsonb), usage_events.create_api_key(uuid, text), usage_events.rotate_api_key(text, interval), usage_events.expire_api_key(text, timestamptz), usage_events.revoke_api_key(text), usage_events.list_api_keys(uuid) TO ' || role;
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

REVOKE EXECUTE ON FUNCTION usage_events.grant_access(regrole, text), usage_events.revoke_access(regrole), usage_events.renew_access() FROM PUBLIC;

-- Firing a trigger asks for no privilege; making another with the same function does.
REVOKE EXECUTE ON FUNCTION usage_events.import_usage_events() FROM PUBLIC;

-- Guard --------------------------------------------------------------------

REVOKE EXECUTE ON FUNCTION usage_events.guard_drop() FROM PUBLIC;

DROP EVENT TRIGGER usage_events_guard_drop;

CREATE EVENT TRIGGER usage_events_guard_drop ON ddl_command_start
    WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED', 'DROP LANGUAGE', 'DROP TABLE', 'DROP VIEW',
                 'DROP MATERIALIZED VIEW', 'DROP FOREIGN TABLE', 'DROP SEQUENCE', 'DROP TYPE', 'DROP DOMAIN',
                 'DROP FUNCTION', 'DROP PROCEDURE', 'DROP ROUTINE', 'DROP AGGREGATE', 'DROP OPERATOR',
                 'DROP OPERATOR CLASS', 'DROP OPERATOR FAMILY', 'DROP COLLATION', 'DROP ACCESS METHOD')
    EXECUTE FUNCTION usage_events.guard_drop();

-- Also for who has turned triggers off by session_replication_role.
ALTER EVENT TRIGGER usage_events_guard_drop ENABLE ALWAYS;

COMMENT ON EVENT TRIGGER usage_events_guard_drop IS 'Keeps DROP EXTENSION usage_events from taking usage events along';

-- What a subscription brings is not seen by triggers: see usage_events.watch_changes().
CREATE FUNCTION usage_events.watch_subscriptions() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'watch_subscriptions';

COMMENT ON FUNCTION usage_events.watch_subscriptions() IS
'Event trigger: has rollups forgotten when a subscription to events ends, or is changed. Error: 42501 where the schema usage_events and its tables have different owners';

REVOKE EXECUTE ON FUNCTION usage_events.watch_subscriptions() FROM PUBLIC;

CREATE EVENT TRIGGER usage_events_watch_subscriptions ON ddl_command_start
    WHEN TAG IN ('ALTER SUBSCRIPTION', 'DROP SUBSCRIPTION')
    EXECUTE FUNCTION usage_events.watch_subscriptions();
ALTER EVENT TRIGGER usage_events_watch_subscriptions ENABLE ALWAYS;

COMMENT ON EVENT TRIGGER usage_events_watch_subscriptions IS 'Has rollups forgotten when a subscription to events ends, or is changed';

-- Access -------------------------------------------------------------------

-- Not granted here: what a script grants counts as the extension's own, and is not dumped.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_class AS relation, pg_catalog.aclexplode(relation.relacl) AS acl
        WHERE relation.oid OPERATOR(pg_catalog.=) 'usage_events.event'::pg_catalog.regclass
          AND acl.grantee OPERATOR(pg_catalog.<>) relation.relowner
    ) THEN
        RAISE NOTICE 'roles still have the access that version 0.1 gave them'
            USING HINT = 'Call usage_events.renew_access() now: without what is new they cannot store events.';
    END IF;
END
$$;
