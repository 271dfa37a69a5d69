/*
 * limit/count.c
 *		Counting the events of a batch in memory, in their order: which of them fit.
 *
 * A measure begins with what there is without any event of the batch, and with those that they
 * replace.  Where values just add up, that is what there is now, less what the batch has made of it; where
 * they do not, the metric is asked as if the batch's events were not there.  Of all others none can go: so
 * only of those that can it is kept how many have each value.
 *
 * Then each event meets what is there under its key, as in the store, and takes its place: unless the value is
 * above a limit then, and was lower before.  So what rests on an event that does not fit comes to what it would if that
 * had never been sent.
 */
#include "postgres.h"

#include "limit/count.h"

#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "limit/leaving.h"
#include "limit/refuse.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Effects of one version of an event. */
typedef struct Version
{
	const UsageEvent *event; /* NULL: there is none */
	Effect *effects;
	int count;
} Version;

/* An event of the batch. */
typedef struct Place
{
	Version own;
	int first;       /* of those of its key the first that was written */
	bool is_last;    /* of those of its key the last that was written */
	Version current; /* of such a first one: what is there under the key */
} Place;

typedef struct Count
{
	Look *look;
	Place *places; /* of all events */
	LeftOut left_out;
	MemoryContext work; /* for one event */
} Count;

/* Places ------------------------------------------------------------------ */

/* The effects of an event among all of them; `next` goes on to those of the events behind it. */
static Version
next_version(const Effects *effects, const EventPut *put, const UsageEvent *event, int *next)
{
	Version version = {.event = event};

	while (*next < effects->count && effects->items[*next].put < put)
		(*next)++;
	version.effects = effects->items + *next;
	while (*next < effects->count && effects->items[*next].put == put)
	{
		(*next)++;
		version.count++;
	}
	return version;
}

static void
make_places(Count *count)
{
	Look *look = count->look;
	int next = 0;
	int next_leaving = 0;

	memory_budget_grow(sizeof(Place) * look->count);
	count->places = palloc_extended(sizeof(Place) * look->count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < look->count; i++)
	{
		const EventPut *put = &look->puts[i];
		const EventPut *earlier = look_rests_on(look, put);

		CHECK_FOR_INTERRUPTS();
		count->places[i] = (Place){.own = next_version(&look->effects, put, &put->event, &next),
								   .first = earlier != NULL ? count->places[earlier - look->puts].first : i,
								   .is_last = look_is_written(put),
								   .current = next_version(&look->leaving, put, put->superseded, &next_leaving)};
		if (earlier != NULL && look_is_written(put))
			count->places[earlier - look->puts].is_last = false;
	}
}

/* Measures ---------------------------------------------------------------- */

static int
compare_ids(const void *a, const void *b)
{
	return uuid_v7_compare(a, b);
}

/* The events of the batch. */
static void
leave_out(Count *count)
{
	const Look *look = count->look;
	pg_uuid_t *ids;
	int id_count = 0;

	memory_budget_grow(sizeof(pg_uuid_t) * look->count);
	ids = palloc_extended(sizeof(pg_uuid_t) * look->count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < look->count; i++)
	{
		if (look_is_written(&look->puts[i]))
			ids[id_count++] = look->puts[i].event.id;
	}
	qsort(ids, id_count, sizeof(pg_uuid_t), compare_ids);
	count->left_out = (LeftOut){ids, id_count};
}

/* Runs those whose values do not just add up, from what there is without the events. */
static void
run_measures(Count *count)
{
	Look *look = count->look;

	for (int i = 0; i < look->measure_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (measure_is_run(&look->measures[i]))
			measure_run(&look->measures[i], look->now, count->left_out);
	}
}

/* Makes known what may come and go. */
static void
expect(const Effects *effects)
{
	for (int i = 0; i < effects->count; i++)
	{
		Effect *effect = &effects->items[i];

		CHECK_FOR_INTERRUPTS();
		if (effect->measure->running == NULL)
			continue;
		measure_part(effect->measure->metric, effect->event, &effect->part);
		metric_running_expect(effect->measure->running, &effect->part);
	}
}

static void
order_measures(Look *look)
{
	for (int i = 0; i < look->measure_count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (look->measures[i].running != NULL)
			metric_running_order(look->measures[i].running);
	}
}

static void
come(const Version *version)
{
	for (int i = 0; i < version->count; i++)
	{
		const Effect *effect = &version->effects[i];

		if (effect->measure->metric != NULL)
			measure_add(effect->measure, effect->amount, &effect->part);
	}
}

static void
go(const Version *version)
{
	for (int i = 0; i < version->count; i++)
	{
		const Effect *effect = &version->effects[i];

		if (effect->measure->metric != NULL)
			measure_take(effect->measure, effect->amount, &effect->part);
	}
}

/* Takes from values that just add up what the batch has made of them; from others it was left out. */
static void
take_last(const Place *place)
{
	for (int i = 0; i < place->own.count; i++)
	{
		const Effect *effect = &place->own.effects[i];

		if (effect->measure->metric != NULL && effect->measure->running == NULL)
			measure_take(effect->measure, effect->amount, &effect->part);
	}
}

/* Has all measures as they were before the events. */
static void
go_back(Count *count)
{
	Look *look = count->look;

	leave_out(count);
	run_measures(count);
	expect(&look->effects);
	expect(&look->leaving);
	order_measures(look);
	for (int i = 0; i < look->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (count->places[i].is_last)
			take_last(&count->places[i]);
		if (count->places[i].first == i)
			come(&count->places[i].current);
	}
}

/* Events ------------------------------------------------------------------ */

/* What the event adds to a measure, by itself, less what it replaces there; NULL where that says nothing. */
static Numeric
added_amount(const Effect *effect, const Version *replaced)
{
	if (!measure_just_adds(effect->measure))
		return NULL;
	for (int i = 0; i < replaced->count; i++)
	{
		if (replaced->effects[i].measure == effect->measure)
			return measure_difference(effect->amount, replaced->effects[i].amount);
	}
	return effect->amount;
}

static void
note_before(const Version *version)
{
	for (int i = 0; i < version->count; i++)
	{
		Effect *effect = &version->effects[i];

		if (effect->measure->metric != NULL)
			effect->before = measure_value(effect->measure);
	}
}

/* Why the event, which has come, may not stay in the place of another, or NULL. */
static const Fault *
first_refusal(const Look *look, const EventPut *put, const Version *own, const Version *replaced)
{
	for (int i = 0; i < own->count; i++)
	{
		const Effect *effect = &own->effects[i];
		const Measure *measure = effect->measure;
		const Fault *fault;

		if (measure->metric == NULL)
			continue;
		fault =
			refuse_change(look, measure, put, effect->before, measure_value(measure), added_amount(effect, replaced));
		if (fault != NULL)
			return fault;
	}
	return NULL;
}

/* An event takes the place of what is there, unless it does not fit. */
static void
replace(Count *count, EventPut *put, const Version *own, Version *current)
{
	MemoryContext caller = MemoryContextSwitchTo(count->work);

	note_before(own);
	MemoryContextSwitchTo(caller);
	go(current);
	come(own);
	MemoryContextSwitchTo(count->work);
	put->refusal = first_refusal(count->look, put, own, current);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(count->work);
	if (put->refusal == NULL)
	{
		*current = *own;
		return;
	}
	go(own);
	come(current);
}

static EventVerdict
count_events(Count *count)
{
	EventVerdict verdict = EVENTS_FIT;

	for (int i = 0; i < count->look->count; i++)
	{
		EventPut *put = &count->look->puts[i];
		Version *current = &count->places[count->places[i].first].current;

		CHECK_FOR_INTERRUPTS();
		/* Refused before this attempt, or answered by what was stored before the batch. */
		if (put->refusal != NULL || (!look_is_written(put) && look_rests_on(count->look, put) == NULL))
			continue;
		event_store_meet(put, current->event);
		if (look_is_written(put))
			replace(count, put, &count->places[i].own, current);
		if (put->refusal != NULL)
			verdict = EVENTS_REFUSED;
	}
	return verdict;
}

/* Which event came last makes a difference to a value, and a version of a stored event may have an id above that of a later one. */
bool
count_needs_order(const Look *look)
{
	bool has_corrections = false;

	for (int i = 0; i < look->count; i++)
		has_corrections =
			has_corrections || (look->puts[i].superseded != NULL && look_rests_on(look, &look->puts[i]) == NULL);
	for (int i = 0; has_corrections && i < look->measure_count; i++)
	{
		if (measure_is_open(&look->measures[i]) && look->measures[i].metric->metric.kind->keeps_event)
			return true;
	}
	return false;
}

/* Counts each event in its order, and refuses those that do not fit. */
EventVerdict
count_one_by_one(Look *look)
{
	Count count = {
		.look = look,
		.work = AllocSetContextCreate(CurrentMemoryContext, "usage event that is counted", ALLOCSET_DEFAULT_SIZES),
	};

	leaving_gather(look);
	make_places(&count);
	go_back(&count);
	return count_events(&count);
}
