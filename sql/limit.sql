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
