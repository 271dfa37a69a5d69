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

#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "event/json.h"
#include "limit/remembered.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Reads the metric, unless it is remembered of that state, which is of before the snapshot; false if there is none. */
static bool
get_metric(const pg_uuid_t *account_id, uint64 state, const pg_uuid_t *id, Metric *metric)
{
	if (limit_in_force_is_told() && remembered_metric(account_id, state, id, metric))
		return true;
	if (!metric_get(account_id, id, metric))
		return false;
	if (limit_in_force_is_told() && limit_in_force_state() == state)
		remember_metric(state, metric);
	return true;
}

/* The metric of that id, as the active snapshot has it; each is read once.  NULL: it was deleted. */
MeasuredMetric *
measure_metric(const pg_uuid_t *account_id, uint64 state, const pg_uuid_t *id, List **known)
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
	if (!get_metric(account_id, state, id, &measured->metric) || measured->metric.is_deleted ||
		measured->metric.kind->is_expression)
		return NULL;
	measured->matcher = metric_matcher_make(&measured->metric);
	*known = lappend(*known, measured);
	return measured;
}

/* Finds the period that has the measure's moment; all of time stands for one that nobody knows. */
void
measure_find_period(Measure *measure)
{
	const PeriodRule *period = &measure->limit->scope.period;

	measure->start = DT_NOBEGIN;
	measure->end = DT_NOEND;
	if (period_is_known(period))
		period_find(period, measure->moment, &measure->start, &measure->end);
}

/* Reads what is used under a snapshot, in a memory context of its own, which the caller deletes. */
static MemoryContext
read_use(Measure *measure, Snapshot snapshot, LeftOut left_out, LimitUse *use)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "usage of a limit", ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = MemoryContextSwitchTo(work);

	PushActiveSnapshot(snapshot);
	limit_use_read_without(&measure->metric->metric, measure->customer, measure->limit, measure->moment, left_out, use);
	PopActiveSnapshot();
	MemoryContextSwitchTo(context);
	measure->purged_before = Max(measure->purged_before, use->purged_before);
	return work;
}

/* What the metric says under a snapshot; NULL: it has no value there, as a MAX of no events.  0 where the period is not known. */
Numeric
measure_ask(Measure *measure, Snapshot snapshot)
{
	LimitUse use;
	MemoryContext work;

	if (!measure_has_period(measure))
		return measure_zero();
	work = read_use(measure, snapshot, (LeftOut){0}, &use);
	if (use.used != NULL)
		use.used = DatumGetNumericCopy(NumericGetDatum(use.used));
	MemoryContextDelete(work);
	return use.used;
}

/* The same without some events, as what those that come and go are counted on top of. */
void
measure_run(Measure *measure, Snapshot snapshot, LeftOut left_out)
{
	LimitUse use;
	MemoryContext work = read_use(measure, snapshot, left_out, &use);

	measure->running = metric_running_begin(&use.total);
	MemoryContextDelete(work);
}

/* Events ------------------------------------------------------------------ */

/* An event of the metric's type, alone. */
static void
make_total(const MeasuredMetric *metric, const UsageEvent *event, MetricTotal *total)
{
	metric_total_init_for_event(total, &metric->metric, CurrentMemoryContext);
	metric_total_add_event(total, metric->matcher, &event->id, event->timestamp, event_json_properties(event));
}

/* What the metric says of one event alone, in the current memory context; false of one that is not of its type. */
static bool
read_event(const MeasuredMetric *metric, const UsageEvent *event, MetricResult *result)
{
	MetricTotal total;

	if (!slice_equal(event->event_type, metric->metric.event_type))
		return false;
	make_total(metric, event, &total);
	metric_total_result(&total, result);
	return true;
}

/* Memory for one event, whose properties are copied, and its end; returns what was current. */
static MemoryContext
enter_event(void)
{
	return MemoryContextSwitchTo(
		AllocSetContextCreate(CurrentMemoryContext, "usage event of a limit", ALLOCSET_DEFAULT_SIZES));
}

static void
leave_event(MemoryContext before)
{
	MemoryContextDelete(MemoryContextSwitchTo(before));
}

/* What the metric says of one event alone; 0 of one that does not count. */
Numeric
measure_event(const MeasuredMetric *metric, const UsageEvent *event)
{
	MemoryContext context = enter_event();
	MemoryContext work;
	MetricResult result;
	Numeric value = read_event(metric, event, &result) ? measure_or_zero(result.value) : measure_zero();

	memory_budget_grow(VARSIZE_ANY((Pointer) value));
	work = MemoryContextSwitchTo(context);
	value = DatumGetNumericCopy(NumericGetDatum(value));
	MemoryContextSwitchTo(work);
	leave_event(context);
	return value;
}

/* What the event is to what the metric says of all. */
void
measure_part(const MeasuredMetric *metric, const UsageEvent *event, MetricPart *part)
{
	MemoryContext context = enter_event();
	MemoryContext work;
	MetricTotal total;

	make_total(metric, event, &total);
	work = MemoryContextSwitchTo(context);
	metric_part_read(&total, part);
	MemoryContextSwitchTo(work);
	leave_event(context);
}

/* Whether the event is one of those that make the value. */
bool
measure_counts(const MeasuredMetric *metric, const UsageEvent *event)
{
	MemoryContext context = enter_event();
	MetricResult result;
	bool counts = read_event(metric, event, &result) && result.event_count > 0;

	leave_event(context);
	return counts;
}

/* One by one -------------------------------------------------------------- */

Numeric
measure_value(const Measure *measure)
{
	return measure->running != NULL ? metric_running_value(measure->running) : measure->value;
}

/* Has the value that just adds up, which is remembered as long as the measure. */
static void
set_value(Measure *measure, Numeric value)
{
	memory_budget_grow(VARSIZE_ANY((Pointer) value));
	measure->value = value;
}

/* An event comes. */
void
measure_add(Measure *measure, Numeric amount, const MetricPart *part)
{
	if (measure->running != NULL)
		metric_running_add(measure->running, part);
	else if (measure_is_open(measure))
		set_value(measure, measure_sum(measure_or_zero(measure->value), amount));
}

/* It goes. */
void
measure_take(Measure *measure, Numeric amount, const MetricPart *part)
{
	if (measure->running != NULL)
		metric_running_take(measure->running, part);
	else if (measure_is_open(measure))
		set_value(measure, measure_difference(measure_or_zero(measure->value), amount));
}

/* What is known of it ------------------------------------------------------- */

/* Whether the value of each event by itself is what it adds. */
bool
measure_just_adds(const Measure *measure)
{
	return measure->metric->metric.kind->rise == METRIC_ADDS;
}

bool
measure_is_purged(const Measure *measure)
{
	return measure->purged_before != DT_NOBEGIN;
}

bool
measure_has_period(const Measure *measure)
{
	return period_is_known(&measure->limit->scope.period);
}

/* Whether its value is all that was used in the period. */
bool
measure_is_certain(const Measure *measure)
{
	return measure_has_period(measure) && !measure_is_purged(measure);
}

/* Whether its events are counted one by one, as their values do not just add up. */
bool
measure_is_run(const Measure *measure)
{
	return measure_is_open(measure) && !measure_just_adds(measure);
}

/* Whether there is something to count: it is not sure, and nothing is counted of a period that is not known. */
bool
measure_is_open(const Measure *measure)
{
	return measure->metric != NULL && measure_has_period(measure);
}

bool
measure_is_above(const Measure *measure, Numeric value)
{
	return value != NULL && metric_number_is_above(value, measure->limit->limit);
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
