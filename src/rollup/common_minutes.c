/*
 * rollup/common_minutes.c
 *		Minutes that are marked for all customers, when all are asked for.
 *
 * Of all customers, most have no events in such a minute: for them it is no mark.  So
 * when all are asked for, the events that the marks are of are read first, and added to the totals of those
 * whose they are.  What remains is what there was without them, which rollups say that have none of them:
 * whose newest id is below all of theirs.  Of other rollups, and where events are read, they are left out.
 */
#include "postgres.h"

#include "rollup/common_minutes.h"

#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "rollup/scan_events.h"
#include "sql/lookup.h"
#include "sql/row.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* One search for all, where there may be very many customers. */
static Statement read_marks_of_all = {
	.sql = "SELECT d.customer_alias, d.bucket, pg_catalog.max(d.seconds) AS seconds, d.first_id, d.last_id"
		   " FROM usage_events.dirty_bucket AS d"
		   " WHERE d.account_id " EQ " $1 AND d.event_type " EQ " $2"
		   " AND d.bucket " GE " $3 AND d.bucket " LT " $4"
		   " GROUP BY d.customer_alias, d.bucket, d.first_id, d.last_id",
	.read_only = true,
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

/* The same, those of an alias and bucket after one another. */
static Lookup look_up_marks_of_all = {
	.table = "dirty_bucket",
	.index = "dirty_bucket_idx",
	.columns = "customer_alias, bucket, seconds, first_id, last_id",
	.keys = {KEY_EQUAL("account_id", UUIDOID), KEY_EQUAL("event_type", TEXTOID), KEY_ANY("customer_alias", TEXTOID),
			 KEY_FROM("bucket", TIMESTAMPTZOID), KEY_BEFORE("bucket", TIMESTAMPTZOID)},
};

static Statement read_common_marks = {
	.sql = "SELECT " COMMON_MARK_COLUMNS " FROM usage_events.dirty_bucket AS d"
		   " WHERE d.account_id " EQ " $1"
		   " AND d.event_type " EQ " $2 AND d.customer_alias " EQ " ''"
		   " AND d.bucket " GE " $3 AND d.bucket " LT " $4",
	.read_only = true,
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

typedef struct CommonAliasEntry
{
	Slice alias;
	int place;
	uint32 hash;
	char status;
} CommonAliasEntry;

#define SH_PREFIX common_aliases
#define SH_ELEMENT_TYPE CommonAliasEntry
#define SH_KEY alias
#include "base/slice_hash.h"

/* The place of an alias, which may be new. */
int
common_minutes_place(CommonMinutes *common, Slice alias)
{
	CommonAliasEntry *entry;
	CommonAlias *new;
	bool found;

	if (common->places->members >= common->places->grow_threshold)
		memory_budget_grow(2 * sizeof(CommonAliasEntry) * common->places->size);
	entry = common_aliases_insert(common->places, alias, &found);
	if (found)
		return entry->place;
	memory_budget_grow(alias.length);
	entry->alias.data = memcpy(palloc(Max(alias.length, 1)), alias.data, alias.length);
	entry->place = common->alias_count;
	common->aliases =
		memory_budget_room(common->aliases, common->alias_count, &common->alias_capacity, sizeof(CommonAlias));
	new = &common->aliases[common->alias_count++];
	*new = (CommonAlias){.alias = entry->alias};
	metric_total_init(&new->total, common->scan->metric, common->context);
	return entry->place;
}

/* An event that a mark is of. */
static void
take_concerned(const ConcernedEvent *event, void *argument)
{
	CommonMinutes *common = argument;
	MemoryContext context;
	int place;

	if (scan_compare_aliases(&event->alias, &SLICE(VOID_ALIAS)) == 0)
		return;
	context = MemoryContextSwitchTo(common->context);
	place = common_minutes_place(common, event->alias);
	scan_add_event(&common->aliases[place].total, common->matcher, common->scan->as_of, event->row,
				   common->row_context);
	MemoryContextSwitchTo(context);
}

static void
take_mark_of_all(uint64 row, void *argument)
{
	CommonMinutes *common = argument;
	text *packed = DatumGetTextPP(row_value_there(row, 1));
	Slice alias = {VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed)};
	MemoryContext context = MemoryContextSwitchTo(common->context);

	if (alias.length == 0)
		common_marks_take(&common->marked, row, 2);
	else
		marks_add_seconds(&common->marks, common_minutes_place(common, alias),
						  DatumGetTimestampTz(row_value_there(row, 2)), DatumGetInt16(row_value_there(row, 3)),
						  marks_first_id(row, 4));
	MemoryContextSwitchTo(context);
}

static void
take_common_mark(uint64 row, void *argument)
{
	CommonMinutes *common = argument;
	MemoryContext context = MemoryContextSwitchTo(common->context);

	common_marks_take(&common->marked, row, 1);
	MemoryContextSwitchTo(context);
}

/*
 * Reads marks from start to end: where all customers are rolled up, those of single ones as
 * well.  Otherwise few of them may be needed, or none, and a scan looks up those that are.
 */
static void
read_marks(CommonMinutes *common, TimestampTz start, TimestampTz end)
{
	const Metric *metric = common->scan->metric;
	Marks *minutes = &common->marked.minutes;
	Datum arguments[] = {UUIDPGetDatum(&metric->account_id), scan_event_type(metric),
						 TimestampTzGetDatum(bucket_start(start, BUCKET_MINUTE)), TimestampTzGetDatum(end)};

	if (common->knows_rolled_up && lookup_is_searchable(&look_up_marks_of_all, arguments))
		lookup_rows(&look_up_marks_of_all, arguments, take_mark_of_all, common);
	else if (common->knows_rolled_up)
		statement_stream(&read_marks_of_all, arguments, take_mark_of_all, common);
	else
		statement_stream(&read_common_marks, arguments, take_common_mark, common);
	common_marks_sort(&common->marked);
	for (int i = 0; i < minutes->count; i++)
	{
		minutes->items[i].start = Max(minutes->items[i].start, start);
		minutes->items[i].end = Min(minutes->items[i].end, end);
	}
}

CommonMinutes *
common_minutes_make(const RollupScan *scan, MemoryContext context)
{
	CommonMinutes *common = MemoryContextAllocZero(context, sizeof(CommonMinutes));

	common->scan = scan;
	common->context = context;
	common->row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	common->matcher = metric_matcher_make(scan->metric);
	common->places = common_aliases_create(context, 256, NULL);
	return common;
}

/*
 * The marks are read before the events of common minutes, by a statement of their own.
 * One statement for both would keep a page of the marks' index all the time, and
 * vacuum has to wait for it.
 */
void
common_minutes_read(CommonMinutes *common, TimestampTz start, TimestampTz end)
{
	const Metric *metric = common->scan->metric;

	read_marks(common, start, end);
	common_marks_each_event(&common->marked, &metric->account_id, metric->event_type, true, take_concerned, common);
}

/* Adds what they have to the totals of the intervals; and what is marked for single ones. */
void
common_minutes_add(ScanWork *work, CommonMinutes *common, TimestampTz start)
{
	for (int i = 0; i < common->alias_count; i++)
	{
		CommonAlias *alias = &common->aliases[i];

		alias->place = scan_find_alias(work->scan, alias->alias);
		if (alias->total.event_count > 0)
			metric_total_move(scan_find_interval(work->scan, alias->place, start)->total, &alias->total);
	}
	for (int i = 0; i < common->marks.count; i++)
	{
		Mark mark = common->marks.items[i];

		mark.alias = common->aliases[mark.alias].place;
		marks_append(&work->marks, mark);
	}
	if (common->marked.range_count > 0)
		work->added = &common->marked;
}

/* Which aliases are rolled up, if that is known already. */
bool
common_minutes_take_roots(ScanWork *work, const CommonMinutes *common)
{
	if (!common->knows_rolled_up)
		return false;
	for (int i = 0; i < common->alias_count; i++)
	{
		work->is_rolled_up[common->aliases[i].place] |= common->aliases[i].is_rolled_up;
		work->rolled_up_count += common->aliases[i].is_rolled_up;
	}
	return true;
}
