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
