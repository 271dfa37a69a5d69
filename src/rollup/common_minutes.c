/*
 * rollup/common_minutes.c
 *		Minutes that are marked for all customers, when all are asked for.
 *
 * Of all customers, most have no events in such a minute: for them it is no mark.  So
 * when all are asked for, the events of these minutes are read first, and once: they
 * are added to the totals of those who have them, and only to these it is a mark, of
 * time that is done with.  Minutes in a row are one such time.
 */
#include "postgres.h"

#include "rollup/common_minutes.h"

#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "customer/alias.h"
#include "rollup/scan_events.h"
#include "sql/planner.h"
#include "sql/row.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* One search for all, where there may be very many customers. */
static Statement read_marks_of_all = {
	.sql = "SELECT d.customer_alias, d.bucket, pg_catalog.max(d.seconds) FROM usage_events.dirty_bucket AS d"
		   " WHERE d.account_id " EQ " $1 AND d.event_type " EQ " $2"
		   " AND d.bucket " GE " $3 AND d.bucket " LT " $4"
		   " GROUP BY d.customer_alias, d.bucket",
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
#define SH_KEY_TYPE Slice
#define SH_KEY alias
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key).data, (key).length)
#define SH_EQUAL(table, a, b) ((a).length == (b).length && memcmp((a).data, (b).data, (a).length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The place of an alias, which may be new. */
int
common_minutes_place(CommonMinutes *common, Slice alias)
{
	CommonAliasEntry *entry;
	CommonAlias *new;
	bool found;

	if (common->places->members >= common->places->grow_threshold)
		memory_budget_require(2 * sizeof(CommonAliasEntry) * common->places->size);
	entry = common_aliases_insert(common->places, alias, &found);
	if (found)
		return entry->place;
	memory_budget_grow(alias.length);
	entry->alias.data = memcpy(palloc(Max(alias.length, 1)), alias.data, alias.length);
	entry->place = common->alias_count;
	common->aliases =
		memory_budget_room(common->aliases, common->alias_count, &common->alias_capacity, sizeof(CommonAlias));
	new = &common->aliases[common->alias_count++];
	*new = (CommonAlias){.alias = entry->alias, .last_minutes = -1};
	metric_total_init(&new->total, common->scan->metric, common->context);
	return entry->place;
}

/* Marks all of the minutes in a row, once. */
static void
add_common_mark(CommonMinutes *common, int place, int minutes)
{
	CommonAlias *alias = &common->aliases[place];
	Mark mark = common->minutes.items[minutes];

	if (alias->last_minutes == minutes)
		return;
	alias->last_minutes = minutes;
	mark.alias = place;
	marks_append(&common->added, mark);
}

static void
take_common_event(uint64 row, void *argument)
{
	CommonMinutes *common = argument;
	MemoryContext context;
	EventRow event;
	int place;

	event_row_read(row, 2, &event);
	if (scan_compare_aliases(&event.alias, &SLICE(VOID_ALIAS)) == 0)
		return;
	context = MemoryContextSwitchTo(common->context);
	place = common_minutes_place(common, event.alias);
	add_common_mark(common, place, scan_row_place(row));
	event_row_add(&common->aliases[place].total, common->matcher, common->scan->as_of, &event, common->row_context);
	MemoryContextSwitchTo(context);
}

static void
take_mark_of_all(uint64 row, void *argument)
{
	CommonMinutes *common = argument;
	text *packed = DatumGetTextPP(row_value_there(row, 1));
	Slice alias = {VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed)};
	TimestampTz bucket = DatumGetTimestampTz(row_value_there(row, 2));
	MemoryContext context = MemoryContextSwitchTo(common->context);

	if (alias.length == 0)
		marks_add_seconds(&common->minutes, 0, bucket, SECS_PER_MINUTE);
	else
		marks_add_seconds(&common->marks, common_minutes_place(common, alias), bucket,
						  DatumGetInt16(row_value_there(row, 3)));
	MemoryContextSwitchTo(context);
}

/* Reads all marks from start to end. */
static void
read_marks_of_all_from(CommonMinutes *common, TimestampTz start, TimestampTz end)
{
	Marks *minutes = &common->minutes;

	statement_each_row(&read_marks_of_all,
					   (Datum[]){UUIDPGetDatum(&common->scan->metric->account_id),
								 scan_event_type(common->scan->metric),
								 TimestampTzGetDatum(bucket_start(start, BUCKET_MINUTE)), TimestampTzGetDatum(end)},
					   take_mark_of_all, common);
	marks_sort(minutes);
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
	int nest_level;

	read_marks_of_all_from(common, start, end);
	nest_level = planner_use_bitmaps();
	scan_read_times(common->scan->metric, &common->minutes, take_common_event, common);
	planner_use_end(nest_level);
}

/* Marks of an alias by its place in the scan. */
static void
take_over_marks(const CommonMinutes *common, const Marks *from, Marks *marks)
{
	for (int i = 0; i < from->count; i++)
	{
		Mark mark = from->items[i];

		mark.alias = common->aliases[mark.alias].place;
		marks_append(marks, mark);
	}
}

/* Adds what they have to the totals of the intervals, and notes that it is there; and what is marked. */
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
	take_over_marks(common, &common->added, &work->added);
	take_over_marks(common, &common->added, &work->marks);
	take_over_marks(common, &common->marks, &work->marks);
	marks_sort(&work->added);
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
