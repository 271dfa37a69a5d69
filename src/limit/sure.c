/*
 * limit/sure.c
 *		Which values were certainly never above their limit while a batch came, without counting its events.
 */
#include "postgres.h"

#include "limit/sure.h"

#include "miscadmin.h"

/* What events are to their measures, each by itself. */
void
sure_measure_events(Look *look)
{
	for (int i = 0; i < look->effects.count; i++)
	{
		Effect *effect = &look->effects.items[i];

		CHECK_FOR_INTERRUPTS();
		if (effect->measure->metric != NULL)
			effect->amount = measure_event(effect->measure->metric, effect->event);
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

		CHECK_FOR_INTERRUPTS();
		if (!look_is_written(put))
			continue;
		sum = measure_sum(sum, above_zero(measure_difference(measure_zero(), measure_event(metric, &put->event))));
		if (put->superseded != NULL)
			sum = measure_sum(sum, above_zero(measure_event(metric, put->superseded)));
	}
	metric->taken_away = sum;
	return sum;
}

/* Whether the value was certainly never above the limit as the events came one by one, whichever of them stay. */
static bool
was_never_above(const Look *look, Measure *measure)
{
	if (measure->metric == NULL)
		return true;
	if (!measure_is_certain(measure) || measure->has_unwritten || measure->metric->metric.kind->rise == METRIC_VARIES)
		return false;
	return !measure_is_above(measure, measure_sum(above_zero(measure_or_zero(measure->value)),
												  taken_away(look, measure->metric)));
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
