/*
 * metric/total.c
 *		What many events are to a metric: counts, values, groups.
 *
 * A total is the same in whatever order its events come, and from whatever parts
 * it is added up: single events, rows of rollups, other totals.  That is what
 * makes rollups exact.
 *
 * It has a cell for each group; a metric that is not grouped has one group, and no
 * table of them.  Of a kind that keeps values there is also a cell for each, where it can
 * be only its key: it is just counted, and a row of a rollup that says no more is not
 * written anew for each event.  Clients determine how many cells there are and how long their
 * numbers, so all of it is bounded:
 *
 *	answers		usage_events.max_groups, usage_events.max_sum_digits, and the memory of a
 *				call; what is over is refused
 *	rollups		usage_events.max_rollup_rows, since all rows of a bucket are read for one
 *				late event, and bytes; what is over is not rolled up, and read from shorter
 *				buckets or from the events
 */
#include "postgres.h"

#include "metric/total.h"

#include <limits.h>

#include "base/json_read.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "metric/breakdown.h"
#include "metric/total_cells.h"
#include "miscadmin.h"
#include "utils/guc.h"

/* A bucket of more bytes has no rows: a refresh holds a total of each level at the same time. */
#define MAX_ROW_BYTES ((Size) 24 * 1024 * 1024)

static int max_groups = 100000;
static int max_sum_digits = 20000;
static int max_rollup_rows = 50000;

void
metric_total_settings_init(void)
{
	DefineCustomIntVariable("usage_events.max_groups", "How many groups an answer may have.",
							"An answer that would have more is refused.", &max_groups, 100000, 1, INT_MAX, PGC_SUSET, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("usage_events.max_sum_digits",
							"How many digits a sum or an average may have, before and after the point.",
							"An answer that would have more is refused.", &max_sum_digits, 20000, 20, 150000, PGC_SUSET,
							0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"usage_events.max_rollup_rows", "How many rows the rollup of a bucket may have.",
		"Each group and, of a UNIQUE metric, each value has a row. A bucket with more is not rolled "
		"up as a whole, but read from shorter ones, or from its events.",
		&max_rollup_rows, 50000, 1, 1000000, PGC_SUSET, 0, NULL, NULL, NULL);
}

int
metric_total_max_rows(void)
{
	return max_rollup_rows;
}

/* A total for an answer. */
void
metric_total_init(MetricTotal *total, const Metric *metric, MemoryContext context)
{
	*total = (MetricTotal){.metric = metric, .context = context};
}

/* A total for one event alone, which may have a number that is too long to be added up. */
void
metric_total_init_for_event(MetricTotal *total, const Metric *metric, MemoryContext context)
{
	*total = (MetricTotal){.metric = metric, .context = context, .is_for_event = true};
}

/* A total for the rows of rollups. */
void
metric_total_init_for_rows(MetricTotal *total, const Metric *metric, MemoryContext context)
{
	*total = (MetricTotal){.metric = metric, .context = context, .is_for_rows = true};
}

/* Empties it. */
void
metric_total_clear(MetricTotal *total)
{
	bool is_for_rows = total->is_for_rows;

	total_forget_cells(total);
	metric_total_init(total, total->metric, total->context);
	total->is_for_rows = is_for_rows;
}

/* From now on it only counts events. */
void
metric_total_set_over(MetricTotal *total)
{
	Assert(total->is_for_rows);
	if (total->is_over)
		return;
	total->is_over = true;
	total_forget_cells(total);
}

/* Refuses an answer, and leaves a rollup without rows. */
static void
check_size(MetricTotal *total)
{
	if (total->is_for_rows)
	{
		if (metric_total_cell_count(total) > max_rollup_rows || total->size > MAX_ROW_BYTES)
			metric_total_set_over(total);
	}
	else if (total->group_count > max_groups)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("usage metric has too many groups for one answer"),
				 errdetail("An answer may have %d groups (usage_events.max_groups).", max_groups),
				 errhint("Ask for a shorter period or fewer customers at a time, group by another "
						 "property, or have usage_events.max_groups raised.")));
}

/* Values ------------------------------------------------------------------ */

static void
set_value(MetricTotal *total, KeptGroup *group, Numeric value)
{
	Size size = VARSIZE_ANY((Pointer) value);
	Numeric copy;

	memory_budget_grow(size);
	copy = MemoryContextAlloc(total->context, size);
	memcpy(copy, value, size);
	total->size += size;
	if (group->number.value != NULL)
	{
		total->size -= VARSIZE_ANY((Pointer) group->number.value);
		pfree(group->number.value);
	}
	group->number.value = copy;
}

/* Whether a sum has more digits than it may. */
static bool
is_too_long(Numeric sum)
{
	int scale = metric_number_scale(sum);

	return scale > max_sum_digits || json_number_has_digits(sum, max_sum_digits - scale + 1);
}

/* Long sums take time and memory in each step, however short their numbers are to send: 1e60000 and 1. */
static void
set_sum(MetricTotal *total, KeptGroup *group, Numeric sum)
{
	if (total->is_for_event || !is_too_long(sum))
		set_value(total, group, sum);
	else if (total->is_for_rows)
		metric_total_set_over(total);
	else
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("sum of the usage metric has too many digits"),
				 errdetail("It may have %d digits (usage_events.max_sum_digits).", max_sum_digits),
				 errhint("Correct the events that have such numbers, or have usage_events.max_sum_digits raised.")));
}

/* Takes a value in: one event's, or that of a cell. */
static void
combine_value(MetricTotal *total, KeptGroup *group, const MetricCell *other)
{
	const MetricKind *kind = total->metric->kind;
	MetricNumber next = {other->value, other->latest_timestamp, other->latest_id};
	Numeric combined = kind->combine(&group->number, &next);

	if (combined == group->number.value)
		return;
	if (kind->keeps_event)
	{
		group->number.timestamp = next.timestamp;
		group->number.id = next.id;
	}
	if (kind->makes_long_numbers)
		set_sum(total, group, combined);
	else
		set_value(total, group, combined);
	if (combined != next.value)
		pfree(combined);
}

/* Widens from min to max by others; is_first: there is nothing yet. */
static void
take_ids(bool is_first, pg_uuid_t *min_id, pg_uuid_t *max_id, const pg_uuid_t *other_min, const pg_uuid_t *other_max)
{
	if (is_first || uuid_v7_compare(other_min, min_id) < 0)
		*min_id = *other_min;
	if (is_first || uuid_v7_compare(other_max, max_id) > 0)
		*max_id = *other_max;
}

void
total_combine(MetricTotal *total, KeptGroup *group, const MetricCell *other)
{
	bool is_empty = group->event_count + group->skipped_count == 0;

	if (other->event_count + other->skipped_count > 0)
	{
		take_ids(is_empty, &group->oldest_id, &group->newest_id, &other->oldest_id, &other->newest_id);
		group->until = is_empty ? other->until : Max(group->until, other->until);
	}
	if (other->event_count > 0)
		take_ids(group->event_count == 0, &group->min_id, &group->max_id, &other->min_id, &other->max_id);
	group->event_count += other->event_count;
	group->skipped_count += other->skipped_count;
	if (other->value != NULL)
		combine_value(total, group, other);
}

/* Adding up ----------------------------------------------------------------- */

static void
count_number(MetricTotal *total, MetricCounted *counted, const MetricCell *cell)
{
	/* Another's rows, written by hand. */
	if (cell->value == NULL)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid rollup of a usage metric: a value is missing"),
						errhint("Truncate usage_events.metric_rollup, which is built anew.")));
	if (counted->number == NULL)
		counted->number = total_keep_number(total, cell->value);
	counted->event_count += cell->value_event_count;
}

static void
add_value(MetricTotal *total, KeptGroup *group, const MetricCell *cell)
{
	CellKind kind = total->metric->kind->keeps == METRIC_KEEPS_COUNTS ? CELL_COUNTED : CELL_VALUE;
	Probe room;
	bool is_new;
	KeptCell *kept =
		total_find_or_keep(total, kind,
						   total_make_probe(cell->key.data, cell->key.length, cell->group_key_length, &room), &is_new);

	group->value_count += is_new;
	if (kind == CELL_COUNTED)
		count_number(total, &((KeptCounted *) kept)->counted, cell);
}

/* Adds a cell: an event's, another total's, or a rollup's; an empty one leaves no trace. */
void
metric_total_add_cell(MetricTotal *total, const MetricCell *cell)
{
	KeptGroup *group;

	CHECK_FOR_INTERRUPTS();
	total->event_count += cell->event_count + cell->skipped_count;
	if (total->is_over || metric_cell_is_empty(cell))
		return;
	group = total_keep_group(total, cell);
	if (metric_cell_has_value_key(cell))
		add_value(total, group, cell);
	total_combine(total, group, cell);
	check_size(total);
}

/* How the group is told that an event is the first of: what is written out only once. */
static Slice
new_group_value(const Metric *metric, const MetricValue *value)
{
	if (metric_breakdown_groups(metric))
		return metric_breakdown_text(metric->breakdown, value);
	return metric_number_text(value->groupings[0].long_number);
}

/* Adds an event that is of that value, or is skipped. */
static void
add_event(MetricTotal *total, MetricVerdict verdict, const MetricValue *value, const pg_uuid_t *id,
		  TimestampTz timestamp)
{
	MetricCell cell;
	Probe probe;

	total_make_key(total->metric, verdict, value, &probe);
	cell = (MetricCell){
		.key = {probe.key, probe.cell.key_length},
		.group_key_length = probe.cell.group_key_length,
		.group_value = value->groupings[0].text,
		.event_count = verdict == METRIC_COUNTS,
		.skipped_count = verdict == METRIC_SKIPS,
		.value_event_count = verdict == METRIC_COUNTS,
		.value = verdict == METRIC_COUNTS ? value->number : NULL,
		.latest_timestamp = timestamp,
		.latest_id = *id,
		.min_id = *id,
		.max_id = *id,
		.oldest_id = *id,
		.newest_id = *id,
		.until = timestamp,
	};
	if ((value->groupings[0].long_number != NULL || metric_breakdown_groups(total->metric)) &&
		total_find_group(total, &cell) == NULL)
		cell.group_value = new_group_value(total->metric, value);
	metric_total_add_cell(total, &cell);
}

/* Adds an event of the metric's type, if it counts or is skipped. */
void
metric_total_add_event(MetricTotal *total, const MetricMatcher *matcher, const pg_uuid_t *id, TimestampTz timestamp,
					   Jsonb *properties)
{
	MetricValue value;
	MetricVerdict verdict;

	if (total->is_over)
	{
		total->event_count++;
		return;
	}
	verdict = metric_value_read(matcher, properties, false, &value);
	if (verdict != METRIC_FILTERS)
		add_event(total, verdict, &value, id, timestamp);
}

/* Adds what an event would be that counts, has that number and is of no group: to say what would be if there were one. */
void
metric_total_add_number(MetricTotal *total, const pg_uuid_t *id, TimestampTz timestamp, Numeric number)
{
	MetricValue value = {.number = number};

	add_event(total, METRIC_COUNTS, &value, id, timestamp);
}

/* Adds another total of the same kind. */
void
metric_total_add(MetricTotal *total, const MetricTotal *other)
{
	MetricCellIterator iterator;
	MetricCell cell;

	if (other->is_over)
	{
		metric_total_set_over(total);
		total->event_count += other->event_count;
		return;
	}
	metric_total_first_cell(other, &iterator);
	while (metric_total_next_cell(&iterator, &cell))
		metric_total_add_cell(total, &cell);
}

/* The same with one that is not needed any more: it is empty afterwards. */
void
metric_total_move(MetricTotal *total, MetricTotal *other)
{
	if (total->event_count > 0)
		metric_total_add(total, other);
	else
	{
		MetricTotal empty = *total;

		*total = *other;
		*other = empty;
	}
	metric_total_clear(other);
}
