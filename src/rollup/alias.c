/*
 * rollup/alias.c
 *		Rolling up one alias of one metric: what is marked, or all.
 *
 * A bucket with few events is a leaf: they are read, and added up.  One with many is a
 * branch: those buckets inside of it that are marked are rolled up, and it is what they add up to.
 */
#include "postgres.h"

#include "rollup/alias.h"

#include "base/calendar.h"
#include "catalog/pg_type.h"
#include "metric/total.h"
#include "miscadmin.h"
#include "rollup/row.h"
#include "sql/lookup.h"
#include "sql/row.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A bucket with more events of the type than this is a branch: so many are read from the table at once. */
#define LEAF_EVENTS 256

/*
 * Of a minute, while they are not large: its seconds would be up to 60 rows for each metric, which take longer to write
 * than so many events to read, and more room than these events' share of an index.
 */
#define MINUTE_LEAF_EVENTS 1024
#define MINUTE_LEAF_SIZE ((Size) 1024 * 1024)

#define OF_TYPE \
	KEY_EQUAL("account_id", UUIDOID), KEY_EQUAL("customer_alias", TEXTOID), KEY_EQUAL("event_type", TEXTOID), \
		KEY_FROM("event_timestamp", TIMESTAMPTZOID), KEY_BEFORE("event_timestamp", TIMESTAMPTZOID)

/* At most one more than a leaf has. */
static Lookup read_few_events = {
	.table = "event",
	.index = "event_customer_idx",
	.columns = "id, event_timestamp, event_properties",
	.keys = {OF_TYPE},
	.max_rows = LEAF_EVENTS + 1,
	.takes_snapshot = true,
};

static Lookup read_few_events_of_minute = {
	.table = "event",
	.index = "event_customer_idx",
	.columns = "id, event_timestamp, event_properties",
	.keys = {OF_TYPE},
	.max_rows = MINUTE_LEAF_EVENTS + 1,
	.takes_snapshot = true,
};

static Lookup read_events = {
	.table = "event",
	.index = "event_customer_idx",
	.columns = "id, event_timestamp, event_properties",
	.keys = {OF_TYPE},
	.takes_snapshot = true,
};

static Lookup find_next_event = {
	.table = "event",
	.index = "event_customer_idx",
	.columns = "event_timestamp",
	.keys = {OF_TYPE},
	.max_rows = 1,
	.takes_snapshot = true,
};

/* Events of a bucket -------------------------------------------------------- */

/* What a metric has to know of an event. */
typedef struct BucketEvent
{
	pg_uuid_t id;
	TimestampTz timestamp;
	Jsonb *properties;
} BucketEvent;

typedef struct BucketTime
{
	TimestampTz start;
	TimestampTz end;
} BucketTime;

/* The events of a type in a bucket that has few. */
typedef struct FewEvents
{
	BucketTime time;
	bool are_few;
	int most;
	int count;
	int capacity;
	BucketEvent *items;
	Size size; /* of all that in memory */
} FewEvents;

/*
 * What was read for one metric of an alias, for the others of the same type.  It is as
 * good for them: it was read after the marks had been taken away.
 */
struct EventCache
{
	HTAB *buckets;
	MemoryContext context;
	Size size;
};

/* Bytes; when there are so many, the next bucket is read for each metric. */
#define CACHE_SIZE ((Size) 16 * 1024 * 1024)

EventCache *
rollup_event_cache_make(void)
{
	EventCache *cache = palloc0(sizeof(EventCache));
	HASHCTL control = {.keysize = sizeof(BucketTime), .entrysize = sizeof(FewEvents), .hcxt = CurrentMemoryContext};

	cache->context = CurrentMemoryContext;
	cache->buckets = hash_create("usage metric events", 128, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return cache;
}

/* Buckets ------------------------------------------------------------------- */

typedef struct AliasRefresh
{
	const Metric *metric;
	EventCache *cache; /* NULL: there are no other metrics */
	Slice alias;
	const MetricMatcher *matcher;
	RollupWriter *writer;
	const TimestampTz *marks; /* seconds, ascending, each once */
	BucketLevel deepest;
	bool is_new; /* there are no rows of it */
} AliasRefresh;

/* Which buckets of those inside one are rolled up: those with marks from first to last, exclusive, or all. */
typedef struct Changes
{
	bool all;
	int first;
	int last;
} Changes;

static void
event_arguments(const AliasRefresh *refresh, TimestampTz start, TimestampTz end, Datum *arguments)
{
	arguments[0] = UUIDPGetDatum(&refresh->metric->account_id);
	arguments[1] = slice_to_datum(refresh->alias);
	arguments[2] = slice_to_datum(refresh->metric->event_type);
	arguments[3] = TimestampTzGetDatum(Max(start, CALENDAR_START));
	arguments[4] = TimestampTzGetDatum(Min(end, CALENDAR_END));
}

static bool
is_full(const FewEvents *few)
{
	return few->count == few->most || (few->count >= LEAF_EVENTS && few->size >= MINUTE_LEAF_SIZE);
}

/* Keeps the event, while they are few. */
static void
take_one_of_few(uint64 row, void *argument)
{
	FewEvents *few = argument;
	BucketEvent *event;

	if (is_full(few))
		few->are_few = false;
	if (!few->are_few)
		return;
	/* A cache keeps what it has room for. */
	if (few->count == few->capacity)
	{
		few->capacity *= 2;
		few->items = repalloc(few->items, sizeof(BucketEvent) * few->capacity);
	}
	event = &few->items[few->count++];
	event->id = *DatumGetUUIDP(row_value_there(row, 1));
	event->timestamp = DatumGetTimestampTz(row_value_there(row, 2));
	event->properties = DatumGetJsonbPCopy(row_value_there(row, 3));
	few->size += GetMemoryChunkSpace(event->properties);
}

static void
free_few(FewEvents *few)
{
	for (int i = 0; i < few->count; i++)
		pfree(few->items[i].properties);
	pfree(few->items);
	*few = (FewEvents){.time = few->time};
}

/* Reads the events of a bucket, if they are few, into the current memory context. */
static void
read_few(const AliasRefresh *refresh, BucketTime time, FewEvents *few)
{
	Datum arguments[5];

	bool is_minute = time.end - time.start == USECS_PER_MINUTE;

	few->are_few = true;
	few->most = is_minute ? MINUTE_LEAF_EVENTS : LEAF_EVENTS;
	few->count = 0;
	few->capacity = 8;
	few->items = palloc(sizeof(BucketEvent) * few->capacity);
	few->size = 0;
	event_arguments(refresh, time.start, time.end, arguments);
	lookup_rows(is_minute ? &read_few_events_of_minute : &read_few_events, arguments, take_one_of_few, few);
	few->size += GetMemoryChunkSpace(few->items);
	if (!few->are_few)
		free_few(few);
}

/* The same from the cache, where there is one that has room. */
static FewEvents
few_events(const AliasRefresh *refresh, BucketTime time)
{
	FewEvents few;
	FewEvents *cached;
	EventCache *cache = refresh->cache;
	MemoryContext context;
	bool found;

	if (cache == NULL || cache->size >= CACHE_SIZE)
	{
		cached = cache == NULL ? NULL : hash_search(cache->buckets, &time, HASH_FIND, NULL);
		if (cached != NULL)
			return *cached;
		read_few(refresh, time, &few);
		return few;
	}
	cached = hash_search(cache->buckets, &time, HASH_ENTER, &found);
	if (!found)
	{
		cached->are_few = false;
		context = MemoryContextSwitchTo(cache->context);
		read_few(refresh, time, cached);
		MemoryContextSwitchTo(context);
		cache->size += cached->size;
	}
	return *cached;
}

typedef struct EventsWork
{
	const AliasRefresh *refresh;
	MetricTotal *total;
	MemoryContext row_context;
} EventsWork;

static void
add_event(EventsWork *work, const pg_uuid_t *id, TimestampTz timestamp, Jsonb *properties)
{
	MemoryContext context = MemoryContextSwitchTo(work->row_context);

	metric_total_add_event(work->total, work->refresh->matcher, id, timestamp, properties);
	MemoryContextSwitchTo(context);
	MemoryContextReset(work->row_context);
}

static void
take_event(uint64 row, void *argument)
{
	EventsWork *work = argument;
	MemoryContext context = MemoryContextSwitchTo(work->row_context);
	Jsonb *properties = DatumGetJsonbP(row_value_there(row, 3));

	MemoryContextSwitchTo(context);
	add_event(work, DatumGetUUIDP(row_value_there(row, 1)), DatumGetTimestampTz(row_value_there(row, 2)), properties);
}

/* Adds the bucket's events: the few, or where they are many, all that there are. */
static void
add_events(const AliasRefresh *refresh, BucketTime time, const FewEvents *few, MetricTotal *total)
{
	EventsWork work = {refresh, total,
					   AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES)};
	Datum arguments[5];

	if (few->are_few)
	{
		for (int i = 0; i < few->count; i++)
			add_event(&work, &few->items[i].id, few->items[i].timestamp, few->items[i].properties);
	}
	else
	{
		event_arguments(refresh, time.start, time.end, arguments);
		lookup_rows(&read_events, arguments, take_event, &work);
	}
	MemoryContextDelete(work.row_context);
}

static void
take_timestamp(uint64 row, void *argument)
{
	*(TimestampTz *) argument = DatumGetTimestampTz(row_value_there(row, 1));
}

/* The time of the first event of the metric's type from start on; the end if there is none before it. */
static TimestampTz
next_event(const AliasRefresh *refresh, TimestampTz start, TimestampTz end)
{
	Datum arguments[5];
	TimestampTz timestamp = end;

	event_arguments(refresh, start, end, arguments);
	lookup_rows(&find_next_event, arguments, take_timestamp, &timestamp);
	return timestamp;
}

static void refresh_bucket(const AliasRefresh *refresh, BucketLevel level, TimestampTz bucket, Changes changes,
						   MetricTotal *total);

/* Rolls up the buckets of the next level inside this one, and adds them to the total, which may be NULL. */
static void
refresh_children(const AliasRefresh *refresh, BucketLevel level, TimestampTz bucket, Changes changes,
				 MetricTotal *total)
{
	BucketLevel below = (BucketLevel) (level + 1);
	TimestampTz end = bucket_end(bucket, level);
	TimestampTz at;

	if (changes.all)
	{
		TimestampTz from = bucket;

		while (from < end && (at = next_event(refresh, from, end)) < end)
		{
			refresh_bucket(refresh, below, bucket_start(at, below), changes, total);
			from = bucket_end(bucket_start(at, below), below);
		}
		return;
	}
	for (int i = changes.first; i < changes.last;)
	{
		TimestampTz child = bucket_start(refresh->marks[i], below);
		TimestampTz child_end = bucket_end(child, below);
		Changes inside = {.first = i};

		while (i < changes.last && refresh->marks[i] < child_end)
			i++;
		inside.last = i;
		refresh_bucket(refresh, below, child, inside, total);
	}
}

/* Whether there are nearly as many groups, or values, as events: rows of them would save nobody anything. */
static bool
hardly_repeats(const MetricTotal *total)
{
	int64 cells = total->is_over ? metric_total_max_rows() : metric_total_cell_count(total);

	return cells > LEAF_EVENTS && cells * 2 > total->event_count;
}

/*
 * Writes the bucket as its total is now.  It is left open where the total is too large
 * for rows, and where the events themselves are as good.
 */
static void
write_bucket(const AliasRefresh *refresh, RollupBucket bucket, RollupNode before, MetricTotal *total)
{
	const Metric *metric = refresh->metric;
	bool has_one_row = rollup_has_one_row(metric);
	bool is_empty = total->event_count == 0 && !total->is_over;
	bool is_open = total->is_over || (!bucket.is_branch && !has_one_row && hardly_repeats(total));

	if (before != ROLLUP_ABSENT && (is_empty || (!has_one_row && is_open)))
	{
		rollup_delete_node(metric, refresh->alias, bucket.level, bucket.start);
		bucket.knows_rows = true;
	}
	else if (before != ROLLUP_ABSENT && !has_one_row)
	{
		rollup_keep_stored(metric, refresh->alias, &bucket, total);
		bucket.knows_rows = true;
	}
	if (is_open)
		rollup_write_open(refresh->writer, &bucket);
	else if (!is_empty)
		rollup_write(refresh->writer, &bucket, total);
}

/* Adds up what the buckets inside of a branch have: their rows, and the events of those without. */
static void
add_children(const AliasRefresh *refresh, BucketLevel level, TimestampTz bucket, MetricTotal *total)
{
	BucketLevel below = (BucketLevel) (level + 1);
	List *open_leaves = rollup_add_children(refresh->metric, refresh->alias, level, bucket, total);
	ListCell *cell;

	foreach(cell, open_leaves)
	{
		TimestampTz start = *(TimestampTz *) lfirst(cell);

		if (total->is_over)
			break;
		add_events(refresh, (BucketTime){start, bucket_end(start, below)}, &(FewEvents){.are_few = false}, total);
	}
}

/*
 * Rolls up a bucket whose events were changed, and adds what it has now to the
 * total, unless that is NULL.  With changes.all nothing that is there of it counts: in what was a leaf
 * rows may be left over, and are overwritten.
 */
static void
refresh_bucket(const AliasRefresh *refresh, BucketLevel level, TimestampTz bucket, Changes changes, MetricTotal *total)
{
	const Metric *metric = refresh->metric;
	MemoryContext work_context =
		AllocSetContextCreate(CurrentMemoryContext, "usage metric bucket", ALLOCSET_SMALL_SIZES);
	MemoryContext context = MemoryContextSwitchTo(work_context);
	BucketTime time = {bucket, bucket_end(bucket, level)};
	RollupNode before = changes.all ? ROLLUP_ABSENT : rollup_find(metric, refresh->alias, level, bucket);
	bool has_no_rows = before == ROLLUP_ABSENT && (!changes.all || refresh->is_new);
	bool is_branch = before == ROLLUP_BRANCH;
	MetricTotal bucket_total;

	CHECK_FOR_INTERRUPTS();
	metric_total_init_for_rows(&bucket_total, metric, work_context);
	if (!is_branch)
	{
		FewEvents few = few_events(refresh, time);

		is_branch = !few.are_few && level < refresh->deepest;
		if (!is_branch || !rollup_has_one_row(metric))
			add_events(refresh, time, &few, &bucket_total);
		is_branch = is_branch && !(!rollup_has_one_row(metric) && hardly_repeats(&bucket_total));
	}
	if (is_branch)
	{
		metric_total_clear(&bucket_total);
		if (before == ROLLUP_BRANCH)
		{
			refresh_children(refresh, level, bucket, changes, NULL);
			rollup_write_flush(refresh->writer);
			add_children(refresh, level, bucket, &bucket_total);
		}
		else
		{
			/* What was a leaf may have events in all of its parts; what was not there, only where there are marks. */
			if (before == ROLLUP_LEAF)
				changes.all = true;
			refresh_children(refresh, level, bucket, changes, &bucket_total);
		}
	}
	write_bucket(refresh, (RollupBucket){level, bucket, is_branch, has_no_rows}, before, &bucket_total);

	MemoryContextSwitchTo(context);
	if (total != NULL)
		metric_total_add(total, &bucket_total);
	MemoryContextDelete(work_context);
}

/* Rolls up an alias: what is marked or, where there is nothing of it yet, all. */
void
rollup_alias(const Metric *metric, Slice alias, const TimestampTz *marks, int mark_count, EventCache *cache)
{
	AliasRefresh refresh = {
		.metric = metric,
		.cache = cache,
		.alias = alias,
		.matcher = metric_matcher_make(metric),
		.marks = marks,
		.deepest = metric->kind->deepest,
	};

	refresh.is_new = marks == NULL || rollup_find(metric, alias, BUCKET_ALL, DT_NOBEGIN) == ROLLUP_ABSENT;
	refresh.writer = rollup_writer_make(metric, alias);
	if (refresh.is_new)
	{
		rollup_delete_below_root(metric, alias);
		refresh_children(&refresh, BUCKET_ALL, DT_NOBEGIN, (Changes){.all = true}, NULL);
		rollup_write_open(refresh.writer, &(RollupBucket){BUCKET_ALL, DT_NOBEGIN, .is_branch = true});
	}
	else
		refresh_children(&refresh, BUCKET_ALL, DT_NOBEGIN, (Changes){.first = 0, .last = mark_count}, NULL);
	rollup_write_end(refresh.writer);
}
