/*
 * limit/count.c
 *		Counting the events of a batch in memory, in their order: which of them fit.
 */
#include "postgres.h"

#include "limit/count.h"

#include "base/memory_budget.h"
#include "limit/refuse.h"
#include "miscadmin.h"

/* Takes the amounts of all events from their measures: what there was before. */
static void
go_back(Look *look)
{
	for (int i = 0; i < look->effect_count; i++)
	{
		Effect *effect = &look->effects[i];

		if (effect->measure->metric != NULL && measure_just_adds(effect->measure))
			effect->measure->value = measure_difference(measure_or_zero(effect->measure->value), effect->amount);
	}
}

/* Has the measures as they were before the events; false where that is not known. */
bool
count_begin(Look *look)
{
	for (int i = 0; i < look->measure_count; i++)
	{
		Measure *measure = &look->measures[i];

		CHECK_FOR_INTERRUPTS();
		if (!measure_is_open(measure) || measure_just_adds(measure))
			continue;
		if (look->entered->before == NULL)
			return false;
		measure_run(measure, look->entered->before);
	}
	go_back(look);
	return true;
}

/* Why the event does not fit on top of what was counted until now, or NULL. */
static const Fault *
first_refusal(const Look *look, const Effect *effects, int count)
{
	for (int i = 0; i < count; i++)
	{
		const Measure *measure = effects[i].measure;
		const EventPut *put = effects[i].put;
		const Fault *fault;

		if (measure->metric == NULL || effects[i].leaves)
			continue;
		fault = refuse_change(look, measure, put, measure_value(measure),
							  measure_value_with(measure, &put->event, effects[i].amount),
							  measure_just_adds(measure) ? effects[i].amount : NULL);
		if (fault != NULL)
			return fault;
	}
	return NULL;
}

/* Counts an event whose effects are those, or refuses it. */
static void
count_event(Look *look, EventPut *put, const Effect *effects, int count)
{
	memory_budget_grow(256);
	put->refusal = first_refusal(look, effects, count);
	for (int i = 0; put->refusal == NULL && i < count; i++)
	{
		if (effects[i].measure->metric != NULL)
			measure_add(effects[i].measure, &put->event, effects[i].amount);
	}
}

/*
 * Counts each event in its order, and refuses those that do not fit.  What rests on one of these is
 * not what was written: up to there all is certain, and the rest is for the next attempt.
 */
EventVerdict
count_one_by_one(Look *look)
{
	EventVerdict verdict = EVENTS_FIT;
	int first = 0;
	int last;

	look->entered->rounds++;
	for (int i = 0; i < look->count; i++, first = last)
	{
		EventPut *put = &look->puts[i];
		const EventPut *earlier = look_rests_on(look, put);

		CHECK_FOR_INTERRUPTS();
		for (last = first; last < look->effect_count && look->effects[last].put == put; last++)
			;
		/* By an attempt before this one: it was not written. */
		if (put->refusal != NULL)
			continue;
		if (earlier == NULL || earlier->refusal == NULL)
			count_event(look, put, look->effects + first, last - first);
		else if (look->entered->rounds < LOOK_MAX_ROUNDS)
			return EVENTS_REFUSED;
		else
			put->refusal = refuse_follower(look);
		if (put->refusal != NULL)
			verdict = EVENTS_REFUSED;
	}
	return verdict;
}
