/*
 * limit/measure.c
 *		What a metric says of a customer and a period, with events and without.
 *
 * The value is the metric's own, asked for as calculate_usage_metric() asks, under a snapshot:
 * one that was taken before events were written shows it without them, and one that is taken
 * afterwards with them.
 */
#include "postgres.h"

#include "limit/measure.h"

#include "base/uuid_v7.h"
#include "event/json.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* The metric of that id, as it is now; each is read once.  NULL: it was deleted. */
MeasuredMetric *
measure_metric(const pg_uuid_t *account_id, const pg_uuid_t *id, List **known)
{
	MeasuredMetric *measured;
	ListCell *cell;

	foreach(cell, *known)
	{
		measured = lfirst(cell);
		if (uuid_v7_equal(&measured->metric.id, id))
			return measured;
	}
	measured = palloc0(sizeof(MeasuredMetric));
	if (!metric_get(account_id, id, &measured->metric) || measured->metric.is_deleted ||
		measured->metric.kind->is_expression)
		return NULL;
	measured->matcher = metric_matcher_make(&measured->metric);
	*known = lappend(*known, measured);
	return measured;
}

/* What the metric says under a snapshot; NULL: it has no value there, as a MAX of no events. */
Numeric
measure_ask(const Measure *measure, Snapshot snapshot)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(context, "usage of a limit", ALLOCSET_DEFAULT_SIZES);
	LimitUse use;

	PushActiveSnapshot(snapshot);
	MemoryContextSwitchTo(work);
	limit_use_read(&measure->metric->metric, measure->customer, measure->limit, measure->moment, &use);
	MemoryContextSwitchTo(context);
	if (use.used != NULL)
		use.used = DatumGetNumericCopy(NumericGetDatum(use.used));
	PopActiveSnapshot();
	MemoryContextDelete(work);
	return use.used;
}

/* What the metric says of one event alone; 0 of one that does not count. */
Numeric
measure_event(const MeasuredMetric *metric, const UsageEvent *event)
{
	MetricTotal total;
	MetricResult result;

	if (!slice_equal(event->event_type, metric->metric.event_type))
		return measure_zero();
	metric_total_init(&total, &metric->metric, CurrentMemoryContext);
	metric_total_add_event(&total, metric->matcher, &event->id, event->timestamp, event_json_properties(event));
	metric_total_result(&total, &result);
	return measure_or_zero(result.value);
}

/* Numbers ----------------------------------------------------------------- */

Numeric
measure_zero(void)
{
	return int64_to_numeric(0);
}

Numeric
measure_sum(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a), NumericGetDatum(b)));
}

Numeric
measure_difference(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_sub, NumericGetDatum(a), NumericGetDatum(b)));
}

Numeric
measure_or_zero(Numeric number)
{
	return number != NULL ? number : measure_zero();
}
