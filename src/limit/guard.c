/*
 * limit/guard.c
 *		Keeps events out that would bring a metric's value above a BLOCK limit.
 *
 *	look		which limits hold for the events' types and aliases; for most none
 *	lock		metric and customer, until the transaction ends
 *	remember	a snapshot: what was used until now, each time that some are written
 *	...			the events are written, by event/store.c
 *	look again	if anything has changed of limits, or of whose alias it is
 *	ask			each metric, of customer and period, with the events
 *
 * An event is refused if the value is above the limit with it and has been lower without: what was
 * above already, because the limit is new, or by events that nothing holds up, keeps out only what adds to it.
 *
 * Those of a batch are judged as if they had come one by one.  That nothing has been above the
 * limit on the way is certain where the value in the end, and all that was taken away on the way,
 * are not.  Where it is not certain each is counted in its order, in memory, on top of what there was
 * before.
 *
 * Where events of the period were purged, nobody knows how much there is: what adds is refused, and
 * nothing else.  Where the period itself is not known, a correction adds less only if it is of the moment of what
 * it replaces: that is the same period, whichever it is.
 */
#include "postgres.h"

#include "limit/guard.h"

#include "limit/count.h"
#include "limit/refuse.h"
#include "limit/sure.h"

static EventVerdict
count_all(Look *look)
{
	sure_measure_events(look);
	return count_one_by_one(look);
}

/* Refuses the only event that was written, if it adds to what is above a limit. */
static EventVerdict
judge_single(Look *look)
{
	for (int i = 0; i < look->effects.count; i++)
	{
		Measure *measure = look->effects.items[i].measure;
		EventPut *put = look->effects.items[i].put;
		Numeric before = NULL;

		if (measure->metric == NULL || (measure_is_certain(measure) && !measure_is_above(measure, measure->value)))
			continue;
		/* Of a number that is too long to be added up, which it corrects, nobody can ask what it made of the value. */
		if (put->superseded != NULL)
			return count_all(look);
		if (look->entered->before != NULL)
			before = measure_ask(measure, look->entered->before);
		put->refusal = refuse_change(look, measure, put, before, measure->value, NULL);
		if (put->refusal != NULL)
			return EVENTS_REFUSED;
	}
	return EVENTS_FIT;
}

static EventVerdict
judge_many(Look *look, bool in_order)
{
	sure_measure_events(look);
	if (sure_keep_unsure(look) == 0)
		return EVENTS_FIT;
	if (!in_order && count_needs_order(look))
		return EVENTS_OUT_OF_ORDER;
	return count_one_by_one(look);
}

/* Whether the effects are of one event, and no other can come to have some. */
static bool
has_one_event(const Look *look)
{
	const Effects *effects = &look->effects;

	for (int i = 0; i < look->count; i++)
	{
		if (look_is_written(&look->puts[i]) && &look->puts[i] != effects->items[0].put)
			return false;
	}
	return effects->items[0].put == effects->items[effects->count - 1].put;
}

static EventVerdict
check(void *argument, EventPut *puts, int count, bool in_order, MemoryContext of_refusals)
{
	Look look = {.entered = argument, .of_refusals = of_refusals, .puts = puts, .count = count};
	EventVerdict verdict = EVENTS_FIT;

	look_gather(&look);
	if (look.effects.count > 0)
		verdict = has_one_event(&look) ? judge_single(&look) : judge_many(&look, in_order);
	look_end(&look);
	return verdict;
}

static const EventGuard guard = {entered_make, entered_begin, check, entered_leave};

void
limit_guard_init(void)
{
	limit_in_force_init();
	event_guard_set(&guard);
}
