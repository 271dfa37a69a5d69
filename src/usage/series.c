/*
 * usage/series.c
 *		What a metric says of customers step by step: usage_metric_series().
 */
#include "postgres.h"

#include "account/account.h"
#include "account/horizon.h"
#include "base/calendar.h"
#include "base/fault.h"
#include "base/memory_budget.h"
#include "fmgr.h"
#include "funcapi.h"
#include "usage/answer.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

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

/* usage_metric_series(metric_id uuid, customer_aliases text[], period tstzrange, step text, timezone text, as_of) */
PG_FUNCTION_INFO_V1(usage_metric_series);
Datum
usage_metric_series(PG_FUNCTION_ARGS)
{
	const char *step_text = required_text(fcinfo, 3, "step");
	const char *zone_text = required_text(fcinfo, 4, "timezone");
	UsageQuestion question;
	TimestampTz start;
	TimestampTz end;
	TimestampTz *bounds = NULL;
	SeriesStep step;
	pg_tz *zone;
	const char *fault;
	List *customers;
	Slice *aliases;
	int alias_count;
	int step_count;
	MetricResult *results;
	MemoryContext row_context;
	MemoryContext context;

	memory_budget_begin();
	(void) usage_ask(fcinfo, account_current(), 0, 5, &question);
	customers = usage_customers_argument(fcinfo, 1);
	usage_period_argument(fcinfo, 2, &start, &end);
	if ((fault = series_step_from_text(step_text, &step)) != NULL)
		refuse_argument("step", fault, step_text);
	if ((fault = series_zone_from_text(zone_text, &zone)) != NULL)
		refuse_argument("timezone", fault, zone_text);

	horizon_check_period(account_current(), start);
	step_count = start < end ? series_bounds(step, zone, start, end, &bounds) : 0;
	alias_count = usage_find_aliases(&question, customers, &aliases);
	memory_budget_require(sizeof(MetricResult) * step_count);
	results = palloc_extended(sizeof(MetricResult) * Max(step_count, 1), MCXT_ALLOC_HUGE);
	usage_calculate_steps(&question, aliases, alias_count, bounds, step_count, results);

	InitMaterializedSRF(fcinfo, 0);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	context = MemoryContextSwitchTo(row_context);
	for (int i = 0; i < step_count; i++)
	{
		Datum values[6] = {TimestampTzGetDatum(bounds[i]), TimestampTzGetDatum(bounds[i + 1])};
		bool nulls[6] = {0};

		MemoryContextReset(row_context);
		usage_put_result((ReturnSetInfo *) fcinfo->resultinfo, values, nulls, 2, &question.metric, &results[i]);
	}
	MemoryContextSwitchTo(context);
	return (Datum) 0;
}
