/*
 * rollup/scan_level.c
 *		One level of a scan: intervals are cut into buckets, those that hold are added, and
 *		the rest is left to the level below, or to the events.
 */
#include "postgres.h"

#include "account/key_scope.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "rollup/common_minutes.h"
#include "rollup/scan_work.h"
#include "sql/lookup.h"
#include "sql/row.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Aliases that have been rolled up. */
static Statement find_roots = {
	.sql = "SELECT i.place"
		   " FROM pg_catalog.unnest($3) WITH ORDINALITY AS i(alias, place)"
		   " CROSS JOIN LATERAL (SELECT FROM usage_events.metric_rollup AS r"
		   " WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " $2 AND r.level " EQ " 0::smallint"
		   " AND r.customer_alias " EQ " i.alias OFFSET 0) AS r",
	.read_only = true,
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, TEXTARRAYOID},
};

/* The same of one. */
static Lookup find_root = {
	.table = "metric_rollup",
	.index = "metric_rollup_pkey",
	.columns = "level",
	.keys = {ROLLUP_LEVEL_KEYS},
	.max_rows = 1,
};

/* Buckets inside of intervals, and their rows. */
static Statement read_buckets = {
	.sql = "SELECT i.place, " ROLLUP_ROW_COLUMNS " FROM " INTERVAL_PARAMETERS
		   " CROSS JOIN LATERAL (SELECT * FROM usage_events.metric_rollup AS r"
		   " WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " $2 AND r.level " EQ " $6"
		   " AND r.customer_alias " EQ " i.alias"
		   " AND r.bucket " GE " i.starts_at AND r.bucket " LT " i.ends_at"
		   " OFFSET 0) AS r ORDER BY i.place, r.bucket",
	.read_only = true,
	.argument_count = 6,
	.argument_types = {UUIDOID, UUIDOID, INTERVAL_TYPES, INT2OID},
};

/* The same of one interval, as of one customer. */
static Lookup read_buckets_of_interval = {
	.table = "metric_rollup",
	.index = "metric_rollup_pkey",
	.columns = ROLLUP_ROW_COLUMNS,
	.keys = {ROLLUP_LEVEL_KEYS, KEY_FROM("bucket", TIMESTAMPTZOID), KEY_BEFORE("bucket", TIMESTAMPTZOID)},
};

/* A row of each of single buckets that have one; they begin at starts_at. */
static Statement find_buckets = {
	.sql = "SELECT i.place, " ROLLUP_ROW_COLUMNS " FROM " INTERVAL_PARAMETERS
		   " CROSS JOIN LATERAL (SELECT * FROM usage_events.metric_rollup AS r"
		   " WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " $2 AND r.level " EQ " $6"
		   " AND r.customer_alias " EQ " i.alias AND r.bucket " EQ " i.starts_at"
		   " LIMIT 1) AS r",
	.read_only = true,
	.argument_count = 6,
	.argument_types = {UUIDOID, UUIDOID, INTERVAL_TYPES, INT2OID},
};

/* The same of one. */
static Lookup find_bucket = {
	.table = "metric_rollup",
	.index = "metric_rollup_pkey",
	.columns = ROLLUP_ROW_COLUMNS,
	.keys = {ROLLUP_BUCKET_KEYS},
	.max_rows = 1,
};

/* What a reader of marked events has to know of a row that was added. */
static const MetricCell *
remember_added(ScanWork *work, const MetricCell *cell)
{
	MetricCell *added;

	memory_budget_grow(sizeof(MetricCell));
	added = MemoryContextAllocZero(work->context, sizeof(MetricCell));
	added->until = cell->until;
	added->newest_id = cell->newest_id;
	return added;
}

/* So many marks up to the last event of a row are read by themselves. */
#define MARKS_BY_THEMSELVES 16

/* Reads a marked part of the interval that lies before the last moment of the row: but for events that are in that row. */
static void
read_marked_part(ScanWork *work, MetricInterval part, int number)
{
	/* It is a leaf, which has few events to be read in vain: all from the last of these on at once. */
	if (number < MARKS_BY_THEMSELVES)
		scan_add_raw(work, part);
	else
		work->raw.items[work->raw.count - 1].end = part.end;
}

/*
 * Reads what is marked in the interval: all else is in the row that was added, or not there.  From the row's last moment on there is
 * nothing between the marks, so that all are read as one; but for events that are in the totals of all customers already.
 */
static void
read_marked(ScanWork *work, const MetricInterval *interval, const RollupRow *row)
{
	MarkPlace place = scan_mark_place(work, interval->alias, interval->start);
	MetricInterval rest = scan_part(interval, interval->end, interval->end);
	const MetricCell *added = row != NULL ? remember_added(work, &row->cell) : NULL;
	int number = 0;
	TimestampTz start;
	TimestampTz end;

	while (scan_next_mark(work, &place, interval->end, &start, &end))
	{
		MetricInterval marked = scan_part(interval, start, end);

		if (added != NULL && start <= added->until)
		{
			marked.added = added;
			read_marked_part(work, marked, number++);
		}
		else if (work->added != NULL)
			scan_add_raw(work, marked);
		else
		{
			rest.start = Min(rest.start, marked.start);
			rest.end = marked.end;
		}
		scan_skip_marks(work, &place, end);
	}
	if (rest.start < rest.end)
		scan_add_raw(work, rest);
}

/* The bucket does not hold: one level below, or among the events. */
static void
descend(ScanWork *work, MetricInterval interval, RollupNode node)
{
	if (node == ROLLUP_BRANCH)
		scan_add_interval(&work->next, interval);
	else if (node == ROLLUP_LEAF)
		scan_add_raw(work, interval);
	else
		read_marked(work, &interval, NULL);
}

static void
add_root(ScanWork *work, int alias)
{
	work->is_rolled_up[alias] = true;
	work->rolled_up_count++;
}

static void
take_root(uint64 row, void *argument)
{
	add_root(argument, scan_row_place(row));
}

static void
take_single_root(uint64 row pg_attribute_unused(), void *argument)
{
	add_root(argument, 0);
}

static void
find_roots_among(ScanWork *work)
{
	const RollupScan *scan = work->scan;
	Datum account = UUIDPGetDatum(&scan->metric->account_id);
	Datum version = UUIDPGetDatum(&scan->metric->version_id);

	if (scan->alias_count == 1)
		lookup_rows(&find_root,
					(Datum[]){account, version, Int16GetDatum((int16) BUCKET_ALL), slice_to_datum(scan->aliases[0])},
					take_single_root, work);
	else
		statement_stream(&find_roots, (Datum[]){account, version, scan_aliases(work)}, take_root, work);
}

static void
find_roots_of_aliases(ScanWork *work)
{
	const RollupScan *scan = work->scan;

	/* Rollups are of the metric as it is stored. */
	if (scan->metric->breakdown != NULL)
		return;
	if (scan->common == NULL || !common_minutes_take_roots(work, scan->common))
		find_roots_among(work);
}

/* Whether it was asked already if rollups hold, as for all customers. */
static bool
knows_rolled_up(const RollupScan *scan)
{
	return scan->common != NULL && scan->common->knows_rolled_up;
}

static void
forget_roots(ScanWork *work)
{
	memset(work->is_rolled_up, 0, sizeof(bool) * work->scan->alias_count);
	work->rolled_up_count = 0;
}

/* What is before the moment is open, and the rest is read from the events. */
static void
divide_interval(ScanWork *work, const MetricInterval *interval, TimestampTz moment, Intervals *open)
{
	if (interval->start < moment)
		scan_add_interval(open, scan_part(interval, interval->start, moment));
	if (interval->end > moment)
		scan_add_raw(work, scan_part(interval, moment, interval->end));
}

/* Which aliases are rolled up, and until when: the others are read from the events, and what comes after it. */
Intervals
scan_find_rolled_up(ScanWork *work, TimestampTz start, TimestampTz end)
{
	const RollupScan *scan = work->scan;
	TimestampTz rolled_up_end = end;
	Intervals open = {0};

	work->is_rolled_up = palloc0(sizeof(bool) * Max(scan->alias_count, 1));
	if (!work->is_one_snapshot)
	{
		for (int i = 0; i < scan->interval_count; i++)
			scan_add_raw(work, scan->intervals[i]);
		return open;
	}

	find_roots_of_aliases(work);
	if (work->rolled_up_count > 0 && !knows_rolled_up(scan) && !scan_rollups_hold(scan->metric))
		forget_roots(work);
	if (work->rolled_up_count > 0 && key_scope_customer() != NULL)
		rolled_up_end = scan_own_end(scan, start, end);
	for (int i = 0; i < scan->interval_count; i++)
	{
		if (work->is_rolled_up[scan->intervals[i].alias])
			divide_interval(work, &scan->intervals[i], rolled_up_end, &open);
		else
			scan_add_raw(work, scan->intervals[i]);
	}
	return open;
}

/*
 * Cuts an interval into buckets that lie in it and have no mark, several in a row
 * as one interval, and the others, each by itself.
 */
static void
cut(const ScanWork *work, BucketLevel level, const MetricInterval *interval, Intervals *whole, Intervals *others)
{
	TimestampTz at = interval->start;
	MarkPlace place = scan_mark_place(work, interval->alias, interval->start);

	while (at < interval->end)
	{
		TimestampTz bucket = bucket_start(at, level);
		TimestampTz other = bucket_start(interval->end, level);
		TimestampTz mark_start;
		TimestampTz mark_end;

		CHECK_FOR_INTERRUPTS();

		/* The next bucket that is cut off by the interval, or marked. */
		if (scan_next_mark(work, &place, interval->end, &mark_start, &mark_end))
			other = Min(other, bucket_start(mark_start, level));
		if (bucket < at)
			other = bucket;

		if (other > at)
		{
			scan_add_interval(whole, scan_part(interval, at, other));
			at = other;
		}
		if (at < interval->end)
		{
			TimestampTz end;

			other = bucket_start(at, level);
			end = bucket_end(other, level);
			scan_add_interval(others, scan_part(interval, at, end));
			scan_skip_marks(work, &place, end);
			at = end;
		}
	}
}

/* The whole bucket is read below. */
static void
descend_row(ScanWork *work, const MetricInterval *interval, const RollupRow *row)
{
	descend(work, scan_part(interval, row->bucket, bucket_end(row->bucket, work->level)),
			row->is_branch ? ROLLUP_BRANCH : ROLLUP_LEAF);
}

/* Whether a bucket holds only if all of its events are old enough. */
static bool
looks_at_ids(const ScanWork *work)
{
	return work->scan->as_of != NULL || work->added != NULL;
}

/* Whether all events of the cell were known then, and none is of those that have been added. */
static bool
is_old_enough(const ScanWork *work, const MetricCell *cell)
{
	const pg_uuid_t *as_of = work->scan->as_of;

	return (as_of == NULL || uuid_v7_compare(&cell->newest_id, as_of) < 0) &&
		   (work->added == NULL || uuid_v7_compare(&cell->newest_id, &work->added->ranges[0].first) < 0);
}

/* All rows of a bucket are there: they are added, if they hold. */
static void
end_node(ScanWork *work)
{
	const MetricInterval *interval;
	bool holds = true;
	bool is_newer = work->scan->as_of != NULL;

	if (work->node_count == 0)
		return;
	interval = &work->reading->items[work->node_place];
	for (int i = 0; i < work->node_count; i++)
	{
		const MetricCell *cell = &work->node[i].cell;

		/* A value is its group's, and as old. */
		if (cell->event_count + cell->skipped_count == 0)
			continue;
		holds = holds && is_old_enough(work, cell);
		is_newer = is_newer && uuid_v7_compare(&cell->oldest_id, work->scan->as_of) >= 0;
	}
	if (is_newer && !holds)
	{
		/* Nothing of it was known then. */
	}
	else if (holds)
	{
		for (int i = 0; i < work->node_count; i++)
			metric_total_add_cell(interval->total, &work->node[i].cell);
	}
	else
		descend_row(work, interval, &work->node[0]);
	work->node_count = 0;
	MemoryContextReset(work->row_context);
}

/* A row of a bucket in the interval at that place. */
static void
take_row(ScanWork *work, int place, uint64 row, int first_column)
{
	MemoryContext context;
	RollupRow rollup;
	TimestampTz bucket = DatumGetTimestampTz(row_value_there(row, first_column));

	if (work->node_count > 0 && (work->node_place != place || work->node[0].bucket != bucket))
		end_node(work);
	context = MemoryContextSwitchTo(work->row_context);
	rollup_row_read(row, first_column, &rollup);
	MemoryContextSwitchTo(context);

	if (rollup.is_open)
		descend_row(work, &work->reading->items[place], &rollup);
	/* Where every bucket holds: there may be many rows, with long groups, and none has to wait for the others. */
	else if (!looks_at_ids(work))
		metric_total_add_cell(work->reading->items[place].total, &rollup.cell);
	if (rollup.is_open || !looks_at_ids(work))
	{
		MemoryContextReset(work->row_context);
		return;
	}
	memory_budget_grow(sizeof(RollupRow) + rollup.cell.key.length + rollup.cell.group_value.length);
	if (work->node_count == work->node_capacity)
	{
		work->node_capacity *= 2;
		work->node = repalloc_huge(work->node, sizeof(RollupRow) * work->node_capacity);
	}
	work->node_place = place;
	work->node[work->node_count++] = rollup;
}

static void
take_bucket(uint64 row, void *argument)
{
	take_row(argument, scan_row_place(row), row, 2);
}

static void
take_bucket_of_interval(uint64 row, void *argument)
{
	take_row(argument, 0, row, 1);
}

/* Buckets that are asked for, and the parts of them that are wanted: those of a bucket follow one another. */
typedef struct FoundWork
{
	ScanWork *work;
	const Intervals *parts;
	Intervals buckets;
	int *ends; /* of the parts of each bucket */
	int next;  /* the bucket whose row may come next */
} FoundWork;

/*
 * Whether the row holds for the part although the bucket is cut off by its end, or marked: all of its events are in the part, and
 * none of them has gone.  None has, if what is marked up to its last one are new versions alone, with higher ids than it has; which
 * also tells them from those that are in it.  So it is wherever nothing was corrected, whatever was rolled up of it.  Where a
 * branch has many marks, fewer searches find them below it, among the events of leaves.
 */
static bool
holds_but_for_marks(const ScanWork *work, const MetricInterval *part, const RollupRow *row)
{
	const MetricCell *cell = &row->cell;
	MarkPlace place = scan_mark_place(work, part->alias, part->start);
	bool is_cut_off = part->end < bucket_end(row->bucket, work->level);

	return !row->is_open && rollup_has_one_row(work->scan->metric) && part->start <= row->bucket &&
		   (!is_cut_off || cell->until < part->end) && (!looks_at_ids(work) || is_old_enough(work, cell)) &&
		   scan_marks_are_newer(work, &place, Min(cell->until, part->end), &cell->newest_id,
								row->is_branch ? MARKS_BY_THEMSELVES : INT_MAX);
}

static void
take_part(ScanWork *work, const MetricInterval *part, const RollupRow *row)
{
	if (row == NULL)
		descend(work, *part, ROLLUP_ABSENT);
	else if (holds_but_for_marks(work, part, row))
	{
		metric_total_add_cell(part->total, &row->cell);
		read_marked(work, part, row);
	}
	else
		descend(work, *part, row->is_branch ? ROLLUP_BRANCH : ROLLUP_LEAF);
}

/* The parts of the next bucket, which has that row, or NULL. */
static void
take_next_bucket(FoundWork *found, const RollupRow *row)
{
	int place = found->next++;

	for (int i = place > 0 ? found->ends[place - 1] : 0; i < found->ends[place]; i++)
		take_part(found->work, &found->parts->items[i], row);
}

/* A row of the bucket that comes next. */
static void
take_found_row(FoundWork *found, uint64 row, int first_column)
{
	MemoryContext context = MemoryContextSwitchTo(found->work->row_context);
	RollupRow rollup;

	rollup_row_read(row, first_column, &rollup);
	MemoryContextSwitchTo(context);
	take_next_bucket(found, &rollup);
	MemoryContextReset(found->work->row_context);
}

static void
take_found(uint64 row, void *argument)
{
	FoundWork *found = argument;

	while (found->next < scan_row_place(row))
		take_next_bucket(found, NULL);
	if (found->next != scan_row_place(row))
		elog(ERROR, "buckets of rollups do not come in their order");
	take_found_row(found, row, 2);
}

static void
take_single_found(uint64 row, void *argument)
{
	take_found_row(argument, row, 1);
}

/* The buckets of the parts, each once: an hourly series has 24 parts of a day, and 744 of a month. */
static void
find_buckets_of_parts(BucketLevel level, FoundWork *found)
{
	const Intervals *parts = found->parts;
	Intervals *buckets = &found->buckets;

	memory_budget_grow(sizeof(int) * parts->count);
	found->ends = palloc_extended(sizeof(int) * parts->count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < parts->count; i++)
	{
		MetricInterval bucket = parts->items[i];
		const MetricInterval *last = buckets->count > 0 ? &buckets->items[buckets->count - 1] : NULL;

		bucket.start = bucket_start(bucket.start, level);
		if (last == NULL || last->alias != bucket.alias || last->start != bucket.start)
			scan_add_interval(buckets, bucket);
		found->ends[buckets->count - 1] = i + 1;
	}
}

/* Rows of several intervals of the level. */
static void
stream_intervals(ScanWork *work, Statement *statement, const Intervals *intervals,
				 void (*take_row)(uint64 row, void *argument), void *argument)
{
	Datum arguments[6];

	scan_interval_arguments(work, intervals, arguments);
	arguments[1] = UUIDPGetDatum(&work->scan->metric->version_id);
	arguments[5] = Int16GetDatum((int16) work->level);
	statement_stream(statement, arguments, take_row, argument);
}

/* Rows of a single one. */
static void
look_up_interval(ScanWork *work, Lookup *lookup, const MetricInterval *interval,
				 void (*take_row)(uint64 row, void *argument), void *argument)
{
	const RollupScan *scan = work->scan;

	lookup_rows(lookup,
				(Datum[]){UUIDPGetDatum(&scan->metric->account_id), UUIDPGetDatum(&scan->metric->version_id),
						  Int16GetDatum((int16) work->level), slice_to_datum(scan->aliases[interval->alias]),
						  TimestampTzGetDatum(interval->start), TimestampTzGetDatum(interval->end)},
				take_row, argument);
}

static void
read_found(FoundWork *found)
{
	const Intervals *buckets = &found->buckets;

	if (buckets->count == 1)
		look_up_interval(found->work, &find_bucket, &buckets->items[0], take_single_found, found);
	else
		stream_intervals(found->work, &find_buckets, buckets, take_found, found);
	while (found->next < buckets->count)
		take_next_bucket(found, NULL);
}

static void
read_whole(ScanWork *work, const Intervals *whole)
{
	work->reading = whole;
	if (whole->count == 1)
		look_up_interval(work, &read_buckets_of_interval, &whole->items[0], take_bucket_of_interval, work);
	else
		stream_intervals(work, &read_buckets, whole, take_bucket, work);
	end_node(work);
	work->reading = NULL;
}

/* Looks the intervals up on a level; returns what is to be looked up below. */
Intervals
scan_read_level(ScanWork *work, BucketLevel level, const Intervals *open)
{
	Intervals whole = {0};
	Intervals others = {0};

	work->level = level;
	work->next = (Intervals){0};
	for (int i = 0; i < open->count; i++)
		cut(work, level, &open->items[i], &whole, &others);

	if (whole.count > 0)
		read_whole(work, &whole);
	if (others.count > 0)
	{
		FoundWork found = {.work = work, .parts = &others};

		find_buckets_of_parts(level, &found);
		read_found(&found);
	}
	return work->next;
}
