/*
 * metric/total_result.c
 *		What is answered of a total: of each group, and of all events in it.
 */
#include "postgres.h"

#include "metric/total_cells.h"

#include "base/memory_budget.h"
#include "miscadmin.h"

typedef struct ValueEntry
{
	Slice key;
	uint32 hash;
	char status;
} ValueEntry;

#define SH_PREFIX values
#define SH_ELEMENT_TYPE ValueEntry
#define SH_KEY key
#include "base/slice_hash.h"

/* How many different values there are, in whatever groups. */
static int64
count_values(const MetricTotal *total)
{
	values_hash *values = values_create(CurrentMemoryContext, INITIAL_CELLS, NULL);
	uint64 place = 0;
	const KeptCell *cell;
	int64 count;

	while ((cell = total_next_kept(total, &place)) != NULL)
	{
		bool found;

		CHECK_FOR_INTERRUPTS();
		if (cell->kind != CELL_VALUE)
			continue;
		if (values->members >= values->grow_threshold)
			memory_budget_grow(2 * sizeof(ValueEntry) * values->size);
		(void) values_insert(values,
							 (Slice){kept_key(cell) + cell->group_key_length,
									 cell->key_length - cell->group_key_length},
							 &found);
	}
	count = values->members;
	values_destroy(values);
	return count;
}

static int
compare_counted(const void *a, const void *b, void *argument pg_attribute_unused())
{
	return metric_number_compare(((const MetricCounted *) a)->number, ((const MetricCounted *) b)->number);
}

static void
sort_counted(MetricCounted *values, int64 count)
{
	qsort_interruptible(values, count, sizeof(MetricCounted), compare_counted, NULL);
}

/* Says of each group where its values are to be: their end, since they come from there on backwards.  Returns the end of all. */
static MetricCounted *
place_counted(const MetricTotal *total, MetricCounted *values)
{
	uint64 place = 0;
	KeptCell *kept;

	while ((kept = total_next_kept(total, &place)) != NULL)
	{
		if (kept->kind != CELL_GROUP)
			continue;
		values += ((KeptGroup *) kept)->value_count;
		((KeptGroup *) kept)->values = values;
	}
	return values;
}

static void
fill_counted(const MetricTotal *total)
{
	uint64 place = 0;
	const KeptCell *kept;

	while ((kept = total_next_kept(total, &place)) != NULL)
	{
		MetricCell cell = {.key = {kept_key(kept), kept->key_length}, .group_key_length = kept->group_key_length};

		CHECK_FOR_INTERRUPTS();
		if (kept->kind == CELL_COUNTED)
			*--total_find_group(total, &cell)->values = ((const KeptCounted *) kept)->counted;
	}
}

/* Gives each group its values, ascending; those of all groups lie side by side.  Returns them, and how many there are. */
static MetricCounted *
gather_counted(const MetricTotal *total, int64 *count)
{
	Size size = sizeof(MetricCounted) * metric_total_cell_count(total);
	MetricCounted *values;
	uint64 place = 0;
	KeptCell *kept;

	memory_budget_grow(size);
	values = palloc_extended(Max(size, 1), MCXT_ALLOC_HUGE);
	*count = place_counted(total, values) - values;
	fill_counted(total);
	while ((kept = total_next_kept(total, &place)) != NULL)
	{
		if (kept->kind == CELL_GROUP)
			sort_counted(((KeptGroup *) kept)->values, ((KeptGroup *) kept)->value_count);
	}
	return values;
}

/* What is answered for a group, or for all. */
static Numeric
value_of_group(const Metric *metric, const KeptGroup *group)
{
	return metric->kind->result(&(MetricSum){
		.metric = metric,
		.event_count = group->event_count,
		.number = group->number.value,
		.value_count = group->value_count,
		.values = group->values,
	});
}

static int
compare_group_values(const void *a, const void *b)
{
	Slice first = ((const MetricGroup *) a)->value;
	Slice second = ((const MetricGroup *) b)->value;
	int result;

	if (first.data == NULL || second.data == NULL)
		return (first.data == NULL) - (second.data == NULL);
	result = memcmp(first.data, second.data, Min(first.length, second.length));
	return result != 0 ? result : first.length - second.length;
}

/* Adds up the groups, and makes the result of each; a group whose events are all skipped is none. */
static void
add_groups(const MetricTotal *total, KeptGroup *whole, MetricResult *result)
{
	MetricTotal sum;
	uint64 place = 0;
	const KeptCell *kept;
	MetricCell cell;

	metric_total_init(&sum, total->metric, CurrentMemoryContext);
	memory_budget_grow(sizeof(MetricGroup) * total->group_count);
	result->groups = palloc_extended(sizeof(MetricGroup) * Max(total->group_count, 1), MCXT_ALLOC_HUGE);
	while ((kept = total_next_kept(total, &place)) != NULL)
	{
		const KeptGroup *group = (const KeptGroup *) kept;

		CHECK_FOR_INTERRUPTS();
		if (kept->kind != CELL_GROUP || !total_read_cell(total, kept, &cell))
			continue;
		total_combine(&sum, whole, &cell);
		if (group->event_count > 0)
			result->groups[result->group_count++] =
				(MetricGroup){group->group_value, group->event_count, value_of_group(total->metric, group)};
	}
	if (total->metric->kind->keeps == METRIC_KEEPS_VALUES)
		whole->value_count = count_values(total);
	else if (total->metric->kind->keeps == METRIC_KEEPS_COUNTS)
		sort_counted(whole->values, whole->value_count);
	qsort(result->groups, result->group_count, sizeof(MetricGroup), compare_group_values);
}

/* What the metric says of the events in the total, which is one for an answer. */
void
metric_total_result(const MetricTotal *total, MetricResult *result)
{
	KeptGroup whole = {0};
	MetricCounted *counted = NULL;

	Assert(!total->is_for_rows);
	memset(result, 0, sizeof(MetricResult));
	if (total->metric->kind->keeps == METRIC_KEEPS_COUNTS)
		counted = whole.values = gather_counted(total, &whole.value_count);
	if (metric_grouping_count(total->metric) > 0)
		add_groups(total, &whole, result);
	else if (total->only != NULL)
		whole = *(const KeptGroup *) total->only;
	result->event_count = whole.event_count;
	result->skipped_count = whole.skipped_count;
	result->min_id = whole.min_id;
	result->max_id = whole.max_id;
	result->value = value_of_group(total->metric, &whole);
	if (counted != NULL)
		pfree(counted);
}
