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
