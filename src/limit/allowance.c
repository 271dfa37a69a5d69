/*
 * limit/allowance.c
 *		Whether a customer may use so much more: check_usage_limit().
 *
 * A read: what it says holds for the moment in which it was asked.  Whoever must not let two
 * through where there is room for one has a limit of mode BLOCK.
 */
#include "postgres.h"

#include "limit/allowance.h"

#include "account/account.h"
#include "base/calendar.h"
#include "base/fault.h"
#include "base/json_build.h"
#include "base/json_read.h"
#include "base/text_check.h"
#include "customer/alias.h"
#include "endpoint/response.h"
#include "fmgr.h"
#include "limit/use.h"
#include "metric/value.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* As long as the limit itself may be. */
#define MAX_AMOUNT_CHARACTERS 100

/* Checks ------------------------------------------------------------------ */

static List *
check_customer(List *faults, Slice customer)
{
	if (customer.data == NULL)
		return faults;
	if (slice_equal(customer, SLICE(VOID_ALIAS)))
		return fault_add(faults, "customer", "is reserved: events with that alias are taken back");
	return text_check_key(faults, "customer", customer);
}

/* Rule of usageMetricId: a metric in force.  The kind is NULL of one that is none. */
static List *
check_metric(List *faults, const pg_uuid_t *account_id, const LimitQuestion *question, Metric *metric)
{
	bool is_there = question->has_metric_id && metric_get(account_id, &question->metric_id, metric);

	if (is_there && !metric->is_deleted)
		return faults;
	metric->kind = NULL;
	if (!question->has_metric_id)
		return faults;
	return fault_add(faults, "usageMetricId",
					 is_there ? "names a usage metric that was deleted" : "names no usage metric");
}

/* Rule of amount: a number.  Where events are counted, there cannot be less than none. */
static List *
check_amount(List *faults, const MetricKind *kind, Numeric amount)
{
	if (amount == NULL)
		return faults;
	if (numeric_is_nan(amount) || numeric_is_inf(amount))
		return fault_add(faults, "amount", "must be a number");
	if (json_number_length(amount) > MAX_AMOUNT_CHARACTERS)
		return fault_add(faults, "amount",
						 psprintf("must be a number of at most %d characters", MAX_AMOUNT_CHARACTERS));
	if (kind != NULL && kind->reads != METRIC_READS_NUMBER && metric_number_is_above(int64_to_numeric(0), amount))
		return fault_add(faults, "amount",
						 psprintf("must not be below 0: it is how many more a %.*s metric would count",
								  kind->name.length, kind->name.data));
	return faults;
}

static List *
check_moment(List *faults, TimestampTz at)
{
	if (at < CALENDAR_START || at >= CALENDAR_END)
		return fault_add(faults, "at", "must lie in the years 0001 to 9999 of UTC");
	return faults;
}

/* The answer ---------------------------------------------------------------- */

static void
add_number_or_null(JsonObject *object, Slice key, Numeric number)
{
	if (number != NULL)
		json_add_numeric(object, key, number);
	else
		json_add_null(object, key);
}

/* All of time has no start, and no end. */
static void
add_bound(JsonObject *object, Slice key, TimestampTz bound)
{
	if (TIMESTAMP_NOT_FINITE(bound))
		json_add_null(object, key);
	else
		json_add_timestamp(object, key, bound);
}

static Jsonb *
use_to_json(const LimitUse *use)
{
	JsonObject object = {0};

	json_add_uuid(&object, SLICE("usageLimitId"), &use->limit->id);
	json_add_numeric(&object, SLICE("limit"), use->limit->limit);
	add_number_or_null(&object, SLICE("used"), use->used);
	json_add_numeric(&object, SLICE("remaining"), limit_remaining(use->limit, use->used));
	add_bound(&object, SLICE("periodStart"), use->start);
	add_bound(&object, SLICE("periodEnd"), use->end);
	return json_make_object(&object);
}

/* Says what is used of a limit, and whether so much more would not pass it. */
static Jsonb *
check_one(const Metric *metric, const LimitCustomer *customer, const UsageLimit *limit, const LimitQuestion *question,
		  bool *is_allowed)
{
	LimitUse use;
	Numeric used;
	Jsonb *json;

	limit_scope_require_zone(&limit->scope);
	limit_use_read(metric, customer, limit, question->at, &use);
	limit_use_require_kept(&use);
	json = use_to_json(&use);
	used = use.used;
	if (limit_is_passed(limit, used, limit_use_with(&use, question->at, question->amount)))
		*is_allowed = false;
	return json;
}

static Jsonb *
answer(const Metric *metric, const LimitQuestion *question)
{
	JsonObject object = {0};
	JsonArray items;
	LimitCustomer customer;
	bool is_allowed = true;
	List *limits;
	ListCell *cell;

	limit_customer_find(&metric->account_id, question->customer, &customer);
	limits = limit_find_for_customer(&metric->account_id, &metric->id, &customer);
	json_array_begin(&items);
	foreach(cell, limits)
	{
		json_array_next(&items);
		json_array_add(&items, check_one(metric, &customer, lfirst(cell), question, &is_allowed));
	}
	json_add_boolean(&object, SLICE("allowed"), is_allowed);
	json_add_json(&object, SLICE("limits"), json_array_end(&items));
	return json_make_object(&object);
}

/* What is answered; refuses with the faults that were found before, and its own. */
Jsonb *
limit_allowance(const pg_uuid_t *account_id, const LimitQuestion *question, List *faults)
{
	Metric metric;

	faults = check_customer(faults, question->customer);
	faults = check_metric(faults, account_id, question, &metric);
	faults = check_amount(faults, metric.kind, question->amount);
	faults = check_moment(faults, question->at);
	faults_report_request(faults, "invalid check of usage limits");
	return answer(&metric, question);
}

/* The door for SQL --------------------------------------------------------- */

static void
require_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name)));
}

static Datum
check_limit(PG_FUNCTION_ARGS)
{
	LimitQuestion question;

	require_argument(fcinfo, 0, "customer");
	require_argument(fcinfo, 1, "usage_metric_id");
	require_argument(fcinfo, 2, "amount");
	require_argument(fcinfo, 3, "at");
	question.customer = slice_from_datum(PG_GETARG_DATUM(0));
	question.has_metric_id = true;
	question.metric_id = *PG_GETARG_UUID_P(1);
	question.amount = PG_GETARG_NUMERIC(2);
	question.at = PG_GETARG_TIMESTAMPTZ(3);
	PG_RETURN_JSONB_P(limit_allowance(account_current(), &question, NIL));
}

/* check_usage_limit(customer text, usage_metric_id uuid, amount numeric, at timestamptz) */
PG_FUNCTION_INFO_V1(check_usage_limit);
Datum
check_usage_limit(PG_FUNCTION_ARGS)
{
	return http_endpoint(check_limit, fcinfo, "check_usage_limit", 200);
}
