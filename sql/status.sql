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
