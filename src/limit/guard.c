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
 * before.  What takes something away of a value that cannot be counted back, and what rests on an
 * earlier event of the batch, is left to event/guard.c to store by itself.
 *
 * Where events of the period were purged, nobody knows how much there is: what adds is refused, and
 * nothing else.  Where the period itself is not known, a correction adds less only if it is of the moment of what
 * it replaces: that is the same period, whichever it is.
 */
#include "postgres.h"

#include "limit/guard.h"

#include "limit/count.h"
#include "limit/leaving.h"
#include "limit/refuse.h"
#include "limit/sure.h"

/* The event is the only one that was written.  What rests on it is for the next attempts, as long as there are not too many. */
static void
refuse_followers(Look *look, const EventPut *put)
{
	bool is_last = look->entered->rounds + 1 >= LOOK_MAX_ROUNDS;
	bool has_followers = false;

	for (int i = 0; i < look->count; i++)
	{
		if (look_rests_on(look, &look->puts[i]) != put)
			continue;
		has_followers = true;
		if (is_last)
			look->puts[i].refusal = refuse_follower(look);
	}
	look->entered->rounds += has_followers ? 1 : 0;
}

/* Refuses the only event that was written, if it adds to what is above a limit. */
static EventVerdict
judge_single(Look *look)
{
	for (int i = 0; i < look->effect_count; i++)
	{
		Measure *measure = look->effects[i].measure;
		EventPut *put = look->effects[i].put;
		Numeric before = NULL;

		if (measure->metric == NULL || (measure_is_certain(measure) && !measure_is_above(measure, measure->value)))
			continue;
		if (look->entered->before != NULL)
			before = measure_ask(measure, look->entered->before);
		put->refusal = refuse_change(look, measure, put, before, measure->value, NULL);
		if (put->refusal == NULL)
			continue;
		refuse_followers(look, put);
		return EVENTS_REFUSED;
	}
	return EVENTS_FIT;
}

static EventVerdict
judge_many(Look *look)
{
	sure_measure_events(look);
	if (sure_keep_unsure(look) == 0)
		return EVENTS_FIT;
	if (leaving_gather(look) || !count_begin(look))
		return EVENTS_UNSURE;
	return count_one_by_one(look);
}

static int
count_written(const EventPut *puts, int count)
{
	int written = 0;

	for (int i = 0; i < count; i++)
		written += look_is_written(&puts[i]) ? 1 : 0;
	return written;
}

static EventVerdict
check(void *argument, EventPut *puts, int count, MemoryContext of_refusals)
{
	Look look = {.entered = argument, .of_refusals = of_refusals, .puts = puts, .count = count};

	look_gather(&look);
	if (look.effect_count == 0)
		return EVENTS_FIT;
	return count_written(puts, count) == 1 ? judge_single(&look) : judge_many(&look);
}

static const EventGuard guard = {entered_make, entered_begin, check, entered_leave};

void
limit_guard_init(void)
{
	limit_in_force_init();
	event_guard_set(&guard);
}
