/*
 * rollup/scan.c
 *		Totals of a metric over customers and intervals of time, from rollups where
 *		they hold, and from events where not.
 *
 * Rollups of an alias are a tree: months, and inside a month that has many events
 * days, inside a day that has many hours, and so on down to seconds.  An interval
 * is made of the largest buckets that lie in it and hold; what is left at its
 * ends is looked for one level below, and in the end among the events.
 *
 * A bucket holds unless a second in it is marked in usage_events.dirty_bucket.
 * Whoever writes an event marks its second in the same transaction; a refresh
 * takes away the marks that it sees, and rolls up the events that it sees.  So
 * under one snapshot, marks and buckets always fit together, and what is said
 * here is what the events say, whatever was refreshed or not.
 *
 * A row also says until when its events were (latest_timestamp).  Of a bucket that is cut off later, and
 * marked later, it holds as well: what there is besides is in its marked seconds.
 *
 * A question with filters or groups of its own is answered from the events alone.
 *
 * A minute may be marked for all customers.  Where all are asked for, the events of
 * such minutes are read before anything else, and are in the totals.  A key of one
 * customer has nothing to do with these marks (scan_own.c).
 *
 * On a Citus cluster statements share a snapshot only where the account's rows are.
 * Elsewhere one statement reads all from the events.
 *
 * A bucket that is open, because it has too many groups or values for rows, is looked
 * for one level below as well.
 *
 * As of a past moment, a bucket holds if all its events are from until then, and
 * none of its seconds had an event that has been superseded since.  Those events
 * are added one by one, and their seconds treated as if they were marked.
 */
#include "postgres.h"

#include "rollup/scan.h"

#include "account/key_scope.h"
#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "rollup/common_minutes.h"
#include "rollup/scan_work.h"
#include "sql/distribution.h"
#include "sql/planner.h"
#include "sql/row.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* The whole --------------------------------------------------------------- */

/* Reads what the events of the intervals are, all of which lie between the start and the end. */
static void
read_intervals(void *argument)
{
	ScanWork *work = argument;
	const RollupScan *scan = work->scan;
	Intervals open;

	if (scan->common != NULL)
		common_minutes_add(work, scan->common, work->start);
	if (scan->as_of != NULL && work->is_one_snapshot)
		scan_add_superseded(work, work->start, work->end);
	open = scan_find_rolled_up(work, work->start, work->end);
	if (open.count > 0)
		scan_read_marks(work, scan->common == NULL || !scan->common->knows_rolled_up,
						scan->common == NULL && key_scope_customer() == NULL);
	marks_sort(&work->marks);
	marks_sort(&work->common_marks);
	for (int level = BUCKET_MONTH; level < BUCKET_LEVEL_COUNT && open.count > 0; level++)
		open = scan_read_level(work, (BucketLevel) level, &open);
	scan_read_raw(work);
}

/* Adds to the total of each interval what its events are to the metric. */
void
rollup_scan(const RollupScan *scan)
{
	ScanWork work = {.scan = scan,
					 .matcher = metric_matcher_make(scan->metric),
					 .start = DT_NOEND,
					 .end = DT_NOBEGIN,
					 .node_capacity = 8};

	if (scan->interval_count == 0)
		return;
	for (int i = 0; i < scan->interval_count; i++)
	{
		work.start = Min(work.start, scan->intervals[i].start);
		work.end = Max(work.end, scan->intervals[i].end);
	}

	SPI_connect();
	work.context = CurrentMemoryContext;
	work.row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	work.node = palloc(sizeof(RollupRow) * work.node_capacity);
	work.is_one_snapshot = distribution_is_here(&scan->metric->account_id);
	planner_along_indexes(read_intervals, &work);
	SPI_finish();
	if (work.is_one_snapshot)
		distribution_require_here(&scan->metric->account_id);
}

/* All customers ----------------------------------------------------------- */

/* Whether all aliases with events of the metric's type are rolled up, or marked; if rollups hold. */
static Statement is_complete = {
	.sql = "SELECT FROM usage_events.metric_rollup AS r WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " $2 AND r.level " EQ " (-1)::smallint",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement find_rolled_up_aliases = {
	.sql = "SELECT DISTINCT r.customer_alias FROM usage_events.metric_rollup AS r"
		   " WHERE r.account_id " EQ " $1 AND r.metric_version_id " EQ " $2"
		   " AND r.level " EQ " 0::smallint",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

/* From alias to alias in the index. */
static Statement find_event_aliases = {
	.sql = "WITH RECURSIVE alias (value) AS ("
		   " (SELECT customer_alias FROM usage_events.event WHERE account_id " EQ " $1"
		   " ORDER BY customer_alias LIMIT 1)"
		   " UNION ALL"
		   " SELECT (SELECT customer_alias FROM usage_events.event WHERE account_id " EQ " $1"
		   " AND customer_alias " GT " alias.value ORDER BY customer_alias LIMIT 1)"
		   " FROM alias WHERE alias.value IS NOT NULL)"
		   " SELECT value FROM alias WHERE value IS NOT NULL",
	.read_only = true,
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement find_superseded_aliases = {
	.sql = "SELECT e.customer_alias FROM usage_events.superseded_event AS e"
		   " WHERE e.account_id " EQ " $1 AND e.superseded_by " GE " $3"
		   " AND e.id " LT " $3 AND e.event_type " EQ " $2",
	.read_only = true,
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, UUIDOID},
};

typedef struct AliasList
{
	Slice *items;
	int count;
	int capacity;
	MemoryContext context;
} AliasList;

static void
add_alias(AliasList *list, Slice alias)
{
	list->items = memory_budget_room(list->items, list->count, &list->capacity, sizeof(Slice));
	list->items[list->count++] = alias;
}

static void
take_alias(uint64 row, void *argument)
{
	AliasList *list = argument;
	MemoryContext context = MemoryContextSwitchTo(list->context);
	text *alias = DatumGetTextPCopy(row_value_there(row, 1));

	memory_budget_grow(VARSIZE(alias));
	add_alias(list, (Slice){VARDATA(alias), VARSIZE(alias) - VARHDRSZ});
	MemoryContextSwitchTo(context);
}

static void
take_rolled_up_alias(uint64 row, void *argument)
{
	CommonMinutes *common = argument;
	MemoryContext context = MemoryContextSwitchTo(common->context);
	text *alias = DatumGetTextPP(row_value_there(row, 1));
	int place = common_minutes_place(common, (Slice){VARDATA_ANY(alias), VARSIZE_ANY_EXHDR(alias)});

	common->aliases[place].is_rolled_up = true;
	MemoryContextSwitchTo(context);
}

typedef struct AliasSearch
{
	RollupScan *scan;
	TimestampTz start;
	TimestampTz end;
	AliasList list; /* in no order, maybe more than once */
} AliasSearch;

static void
find_aliases(void *argument)
{
	AliasSearch *search = argument;
	RollupScan *scan = search->scan;
	const Metric *metric = scan->metric;
	Datum account = UUIDPGetDatum(&metric->account_id);
	Datum version = UUIDPGetDatum(&metric->version_id);
	CommonMinutes *common = NULL;
	bool complete = false;

	if (distribution_is_here(&metric->account_id))
	{
		common = common_minutes_make(scan, search->list.context);
		statement_execute(&is_complete, (Datum[]){account, version}, NULL);
		complete = common->knows_rolled_up = SPI_processed > 0 && scan_rollups_hold(metric);
		common_minutes_read(common, search->start, search->end);
	}
	if (complete)
		statement_stream(&find_rolled_up_aliases, (Datum[]){account, version}, take_rolled_up_alias, common);
	else
		statement_stream(&find_event_aliases, (Datum[]){account}, take_alias, &search->list);
	if (scan->as_of != NULL)
		statement_stream(&find_superseded_aliases,
						 (Datum[]){account, scan_event_type(metric), UUIDPGetDatum(scan->as_of)}, take_alias,
						 &search->list);
	scan->common = common;
}

/* Sets the scan's aliases to all that have, or had, events from start to end, and maybe some more; in the order of "C". */
void
rollup_scan_find_aliases(RollupScan *scan, TimestampTz start, TimestampTz end)
{
	AliasSearch search = {.scan = scan, .start = start, .end = end, .list = {.context = CurrentMemoryContext}};
	AliasList *list = &search.list;
	int count = 0;

	SPI_connect();
	planner_along_indexes(find_aliases, &search);
	SPI_finish();

	for (int i = 0; scan->common != NULL && i < scan->common->alias_count; i++)
		add_alias(list, scan->common->aliases[i].alias);
	qsort(list->items, list->count, sizeof(Slice), scan_compare_aliases);
	for (int i = 0; i < list->count; i++)
	{
		if (count == 0 || scan_compare_aliases(&list->items[count - 1], &list->items[i]) != 0)
			list->items[count++] = list->items[i];
	}
	scan->aliases = list->items;
	scan->alias_count = count;
}
