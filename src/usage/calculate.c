/*
 * usage/calculate.c
 *		What a metric says of customers and a period: calculate_usage_metric() and its kin.
 */
#include "postgres.h"

#include "usage/calculate.h"

#include "account/account.h"
#include "account/horizon.h"
#include "base/calendar.h"
#include "base/json_build.h"
#include "base/memory_budget.h"
#include "endpoint/response.h"
#include "fmgr.h"
#include "usage/answer.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Values of a CUSTOM metric's parameters; other metrics have none. */
static void
question_set_parameters(UsageQuestion *question, Jsonb *parameters)
{
	if (parameters != NULL && !question->metric.kind->is_expression)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("usage metric has no parameters"),
						errdetail("Only CUSTOM metrics have parameters.")));
	question->parameters = parameters;
}

/* The answer alone stays in memory: writing it out takes as much again, and more. */
static Jsonb *
calculate(const UsageQuestion *question, const List *customers, TimestampTz start, TimestampTz end)
{
	TimestampTz bounds[] = {Max(start, CALENDAR_START), Min(end, CALENDAR_END)};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext work_context = AllocSetContextCreate(context, "usage metric answer", ALLOCSET_DEFAULT_SIZES);
	Slice *aliases;
	int alias_count;
	MetricResult result;
	Jsonb *answer;

	MemoryContextSwitchTo(work_context);
	alias_count = usage_find_aliases(question, customers, &aliases);
	horizon_check_period(&question->metric.account_id, bounds[0]);
	usage_calculate_steps(question, aliases, alias_count, bounds, 1, &result);
	answer = usage_result_to_json(&question->metric, &result);
	MemoryContextSwitchTo(context);
	answer = json_copy(answer);
	MemoryContextDelete(work_context);
	return answer;
}

/* What the metric says of the customers from start to end, exclusive; NULL if there is no such metric. */
Jsonb *
usage_calculate(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, List *customer_aliases, TimestampTz start,
				TimestampTz end, const TimestampTz *as_of, Jsonb *parameters, const MetricBreakdown *breakdown)
{
	UsageQuestion question;

	if (!usage_question_ask(account_id, metric_id, as_of, &question))
		return NULL;
	question_set_parameters(&question, parameters);
	usage_question_break_down(&question, breakdown);
	return calculate(&question, customer_aliases, start, end);
}
/* From the metric's id on, the arguments of both forms are the same. */
static Datum
calculate_for(FunctionCallInfo fcinfo, const pg_uuid_t *account_id, int first)
{
	UsageQuestion question;
	TimestampTz start;
	TimestampTz end;
	List *customers;

	if (!usage_ask(fcinfo, account_id, first, first + 3, &question))
		PG_RETURN_NULL();
	question_set_parameters(&question, PG_ARGISNULL(first + 4) ? NULL : PG_GETARG_JSONB_P(first + 4));
	usage_question_break_down(&question, usage_breakdown_argument(fcinfo, first + 5));
	customers = usage_customers_argument(fcinfo, first + 1);
	usage_period_argument(fcinfo, first + 2, &start, &end);
	PG_RETURN_JSONB_P(calculate(&question, customers, start, end));
}

static Datum
calculate_own(PG_FUNCTION_ARGS)
{
	return calculate_for(fcinfo, account_current(), 0);
}

/* calculate_usage_metric(metric_id uuid, customer_aliases text[], period tstzrange, as_of timestamptz, parameters jsonb, filters jsonb, group_by text[]) */
PG_FUNCTION_INFO_V1(calculate_usage_metric);
Datum
calculate_usage_metric(PG_FUNCTION_ARGS)
{
	return http_endpoint(calculate_own, fcinfo, "calculate_usage_metric", 200);
}

/* usage_events.calculate_metric(account_id uuid, ...), for servers that act for many accounts */
PG_FUNCTION_INFO_V1(calculate_metric);
Datum
calculate_metric(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *account_id = account_argument(fcinfo, 0);
	int nest_level = account_enter(account_id);
	Datum result;

	memory_budget_begin();
	result = calculate_for(fcinfo, account_id, 1);
	account_leave(nest_level);
	return result;
}
