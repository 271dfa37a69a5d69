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
COMMENT ON COLUMN usage_events.metric_rollup.latest_timestamp IS 'Time of the last event that counted or was skipped, and of a LATEST metric of the event that the value is from; NULL in rows that version 1.0 wrote';
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

-- Marks are there for seconds: room that duplicates share is not worth the search for them.
CREATE INDEX dirty_bucket_idx ON usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket)
    WITH (deduplicate_items = off);

COMMENT ON TABLE usage_events.dirty_bucket IS 'Seconds and minutes whose events were changed since they were rolled up: rollups that contain them are not used until they are refreshed';
COMMENT ON COLUMN usage_events.dirty_bucket.account_id IS 'The account whose events they are';
COMMENT ON COLUMN usage_events.dirty_bucket.event_type IS 'Type of the events; empty in the row that says that marks are kept, and in those that say that something was changed without marks';
COMMENT ON COLUMN usage_events.dirty_bucket.customer_alias IS 'The alias that the events have, or had; empty: of all customers who have events from first_id to last_id there';
COMMENT ON COLUMN usage_events.dirty_bucket.bucket IS 'Begin of the second, or minute';
COMMENT ON COLUMN usage_events.dirty_bucket.marked_at IS 'When it was marked';
COMMENT ON COLUMN usage_events.dirty_bucket.seconds IS '1, or 60: so many seconds are marked; below 0 where something was changed without marks: no rollups are used until a refresh has begun anew';
COMMENT ON COLUMN usage_events.dirty_bucket.first_id IS 'Lowest id of the new versions that the mark is of, where none was replaced in its time; NULL: of any changes';
COMMENT ON COLUMN usage_events.dirty_bucket.last_id IS 'In a mark of all customers: the highest; NULL: of any';
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

-- Nor what is changed while the trigger does not fire, which may be over before anybody looks.
CREATE FUNCTION usage_events.watch_tables() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'watch_tables';

COMMENT ON FUNCTION usage_events.watch_tables() IS
'Event trigger: has rollups forgotten when usage_events_watch on the table of events is turned off or on, or made anew, or the table becomes part of an inheritance tree. Error: 42501 where the schema usage_events and its tables have different owners';

CREATE EVENT TRIGGER usage_events_watch_tables ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'ALTER TRIGGER', 'CREATE TRIGGER')
    EXECUTE FUNCTION usage_events.watch_tables();

ALTER EVENT TRIGGER usage_events_watch_tables ENABLE ALWAYS;

COMMENT ON EVENT TRIGGER usage_events_watch_tables IS 'Has rollups forgotten when changes of events are no longer seen';
