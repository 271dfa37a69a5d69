/*
 * usage/answer.c
 *		What a metric says: results for aliases in steps of time, as JSON and as rows.
 */
#include "postgres.h"

#include "usage/answer.h"

#include "base/calendar.h"
#include "base/json_build.h"
#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "event/columns.h"
#include "metric/breakdown.h"
#include "metric/expression.h"
#include "rollup/scan.h"
#include "sql/query.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* Aliases times steps of a series: what is kept in memory of it. */
#define MAX_INTERVALS 5000000

/* A CUSTOM metric has no rollups: its expression reads the events. */
static void
calculate_custom(const UsageQuestion *question, const Slice *aliases, int alias_count, TimestampTz start,
				 TimestampTz end, MetricResult *result)
{
	Slice type = question->metric.event_type;
	const char *asked_for;
	SqlQuery events;
	CustomValue value;

	sql_query_init(&events);
	asked_for =
		psprintf("account_id " EQ " %s AND customer_alias " EQ " ANY (%s)"
				 " AND event_timestamp " GE " %s AND event_timestamp " LT " %s"
				 " AND event_type " EQ " %s",
				 sql_query_argument(&events, UUIDOID, UUIDPGetDatum(&question->metric.account_id)),
				 sql_query_argument(&events, TEXTARRAYOID, statement_varlena_array(aliases, alias_count, TEXTOID)),
				 sql_query_argument(&events, TIMESTAMPTZOID, TimestampTzGetDatum(start)),
				 sql_query_argument(&events, TIMESTAMPTZOID, TimestampTzGetDatum(end)),
				 sql_query_argument(&events, TEXTOID, slice_to_datum(type)));
	sql_query_append(&events, "SELECT " EVENT_COLUMNS " FROM usage_events.event WHERE %s", asked_for);
	if (question->has_as_of)
	{
		const char *known = sql_query_argument(&events, UUIDOID, UUIDPGetDatum(&question->as_of));

		sql_query_append(&events,
						 " AND id " LT " %s UNION ALL SELECT " EVENT_COLUMNS
						 " FROM usage_events.superseded_event WHERE %s AND id " LT " %s"
						 " AND superseded_by " GE " %s",
						 known, asked_for, known, known);
	}
	metric_expression_calculate(&question->metric, &events, question->parameters, &value);

	memset(result, 0, sizeof(MetricResult));
	result->event_count = value.event_count;
	result->value = value.is_null ? NULL : value.value;
	result->min_id = value.min_event_id;
	result->max_id = value.max_event_id;
}

/* Results for some aliases in steps of time: step i is from bounds[i] to bounds[i + 1]. */
void
usage_calculate_steps(const UsageQuestion *question, Slice *aliases, int alias_count, const TimestampTz *bounds,
					  int step_count, MetricResult *results)
{
	RollupScan scan = {
		.metric = &question->metric,
		.as_of = question->has_as_of ? &question->as_of : NULL,
		.aliases = aliases,
		.alias_count = alias_count,
	};
	MetricTotal *totals;

	if (question->metric.kind->is_expression)
	{
		for (int i = 0; i < step_count; i++)
			calculate_custom(question, aliases, alias_count, bounds[i], bounds[i + 1], &results[i]);
		return;
	}
	if ((int64) alias_count * step_count > MAX_INTERVALS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("series is too long for so many customers"),
						errdetail("It has %d steps, for %d aliases.", step_count, alias_count),
						errhint("Ask for a shorter period, longer steps, or fewer customers at a time.")));

	memory_budget_grow(sizeof(MetricTotal) * step_count + sizeof(MetricInterval) * alias_count * step_count);
	totals = palloc_extended(sizeof(MetricTotal) * Max(step_count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < step_count; i++)
		metric_total_init(&totals[i], &question->metric, CurrentMemoryContext);
	scan.intervals = palloc_extended(sizeof(MetricInterval) * Max(alias_count * step_count, 1), MCXT_ALLOC_HUGE);
	for (int alias = 0; alias < alias_count; alias++)
	{
		for (int i = 0; i < step_count; i++)
		{
			if (bounds[i] < bounds[i + 1])
				scan.intervals[scan.interval_count++] =
					(MetricInterval){.alias = alias, .start = bounds[i], .end = bounds[i + 1], .total = &totals[i]};
		}
	}
	rollup_scan(&scan);
	for (int i = 0; i < step_count; i++)
		metric_total_result(&totals[i], &results[i]);
}

/* As JSON, and as rows -------------------------------------------------------- */

static void
add_number_or_null(JsonObject *object, Slice key, Numeric number)
{
	if (number != NULL)
		json_add_numeric(object, key, number);
	else
		json_add_null(object, key);
}

static Jsonb *
group_to_json(const Metric *metric, const MetricGroup *group)
{
	JsonObject object = {0};

	if (metric_breakdown_groups(metric))
		json_add_json(&object, SLICE("grouping"), metric_breakdown_grouping(metric->breakdown, group->value));
	else
		json_add_text_or_null(&object, SLICE("grouping"), group->value);
	add_number_or_null(&object, SLICE("value"), group->result);
	json_add_integer(&object, SLICE("eventCount"), group->event_count);
	return json_make_object(&object);
}

static Jsonb *
groups_to_json(const Metric *metric, const MetricResult *result)
{
	JsonArray groups;

	json_array_begin(&groups);
	for (int i = 0; i < result->group_count; i++)
	{
		json_array_next(&groups);
		json_array_add(&groups, group_to_json(metric, &result->groups[i]));
	}
	return json_array_end(&groups);
}

/* The properties that the question groups by: ["model", "region"]. */
static Jsonb *
group_by_to_json(const MetricBreakdown *breakdown)
{
	JsonbValue *names = palloc(sizeof(JsonbValue) * Max(breakdown->group_by_count, 1));

	for (int i = 0; i < breakdown->group_by_count; i++)
	{
		const Slice *name = &breakdown->group_by[i];

		names[i] =
			(JsonbValue){.type = jbvString, .val.string = {.val = unconstify(char *, name->data), .len = name->length}};
	}
	return json_make_array_of_scalars(names, breakdown->group_by_count);
}

/* What the question adds to the metric, so that nobody takes the answer for that of the metric alone. */
static void
add_breakdown(JsonObject *object, const MetricBreakdown *breakdown)
{
	if (breakdown->filters != NULL)
		json_add_json(object, SLICE("filters"), breakdown->filters);
	if (breakdown->group_by_count > 0)
		json_add_json(object, SLICE("groupBy"), group_by_to_json(breakdown));
}

/* What the metric is, which is the same in all of an answer. */
void
usage_add_metric(JsonObject *object, const Metric *metric)
{
	json_add_text(object, SLICE("name"), metric->name);
	json_add_text(object, SLICE("metricType"), metric->is_grouped ? SLICE("GROUPED") : SLICE("SIMPLE"));
	json_add_text(object, SLICE("eventType"), metric->event_type);
	json_add_text(object, SLICE("aggregationType"), metric->kind->name);
	json_add_text_or_null(object, SLICE("unit"), metric->unit);
	if (metric->breakdown != NULL)
		add_breakdown(object, metric->breakdown);
}

/* What it says: of all, of a step, of a customer. */
void
usage_add_result(JsonObject *object, const Metric *metric, const MetricResult *result)
{
	json_add_integer(object, SLICE("eventCount"), result->event_count);
	add_number_or_null(object, SLICE("value"), result->value);
	json_add_integer(object, SLICE("skippedEventCount"), result->skipped_count);
	if (metric_grouping_count(metric) > 0)
		json_add_json(object, SLICE("groupedValues"), groups_to_json(metric, result));
}

Jsonb *
usage_result_to_json(const Metric *metric, const MetricResult *result)
{
	JsonObject object = {0};

	usage_add_metric(&object, metric);
	if (result->event_count > 0)
	{
		json_add_uuid(&object, SLICE("minEventId"), &result->min_id);
		json_add_uuid(&object, SLICE("maxEventId"), &result->max_id);
	}
	else
	{
		json_add_null(&object, SLICE("minEventId"));
		json_add_null(&object, SLICE("maxEventId"));
	}
	usage_add_result(&object, metric, result);
	return json_make_object(&object);
}

/* A row of a series, or of a list of customers: after `before` columns come those of the result. */
void
usage_put_result(ReturnSetInfo *result_set, Datum *values, bool *nulls, int before, const Metric *metric,
				 const MetricResult *result)
{
	values[before] = Int64GetDatum(result->event_count);
	nulls[before + 1] = result->value == NULL;
	values[before + 1] = NumericGetDatum(result->value);
	values[before + 2] = Int64GetDatum(result->skipped_count);
	nulls[before + 3] = metric_grouping_count(metric) == 0;
	if (!nulls[before + 3])
		values[before + 3] = JsonbPGetDatum(groups_to_json(metric, result));
	tuplestore_putvalues(result_set->setResult, result_set->setDesc, values, nulls);
}
