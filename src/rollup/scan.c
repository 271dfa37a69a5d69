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
 * A minute may be marked for all customers.  Where all are asked for, the events of
 * such minutes are read before anything else, and are in the totals.
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

#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "customer/alias.h"
#include "event/mark.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rollup/row.h"
#include "rollup/watch.h"
#include "sql/distribution.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * Statements look up many places in large tables.  LATERAL with OFFSET 0 leaves the
 * planner one way: a search in the index for each.
 */

/* If no more aliases than these are not rolled up, the events of each are looked up. */
#define FEW_ALIASES 20

/* Intervals that are still to be looked up. */
typedef struct Intervals
{
	MetricInterval *items;
	int count;
	int capacity;
} Intervals;

/* Seconds whose buckets do not hold. */
typedef struct Mark
{
	int alias;
	TimestampTz start;
	TimestampTz end;
} Mark;

/* Several in order, none overlaps another. */
typedef struct Marks
{
	Mark *items;
	int count;
	int capacity;
} Marks;

typedef struct ScanWork
{
	const RollupScan *scan;
	const MetricMatcher *matcher;
	MemoryContext row_context; /* of one row */
	Marks marks;               /* of single aliases */
	Marks common_marks;        /* of all aliases, as those of alias 0 */
	Marks added;               /* of single aliases: their events are in the totals already */
	bool is_one_snapshot;      /* all statements see the same */
	Intervals raw;             /* to be read from the events */
	bool *is_rolled_up;        /* of each alias */
	int rolled_up_count;
	bool reads_all; /* aliases that are not rolled up are read all together */

	/* While a level is read. */
	const Intervals *reading;
	Intervals next; /* to be looked up one level below */
	BucketLevel level;
	RollupRow *node; /* the rows of the bucket that is being read */
	int node_count;
	int node_capacity;
	int node_place;
} ScanWork;

#define INTERVAL_PARAMETERS \
	"ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5))" \
	" WITH ORDINALITY AS i(alias, starts_at, ends_at, place)"
#define INTERVAL_TYPES TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID

/* Each once: batches that came one after the other may have marked the same minutes many times. */
static Statement read_marks = {
	.sql = "SELECT i.place, d.bucket, pg_catalog.max(d.seconds)"
		   " FROM pg_catalog.unnest($3) WITH ORDINALITY AS i(alias, place)"
		   " CROSS JOIN LATERAL (SELECT d.bucket, d.seconds FROM usage_events.dirty_bucket AS d"
		   " WHERE d.account_id " EQ " $1"
		   " AND d.event_type " EQ " $2 AND d.customer_alias " EQ " i.alias"
		   " AND d.bucket " GE " $4 AND d.bucket " LT " $5 OFFSET 0) AS d"
		   " GROUP BY i.place, d.bucket",
	.read_only = true,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

/* Of all customers. */
static Statement read_common_marks = {
	.sql = "SELECT d.bucket, pg_catalog.max(d.seconds) FROM usage_events.dirty_bucket AS d"
		   " WHERE d.account_id " EQ " $1"
		   " AND d.event_type " EQ " $2 AND d.customer_alias " EQ " ''"
		   " AND d.bucket " GE " $3 AND d.bucket " LT " $4"
		   " GROUP BY d.bucket",
	.read_only = true,
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

/* Versions that were current as of $3, and are not now. */
static Statement read_superseded = {
	.sql = "SELECT e.customer_alias, e.id, e.event_timestamp, e.event_properties"
		   " FROM usage_events.superseded_event AS e"
		   " WHERE e.account_id " EQ " $1 AND e.superseded_by " GE " $3"
		   " AND e.id " LT " $3 AND e.event_type " EQ " $2"
		   " AND e.event_timestamp " GE " $4 AND e.event_timestamp " LT " $5",
	.read_only = true,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

/*
 * Whether the rollups of version $2 of the metric of that id hold: not after somebody has
 * truncated one of the tables, or changed events by hand, where nothing is marked, and once
 * another version is in force: a refresh brings only that one up to date.
 */
#define ROLLUPS_HOLD(metric_id) \
	"EXISTS (SELECT FROM usage_events.metric_progress AS p WHERE p.account_id " EQ " $1" \
	" AND p.metric_version_id " EQ " $2)" \
	" AND EXISTS (SELECT FROM usage_events.metric AS m WHERE m.account_id " EQ " $1" \
	" AND m.id " EQ " " metric_id " AND m.version_id " EQ " $2 AND m.deleted_at IS NULL)" \
	" AND " MARKS_ARE_KEPT " AND NOT " EVENTS_ARE_SUBSCRIBED

/* Aliases that are rolled up. */
static Statement find_roots = {
	.sql = "SELECT i.place"
		   " FROM pg_catalog.unnest($3) WITH ORDINALITY AS i(alias, place)"
		   " CROSS JOIN LATERAL (SELECT FROM usage_events.metric_rollup AS r"
		   " WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " $2 AND r.level " EQ " 0::smallint"
		   " AND r.customer_alias " EQ " i.alias OFFSET 0) AS r"
		   " WHERE " ROLLUPS_HOLD("$4"),
	.read_only = true,
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, TEXTARRAYOID, UUIDOID},
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

/* What there is of single buckets, which begin at starts_at. */
static Statement find_buckets = {
	.sql = "SELECT i.place, (SELECT r.is_branch FROM usage_events.metric_rollup AS r"
		   " WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " $2 AND r.level " EQ " $6"
		   " AND r.customer_alias " EQ " i.alias AND r.bucket " EQ " i.starts_at"
		   " LIMIT 1) FROM " INTERVAL_PARAMETERS,
	.read_only = true,
	.argument_count = 6,
	.argument_types = {UUIDOID, UUIDOID, INTERVAL_TYPES, INT2OID},
};

/* Compared by a function, the type does not tempt the planner to an index that has all customers' events of it. */
#define READ_EVENTS \
	"SELECT i.place, e.id, e.event_timestamp, e.event_properties FROM " INTERVAL_PARAMETERS \
	" CROSS JOIN LATERAL (SELECT e.id, e.event_timestamp, e.event_properties FROM usage_events.event AS e" \
	" WHERE e.account_id " EQ " $1" \
	" AND e.customer_alias " EQ " i.alias" \
	" AND e.event_timestamp " GE " i.starts_at" \
	" AND e.event_timestamp " LT " i.ends_at" \
	" AND pg_catalog.texteq(e.event_type, $2)"

static Statement read_events = {
	.sql = READ_EVENTS " OFFSET 0) AS e",
	.read_only = true,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, INTERVAL_TYPES},
};

/* Both from one statement, where several would not see the same. */
static Statement read_events_and_superseded = {
	.sql = READ_EVENTS
	" AND e.id " LT " $6"
	" UNION ALL SELECT e.id, e.event_timestamp, e.event_properties FROM usage_events.superseded_event AS e"
	" WHERE e.account_id " EQ " $1 AND e.superseded_by " GE " $6"
	" AND e.id " LT " $6 AND e.event_type " EQ " $2"
	" AND e.customer_alias " EQ " i.alias"
	" AND e.event_timestamp " GE " i.starts_at"
	" AND e.event_timestamp " LT " i.ends_at OFFSET 0) AS e",
	.read_only = true,
	.argument_count = 6,
	.argument_types = {UUIDOID, TEXTOID, INTERVAL_TYPES, UUIDOID},
};

static Statement read_events_as_of = {
	.sql = READ_EVENTS " AND e.id " LT " $6 OFFSET 0) AS e",
	.read_only = true,
	.argument_count = 6,
	.argument_types = {UUIDOID, TEXTOID, INTERVAL_TYPES, UUIDOID},
};

static int
compare_texts(const void *a, const void *b)
{
	const Slice *first = a;
	const Slice *second = b;
	int result = memcmp(first->data, second->data, Min(first->length, second->length));

	return result != 0 ? result : first->length - second->length;
}

/* Intervals --------------------------------------------------------------- */

/* Items with room for one more, in the current memory context. */
static void *
grow(void *items, int count, int *capacity, Size item_size)
{
	if (items != NULL && count < *capacity)
		return items;
	*capacity = Max(16, 2 * *capacity);
	memory_budget_grow(item_size * *capacity);
	return items == NULL ? MemoryContextAllocHuge(CurrentMemoryContext, item_size * *capacity)
						 : repalloc_huge(items, item_size * *capacity);
}

static void
add_interval(Intervals *intervals, MetricInterval interval)
{
	intervals->items = grow(intervals->items, intervals->count, &intervals->capacity, sizeof(MetricInterval));
	intervals->items[intervals->count++] = interval;
}

/* The part of the interval from start to end. */
static MetricInterval
part(const MetricInterval *interval, TimestampTz start, TimestampTz end)
{
	MetricInterval result = *interval;

	result.start = Max(interval->start, start);
	result.end = Min(interval->end, end);
	return result;
}

/* The parameters of a statement over intervals; the first one is the account, the second depends. */
static void
interval_arguments(const ScanWork *work, const Intervals *intervals, Datum *arguments)
{
	Slice *aliases;
	Datum *values;

	/* Both, and the three arrays that are made of them. */
	memory_budget_require((Size) intervals->count * 2 * (sizeof(Slice) + 2 * sizeof(Datum)));
	aliases = palloc_extended(sizeof(Slice) * intervals->count, MCXT_ALLOC_HUGE);
	values = palloc_extended(sizeof(Datum) * intervals->count, MCXT_ALLOC_HUGE);
	arguments[0] = UUIDPGetDatum(&work->scan->metric->account_id);
	for (int i = 0; i < intervals->count; i++)
		aliases[i] = work->scan->aliases[intervals->items[i].alias];
	arguments[2] = statement_varlena_array(aliases, intervals->count, TEXTOID);
	for (int i = 0; i < intervals->count; i++)
		values[i] = TimestampTzGetDatum(intervals->items[i].start);
	arguments[3] = statement_timestamp_array(values, intervals->count);
	for (int i = 0; i < intervals->count; i++)
		values[i] = TimestampTzGetDatum(intervals->items[i].end);
	arguments[4] = statement_timestamp_array(values, intervals->count);
	pfree(aliases);
	pfree(values);
}

static Datum
event_type_argument(const Metric *metric)
{
	Slice type = metric->event_type;

	return slice_to_datum(type);
}

static Datum
aliases_argument(const ScanWork *work)
{
	return statement_varlena_array(work->scan->aliases, work->scan->alias_count, TEXTOID);
}

/* The ordinality that a statement handed back, from 0 on. */
static int
row_place(uint64 row)
{
	return (int) DatumGetInt64(row_value_there(row, 1)) - 1;
}

/* Marks ------------------------------------------------------------------- */

static void
append_mark(Marks *marks, Mark mark)
{
	marks->items = grow(marks->items, marks->count, &marks->capacity, sizeof(Mark));
	marks->items[marks->count++] = mark;
}

static void
add_mark(Marks *marks, int alias, TimestampTz timestamp, int seconds)
{
	TimestampTz start = bucket_start(timestamp, BUCKET_SECOND);

	/* Roles that send events may also write a mark by hand, with anything in it. */
	if (seconds > 0)
		append_mark(marks, (Mark){alias, start, start + Min(seconds, SECS_PER_MINUTE) * USECS_PER_SEC});
}

static int
compare_marks(const void *a, const void *b)
{
	const Mark *first = a;
	const Mark *second = b;

	if (first->alias != second->alias)
		return first->alias - second->alias;
	return (first->start > second->start) - (first->start < second->start);
}

/* Brings marks in order, and makes one of those that overlap. */
static void
sort_marks(Marks *marks)
{
	int kept = 0;

	if (marks->count < 2)
		return;
	qsort(marks->items, marks->count, sizeof(Mark), compare_marks);
	for (int i = 1; i < marks->count; i++)
	{
		Mark *last = &marks->items[kept];
		const Mark *mark = &marks->items[i];

		if (last->alias == mark->alias && mark->start <= last->end)
			last->end = Max(last->end, mark->end);
		else
			marks->items[++kept] = *mark;
	}
	marks->count = kept + 1;
}

/* The place of the first mark of the alias, or of those after it, that ends after that moment. */
static int
first_mark(const Marks *marks, int alias, TimestampTz moment)
{
	int low = 0;
	int high = marks->count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;
		const Mark *mark = &marks->items[middle];

		if (mark->alias < alias || (mark->alias == alias && mark->end <= moment))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Those of the alias that overlap the interval, from the first one on: false if there is none at that place. */
static bool
overlaps(const Marks *marks, int place, const MetricInterval *interval)
{
	return place < marks->count && marks->items[place].alias == interval->alias &&
		   marks->items[place].start < interval->end;
}

/* Whether all events of the alias from start to end are in the totals already. */
static bool
is_added(const ScanWork *work, int alias, TimestampTz start, TimestampTz end)
{
	int place = first_mark(&work->added, alias, start);

	return place < work->added.count && work->added.items[place].alias == alias &&
		   work->added.items[place].start <= start && work->added.items[place].end >= end;
}

/* To be read from the events; seconds in a row as one. */
static void
add_raw_part(ScanWork *work, MetricInterval interval)
{
	MetricInterval *last = work->raw.count > 0 ? &work->raw.items[work->raw.count - 1] : NULL;

	if (last != NULL && last->total == interval.total && last->alias == interval.alias && last->end == interval.start)
		last->end = interval.end;
	else
		add_interval(&work->raw, interval);
}

/* To be read from the events, but for what has been added already. */
static void
add_raw(ScanWork *work, MetricInterval interval)
{
	const Marks *added = &work->added;
	TimestampTz at = interval.start;

	for (int i = first_mark(added, interval.alias, at); overlaps(added, i, &interval); i++)
	{
		if (added->items[i].start > at)
			add_raw_part(work, part(&interval, at, added->items[i].start));
		at = Max(at, added->items[i].end);
	}
	if (at < interval.end)
		add_raw_part(work, part(&interval, at, interval.end));
}

/* A moment in the time of an alias, and the first marks that end after it. */
typedef struct MarkPlace
{
	int alias;
	TimestampTz moment;
	int own;
	int common;
} MarkPlace;

static MarkPlace
mark_place(const ScanWork *work, int alias, TimestampTz moment)
{
	return (MarkPlace){alias, moment, first_mark(&work->marks, alias, moment),
					   first_mark(&work->common_marks, 0, moment)};
}

/* What is marked next, from the place's moment on; false if nothing is before the end. */
static bool
next_mark(const ScanWork *work, const MarkPlace *place, TimestampTz end, TimestampTz *mark_start, TimestampTz *mark_end)
{
	const Mark *mark = NULL;

	if (place->own < work->marks.count && work->marks.items[place->own].alias == place->alias)
		mark = &work->marks.items[place->own];
	if (place->common < work->common_marks.count &&
		(mark == NULL || work->common_marks.items[place->common].start < mark->start))
		mark = &work->common_marks.items[place->common];
	if (mark == NULL)
		return false;
	*mark_start = Max(mark->start, place->moment);
	*mark_end = mark->end;
	return *mark_start < end;
}

/* Goes on to a later moment. */
static void
skip_marks(const ScanWork *work, MarkPlace *place, TimestampTz moment)
{
	place->moment = moment;
	while (place->own < work->marks.count && work->marks.items[place->own].alias == place->alias &&
		   work->marks.items[place->own].end <= moment)
		place->own++;
	while (place->common < work->common_marks.count && work->common_marks.items[place->common].end <= moment)
		place->common++;
}

static void
take_common_mark(uint64 row, void *argument)
{
	ScanWork *work = argument;

	add_mark(&work->common_marks, 0, DatumGetTimestampTz(row_value_there(row, 1)),
			 DatumGetInt16(row_value_there(row, 2)));
}

static void
read_all_common_marks(ScanWork *work, TimestampTz start, TimestampTz end)
{
	statement_each_row(&read_common_marks,
					   (Datum[]){UUIDPGetDatum(&work->scan->metric->account_id),
								 event_type_argument(work->scan->metric),
								 TimestampTzGetDatum(bucket_start(start, BUCKET_MINUTE)), TimestampTzGetDatum(end)},
					   take_common_mark, work);
}

static void
take_mark(uint64 row, void *argument)
{
	ScanWork *work = argument;

	add_mark(&work->marks, row_place(row), DatumGetTimestampTz(row_value_there(row, 2)),
			 DatumGetInt16(row_value_there(row, 3)));
}

static void
read_all_marks(ScanWork *work, TimestampTz start, TimestampTz end)
{
	Datum arguments[] = {UUIDPGetDatum(&work->scan->metric->account_id), event_type_argument(work->scan->metric),
						 aliases_argument(work), TimestampTzGetDatum(bucket_start(start, BUCKET_MINUTE)),
						 TimestampTzGetDatum(end)};

	statement_each_row(&read_marks, arguments, take_mark, work);
}

/* The place of an alias among those of all customers; -1 if it is none. */
static int
find_alias(const RollupScan *scan, Slice alias)
{
	int low = 0;
	int high = scan->alias_count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (compare_texts(&scan->aliases[middle], &alias) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < scan->alias_count && compare_texts(&scan->aliases[low], &alias) == 0 ? low : -1;
}

/* As of a past moment -------------------------------------------------------- */

typedef struct AliasPlace
{
	Slice alias;
	int place;
} AliasPlace;

static int
compare_alias_places(const void *a, const void *b)
{
	Slice first = ((const AliasPlace *) a)->alias;
	Slice second = ((const AliasPlace *) b)->alias;
	int result = memcmp(first.data, second.data, Min(first.length, second.length));

	return result != 0 ? result : first.length - second.length;
}

/* The interval that has the moment, or NULL. */
static const MetricInterval *
find_interval(const RollupScan *scan, int alias, TimestampTz timestamp)
{
	int low = 0;
	int high = scan->interval_count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;
		const MetricInterval *interval = &scan->intervals[middle];

		if (interval->alias < alias || (interval->alias == alias && interval->end <= timestamp))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == scan->interval_count || scan->intervals[low].alias != alias || scan->intervals[low].start > timestamp)
		return NULL;
	return &scan->intervals[low];
}

typedef struct SupersededWork
{
	ScanWork *work;
	AliasPlace *places; /* sorted */
} SupersededWork;

static void
take_superseded(uint64 row, void *argument)
{
	SupersededWork *superseded = argument;
	ScanWork *work = superseded->work;
	const MetricInterval *interval;
	MemoryContext context;
	text *alias = DatumGetTextPP(row_value_there(row, 1));
	AliasPlace wanted = {{VARDATA_ANY(alias), VARSIZE_ANY_EXHDR(alias)}, 0};
	AliasPlace *found =
		bsearch(&wanted, superseded->places, work->scan->alias_count, sizeof(AliasPlace), compare_alias_places);
	TimestampTz timestamp = DatumGetTimestampTz(row_value_there(row, 3));

	interval = found != NULL ? find_interval(work->scan, found->place, timestamp) : NULL;
	if (interval == NULL)
		return;
	context = MemoryContextSwitchTo(work->row_context);
	metric_total_add_event(interval->total, work->matcher, DatumGetUUIDP(row_value_there(row, 2)), timestamp,
						   DatumGetJsonbP(row_value_there(row, 4)));
	MemoryContextSwitchTo(context);
	MemoryContextReset(work->row_context);
	add_mark(&work->marks, found->place, timestamp, 1);
}

/* Adds the versions that were current then, and marks their seconds. */
static void
add_superseded(ScanWork *work, TimestampTz start, TimestampTz end)
{
	const RollupScan *scan = work->scan;
	SupersededWork superseded = {work, NULL};

	memory_budget_require(sizeof(AliasPlace) * scan->alias_count);
	superseded.places = palloc_extended(sizeof(AliasPlace) * Max(scan->alias_count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < scan->alias_count; i++)
		superseded.places[i] = (AliasPlace){scan->aliases[i], i};
	qsort(superseded.places, scan->alias_count, sizeof(AliasPlace), compare_alias_places);
	statement_each_row(&read_superseded,
					   (Datum[]){UUIDPGetDatum(&scan->metric->account_id), event_type_argument(work->scan->metric),
								 UUIDPGetDatum(scan->as_of), TimestampTzGetDatum(start), TimestampTzGetDatum(end)},
					   take_superseded, &superseded);
}

/* Levels ------------------------------------------------------------------ */

/* The bucket does not hold: one level below, or among the events. */
static void
descend(ScanWork *work, MetricInterval interval, RollupNode node)
{
	if (node == ROLLUP_BRANCH)
		add_interval(&work->next, interval);
	else if (node == ROLLUP_LEAF)
		add_raw(work, interval);
	else
	{
		/* It had no events; those that came since are marked. */
		MarkPlace place = mark_place(work, interval.alias, interval.start);
		TimestampTz start;
		TimestampTz end;

		while (next_mark(work, &place, interval.end, &start, &end))
		{
			add_raw(work, part(&interval, start, end));
			skip_marks(work, &place, end);
		}
	}
}

static void
take_root(uint64 row, void *argument)
{
	ScanWork *work = argument;

	work->is_rolled_up[row_place(row)] = true;
	work->rolled_up_count++;
}

static bool take_known_roots(ScanWork *work, const CommonMinutes *common);

/* Which aliases are rolled up: the others are read from the events. */
static Intervals
find_rolled_up(ScanWork *work)
{
	const RollupScan *scan = work->scan;
	Intervals open = {0};

	work->is_rolled_up = palloc0(sizeof(bool) * Max(scan->alias_count, 1));
	if (!work->is_one_snapshot)
	{
		for (int i = 0; i < scan->interval_count; i++)
			add_raw(work, scan->intervals[i]);
		return open;
	}

	if (scan->common == NULL || !take_known_roots(work, scan->common))
		statement_each_row(&find_roots,
						   (Datum[]){UUIDPGetDatum(&scan->metric->account_id), UUIDPGetDatum(&scan->metric->version_id),
									 aliases_argument(work), UUIDPGetDatum(&scan->metric->id)},
						   take_root, work);

	work->reads_all =
		scan->is_all && scan->alias_count - work->rolled_up_count > Max(work->rolled_up_count, FEW_ALIASES);
	for (int i = 0; i < scan->interval_count; i++)
	{
		if (work->is_rolled_up[scan->intervals[i].alias])
			add_interval(&open, scan->intervals[i]);
		else if (!work->reads_all)
			add_raw(work, scan->intervals[i]);
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
	MarkPlace place = mark_place(work, interval->alias, interval->start);

	while (at < interval->end)
	{
		TimestampTz bucket = bucket_start(at, level);
		TimestampTz other = bucket_start(interval->end, level);
		TimestampTz mark_start;
		TimestampTz mark_end;

		CHECK_FOR_INTERRUPTS();

		/* The next bucket that is cut off by the interval, or marked. */
		if (next_mark(work, &place, interval->end, &mark_start, &mark_end))
			other = Min(other, bucket_start(mark_start, level));
		if (bucket < at)
			other = bucket;

		if (other > at)
		{
			add_interval(whole, part(interval, at, other));
			at = other;
		}
		if (at < interval->end)
		{
			TimestampTz end;

			other = bucket_start(at, level);
			end = bucket_end(other, level);
			if (!is_added(work, interval->alias, at, Min(end, interval->end)))
				add_interval(others, part(interval, at, end));
			skip_marks(work, &place, end);
			at = end;
		}
	}
}

/* The whole bucket is read below. */
static void
descend_row(ScanWork *work, const MetricInterval *interval, const RollupRow *row)
{
	descend(work, part(interval, row->bucket, bucket_end(row->bucket, work->level)),
			row->is_branch ? ROLLUP_BRANCH : ROLLUP_LEAF);
}

/* All rows of a bucket are there: they are added, if they hold. */
static void
end_node(ScanWork *work)
{
	const MetricInterval *interval;
	bool holds = true;
	bool is_newer = true;

	if (work->node_count == 0)
		return;
	interval = &work->reading->items[work->node_place];
	for (int i = 0; i < work->node_count; i++)
	{
		const MetricCell *cell = &work->node[i].cell;

		/* A value is its group's, and as old. */
		if (cell->event_count + cell->skipped_count == 0)
			continue;
		holds = holds && uuid_v7_compare(&cell->newest_id, work->scan->as_of) < 0;
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

static void
take_bucket(uint64 row, void *argument)
{
	ScanWork *work = argument;
	MemoryContext context;
	RollupRow rollup;
	int place = row_place(row);
	TimestampTz bucket = DatumGetTimestampTz(row_value_there(row, 2));

	if (work->node_count > 0 && (work->node_place != place || work->node[0].bucket != bucket))
		end_node(work);
	context = MemoryContextSwitchTo(work->row_context);
	rollup_row_read(row, 2, &rollup);
	MemoryContextSwitchTo(context);

	if (rollup.is_open)
		descend_row(work, &work->reading->items[place], &rollup);
	/* As of now every bucket holds: there may be many rows, with long groups, and none has to wait for the others. */
	else if (work->scan->as_of == NULL)
		metric_total_add_cell(work->reading->items[place].total, &rollup.cell);
	if (rollup.is_open || work->scan->as_of == NULL)
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

typedef struct FoundWork
{
	ScanWork *work;
	const Intervals *buckets; /* as they are asked for: the parts of buckets */
} FoundWork;

static void
take_found(uint64 row, void *argument)
{
	FoundWork *found = argument;
	bool isnull;
	bool is_branch = DatumGetBool(row_value(row, 2, &isnull));

	descend(found->work, found->buckets->items[row_place(row)],
			isnull      ? ROLLUP_ABSENT
			: is_branch ? ROLLUP_BRANCH
						: ROLLUP_LEAF);
}

/* Looks the intervals up on a level; returns what is to be looked up below. */
static Intervals
scan_level(ScanWork *work, BucketLevel level, const Intervals *open)
{
	Intervals whole = {0};
	Intervals others = {0};
	Datum arguments[6];

	work->level = level;
	work->next = (Intervals){0};
	for (int i = 0; i < open->count; i++)
		cut(work, level, &open->items[i], &whole, &others);

	arguments[1] = UUIDPGetDatum(&work->scan->metric->version_id);
	arguments[5] = Int16GetDatum((int16) level);
	if (whole.count > 0)
	{
		work->reading = &whole;
		interval_arguments(work, &whole, arguments);
		statement_each_row(&read_buckets, arguments, take_bucket, work);
		end_node(work);
		work->reading = NULL;
	}
	if (others.count > 0)
	{
		Intervals buckets = {0};

		for (int i = 0; i < others.count; i++)
		{
			MetricInterval bucket = others.items[i];

			bucket.start = bucket_start(bucket.start, level);
			add_interval(&buckets, bucket);
		}
		interval_arguments(work, &buckets, arguments);
		statement_each_row(&find_buckets, arguments, take_found, &(FoundWork){work, &others});
	}
	return work->next;
}

/* Events ------------------------------------------------------------------ */

static void
take_event(uint64 row, void *argument)
{
	ScanWork *work = argument;
	MemoryContext context = MemoryContextSwitchTo(work->row_context);

	metric_total_add_event(work->raw.items[row_place(row)].total, work->matcher, DatumGetUUIDP(row_value_there(row, 2)),
						   DatumGetTimestampTz(row_value_there(row, 3)), DatumGetJsonbP(row_value_there(row, 4)));
	MemoryContextSwitchTo(context);
	MemoryContextReset(work->row_context);
}

static void
read_raw(ScanWork *work)
{
	Datum arguments[6];

	if (work->raw.count == 0)
		return;
	interval_arguments(work, &work->raw, arguments);
	arguments[1] = event_type_argument(work->scan->metric);
	if (work->scan->as_of == NULL)
		statement_each_row(&read_events, arguments, take_event, work);
	else
	{
		arguments[5] = UUIDPGetDatum(work->scan->as_of);
		statement_each_row(work->is_one_snapshot ? &read_events_as_of : &read_events_and_superseded, arguments,
						   take_event, work);
	}
}

/* Events of all customers ---------------------------------------------------- */

/* An event as statements hand it out that read those of all customers: in this order of columns. */
typedef struct EventRow
{
	const pg_uuid_t *id;
	TimestampTz timestamp;
	Slice alias;
	Datum properties;
} EventRow;

static void
event_row_read(uint64 row, int first_column, EventRow *event)
{
	text *alias = DatumGetTextPP(row_value_there(row, first_column + 2));

	event->id = DatumGetUUIDP(row_value_there(row, first_column));
	event->timestamp = DatumGetTimestampTz(row_value_there(row, first_column + 1));
	event->alias = (Slice){VARDATA_ANY(alias), VARSIZE_ANY_EXHDR(alias)};
	event->properties = row_value_there(row, first_column + 3);
}

/* Adds the event, if it was known then. */
static void
add_event_row(MetricTotal *total, const MetricMatcher *matcher, const pg_uuid_t *as_of, const EventRow *event,
			  MemoryContext row_context)
{
	MemoryContext context = MemoryContextSwitchTo(row_context);

	if (as_of == NULL || uuid_v7_compare(event->id, as_of) < 0)
		metric_total_add_event(total, matcher, event->id, event->timestamp, DatumGetJsonbP(event->properties));
	MemoryContextSwitchTo(context);
	MemoryContextReset(row_context);
}

static Statement read_events_of_times = {
	.sql = "SELECT i.place, e.id, e.event_timestamp, e.customer_alias, e.event_properties"
		   " FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4))"
		   " WITH ORDINALITY AS i(starts_at, ends_at, place)"
		   " CROSS JOIN LATERAL (SELECT e.id, e.event_timestamp, e.customer_alias, e.event_properties"
		   " FROM usage_events.event AS e WHERE e.account_id " EQ " $1"
		   " AND e.event_timestamp " GE " i.starts_at"
		   " AND e.event_timestamp " LT " i.ends_at"
		   " AND pg_catalog.texteq(e.event_type, $2) OFFSET 0) AS e",
	.read_only = true,
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID},
};

/* Hands out the events of these times: after the place among the times come the columns of an event. */
static void
read_times(const Metric *metric, const Marks *times, void (*take_row)(uint64 row, void *argument), void *argument)
{
	Datum arguments[4] = {UUIDPGetDatum(&metric->account_id), event_type_argument(metric)};
	Datum *values;

	if (times->count == 0)
		return;
	/* The values, and the arrays that are made of them. */
	memory_budget_require(3 * sizeof(Datum) * times->count);
	values = palloc_extended(sizeof(Datum) * times->count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < times->count; i++)
		values[i] = TimestampTzGetDatum(times->items[i].start);
	arguments[2] = statement_timestamp_array(values, times->count);
	for (int i = 0; i < times->count; i++)
		values[i] = TimestampTzGetDatum(times->items[i].end);
	arguments[3] = statement_timestamp_array(values, times->count);
	statement_each_row(&read_events_of_times, arguments, take_row, argument);
}

/* Minutes that are marked for all customers ---------------------------------- */

/*
 * Of all customers, most have no events in such a minute: for them it is no mark.  So
 * when all are asked for, the events of these minutes are read first, and once: they
 * are added to the totals of those who have them, and only to these it is a mark, of
 * time that is done with.  Minutes in a row are one such time.
 */

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

/* Who has events in them, or marks of his own, or is rolled up. */
typedef struct CommonAlias
{
	Slice alias;
	MetricTotal total; /* of the events in these minutes */
	int last_minutes;  /* that it has events in: their place */
	bool is_rolled_up;
	int place; /* among the scan's aliases */
} CommonAlias;

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

/* What is known of all customers when their aliases have been found. */
struct CommonMinutes
{
	const RollupScan *scan;
	const MetricMatcher *matcher;
	bool knows_rolled_up; /* which aliases are */
	Marks minutes;        /* that are marked for all, of alias 0; several in a row are one */
	CommonAlias *aliases;
	int alias_count;
	int alias_capacity;
	common_aliases_hash *places;
	Marks marks; /* of single aliases, which are places of those above */
	Marks added; /* the same of the minutes in which they have events */
	MemoryContext context;
	MemoryContext row_context;
};

/* The place of an alias, which may be new. */
static int
common_alias_place(CommonMinutes *common, Slice alias)
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
	common->aliases = grow(common->aliases, common->alias_count, &common->alias_capacity, sizeof(CommonAlias));
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
	append_mark(&common->added, mark);
}

static void
take_common_event(uint64 row, void *argument)
{
	CommonMinutes *common = argument;
	MemoryContext context;
	EventRow event;
	int place;

	event_row_read(row, 2, &event);
	if (compare_texts(&event.alias, &SLICE(VOID_ALIAS)) == 0)
		return;
	context = MemoryContextSwitchTo(common->context);
	place = common_alias_place(common, event.alias);
	add_common_mark(common, place, row_place(row));
	add_event_row(&common->aliases[place].total, common->matcher, common->scan->as_of, &event, common->row_context);
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
		add_mark(&common->minutes, 0, bucket, SECS_PER_MINUTE);
	else
		add_mark(&common->marks, common_alias_place(common, alias), bucket, DatumGetInt16(row_value_there(row, 3)));
	MemoryContextSwitchTo(context);
}

/* Reads all marks from start to end. */
static void
read_marks_of_all_from(CommonMinutes *common, TimestampTz start, TimestampTz end)
{
	Marks *minutes = &common->minutes;

	statement_each_row(&read_marks_of_all,
					   (Datum[]){UUIDPGetDatum(&common->scan->metric->account_id),
								 event_type_argument(common->scan->metric),
								 TimestampTzGetDatum(bucket_start(start, BUCKET_MINUTE)), TimestampTzGetDatum(end)},
					   take_mark_of_all, common);
	sort_marks(minutes);
	for (int i = 0; i < minutes->count; i++)
	{
		minutes->items[i].start = Max(minutes->items[i].start, start);
		minutes->items[i].end = Min(minutes->items[i].end, end);
	}
}

static CommonMinutes *
common_make(const RollupScan *scan, MemoryContext context)
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
static void
read_common(CommonMinutes *common, TimestampTz start, TimestampTz end)
{
	int nest_level;

	read_marks_of_all_from(common, start, end);
	nest_level = statement_use_bitmaps();
	read_times(common->scan->metric, &common->minutes, take_common_event, common);
	statement_use_indexes_end(nest_level);
}

/* Marks of an alias by its place in the scan. */
static void
take_over_marks(const CommonMinutes *common, const Marks *from, Marks *marks)
{
	for (int i = 0; i < from->count; i++)
	{
		Mark mark = from->items[i];

		mark.alias = common->aliases[mark.alias].place;
		append_mark(marks, mark);
	}
}

/* Adds what they have to the totals of the intervals, and notes that it is there; and what is marked. */
static void
add_common(ScanWork *work, CommonMinutes *common, TimestampTz start)
{
	for (int i = 0; i < common->alias_count; i++)
	{
		CommonAlias *alias = &common->aliases[i];

		alias->place = find_alias(work->scan, alias->alias);
		if (alias->total.event_count > 0)
			metric_total_move(find_interval(work->scan, alias->place, start)->total, &alias->total);
	}
	take_over_marks(common, &common->added, &work->added);
	take_over_marks(common, &common->added, &work->marks);
	take_over_marks(common, &common->marks, &work->marks);
	sort_marks(&work->added);
}

/* Which aliases are rolled up, if that is known already. */
static bool
take_known_roots(ScanWork *work, const CommonMinutes *common)
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

/* All customers' events ---------------------------------------------------- */

static Statement read_all_events = {
	.sql = "SELECT id, event_timestamp, customer_alias, event_properties FROM usage_events.event"
		   " WHERE account_id " EQ " $1 AND event_type " EQ " $2"
		   " AND event_timestamp " GE " $3 AND event_timestamp " LT " $4",
	.read_only = true,
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

static void
take_event_of_all(ScanWork *work, uint64 row, int first_column)
{
	EventRow event;
	const MetricInterval *interval = NULL;
	int place;

	event_row_read(row, first_column, &event);
	place = find_alias(work->scan, event.alias);
	if (place >= 0 && !work->is_rolled_up[place])
		interval = find_interval(work->scan, place, event.timestamp);
	if (interval != NULL)
		add_event_row(interval->total, work->matcher, work->scan->as_of, &event, work->row_context);
}

static void
take_event_of_period(uint64 row, void *argument)
{
	take_event_of_all(argument, row, 1);
}

static void
take_event_of_gap(uint64 row, void *argument)
{
	take_event_of_all(argument, row, 2);
}

/* The time between the minutes that have been read. */
static Marks
gaps_between(const Marks *minutes, TimestampTz start, TimestampTz end)
{
	Marks gaps = {0};
	TimestampTz at = start;

	for (int i = 0; i < minutes->count; i++)
	{
		if (minutes->items[i].start > at)
			append_mark(&gaps, (Mark){0, at, minutes->items[i].start});
		at = minutes->items[i].end;
	}
	if (at < end)
		append_mark(&gaps, (Mark){0, at, end});
	return gaps;
}

/* Reads all events of the period once, rather than those of each customer. */
static void
read_all(ScanWork *work, TimestampTz start, TimestampTz end)
{
	const Metric *metric = work->scan->metric;
	const CommonMinutes *common = work->scan->common;
	int nest_level;

	if (common != NULL && common->minutes.count > 0)
	{
		Marks gaps = gaps_between(&common->minutes, start, end);

		nest_level = statement_use_bitmaps();
		read_times(metric, &gaps, take_event_of_gap, work);
		statement_use_indexes_end(nest_level);
		return;
	}
	/* The planner is free here: most of the table may be read. */
	statement_each_row(&read_all_events,
					   (Datum[]){UUIDPGetDatum(&metric->account_id), event_type_argument(metric),
								 TimestampTzGetDatum(start), TimestampTzGetDatum(end)},
					   take_event_of_period, work);
}

/* The whole --------------------------------------------------------------- */

/* Adds to the total of each interval what its events are to the metric. */
void
rollup_scan(const RollupScan *scan)
{
	ScanWork work = {.scan = scan, .matcher = metric_matcher_make(scan->metric), .node_capacity = 8};
	TimestampTz start = DT_NOEND;
	TimestampTz end = DT_NOBEGIN;
	Intervals open;
	int nest_level;

	if (scan->interval_count == 0)
		return;
	for (int i = 0; i < scan->interval_count; i++)
	{
		start = Min(start, scan->intervals[i].start);
		end = Max(end, scan->intervals[i].end);
	}

	SPI_connect();
	nest_level = statement_use_indexes();
	work.row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	work.node = palloc(sizeof(RollupRow) * work.node_capacity);

	work.is_one_snapshot = distribution_is_here(&scan->metric->account_id);
	if (scan->common != NULL)
		add_common(&work, scan->common, start);
	if (scan->as_of != NULL && work.is_one_snapshot)
		add_superseded(&work, start, end);
	open = find_rolled_up(&work);
	if (open.count > 0 && scan->common == NULL)
	{
		read_all_marks(&work, start, end);
		read_all_common_marks(&work, start, end);
	}
	sort_marks(&work.marks);
	sort_marks(&work.common_marks);
	for (int level = BUCKET_MONTH; level < BUCKET_LEVEL_COUNT && open.count > 0; level++)
		open = scan_level(&work, (BucketLevel) level, &open);
	read_raw(&work);
	statement_use_indexes_end(nest_level);

	if (work.reads_all)
		read_all(&work, start, end);
	SPI_finish();
	if (work.is_one_snapshot)
		distribution_require_here(&scan->metric->account_id);
}

/* All customers ----------------------------------------------------------- */

/* Whether all aliases with events of the metric's type are rolled up, or marked. */
static Statement is_complete = {
	.sql = "SELECT true FROM usage_events.metric_rollup AS r WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " $2 AND r.level " EQ " (-1)::smallint"
		   " AND " ROLLUPS_HOLD("$3"),
	.read_only = true,
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, UUIDOID},
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
	list->items = grow(list->items, list->count, &list->capacity, sizeof(Slice));
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
	int place = common_alias_place(common, (Slice){VARDATA_ANY(alias), VARSIZE_ANY_EXHDR(alias)});

	common->aliases[place].is_rolled_up = true;
	MemoryContextSwitchTo(context);
}

/* Sets the scan's aliases to all that have, or had, events from start to end, and maybe some more; in the order of "C". */
void
rollup_scan_find_aliases(RollupScan *scan, TimestampTz start, TimestampTz end)
{
	const Metric *metric = scan->metric;
	Datum account = UUIDPGetDatum(&metric->account_id);
	Datum version = UUIDPGetDatum(&metric->version_id);
	Datum type = event_type_argument(metric);
	AliasList list = {.context = CurrentMemoryContext};
	int nest_level;
	int count = 0;
	CommonMinutes *common = NULL;
	bool complete = false;

	SPI_connect();
	nest_level = statement_use_indexes();
	if (distribution_is_here(&metric->account_id))
	{
		common = common_make(scan, list.context);
		statement_execute(&is_complete, (Datum[]){account, version, UUIDPGetDatum(&metric->id)}, NULL);
		complete = common->knows_rolled_up = SPI_processed > 0;
		read_common(common, start, end);
	}
	if (complete)
		statement_each_row(&find_rolled_up_aliases, (Datum[]){account, version}, take_rolled_up_alias, common);
	else
		statement_each_row(&find_event_aliases, (Datum[]){account}, take_alias, &list);
	if (scan->as_of != NULL)
		statement_each_row(&find_superseded_aliases, (Datum[]){account, type, UUIDPGetDatum(scan->as_of)}, take_alias,
						   &list);
	statement_use_indexes_end(nest_level);
	SPI_finish();

	for (int i = 0; common != NULL && i < common->alias_count; i++)
		add_alias(&list, common->aliases[i].alias);
	scan->common = common;
	qsort(list.items, list.count, sizeof(Slice), compare_texts);
	for (int i = 0; i < list.count; i++)
	{
		if (count == 0 || compare_texts(&list.items[count - 1], &list.items[i]) != 0)
			list.items[count++] = list.items[i];
	}
	scan->aliases = list.items;
	scan->alias_count = count;
	scan->is_all = true;
}
