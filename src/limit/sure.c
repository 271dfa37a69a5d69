/*
 * limit/sure.c
 *		Which values were certainly never above their limit while a batch came, without counting its events.
 */
#include "postgres.h"

#include "limit/sure.h"

#include "base/memory_budget.h"
#include "miscadmin.h"

/* What events are to their measures, each by itself. */
void
sure_measure_events(Look *look)
{
	for (int i = 0; i < look->effect_count; i++)
	{
		Effect *effect = &look->effects[i];

		CHECK_FOR_INTERRUPTS();
		memory_budget_grow(64);
		if (effect->measure->metric != NULL)
			effect->amount = measure_event(effect->measure->metric, &effect->put->event);
	}
}

static Numeric
above_zero(Numeric number)
{
	return metric_number_compare(number, measure_zero()) > 0 ? number : measure_zero();
}

/* How much may have been taken away from a metric's values on the way: by versions that were replaced, and by negative amounts. */
static Numeric
taken_away(const Look *look, MeasuredMetric *metric)
{
	Numeric sum = measure_zero();

	if (metric->taken_away != NULL)
		return metric->taken_away;
	for (int i = 0; i < look->count; i++)
	{
		const EventPut *put = &look->puts[i];

		if (!look_is_written(put))
			continue;
		sum = measure_sum(sum, above_zero(measure_difference(measure_zero(), measure_event(metric, &put->event))));
		if (put->superseded != NULL)
			sum = measure_sum(sum, above_zero(measure_event(metric, put->superseded)));
	}
	metric->taken_away = sum;
	return sum;
}

/* Whether an event of the batch rests on an earlier one of it, or takes the place of another. */
static bool
has_repeats(const Look *look)
{
	for (int i = 0; i < look->count; i++)
	{
		if (look->puts[i].superseded != NULL || look_rests_on(look, &look->puts[i]) != NULL)
			return true;
	}
	return false;
}

/* The largest amount of a measure's events. */
static Numeric
largest(const Look *look, const Measure *measure)
{
	Numeric largest = NULL;

	for (int i = 0; i < look->effect_count; i++)
	{
		const Effect *effect = &look->effects[i];

		if (effect->measure == measure && (largest == NULL || metric_number_compare(effect->amount, largest) > 0))
			largest = effect->amount;
	}
	return largest;
}

/* Whether a value that may go up and down with each event was certainly never above: it is none that is above all numbers. */
static bool
was_never_above_any(const Look *look, Measure *measure)
{
	return !has_repeats(look) && look->entered->before != NULL && !measure_is_above(measure, largest(look, measure)) &&
		   !measure_is_above(measure, measure_ask(measure, look->entered->before));
}

/* The same of a value that nothing lowers but what is taken away: it was never above what it would be if nothing were. */
static bool
was_never_above_rising(const Look *look, Measure *measure)
{
	bool is_sure = look->entered->before != NULL;

	if (is_sure)
		measure_run(measure, look->entered->before);
	for (int i = 0; is_sure && i < look->effect_count; i++)
	{
		const Effect *effect = &look->effects[i];

		CHECK_FOR_INTERRUPTS();
		if (effect->measure != measure)
			continue;
		measure_add(measure, &effect->put->event, effect->amount);
		is_sure = !measure_is_above(measure, measure_value(measure));
	}
	measure->running = NULL;
	return is_sure;
}

/* Whether the value was certainly never above the limit as the events came one by one, whichever of them stay. */
static bool
was_never_above(const Look *look, Measure *measure)
{
	if (measure->metric == NULL)
		return true;
	if (!measure_is_certain(measure))
		return false;
	if (measure->metric->metric.kind->rise == METRIC_VARIES)
		return was_never_above_any(look, measure);
	if (!measure_is_above(measure,
						  measure_sum(above_zero(measure_or_zero(measure->value)), taken_away(look, measure->metric))))
		return true;
	return measure->metric->metric.kind->rise == METRIC_RISES && has_repeats(look) &&
		   was_never_above_rising(look, measure);
}

/* Measures that need no more attention are marked by a metric that is none. */
int
sure_keep_unsure(Look *look)
{
	int unsure = 0;

	for (int i = 0; i < look->measure_count; i++)
	{
		Measure *measure = &look->measures[i];

		CHECK_FOR_INTERRUPTS();
		if (was_never_above(look, measure))
			measure->metric = NULL;
		else
			unsure++;
	}
	return unsure;
}
