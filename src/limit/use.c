/*
 * limit/use.c
 *		What a customer has used in the period of a limit, and what one more event would make of it.
 *
 * The use is the metric's own value, of all aliases of the customer: it is read as any
 * question about the metric is, from rollups where they hold, and under the caller's snapshot.
 */
#include "postgres.h"

#include "limit/use.h"

#include "account/horizon.h"
#include "base/calendar.h"
#include "base/memory_budget.h"
#include "base/timestamp.h"
#include "base/uuid_v7.h"
#include "metric/value.h"
#include "rollup/scan.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* Adds up the customer's events in the period. */
static void
add_up(const LimitCustomer *customer, TimestampTz start, TimestampTz end, LeftOut left_out, LimitUse *use)
{
	RollupScan scan = {
		.metric = use->total.metric,
		.left_out = left_out.ids,
		.left_out_count = left_out.count,
		.aliases = customer->aliases,
		.alias_count = customer->alias_count,
	};

	if (start >= end)
		return;
	memory_budget_grow(sizeof(MetricInterval) * customer->alias_count);
	scan.intervals = palloc_extended(sizeof(MetricInterval) * Max(customer->alias_count, 1), MCXT_ALLOC_HUGE);
	for (int alias = 0; alias < customer->alias_count; alias++)
		scan.intervals[scan.interval_count++] =
			(MetricInterval){.alias = alias, .start = start, .end = end, .total = &use->total};
	rollup_scan(&scan);
}

/* Reads the use in the period of the limit that has that moment, which an event can have. */
void
limit_use_read(const Metric *metric, const LimitCustomer *customer, const UsageLimit *limit, TimestampTz moment,
			   LimitUse *use)
{
	limit_use_read_without(metric, customer, limit, moment, (LeftOut){0}, use);
}

/* The same without some of the events. */
void
limit_use_read_without(const Metric *metric, const LimitCustomer *customer, const UsageLimit *limit, TimestampTz moment,
					   LeftOut left_out, LimitUse *use)
{
	TimestampTz horizon = horizon_of_question(&limit->account_id);
	TimestampTz start;
	MetricResult result;

	use->limit = limit;
	period_find(&limit->scope.period, moment, &use->start, &use->end);
	start = Max(use->start, CALENDAR_START);
	use->purged_before = start < horizon ? horizon : DT_NOBEGIN;
	metric_total_init(&use->total, metric, CurrentMemoryContext);
	add_up(customer, Max(start, horizon), Min(use->end, CALENDAR_END), left_out, use);
	metric_total_result(&use->total, &result);
	/* The total goes on with its own. */
	use->used = result.value != NULL ? DatumGetNumericCopy(NumericGetDatum(result.value)) : NULL;
}

/* Of what was purged nobody knows how much it was: to count only the rest would let more in. */
void
limit_use_require_kept(const LimitUse *use)
{
	Slice name = use->limit->scope.name;
	char text[TIMESTAMP_TEXT_SIZE];

	if (use->purged_before == DT_NOBEGIN)
		return;
	timestamp_to_text(use->purged_before, text);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("usage limit \"%.*s\" cannot be checked", name.length, name.data),
					errdetail("Its period begins before %s, up to which events were purged.", text),
					errhint("Update the limit with an \"anchor\" from there on.")));
}

static Numeric
apply(PGFunction function, Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(function, NumericGetDatum(a), NumericGetDatum(b)));
}

/*
 * What the value would be with that amount.  Where the metric reads a number of each event, it is
 * the number of one more.  Where events are counted, or what is different of them, it is how
 * many more: none of them is taken to be there already.  To be called once, as the total has it then.
 */
Numeric
limit_use_with(LimitUse *use, TimestampTz moment, Numeric amount)
{
	MetricResult result;
	pg_uuid_t id;

	if (use->total.metric->kind->reads != METRIC_READS_NUMBER)
		return apply(numeric_add, use->used, amount);
	uuid_v7_generate(&id);
	metric_total_add_number(&use->total, &id, moment, amount);
	metric_total_result(&use->total, &result);
	return result.value;
}

/* The one rule: what raises the value, and leaves it above the limit, passes it; what is above already may be lowered. */
bool
limit_is_passed(const UsageLimit *limit, Numeric before, Numeric after)
{
	return after != NULL && metric_number_is_above(after, limit->limit) &&
		   (before == NULL || metric_number_is_above(after, before));
}

/* How far the value is below the limit. */
Numeric
limit_remaining(const UsageLimit *limit, Numeric used)
{
	if (used == NULL)
		return limit->limit;
	if (!metric_number_is_above(limit->limit, used))
		return int64_to_numeric(0);
	return apply(numeric_sub, limit->limit, used);
}
