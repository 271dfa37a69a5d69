/*
 * limit/leaving.c
 *		What corrections of a batch take away from the measures that are not sure: what was stored before the batch.
 */
#include "postgres.h"

#include "limit/leaving.h"

#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "miscadmin.h"

/* Under which name events come that a limit measures of a customer, and the measures of all periods of both. */
typedef struct MeasuredName
{
	Slice event_type;
	Slice alias;
	int first; /* among the measures */
	int last;  /* behind them */
} MeasuredName;

typedef struct MeasuredNames
{
	MeasuredName *items; /* sorted */
	int count;
	int capacity;
} MeasuredNames;

static int
compare_names(const void *a, const void *b)
{
	const MeasuredName *first = a;
	const MeasuredName *second = b;
	int result = slice_compare(first->event_type, second->event_type);

	return result != 0 ? result : slice_compare(first->alias, second->alias);
}

static bool
same_limit_and_customer(const Measure *a, const Measure *b)
{
	return uuid_v7_equal(&a->limit->id, &b->limit->id) && slice_equal(a->customer->id, b->customer->id);
}

static void
add_names(MeasuredNames *names, const Measure *measure, const Metric *metric, int first, int last)
{
	for (int i = 0; i < measure->customer->alias_count; i++)
	{
		names->items = memory_budget_room(names->items, names->count, &names->capacity, sizeof(MeasuredName));
		names->items[names->count++] = (MeasuredName){metric->event_type, measure->customer->aliases[i], first, last};
	}
}

/* Of the measures that are not sure, in whose periods something may leave. */
static void
gather_names(const Look *look, MeasuredNames *names)
{
	*names = (MeasuredNames){0};
	for (int first = 0, last; first < look->measure_count; first = last)
	{
		const MeasuredMetric *metric = NULL;

		for (last = first;
			 last < look->measure_count && same_limit_and_customer(&look->measures[first], &look->measures[last]);
			 last++)
			metric = measure_is_open(&look->measures[last]) ? look->measures[last].metric : metric;
		if (metric != NULL)
			add_names(names, &look->measures[first], &metric->metric, first, last);
	}
	if (names->count > 1)
		qsort(names->items, names->count, sizeof(MeasuredName), compare_names);
}

/* The first of that type and alias; the number of all if there is none. */
static int
find_name(const MeasuredNames *names, const MeasuredName *name)
{
	int low = 0;
	int high = names->count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (compare_names(&names->items[middle], name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < names->count && compare_names(&names->items[low], name) == 0 ? low : names->count;
}

/* The measure of the period that has the moment; NULL if there is none, or it is sure. */
static Measure *
find_measure(const Look *look, const MeasuredName *name, TimestampTz moment)
{
	int low = name->first;
	int high = name->last;
	TimestampTz start;
	TimestampTz end;

	period_find(&look->measures[low].limit->scope.period, moment, &start, &end);
	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (look->measures[middle].start < start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == name->last || look->measures[low].start != start || look->measures[low].metric == NULL)
		return NULL;
	return &look->measures[low];
}

static void
look_at_leaving(Look *look, const MeasuredNames *names, EventPut *put)
{
	const UsageEvent *event = put->superseded;
	MeasuredName name = {.event_type = event->event_type, .alias = event->customer_alias};

	if (names->items == NULL)
		return;
	for (int i = find_name(names, &name); i < names->count && compare_names(&names->items[i], &name) == 0; i++)
	{
		Measure *measure = find_measure(look, &names->items[i], event->timestamp);

		if (measure != NULL)
			look_add_effect(&look->leaving, (Effect){.measure = measure,
													 .put = put,
													 .event = event,
													 .amount = measure_event(measure->metric, event)});
	}
}

/* What the events take away that was stored before them. */
void
leaving_gather(Look *look)
{
	MeasuredNames names;

	gather_names(look, &names);
	for (int i = 0; i < look->count; i++)
	{
		EventPut *put = &look->puts[i];

		CHECK_FOR_INTERRUPTS();
		if (put->superseded != NULL && look_rests_on(look, put) == NULL)
			look_at_leaving(look, &names, put);
	}
}
