/*
 * metric/running.c
 *		A metric's whole value while events come and go, one after the other.
 *
 * It begins with a total of events that stay, and takes one event at a time, or gives it back: so the
 * value after each of them is known without any of them being stored.  A step costs no more than the place of a
 * number among those that are known, where a total's result looks at all of them.
 *
 * It is the value of all groups: which group an event is of makes no difference to that.
 */
#include "postgres.h"

#include "metric/running.h"

#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

/* Parts ------------------------------------------------------------------- */

/* The value's part of a cell's key; without data where the cell is a group. */
static Slice
value_key(const MetricCell *cell)
{
	int start = cell->group_key_length + 1;

	if (cell->key.length <= start)
		return (Slice){NULL, 0};
	return (Slice){cell->key.data + start, cell->key.length - start};
}

static MetricNumber
number_of(const MetricCell *cell)
{
	return (MetricNumber){cell->value, cell->latest_timestamp, cell->latest_id};
}

static Numeric
copy_number(Numeric number)
{
	memory_budget_grow(VARSIZE_ANY((Pointer) number));
	return DatumGetNumericCopy(NumericGetDatum(number));
}

static Slice
copy_key(Slice key)
{
	char *copy = palloc(key.length);

	memory_budget_grow(key.length);
	memcpy(copy, key.data, key.length);
	return (Slice){copy, key.length};
}

/* What an event is that is alone in its total, in the current memory context; nothing if it does not count. */
void
metric_part_read(const MetricTotal *event, MetricPart *part)
{
	MetricCellIterator iterator;
	MetricCell cell;

	*part = (MetricPart){0};
	metric_total_first_cell(event, &iterator);
	while (metric_total_next_cell(&iterator, &cell))
	{
		Slice key = value_key(&cell);

		part->counts = part->counts || cell.event_count > 0;
		if (cell.value != NULL)
		{
			part->number = number_of(&cell);
			part->number.value = copy_number(cell.value);
		}
		else if (key.data != NULL)
			part->value = copy_key(key);
	}
}

/* Values ------------------------------------------------------------------ */

typedef struct RunningValue
{
	Slice key;
	int64 event_count; /* 1 of those that were there from the beginning, as they stay */
	uint32 hash;
	char status;
} RunningValue;

#define SH_PREFIX running_values
#define SH_ELEMENT_TYPE RunningValue
#define SH_KEY key
#include "base/slice_hash.h"

#define INITIAL_VALUES 16

/* The value, which is kept from now on, also where no event has it any more. */
static RunningValue *
keep_value(MetricRunning *running, Slice key)
{
	bool found;
	RunningValue *value;
	MemoryContext caller;

	if (running->values == NULL)
		running->values = running_values_create(running->context, INITIAL_VALUES, NULL);
	else if (running->values->members >= running->values->grow_threshold)
		memory_budget_grow(2 * sizeof(RunningValue) * running->values->size);
	value = running_values_insert(running->values, key, &found);
	if (found)
		return value;
	caller = MemoryContextSwitchTo(running->context);
	value->key = copy_key(key);
	value->event_count = 0;
	MemoryContextSwitchTo(caller);
	return value;
}

static void
count_value(MetricRunning *running, Slice key, int more)
{
	RunningValue *value = keep_value(running, key);

	running->value_count -= value->event_count > 0 ? 1 : 0;
	value->event_count += more;
	running->value_count += value->event_count > 0 ? 1 : 0;
}

/* Numbers ----------------------------------------------------------------- */

static int
compare_numbers(const MetricNumber *a, const MetricNumber *b)
{
	return metric_number_compare(a->value, b->value);
}

static int
compare_times(const MetricNumber *a, const MetricNumber *b)
{
	int result = (a->timestamp > b->timestamp) - (a->timestamp < b->timestamp);

	return result != 0 ? result : uuid_v7_compare(&a->id, &b->id);
}

static int
compare_scales(const MetricNumber *a, const MetricNumber *b)
{
	return metric_number_scale(a->value) - metric_number_scale(b->value);
}

static int
compare(MetricRanks ranks, const MetricNumber *a, const MetricNumber *b)
{
	switch (ranks)
	{
		case METRIC_RANKS_NUMBERS:
			return compare_numbers(a, b);
		case METRIC_RANKS_TIMES:
			return compare_times(a, b);
		case METRIC_RANKS_SCALES:
			return compare_scales(a, b);
		case METRIC_RANKS_NOTHING:
			break;
	}
	elog(ERROR, "numbers of this aggregation have no order");
}

static int
compare_ranked(const void *a, const void *b, void *argument)
{
	return compare(*(const MetricRanks *) argument, &((const RankedNumber *) a)->number,
				   &((const RankedNumber *) b)->number);
}

static bool
has_ranks(const MetricRunning *running)
{
	return running->metric->kind->ranks != METRIC_RANKS_NOTHING;
}

static bool
adds_up(const MetricRunning *running)
{
	return running->metric->kind->ranks == METRIC_RANKS_SCALES;
}

/* Makes a number known, which so many events have. */
static void
know_number(MetricRunning *running, const MetricNumber *number, int64 event_count)
{
	MemoryContext caller = MemoryContextSwitchTo(running->context);
	RankedNumber *ranked;

	running->ranks =
		memory_budget_room(running->ranks, running->rank_count, &running->rank_capacity, sizeof(RankedNumber));
	ranked = &running->ranks[running->rank_count++];
	*ranked = (RankedNumber){*number, event_count};
	ranked->number.value = copy_number(number->value);
	MemoryContextSwitchTo(caller);
}

/* The first that is not before it. */
static int
place_of(const MetricRunning *running, const MetricNumber *number)
{
	int low = 0;
	int high = running->rank_count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (compare(running->metric->kind->ranks, &running->ranks[middle].number, number) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == running->rank_count || compare(running->metric->kind->ranks, &running->ranks[low].number, number) != 0)
		elog(ERROR, "a number was not made known before it came");
	return low;
}

static void
count_place(MetricRunning *running, int place, int64 more)
{
	running->ranked_event_count += more;
	for (int i = place + 1; i <= running->rank_count; i += i & -i)
		running->tree[i] += more;
}

/* The number of the nth event, from 1 on. */
static const MetricNumber *
nth_number(const MetricRunning *running, int64 n)
{
	int place = 0;
	int step = 1;

	while (step <= running->rank_count / 2)
		step *= 2;
	for (; step > 0; step /= 2)
	{
		if (place + step > running->rank_count || running->tree[place + step] >= n)
			continue;
		place += step;
		n -= running->tree[place];
	}
	if (place >= running->rank_count)
		elog(ERROR, "there are fewer numbers than events");
	return &running->ranks[place].number;
}

static Numeric
apply(PGFunction function, Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(function, NumericGetDatum(a), NumericGetDatum(b)));
}

/* Adds the number to the sum, or takes it from there. */
static void
sum_up(MetricRunning *running, Numeric number, PGFunction function)
{
	MemoryContext caller = MemoryContextSwitchTo(running->context);
	Numeric before = running->sum;

	running->sum = apply(function, before != NULL ? before : int64_to_numeric(0), number);
	if (before != NULL)
		pfree(before);
	MemoryContextSwitchTo(caller);
}

/* The whole --------------------------------------------------------------- */

static void
begin_with_cell(MetricRunning *running, const MetricCell *cell)
{
	Slice key = value_key(cell);
	MetricNumber number = number_of(cell);

	running->event_count += cell->event_count;
	if (cell->value == NULL)
	{
		if (key.data != NULL)
			count_value(running, key, 1);
		return;
	}
	if (!has_ranks(running))
		return;
	know_number(running, &number, key.data != NULL ? cell->value_event_count : 1);
	if (adds_up(running))
		sum_up(running, number.value, numeric_add);
}

/* Begins with what is in a total, in the current memory context. */
MetricRunning *
metric_running_begin(const MetricTotal *total)
{
	MetricRunning *running = palloc0(sizeof(MetricRunning));
	MetricCellIterator iterator;
	MetricCell cell;

	running->metric = total->metric;
	running->context = CurrentMemoryContext;
	metric_total_first_cell(total, &iterator);
	while (metric_total_next_cell(&iterator, &cell))
		begin_with_cell(running, &cell);
	return running;
}

/* Makes known what may come. */
void
metric_running_expect(MetricRunning *running, const MetricPart *part)
{
	if (has_ranks(running) && part->number.value != NULL)
		know_number(running, &part->number, 0);
}

/* Of those that are the same in the order one is left, for the events of all. */
static void
merge_equals(MetricRunning *running)
{
	MetricRanks ranks = running->metric->kind->ranks;
	int kept = 0;

	for (int i = 0; i < running->rank_count; i++)
	{
		if (kept > 0 && compare(ranks, &running->ranks[kept - 1].number, &running->ranks[i].number) == 0)
			running->ranks[kept - 1].event_count += running->ranks[i].event_count;
		else
			running->ranks[kept++] = running->ranks[i];
	}
	running->rank_count = kept;
}

/* Puts all that may come in order. */
void
metric_running_order(MetricRunning *running)
{
	MetricRanks ranks = running->metric->kind->ranks;
	Size size;

	if (running->rank_count > 1)
		qsort_interruptible(running->ranks, running->rank_count, sizeof(RankedNumber), compare_ranked, &ranks);
	merge_equals(running);
	size = sizeof(int64) * ((Size) running->rank_count + 1);
	memory_budget_grow(size);
	running->tree = MemoryContextAllocExtended(running->context, size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < running->rank_count; i++)
	{
		if (running->ranks[i].event_count != 0)
			count_place(running, i, running->ranks[i].event_count);
	}
}

static void
change(MetricRunning *running, const MetricPart *part, int more)
{
	if (!part->counts)
		return;
	running->event_count += more;
	if (part->value.data != NULL)
		count_value(running, part->value, more);
	if (part->number.value == NULL || !has_ranks(running))
		return;
	count_place(running, place_of(running, &part->number), more);
	if (adds_up(running))
		sum_up(running, part->number.value, more > 0 ? numeric_add : numeric_sub);
}

/* An event comes, which was made known. */
void
metric_running_add(MetricRunning *running, const MetricPart *part)
{
	change(running, part, 1);
}

/* One goes that has come. */
void
metric_running_take(MetricRunning *running, const MetricPart *part)
{
	change(running, part, -1);
}

/* What sums are of numbers of which none has more digits behind the point than the last. */
static Numeric
exact_sum(const MetricRunning *running, const MetricNumber *last)
{
	Numeric trimmed = DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(running->sum)));

	return apply(numeric_add, trimmed, apply(numeric_sub, last->value, last->value));
}

/* The number that those of all events have come to. */
static Numeric
combined_number(const MetricRunning *running)
{
	const MetricNumber *last = nth_number(running, running->ranked_event_count);

	return adds_up(running) ? exact_sum(running, last) : running->metric->kind->combine(nth_number(running, 1), last);
}

/* The value; NULL: there is none. */
Numeric
metric_running_value(const MetricRunning *running)
{
	MetricSum sum = {.metric = running->metric,
					 .event_count = running->event_count,
					 .value_count = running->value_count};
	MetricCounted counted;

	if (running->ranked_event_count > 0 && running->metric->kind->keeps == METRIC_KEEPS_COUNTS)
	{
		int64 rank = metric_percentile_rank(running->metric, running->event_count);

		counted = (MetricCounted){nth_number(running, rank)->value, running->event_count};
		sum.values = &counted;
		sum.value_count = 1;
	}
	else if (running->ranked_event_count > 0)
		sum.number = combined_number(running);
	return running->metric->kind->result(&sum);
}
