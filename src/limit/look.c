/*
 * limit/look.c
 *		Events that are written: what limits measure of them, and what the metrics say with them.
 */
#include "postgres.h"

#include "limit/look.h"

#include "access/xact.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

bool
look_is_written(const EventPut *put)
{
	return put->outcome == EVENT_CREATED || put->outcome == EVENT_SUPERSEDED;
}

static bool
is_in_batch(const Look *look, const UsageEvent *event)
{
	const char *place = (const char *) event;

	return place >= (const char *) look->puts && place < (const char *) (look->puts + look->count);
}

/* The event of the batch that this one rests on: takes its place, repeats it, or conflicts with it.  NULL: there is none. */
const EventPut *
look_rests_on(const Look *look, const EventPut *put)
{
	const UsageEvent *earlier = look_is_written(put) ? put->superseded : put->answer;

	if (!is_in_batch(look, earlier))
		return NULL;
	return (const EventPut *) ((const char *) earlier - offsetof(EventPut, event));
}

/* What holds now must have been locked: it does not where limits or aliases were changed in between. */
static void
require_locked(const Look *look)
{
	const Entered *entered = look->entered;
	ListCell *cell;

	for (int i = 0; i < look->alias_count; i++)
	{
		foreach(cell, look->aliases[i].limits)
		{
			LimitLock lock = entered_lock_of(&look->aliases[i], lfirst(cell));

			if (bsearch(&lock, entered->locks, entered->lock_count, sizeof(LimitLock), limit_lock_compare) == NULL)
				ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
								errmsg("usage limits or customer aliases were changed while events were stored"),
								errhint("The transaction might succeed if retried.")));
		}
	}
}

/* What was found holds still, or is found anew: it may have changed while the lock was waited for. */
static void
look_again(Look *look)
{
	const Entered *entered = look->entered;

	look->state = limit_in_force_state();
	if (limit_in_force_is_told() && look->state == entered->state)
	{
		look->aliases = entered->aliases;
		look->alias_count = entered->alias_count;
		return;
	}
	look->alias_count = entered_find_limited(entered->account_id, look->puts, look->count, &look->aliases);
	require_locked(look);
}

void
look_add_effect(Effects *effects, Effect effect)
{
	effects->items = memory_budget_room(effects->items, effects->count, &effects->capacity, sizeof(Effect));
	effects->items[effects->count++] = effect;
}

static void
add_effects(Look *look, EventPut *put, const LimitedAlias *alias)
{
	ListCell *cell;

	foreach(cell, alias->limits)
	{
		Measure *measure;

		memory_budget_grow(sizeof(Measure));
		measure = palloc(sizeof(Measure));
		*measure = (Measure){.limit = lfirst(cell),
							 .customer = &alias->customer,
							 .moment = put->event.timestamp,
							 .has_unwritten = !look_is_written(put),
							 .purged_before = DT_NOBEGIN};
		measure_find_period(measure);
		look_add_effect(&look->effects, (Effect){.measure = measure, .put = put, .event = &put->event});
	}
}

static void
gather_effects(Look *look)
{
	for (int i = 0; i < look->count; i++)
	{
		EventPut *put = &look->puts[i];
		LimitedAlias key = {.event_type = put->event.event_type, .alias = put->event.customer_alias};
		const LimitedAlias *alias;

		if (look->alias_count == 0 || !(look_is_written(put) || look_rests_on(look, put) != NULL))
			continue;
		alias = bsearch(&key, look->aliases, look->alias_count, sizeof(LimitedAlias), limit_in_force_compare);
		if (alias != NULL)
			add_effects(look, put, alias);
	}
}

static int
compare_measures(const Measure *a, const Measure *b)
{
	int result = uuid_v7_compare(&a->limit->id, &b->limit->id);

	if (result == 0)
		result = slice_compare(a->customer->id, b->customer->id);
	return result != 0 ? result : (a->start > b->start) - (a->start < b->start);
}

static int
compare_effects_by_measure(const void *a, const void *b)
{
	return compare_measures(((const Effect *) a)->measure, ((const Effect *) b)->measure);
}

/* By their events, and of one event in the order of the measures, so that of several limits the same is named always. */
static int
compare_effects(const void *a, const void *b)
{
	const Effect *first = a;
	const Effect *second = b;

	if (first->put != second->put)
		return first->put < second->put ? -1 : 1;
	return (first->measure > second->measure) - (first->measure < second->measure);
}

static void
sort_effects(Effects *effects, int (*compare)(const void *, const void *))
{
	if (effects->count > 1)
		qsort(effects->items, effects->count, sizeof(Effect), compare);
}

/* Gives effects the measures that they share, each once. */
static void
gather_measures(Look *look)
{
	Effects *effects = &look->effects;

	memory_budget_grow(sizeof(Measure) * effects->count);
	look->measures = palloc_extended(sizeof(Measure) * Max(effects->count, 1), MCXT_ALLOC_HUGE);
	sort_effects(effects, compare_effects_by_measure);
	for (int i = 0; i < effects->count; i++)
	{
		Measure *measure = effects->items[i].measure;
		Measure *shared;

		if (i == 0 || compare_measures(&look->measures[look->measure_count - 1], measure) != 0)
			look->measures[look->measure_count++] = *measure;
		shared = &look->measures[look->measure_count - 1];
		shared->has_unwritten = shared->has_unwritten || measure->has_unwritten;
		effects->items[i].measure = shared;
		pfree(measure);
	}
	sort_effects(effects, compare_effects);
}

/* Asks for the value of each measure, with the events. */
static void
ask_measures(Look *look)
{
	look->now = entered_snapshot(CurrentResourceOwner);
	PushActiveSnapshot(look->now);
	for (int i = 0; i < look->measure_count; i++)
	{
		Measure *measure = &look->measures[i];

		CHECK_FOR_INTERRUPTS();
		measure->metric =
			measure_metric(look->entered->account_id, look->state, &measure->limit->scope.metric_id, &look->metrics);
		measure->value = measure->metric == NULL ? NULL : measure_ask(measure, look->now);
	}
	PopActiveSnapshot();
}

/* Finds what measures the events, and asks for it. */
void
look_gather(Look *look)
{
	look_again(look);
	gather_effects(look);
	gather_measures(look);
	ask_measures(look);
}

void
look_end(Look *look)
{
	UnregisterSnapshot(look->now);
}
