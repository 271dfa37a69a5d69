/*
 * usage/series.c
 *		What a metric says of customers step by step: usage_metric_series().
 */
#include "postgres.h"

#include "usage/series.h"

#include "account/account.h"
#include "account/horizon.h"
#include "base/fault.h"
#include "base/json_build.h"
#include "base/memory_budget.h"
#include "fmgr.h"
#include "funcapi.h"
#include "usage/answer.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

typedef struct Series
{
	TimestampTz *bounds; /* step i is from bounds[i] to bounds[i + 1] */
	MetricResult *results;
	int step_count;
} Series;

static Series
calculate_series(const UsageQuestion *question, const List *customers, TimestampTz start, TimestampTz end,
				 UsageSteps steps)
{
	Series series = {0};
	Slice *aliases;
	int alias_count;

	horizon_check_period(&question->metric.account_id, start);
	if (start < end)
		series.step_count = series_bounds(steps.step, steps.zone, start, end, &series.bounds);
	alias_count = usage_find_aliases(question, customers, &aliases);
	memory_budget_grow(sizeof(MetricResult) * series.step_count);
	series.results = palloc_extended(sizeof(MetricResult) * Max(series.step_count, 1), MCXT_ALLOC_HUGE);
	usage_calculate_steps(question, aliases, alias_count, series.bounds, series.step_count, series.results);
	return series;
}

static Jsonb *
step_to_json(const Metric *metric, const Series *series, int step)
{
	JsonObject object = {0};

	json_add_timestamp(&object, SLICE("periodStart"), series->bounds[step]);
	json_add_timestamp(&object, SLICE("periodEnd"), series->bounds[step + 1]);
	usage_add_result(&object, metric, &series->results[step]);
	return json_make_object(&object);
}

/* {"name", ..., "items": [a step each]}; NULL if there is no such metric. */
Jsonb *
usage_series(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const List *customers, TimestampTz start,
			 TimestampTz end, UsageSteps steps, const TimestampTz *as_of, const MetricBreakdown *breakdown)
{
	UsageQuestion question;
	Series series;
	JsonArray items;
	JsonObject answer = {0};

	if (!usage_question_ask(account_id, metric_id, as_of, &question))
		return NULL;
	usage_question_break_down(&question, breakdown);
	series = calculate_series(&question, customers, Max(start, CALENDAR_START), Min(end, CALENDAR_END), steps);
	json_array_begin(&items);
	for (int step = 0; step < series.step_count; step++)
	{
		json_array_next(&items);
		json_array_add(&items, step_to_json(&question.metric, &series, step));
	}
	usage_add_metric(&answer, &question.metric);
	json_add_json(&answer, SLICE("items"), json_array_end(&items));
	return json_make_object(&answer);
}

/* The door for SQL --------------------------------------------------------- */

static const char *
required_text(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

static void
refuse_argument(const char *name, const char *fault, const char *given)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid %s: %s", name, fault_quote(slice_from_cstring(given))),
					errdetail("The %s %s.", name, fault)));
}

/* usage_metric_series(metric_id uuid, customer_aliases text[], period tstzrange, step text, timezone text, as_of, filters, group_by) */
PG_FUNCTION_INFO_V1(usage_metric_series);
Datum
usage_metric_series(PG_FUNCTION_ARGS)
{
	const char *step_text = required_text(fcinfo, 3, "step");
	const char *zone_text = required_text(fcinfo, 4, "timezone");
	UsageQuestion question;
	TimestampTz start;
	TimestampTz end;
	UsageSteps steps;
	const char *fault;
	List *customers;
	Series series;
	MemoryContext row_context;
	MemoryContext context;

	memory_budget_begin();
	(void) usage_ask(fcinfo, account_current(), 0, 5, &question);
	usage_question_break_down(&question, usage_breakdown_argument(fcinfo, 6));
	customers = usage_customers_argument(fcinfo, 1);
	usage_period_argument(fcinfo, 2, &start, &end);
	if ((fault = series_step_from_text(step_text, &steps.step)) != NULL)
		refuse_argument("step", fault, step_text);
	if ((fault = series_zone_from_text(zone_text, &steps.zone)) != NULL)
		refuse_argument("timezone", fault, zone_text);
	series = calculate_series(&question, customers, start, end, steps);

	InitMaterializedSRF(fcinfo, 0);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	context = MemoryContextSwitchTo(row_context);
	for (int i = 0; i < series.step_count; i++)
	{
		Datum values[6] = {TimestampTzGetDatum(series.bounds[i]), TimestampTzGetDatum(series.bounds[i + 1])};
		bool nulls[6] = {0};

		MemoryContextReset(row_context);
		usage_put_result((ReturnSetInfo *) fcinfo->resultinfo, values, nulls, 2, &question.metric, &series.results[i]);
	}
	MemoryContextSwitchTo(context);
	return (Datum) 0;
}
