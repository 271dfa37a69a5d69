/*
 * metric/running.c
 *		A metric's whole value while events come one after the other.
 *
 * It begins with a total, and takes one event at a time: so the value after each of them is
 * known without any of them being stored.  A step costs no more than the place of a value
 * among those that are kept, where a total's result looks at all of them.
 *
 * It is the value of all groups: which group an event is of makes no difference to that.
 */
#include "postgres.h"

#include "metric/running.h"

#include "base/memory_budget.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Values ------------------------------------------------------------------ */

typedef struct RunningValue
{
	Slice key;
	uint32 hash;
	char status;
} RunningValue;

#define SH_PREFIX running_values
#define SH_ELEMENT_TYPE RunningValue
#define SH_KEY_TYPE Slice
#define SH_KEY key
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key).data, (key).length)
#define SH_EQUAL(table, a, b) ((a).length == (b).length && memcmp((a).data, (b).data, (a).length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define INITIAL_VALUES 16

/* The value's part of a cell's key; without data where the cell is a group. */
static Slice
value_key(const MetricCell *cell)
{
	int start = cell->group_key_length + 1;

	if (cell->key.length <= start)
		return (Slice){NULL, 0};
	return (Slice){cell->key.data + start, cell->key.length - start};
}

static void
keep_value(MetricRunning *running, Slice key)
{
	bool found;
	RunningValue *value;
	char *copy;

	if (running->values == NULL)
		running->values = running_values_create(running->context, INITIAL_VALUES, NULL);
	else if (running->values->members >= running->values->grow_threshold)
		memory_budget_require(2 * sizeof(RunningValue) * running->values->size);
	value = running_values_insert(running->values, key, &found);
	if (found)
		return;
	memory_budget_grow(key.length);
	copy = MemoryContextAlloc(running->context, key.length);
	memcpy(copy, key.data, key.length);
	value->key.data = copy;
	running->sum.value_count++;
}

static bool
has_value(const MetricRunning *running, Slice key)
{
	return running->values != NULL && running_values_lookup(running->values, key) != NULL;
}

/* Counts ------------------------------------------------------------------ */

static Numeric
copy_number(const MetricRunning *running, Numeric number)
{
	MemoryContext caller = MemoryContextSwitchTo(running->context);
	Numeric copy = DatumGetNumericCopy(NumericGetDatum(number));

	MemoryContextSwitchTo(caller);
	return copy;
}

static void
append_counted(MetricRunning *running, Numeric number, int64 event_count)
{
	int64 count = running->sum.value_count;

	if (count == running->capacity)
	{
		Size size;

		running->capacity = Max(2 * running->capacity, 64);
		size = sizeof(MetricCounted) * running->capacity;
		memory_budget_require(size);
		running->counted = running->counted == NULL ? MemoryContextAllocHuge(running->context, size)
													: repalloc_huge(running->counted, size);
	}
	memory_budget_grow(VARSIZE_ANY((Pointer) number));
	running->counted[count] = (MetricCounted){copy_number(running, number), event_count};
	running->sum.value_count++;
	running->sum.values = running->counted;
}

/* Behind all that are not above it. */
static int64
place_of(const MetricRunning *running, Numeric number)
{
	int64 low = 0;
	int64 high = running->sum.value_count;

	while (low < high)
	{
		int64 middle = low + (high - low) / 2;

		if (metric_number_compare(running->counted[middle].number, number) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int64
insert_counted(MetricRunning *running, Numeric number)
{
	int64 place = place_of(running, number);
	int64 behind = running->sum.value_count - place;
	MetricCounted counted;

	append_counted(running, number, 1);
	counted = running->counted[running->sum.value_count - 1];
	memmove(&running->counted[place + 1], &running->counted[place], sizeof(MetricCounted) * behind);
	running->counted[place] = counted;
	return place;
}

static void
remove_counted(MetricRunning *running, int64 place)
{
	pfree(running->counted[place].number);
	running->sum.value_count--;
	memmove(&running->counted[place], &running->counted[place + 1],
			sizeof(MetricCounted) * (running->sum.value_count - place));
}

static int
compare_counted(const void *a, const void *b, void *argument pg_attribute_unused())
{
	return metric_number_compare(((const MetricCounted *) a)->number, ((const MetricCounted *) b)->number);
}

/* The whole --------------------------------------------------------------- */

static MetricNumber
number_of(const MetricCell *cell)
{
	return (MetricNumber){cell->value, cell->latest_timestamp, cell->latest_id};
}

/* What the number and the next come to, with the time and id that it is of. */
static MetricNumber
combine(const MetricRunning *running, const MetricNumber *next)
{
	MetricNumber result = running->number;

	result.value = running->metric->kind->combine(&running->number, next);
	if (result.value == next->value)
	{
		result.timestamp = next->timestamp;
		result.id = next->id;
	}
	return result;
}

static void
add_group(MetricRunning *running, const MetricCell *cell)
{
	MetricNumber next = number_of(cell);
	MetricNumber combined;

	running->sum.event_count += cell->event_count;
	if (cell->value == NULL)
		return;
	combined = combine(running, &next);
	if (combined.value == running->number.value)
		return;
	combined.value = copy_number(running, combined.value);
	if (running->number.value != NULL)
		pfree(running->number.value);
	running->number = combined;
	running->sum.number = combined.value;
}

static bool
keeps_counts(const MetricRunning *running)
{
	return running->metric->kind->keeps == METRIC_KEEPS_COUNTS;
}

static void
add_cell(MetricRunning *running, const MetricCell *cell)
{
	Slice key = value_key(cell);

	if (key.data == NULL)
		add_group(running, cell);
	else if (!keeps_counts(running))
		keep_value(running, key);
	else
		append_counted(running, cell->value, cell->value_event_count);
}

/* Begins with what is in a total, in the current memory context. */
MetricRunning *
metric_running_begin(const MetricTotal *total)
{
	MetricRunning *running = palloc0(sizeof(MetricRunning));
	MetricCellIterator iterator;
	MetricCell cell;

	running->metric = running->sum.metric = total->metric;
	running->context = CurrentMemoryContext;
	metric_total_first_cell(total, &iterator);
	while (metric_total_next_cell(&iterator, &cell))
		add_cell(running, &cell);
	if (running->sum.value_count > 1 && keeps_counts(running))
		qsort_interruptible(running->counted, running->sum.value_count, sizeof(MetricCounted), compare_counted, NULL);
	return running;
}

/* The value; NULL: there is none. */
Numeric
metric_running_value(const MetricRunning *running)
{
	return running->metric->kind->result(&running->sum);
}

/* The value of what there is, and counted numbers on top for as long as it takes to ask. */
static Numeric
value_with_counted(MetricRunning *running, const MetricCell *cell)
{
	int64 place = insert_counted(running, cell->value);
	Numeric value;

	running->sum.event_count++;
	value = metric_running_value(running);
	value = DatumGetNumericCopy(NumericGetDatum(value));
	running->sum.event_count--;
	remove_counted(running, place);
	return value;
}

/* What the value would be with one event more, which is alone in its total. */
Numeric
metric_running_value_with(MetricRunning *running, const MetricTotal *event)
{
	MetricSum sum = running->sum;
	MetricCellIterator iterator;
	MetricCell cell;

	metric_total_first_cell(event, &iterator);
	while (metric_total_next_cell(&iterator, &cell))
	{
		Slice key = value_key(&cell);
		MetricNumber next = number_of(&cell);

		if (key.data != NULL && keeps_counts(running))
			return value_with_counted(running, &cell);
		if (key.data != NULL)
			sum.value_count += has_value(running, key) ? 0 : 1;
		else
			sum.event_count += cell.event_count;
		if (key.data == NULL && cell.value != NULL)
			sum.number = combine(running, &next).value;
	}
	return running->metric->kind->result(&sum);
}

/* Adds it. */
void
metric_running_add(MetricRunning *running, const MetricTotal *event)
{
	MetricCellIterator iterator;
	MetricCell cell;

	metric_total_first_cell(event, &iterator);
	while (metric_total_next_cell(&iterator, &cell))
	{
		if (value_key(&cell).data != NULL && keeps_counts(running))
			(void) insert_counted(running, cell.value);
		else
			add_cell(running, &cell);
	}
}
