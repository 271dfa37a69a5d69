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
