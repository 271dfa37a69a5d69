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
