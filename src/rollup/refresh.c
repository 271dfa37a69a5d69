/*
 * rollup/refresh.c
 *		Bringing rollups up to date.
 *
 * A step takes an alias whose events were changed: it deletes the marks that it
 * sees, and then rolls up the marked buckets anew, from the events that it sees.
 * Events that come between the two are rolled up as well, but their marks stay,
 * so those buckets are not used and rolled up once more.  Nobody who writes waits
 * for a refresh.  Refreshes do not wait for each other either: of two, only the
 * one that has the alias' lock takes it, and sees what the one before committed,
 * because each statement has its own snapshot.
 *
 * A new metric is rolled up alias by alias.  Before that begins, all transactions
 * must be over that may have written events without knowing of the metric, and
 * so without marks.  Whoever writes has a transaction id before it looks whether
 * the type is one to be marked.  So those are transactions below the next id of a
 * moment at which all backends had been told: the metric's horizon.  Refreshes in the
 * background write no events, and are not waited for: one may take long.
 */
#include "postgres.h"

#include "rollup/refresh.h"

#include <limits.h>
#include <math.h>

#include "access/xact.h"
#include "account/account.h"
#include "base/compat.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "event/mark.h"
#include "event/rejected.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "metric/metric.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "rollup/row.h"
#include "rollup/watch.h"
#include "sql/distribution.h"
#include "sql/own_lock.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

/* A bucket with more events than this, of any type, is a branch: so many are read from the table at once. */
#define LEAF_EVENTS 256

/* Locks of aliases are these many, so that a refresh of many aliases needs no more. */
#define LOCK_COUNT 512

/* So many marks, or rows of a metric that is gone, in one step. */
#define MARKS_AT_A_TIME "20000"

static Statement keeps_marks = {
	.sql = "SELECT WHERE " MARKS_ARE_KEPT,
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement read_watch = {
	.sql = "SELECT w.state FROM (SELECT " EVENTS_WATCH " AS state) AS w WHERE w.state " NE " 'off'",
};

/* Its marks row, and what was written when something was changed by hand. */
static Statement delete_marks_rows = {
	.sql = "DELETE FROM usage_events.dirty_bucket WHERE account_id " EQ " $1"
		   " AND event_type " EQ " ''::pg_catalog.text",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement is_subscribed = {
	.sql = "SELECT WHERE " EVENTS_ARE_SUBSCRIBED,
};

/* What was rolled up before the subscription is not to be used after it, either. */
static Statement delete_rollups = {
	.sql = "DELETE FROM usage_events.metric_rollup WHERE account_id " EQ " $1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement insert_marks_row = {
	.sql = "INSERT INTO usage_events.dirty_bucket"
		   " (account_id, event_type, customer_alias, bucket, marked_at, seconds, watched_by)"
		   " VALUES ($1, '', '', '-infinity', $2, 0, $3)",
	.argument_count = 3,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, TEXTOID},
};

/* Without the rows of these levels nothing below them is used. */
static Statement delete_roots = {
	.sql = "DELETE FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " AND level " LE " 0::smallint",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement restart_all = {
	.sql = "UPDATE usage_events.metric_progress SET is_built = false, customer_alias = NULL"
		   " WHERE account_id " EQ " $1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement delete_roots_of_version = {
	.sql = "DELETE FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " AND metric_version_id " EQ " $2 AND level " LE " 0::smallint",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement insert_missing_progress = {
	.sql = "INSERT INTO usage_events.metric_progress (account_id, metric_version_id, event_type, started_at)"
		   " SELECT m.account_id, m.version_id, m.event_type, $2 FROM usage_events.metric AS m"
		   " WHERE m.account_id " EQ " $1 AND m.deleted_at IS NULL"
		   " AND m.aggregation_type " NE " 'CUSTOM'::pg_catalog.text"
		   " AND NOT EXISTS (SELECT FROM usage_events.metric_progress AS p"
		   " WHERE p.account_id " EQ " $1"
		   " AND p.metric_version_id " EQ " m.version_id)"
		   " ON CONFLICT (account_id, metric_version_id) DO NOTHING RETURNING metric_version_id",
	.argument_count = 2,
	.argument_types = {UUIDOID, TIMESTAMPTZOID},
};

/*
 * What an update or deletion of a metric leaves behind: its rollups are orphans then.  Written by hand,
 * a metric may have another type in the same version.
 */
static Statement delete_past_progress = {
	.sql = "DELETE FROM usage_events.metric_progress WHERE account_id " EQ " $1"
		   " AND metric_version_id " EQ " ANY (ARRAY(SELECT p.metric_version_id"
		   " FROM usage_events.metric_progress AS p WHERE p.account_id " EQ " $1"
		   " AND NOT ROW(p.metric_version_id, p.event_type) " EQ " ANY"
		   " (SELECT m.version_id, m.event_type FROM usage_events.metric AS m"
		   " WHERE m.account_id " EQ " $1 AND m.deleted_at IS NULL) FOR UPDATE SKIP LOCKED))",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* From version to version in the index: the first that is no metric's any more. */
static Statement find_orphan = {
	.sql = "WITH RECURSIVE version (id) AS ("
		   " (SELECT metric_version_id FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " ORDER BY metric_version_id LIMIT 1)"
		   " UNION ALL"
		   " SELECT (SELECT metric_version_id FROM usage_events.metric_rollup"
		   " WHERE account_id " EQ " $1 AND metric_version_id " GT " version.id"
		   " ORDER BY metric_version_id LIMIT 1) FROM version WHERE version.id IS NOT NULL)"
		   " SELECT version.id FROM version WHERE version.id IS NOT NULL"
		   " AND NOT EXISTS (SELECT FROM usage_events.metric_progress AS p"
		   " WHERE p.account_id " EQ " $1"
		   " AND p.metric_version_id " EQ " version.id) LIMIT 1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement delete_orphan = {
	.sql = "DELETE FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " AND ctid " EQ " ANY (ARRAY(SELECT ctid FROM usage_events.metric_rollup"
		   " WHERE account_id " EQ " $1 AND metric_version_id " EQ " $2"
		   " LIMIT " MARKS_AT_A_TIME " FOR UPDATE SKIP LOCKED))",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement find_dirty_alias = {
	.sql = "SELECT event_type, customer_alias FROM usage_events.dirty_bucket"
		   " WHERE account_id " EQ " $1"
		   " AND ROW(event_type, customer_alias) " GT " ROW($2, $3)"
		   " ORDER BY event_type, customer_alias LIMIT 1",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID},
};

static Statement read_last_place = {
	.sql = "SELECT COALESCE(turn_event_type, ''), COALESCE(turn_customer_alias, '') FROM usage_events.metric_progress"
		   " WHERE account_id " EQ " $1 AND turn_at IS NOT NULL ORDER BY turn_at DESC LIMIT 1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement take_marks = {
	.sql = "DELETE FROM usage_events.dirty_bucket WHERE account_id " EQ " $1"
		   " AND ctid " EQ " ANY (ARRAY(SELECT ctid FROM usage_events.dirty_bucket"
		   " WHERE account_id " EQ " $1 AND event_type " EQ " $2"
		   " AND customer_alias " EQ " $3 ORDER BY bucket LIMIT " MARKS_AT_A_TIME "))"
		   " RETURNING bucket, seconds",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID},
};

/* Marks of all customers, of a type. */
static Statement take_common_marks = {
	.sql = "DELETE FROM usage_events.dirty_bucket WHERE account_id " EQ " $1"
		   " AND event_type " EQ " $2 AND customer_alias " EQ " '' RETURNING bucket",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

/* In their place, marks of those customers who have events in these minutes. */
static Statement insert_marks_of_customers = {
	.sql = "INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at, seconds)"
		   " SELECT $1, $2, c.customer_alias, c.starts_at, $4, 60::smallint"
		   " FROM " CUSTOMERS_IN_MINUTES " AS c RETURNING account_id",
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID},
};

#define METRIC_JOIN \
	" FROM usage_events.metric AS m JOIN usage_events.metric_progress AS p" \
	" ON p.account_id " EQ " m.account_id" \
	" AND p.metric_version_id " EQ " m.version_id" \
	" WHERE m.account_id " EQ " $1 AND m.deleted_at IS NULL"

/* Metrics that have rolled up this alias, or passed by its place: their ids, since the metrics themselves may be large. */
static Statement metrics_of_alias = {
	.sql = "SELECT m.id, m.version_id" METRIC_JOIN " AND m.event_type " EQ " $2"
		   " AND (p.is_built OR p.customer_alias " GE " $3"
		   " OR EXISTS (SELECT FROM usage_events.metric_rollup AS r WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " m.version_id"
		   " AND r.level " EQ " 0::smallint AND r.customer_alias " EQ " $3))",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID},
};

static Statement read_version = {
	.sql = "SELECT " METRIC_ROW_COLUMNS " FROM usage_events.metric WHERE account_id " EQ " $1"
		   " AND id " EQ " $2 AND version_id " EQ " $3 AND deleted_at IS NULL",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, UUIDOID},
};

/* Metrics that have not rolled up all aliases. */
static Statement metrics_to_build = {
	.sql = "SELECT m.id, m.version_id, p.horizon" METRIC_JOIN " AND NOT p.is_built ORDER BY m.version_id",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Those whose cache somebody has truncated: the row that was written last is not there. */
static Statement restart_truncated = {
	.sql = "UPDATE usage_events.metric_progress AS p SET is_built = false, customer_alias = NULL"
		   " WHERE p.account_id " EQ " $1 AND (p.is_built OR p.customer_alias IS NOT NULL)"
		   " AND NOT EXISTS (SELECT FROM usage_events.metric_rollup AS r"
		   " WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " p.metric_version_id"
		   " AND r.level " EQ " CASE WHEN p.is_built THEN (-1)::smallint ELSE 0::smallint END"
		   " AND r.customer_alias " EQ " CASE WHEN p.is_built THEN '' ELSE p.customer_alias END)",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Those that run, but for this one, in ascending order; and the id below which all others are over. */
static Statement read_transactions = {
	.sql = "SELECT running, pg_catalog.pg_snapshot_xmax(snapshot)"
		   " FROM pg_catalog.pg_current_snapshot() AS snapshot"
		   " LEFT JOIN LATERAL pg_catalog.pg_snapshot_xip(snapshot) AS running ON true ORDER BY running",
};

static Statement set_horizon = {
	.sql = "UPDATE usage_events.metric_progress SET horizon = $3 WHERE account_id " EQ " $1"
		   " AND metric_version_id " EQ " $2 AND horizon IS NULL",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, XID8OID},
};

static Statement find_next_alias = {
	.sql = "SELECT customer_alias FROM usage_events.event WHERE account_id " EQ " $1"
		   " AND customer_alias " GT " (SELECT COALESCE(p.customer_alias, '')"
		   " FROM usage_events.metric_progress AS p WHERE p.account_id " EQ " $1"
		   " AND p.metric_version_id " EQ " $2) ORDER BY customer_alias LIMIT 1",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement set_progress = {
	.sql = "UPDATE usage_events.metric_progress SET customer_alias = $3 WHERE account_id " EQ " $1"
		   " AND metric_version_id " EQ " $2"
		   " AND COALESCE(customer_alias, '') " LT " $3",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID},
};

static Statement set_built = {
	.sql = "UPDATE usage_events.metric_progress SET is_built = true WHERE account_id " EQ " $1"
		   " AND metric_version_id " EQ " $2",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement insert_complete_row = {
	.sql = "INSERT INTO usage_events.metric_rollup (account_id, metric_version_id, customer_alias, level, bucket,"
		   " is_branch, group_key, unique_key, event_count, skipped_event_count)"
		   " VALUES ($1, $2, '', -1, '-infinity', true, '', '', 0, 0)"
		   " ON CONFLICT (account_id, metric_version_id, level, customer_alias, bucket, group_key, unique_key)"
		   " DO NOTHING",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

#define OF_TURN_BEFORE \
	" WHERE account_id " EQ " $1" \
	" AND metric_version_id " EQ " ANY (ARRAY(SELECT metric_version_id" \
	" FROM usage_events.metric_progress WHERE account_id " EQ " $1" \
	" AND (turn_at IS NULL OR turn_at " LT " $3) FOR UPDATE SKIP LOCKED))"

static Statement note_refresh = {
	.sql = "UPDATE usage_events.metric_progress"
		   " SET refreshed_at = $2, turn_at = $2, turn_event_type = $4, turn_customer_alias = $5" OF_TURN_BEFORE,
	.argument_count = 5,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID},
};

static Statement note_failure = {
	.sql = "UPDATE usage_events.metric_progress SET turn_at = $2" OF_TURN_BEFORE,
	.argument_count = 3,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

/* Events of an alias, of any type, but what they say only of one: at most one more than a leaf has. */
static Statement read_few_events = {
	.sql = "SELECT id, event_timestamp, CASE WHEN pg_catalog.texteq(event_type, $5) THEN event_properties END"
		   " FROM usage_events.event"
		   " WHERE account_id " EQ " $1 AND customer_alias " EQ " $2"
		   " AND event_timestamp " GE " $3 AND event_timestamp " LT " $4"
		   " LIMIT $6",
	.argument_count = 6,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, INT8OID},
};

/* Compared by a function, the type does not tempt the planner to an index that has all customers' events of it. */
#define EVENTS_OF_TYPE \
	" FROM usage_events.event" \
	" WHERE account_id " EQ " $1 AND customer_alias " EQ " $2" \
	" AND event_timestamp " GE " $3 AND event_timestamp " LT " $4" \
	" AND pg_catalog.texteq(event_type, $5)"

static Statement read_events = {
	.sql = "SELECT id, event_timestamp, event_properties" EVENTS_OF_TYPE,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID},
};

static Statement find_next_event = {
	.sql = "SELECT event_timestamp" EVENTS_OF_TYPE " ORDER BY event_timestamp LIMIT 1",
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID},
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

/* The events of a type in a bucket that has few of any type. */
typedef struct FewEvents
{
	BucketTime time;
	bool are_few;
	int count;
	BucketEvent *items;
	Size size; /* of all that in memory */
} FewEvents;

/*
 * What was read for one metric of an alias, for the others of the same type.  It is as
 * good for them: it was read after the marks had been taken away.
 */
typedef struct EventCache
{
	HTAB *buckets;
	MemoryContext context;
	Size size;
} EventCache;

/* Bytes; when there are so many, the next bucket is read for each metric. */
#define CACHE_SIZE ((Size) 16 * 1024 * 1024)

static EventCache *
event_cache_make(void)
{
	EventCache *cache = palloc0(sizeof(EventCache));
	HASHCTL control = {.keysize = sizeof(BucketTime), .entrysize = sizeof(FewEvents), .hcxt = CurrentMemoryContext};

	cache->context = CurrentMemoryContext;
	cache->buckets = hash_create("usage metric events", 128, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return cache;
}

/* One alias of one metric ---------------------------------------------------- */

typedef struct AliasRefresh
{
	const Metric *metric;
	EventCache *cache; /* NULL: there are no other metrics */
	Slice alias;
	const MetricMatcher *matcher;
	RollupWriter *writer;
	const TimestampTz *marks; /* seconds, ascending, each once */
	BucketLevel deepest;
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
	arguments[2] = TimestampTzGetDatum(Max(start, CALENDAR_START));
	arguments[3] = TimestampTzGetDatum(Min(end, CALENDAR_END));
	arguments[4] = slice_to_datum(refresh->metric->event_type);
}

/* Reads the events of a bucket, if they are few, into the current memory context. */
static void
read_few(const AliasRefresh *refresh, BucketTime time, FewEvents *few)
{
	Datum arguments[6];

	few->count = 0;
	few->items = NULL;
	few->size = 0;
	event_arguments(refresh, time.start, time.end, arguments);
	arguments[5] = Int64GetDatum(LEAF_EVENTS + 1);
	statement_execute(&read_few_events, arguments, NULL);
	few->are_few = SPI_processed <= LEAF_EVENTS;
	if (few->are_few)
	{
		few->items = palloc(sizeof(BucketEvent) * Max(SPI_processed, 1));
		few->size = GetMemoryChunkSpace(few->items);
	}
	for (uint64 row = 0; few->are_few && row < SPI_processed; row++)
	{
		bool isnull;
		Datum properties = row_value(row, 3, &isnull);
		BucketEvent *event = &few->items[few->count];

		if (isnull)
			continue;
		event->id = *DatumGetUUIDP(row_value(row, 1, &isnull));
		event->timestamp = DatumGetTimestampTz(row_value(row, 2, &isnull));
		event->properties = DatumGetJsonbPCopy(properties);
		few->size += GetMemoryChunkSpace(event->properties);
		few->count++;
	}
	SPI_freetuptable(SPI_tuptable);
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
		statement_each_row(&read_events, arguments, take_event, &work);
	}
	MemoryContextDelete(work.row_context);
}

/* The time of the first event of the metric's type from start on; false if there is none before the end. */
static bool
next_event(const AliasRefresh *refresh, TimestampTz start, TimestampTz end, TimestampTz *timestamp)
{
	Datum arguments[5];
	bool found;

	event_arguments(refresh, start, end, arguments);
	statement_execute(&find_next_event, arguments, NULL);
	found = SPI_processed > 0;
	if (found)
		*timestamp = DatumGetTimestampTz(row_value_there(0, 1));
	SPI_freetuptable(SPI_tuptable);
	return found;
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

		while (from < end && next_event(refresh, from, end, &at))
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

/* A metric whose buckets have a row for each group, or value. */
static bool
has_cells(const Metric *metric)
{
	return metric->is_grouped || metric->aggregation == METRIC_UNIQUE;
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
write_bucket(const AliasRefresh *refresh, BucketLevel level, TimestampTz bucket, RollupNode before, bool is_branch,
			 MetricTotal *total)
{
	const Metric *metric = refresh->metric;
	bool is_empty = total->event_count == 0 && !total->is_over;
	bool is_open = total->is_over || (!is_branch && has_cells(metric) && hardly_repeats(total));

	if (before != ROLLUP_ABSENT && (is_empty || (has_cells(metric) && is_open)))
		rollup_delete_node(metric, refresh->alias, level, bucket);
	else if (before != ROLLUP_ABSENT && has_cells(metric))
		rollup_keep_stored(metric, refresh->alias, level, bucket, is_branch, total);
	if (is_open)
		rollup_write_open(refresh->writer, level, bucket, is_branch);
	else if (!is_empty)
		rollup_write(refresh->writer, level, bucket, is_branch, total);
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
 * total, unless that is NULL.  With changes.all nothing is there of it yet.
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
	bool is_branch = before == ROLLUP_BRANCH;
	MetricTotal bucket_total;

	CHECK_FOR_INTERRUPTS();
	metric_total_init_for_rows(&bucket_total, metric, work_context);
	if (!is_branch)
	{
		FewEvents few = few_events(refresh, time);

		is_branch = !few.are_few && level < refresh->deepest;
		if (!is_branch || has_cells(metric))
			add_events(refresh, time, &few, &bucket_total);
		is_branch = is_branch && !(has_cells(metric) && hardly_repeats(&bucket_total));
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
	write_bucket(refresh, level, bucket, before, is_branch, &bucket_total);

	MemoryContextSwitchTo(context);
	if (total != NULL)
		metric_total_add(total, &bucket_total);
	MemoryContextDelete(work_context);
}

/* Rolls up an alias: what is marked or, where there is nothing of it yet, all. */
static void
refresh_alias(const Metric *metric, Slice alias, const TimestampTz *marks, int mark_count, EventCache *cache)
{
	AliasRefresh refresh = {
		.metric = metric,
		.cache = cache,
		.alias = alias,
		.matcher = metric_matcher_make(metric),
		.marks = marks,
		/* The values of a UNIQUE metric have a row each, as many as events in the end: not in every second. */
		.deepest = metric->aggregation == METRIC_UNIQUE ? BUCKET_HOUR : BUCKET_SECOND,
	};
	bool is_new = marks == NULL || rollup_find(metric, alias, BUCKET_ALL, DT_NOBEGIN) == ROLLUP_ABSENT;

	refresh.writer = rollup_writer_make(metric, alias);
	if (is_new)
	{
		rollup_delete_below(metric, alias, BUCKET_MONTH, CALENDAR_START, CALENDAR_END);
		refresh_children(&refresh, BUCKET_ALL, DT_NOBEGIN, (Changes){.all = true}, NULL);
		rollup_write_open(refresh.writer, BUCKET_ALL, DT_NOBEGIN, true);
	}
	else
		refresh_children(&refresh, BUCKET_ALL, DT_NOBEGIN, (Changes){.first = 0, .last = mark_count}, NULL);
	rollup_write_end(refresh.writer);
}

/* Locks --------------------------------------------------------------------- */

static uint32
lock_key(const pg_uuid_t *account_id, Slice event_type, Slice alias)
{
	uint32 hash = hash_combine(hash_bytes(account_id->data, UUID_LEN),
							   hash_combine(hash_bytes((const unsigned char *) event_type.data, event_type.length),
											hash_bytes((const unsigned char *) alias.data, alias.length)));

	return hash % LOCK_COUNT;
}

/* Only one refresh at a time takes an alias; the lock is kept until its transaction ends. */
static bool
try_lock_alias(const pg_uuid_t *account_id, Slice event_type, Slice alias)
{
	return own_lock_try(OWN_LOCK_ALIAS, lock_key(account_id, event_type, alias));
}

/*
 * While a refresh builds a new metric of the type, no other takes marks of the type:
 * it does not see which aliases the metric has passed by, and must not leave those
 * out.
 */
static bool
try_lock_type(const pg_uuid_t *account_id, Slice event_type, bool to_build)
{
	uint32 key = lock_key(account_id, event_type, SLICE(""));

	return to_build ? own_lock_try(OWN_LOCK_TYPE, key) : own_lock_try_shared(OWN_LOCK_TYPE, key);
}

/* Tries to take an account for this transaction: for refreshes that leave it to each other. */
bool
rollup_refresh_lock_account(const pg_uuid_t *account_id)
{
	return own_lock_try(OWN_LOCK_ACCOUNT, hash_bytes(account_id->data, UUID_LEN));
}

/* Transactions that write no events ------------------------------------------ */

static bool is_background = false;
static LocalTransactionId told_by = InvalidLocalTransactionId;

/* Tells that this process does nothing but refresh. */
void
rollup_refresh_in_background(void)
{
	is_background = true;
}

/* What the lock is of: transactions that run at the same time differ in it. */
static uint32
transaction_key(uint64 transaction)
{
	return (uint32) transaction;
}

/* Before a step, which may take long: shows the others that this transaction need not be waited for. */
static void
tell_of_step(void)
{
	if (!is_background || told_by == current_local_transaction_id())
		return;
	(void) own_lock_try(OWN_LOCK_TRANSACTION, transaction_key(U64FromFullTransactionId(GetTopFullTransactionId())));
	told_by = current_local_transaction_id();
}

/* How long a turn is -------------------------------------------------------- */

/* Milliseconds. */
static int account_time = 1000;

void
rollup_refresh_init(void)
{
	DefineCustomIntVariable("usage_events.refresh_account_time",
							"How long rollups of an account are refreshed before the next account has its turn.",
							"A step that has begun is finished.", &account_time, 1000, 1, INT_MAX, PGC_SUSET,
							GUC_UNIT_MS, NULL, NULL, NULL);
}

/* What is left of a turn.  The clock is one that nobody sets back. */
typedef struct RefreshBudget
{
	int64 steps;
	double ends_at;
} RefreshBudget;

static double
milliseconds_now(void)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_MILLISEC(now);
}

static RefreshBudget
budget_make(int64 max_steps, bool is_turn)
{
	return (RefreshBudget){max_steps, is_turn ? milliseconds_now() + account_time : HUGE_VAL};
}

/* The first half of a budget: what comes after it shall have its share. */
static RefreshBudget
budget_half(const RefreshBudget *budget)
{
	double now = milliseconds_now();

	return (RefreshBudget){(budget->steps + 1) / 2, now + (budget->ends_at - now) / 2};
}

static bool
is_time_over(const RefreshBudget *budget)
{
	return milliseconds_now() >= budget->ends_at;
}

/* Marked aliases ------------------------------------------------------------ */

static int
compare_timestamps(const void *a, const void *b)
{
	TimestampTz first = *(const TimestampTz *) a;
	TimestampTz second = *(const TimestampTz *) b;

	return (first > second) - (first < second);
}

/* Whether events can be there: a mark may have been written by hand, with anything in it. */
static bool
is_event_time(TimestampTz bucket)
{
	return bucket >= CALENDAR_START && bucket < CALENDAR_END;
}

/* Deletes marks of the alias, and returns them in order, each once. */
static TimestampTz *
take_marks_of(const pg_uuid_t *account_id, Slice event_type, Slice alias, int *count)
{
	TimestampTz *marks;
	int mark_count = 0;
	int kept = 0;

	statement_execute(&take_marks,
					  (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(event_type), slice_to_datum(alias)}, NULL);
	marks = palloc_extended(sizeof(TimestampTz) * Max(SPI_processed * SECS_PER_MINUTE, 1), MCXT_ALLOC_HUGE);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		TimestampTz second = DatumGetTimestampTz(row_value_there(row, 1));
		int seconds = DatumGetInt16(row_value_there(row, 2));

		if (!is_event_time(second))
			continue;
		for (int i = 0; i < Min(seconds, SECS_PER_MINUTE); i++)
			marks[mark_count++] = second + i * USECS_PER_SEC;
	}
	qsort(marks, mark_count, sizeof(TimestampTz), compare_timestamps);
	for (int i = 0; i < mark_count; i++)
	{
		if (kept == 0 || marks[kept - 1] != marks[i])
			marks[kept++] = marks[i];
	}
	*count = kept;
	SPI_freetuptable(SPI_tuptable);
	return marks;
}

typedef struct MetricVersion
{
	pg_uuid_t id;
	pg_uuid_t version_id;
} MetricVersion;

/* The versions in the rows of the last statement. */
static List *
read_versions(void)
{
	List *versions = NIL;

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MetricVersion *version = palloc(sizeof(MetricVersion));
		version->id = *DatumGetUUIDP(row_value_there(row, 1));
		version->version_id = *DatumGetUUIDP(row_value_there(row, 2));
		versions = lappend(versions, version);
	}
	SPI_freetuptable(SPI_tuptable);
	return versions;
}

/*
 * Turns the marks of all customers into those of the ones concerned: who has events in
 * such a minute.  Who had one that is gone from it was marked when it went.
 */
static void
divide_common_marks(const pg_uuid_t *account_id, Slice event_type)
{
	Datum *buckets;
	int count = 0;
	int nest_level;

	statement_execute(&take_common_marks, (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(event_type)}, NULL);
	buckets = palloc_extended(sizeof(Datum) * Max(SPI_processed, 1), MCXT_ALLOC_HUGE);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum bucket = row_value_there(row, 1);

		if (is_event_time(DatumGetTimestampTz(bucket)))
			buckets[count++] = bucket;
	}
	SPI_freetuptable(SPI_tuptable);
	if (count == 0)
		return;
	nest_level = statement_use_any_index();
	statement_execute(&insert_marks_of_customers,
					  (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(event_type),
								statement_timestamp_array(buckets, count), TimestampTzGetDatum(GetCurrentTimestamp())},
					  NULL);
	statement_use_indexes_end(nest_level);
}

/* Reads the metric in that version; false if it has another by now. */
static bool
read_metric(const pg_uuid_t *account_id, const MetricVersion *version, Metric *metric)
{
	bool found;

	statement_execute(&read_version,
					  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(&version->id),
								UUIDPGetDatum(&version->version_id)},
					  NULL);
	found = SPI_processed > 0;
	if (found)
		metric_read_row(0, account_id, metric, CurrentMemoryContext);
	SPI_freetuptable(SPI_tuptable);
	return found;
}

static void
refresh_version(const pg_uuid_t *account_id, const MetricVersion *version, Slice alias, const TimestampTz *marks,
				int mark_count, EventCache *cache)
{
	MemoryContext work_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric", ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = MemoryContextSwitchTo(work_context);
	Metric metric;

	if (read_metric(account_id, version, &metric))
		refresh_alias(&metric, alias, marks, mark_count, cache);
	MemoryContextSwitchTo(context);
	MemoryContextDelete(work_context);
}

static void
refresh_marked_alias(const pg_uuid_t *account_id, Slice event_type, Slice alias)
{
	int mark_count;
	TimestampTz *marks = take_marks_of(account_id, event_type, alias, &mark_count);
	List *versions;
	ListCell *cell;
	EventCache *cache;

	if (mark_count == 0)
		return;
	statement_execute(&metrics_of_alias,
					  (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(event_type), slice_to_datum(alias)}, NULL);
	versions = read_versions();
	cache = list_length(versions) > 1 ? event_cache_make() : NULL;
	foreach(cell, versions)
		refresh_version(account_id, lfirst(cell), alias, marks, mark_count, cache);
}

/* Where a turn ended among the marks of an account; empty where it came to the end of them. */
typedef struct MarkPlace
{
	StringInfoData event_type;
	StringInfoData alias;
} MarkPlace;

static void
place_set(MarkPlace *place, Slice event_type, Slice alias)
{
	resetStringInfo(&place->event_type);
	resetStringInfo(&place->alias);
	appendBinaryStringInfo(&place->event_type, event_type.data, event_type.length);
	appendBinaryStringInfo(&place->alias, alias.data, alias.length);
}

static bool
place_is_begin(const MarkPlace *place)
{
	return place->event_type.len == 0 && place->alias.len == 0;
}

/* In the current memory context. */
static void
read_place(const pg_uuid_t *account_id, MarkPlace *place)
{
	initStringInfo(&place->event_type);
	initStringInfo(&place->alias);
	statement_execute(&read_last_place, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	if (SPI_processed > 0)
		place_set(place, row_text_copy(0, 1), row_text_copy(0, 2));
	SPI_freetuptable(SPI_tuptable);
}

/* Goes on to the next alias that has marks; false if there is none. */
static bool
next_dirty_alias(const pg_uuid_t *account_id, MarkPlace *place)
{
	bool found;

	statement_execute(&find_dirty_alias,
					  (Datum[]){UUIDPGetDatum(account_id),
								slice_to_datum((Slice){place->event_type.data, place->event_type.len}),
								slice_to_datum((Slice){place->alias.data, place->alias.len})},
					  NULL);
	found = SPI_processed > 0;
	if (found)
		place_set(place, row_text_copy(0, 1), row_text_copy(0, 2));
	else
		place_set(place, SLICE(""), SLICE(""));
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* Refreshes the alias, unless another refresh is at it. */
static bool
take_dirty_alias(const pg_uuid_t *account_id, const MarkPlace *place)
{
	Slice event_type = {place->event_type.data, place->event_type.len};
	Slice alias = {place->alias.data, place->alias.len};

	if (!try_lock_type(account_id, event_type, false) || !try_lock_alias(account_id, event_type, alias))
		return false;
	tell_of_step();
	if (alias.length == 0)
		divide_common_marks(account_id, event_type);
	else
		refresh_marked_alias(account_id, event_type, alias);
	return true;
}

/*
 * Refreshes aliases that have marks. Returns how many.
 *
 * It begins where the turn before ended, and goes around once: whoever has short
 * turns would otherwise see the first aliases marked anew each time, and never come
 * to the last ones.
 */
static int64
refresh_marked(const pg_uuid_t *account_id, RefreshBudget budget, MarkPlace *place)
{
	MemoryContext step_context =
		AllocSetContextCreate(CurrentMemoryContext, "usage metric refresh", ALLOCSET_DEFAULT_SIZES);
	bool is_around = place_is_begin(place);
	bool is_over = budget.steps <= 0;
	int64 steps = 0;

	while (!is_over)
	{
		MemoryContext context = MemoryContextSwitchTo(step_context);

		CHECK_FOR_INTERRUPTS();
		if (next_dirty_alias(account_id, place))
		{
			steps += take_dirty_alias(account_id, place) ? 1 : 0;
			is_over = steps >= budget.steps || is_time_over(&budget);
		}
		else
		{
			is_over = is_around;
			is_around = true;
		}
		MemoryContextSwitchTo(context);
		MemoryContextReset(step_context);
	}
	MemoryContextDelete(step_context);
	return steps;
}

/* New metrics --------------------------------------------------------------- */

/* Ids of transactions: all below `oldest` that may write events are over, and none has had `next` yet when that was read. */
typedef struct Transactions
{
	uint64 next;
	uint64 oldest;
} Transactions;

static uint64
transaction_id(uint64 row, int number, bool *isnull)
{
	Datum value = row_value(row, number, isnull);

	return *isnull ? 0 : U64FromFullTransactionId(DatumGetFullTransactionId(value));
}

/* The oldest of the transactions that were read which may write events. */
static uint64
oldest_writer(void)
{
	uint64 own = U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
	uint64 oldest = 0;
	bool isnull;

	for (uint64 row = 0; oldest == 0 && row < SPI_processed; row++)
	{
		uint64 running = transaction_id(row, 1, &isnull);

		if (!isnull && own_lock_is_free(OWN_LOCK_TRANSACTION, transaction_key(running)))
			oldest = running;
	}
	if (oldest == 0)
		oldest = transaction_id(0, 2, &isnull);
	return own == 0 ? oldest : Min(own, oldest);
}

/* In this order: where both are the same, all that had begun to write is over. */
static void
read_running_transactions(Transactions *transactions)
{
	transactions->next = U64FromFullTransactionId(ReadNextFullTransactionId());
	statement_execute(&read_transactions, NULL, NULL);
	transactions->oldest = oldest_writer();
	SPI_freetuptable(SPI_tuptable);
}

typedef struct NewMetric
{
	MetricVersion version;
	bool has_horizon;
	uint64 horizon;
} NewMetric;

static List *
read_new_metrics(const pg_uuid_t *account_id)
{
	List *metrics = NIL;

	statement_execute(&metrics_to_build, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		NewMetric *new = palloc(sizeof(NewMetric));
		bool isnull;
		Datum horizon;

		new->version.id = *DatumGetUUIDP(row_value(row, 1, &isnull));
		new->version.version_id = *DatumGetUUIDP(row_value(row, 2, &isnull));
		horizon = row_value(row, 3, &isnull);
		new->has_horizon = !isnull;
		new->horizon = isnull ? 0 : U64FromFullTransactionId(DatumGetFullTransactionId(horizon));
		metrics = lappend(metrics, new);
	}
	SPI_freetuptable(SPI_tuptable);
	return metrics;
}

/* Rolls up the next aliases of a metric; returns how many. */
static int64
build_aliases(const Metric *metric, RefreshBudget budget)
{
	MemoryContext step_context =
		AllocSetContextCreate(CurrentMemoryContext, "usage metric refresh", ALLOCSET_DEFAULT_SIZES);
	Datum account = UUIDPGetDatum(&metric->account_id);
	Datum version = UUIDPGetDatum(&metric->version_id);
	bool is_done = !try_lock_type(&metric->account_id, metric->event_type, true);
	int64 steps = 0;

	while (!is_done)
	{
		MemoryContext context = MemoryContextSwitchTo(step_context);

		CHECK_FOR_INTERRUPTS();
		statement_execute(&find_next_alias, (Datum[]){account, version}, NULL);
		if (SPI_processed == 0)
		{
			statement_execute(&insert_complete_row, (Datum[]){account, version}, NULL);
			statement_execute(&set_built, (Datum[]){account, version}, NULL);
			is_done = true;
			steps++;
		}
		else
		{
			Slice alias = row_text_copy(0, 1);

			SPI_freetuptable(SPI_tuptable);
			if (try_lock_alias(&metric->account_id, metric->event_type, alias))
			{
				tell_of_step();
				refresh_alias(metric, alias, NULL, 0, NULL);
				statement_execute(&set_progress, (Datum[]){account, version, slice_to_datum(alias)}, NULL);
				steps++;
			}
			else
				is_done = true; /* another refresh is at it */
		}
		is_done = is_done || steps >= budget.steps || is_time_over(&budget);
		MemoryContextSwitchTo(context);
		MemoryContextReset(step_context);
	}
	MemoryContextDelete(step_context);
	return steps;
}

/* The same of a version. */
static int64
build_version(const pg_uuid_t *account_id, const MetricVersion *version, RefreshBudget budget)
{
	MemoryContext work_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric", ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = MemoryContextSwitchTo(work_context);
	Metric metric;
	int64 steps = read_metric(account_id, version, &metric) ? build_aliases(&metric, budget) : 0;

	MemoryContextSwitchTo(context);
	MemoryContextDelete(work_context);
	return steps;
}

/*
 * A horizon that is still to come here was set on another node, from which the account's
 * rows have moved.  They do so when no transaction there is writing to them any more.
 */
static bool
is_of_other_node(const NewMetric *new, const Transactions *transactions)
{
	return new->horizon > transactions->next;
}

/* Takes one step at least. */
static int64
build_new_metrics(const pg_uuid_t *account_id, const List *metrics, const Transactions *transactions,
				  RefreshBudget budget)
{
	int64 steps = 0;
	ListCell *cell;

	foreach(cell, metrics)
	{
		NewMetric *new = lfirst(cell);
		int64 taken = 0;

		if (budget.steps <= 0 || (steps > 0 && is_time_over(&budget)))
			break;
		if (!new->has_horizon && transactions->oldest < transactions->next)
		{
			statement_execute(&set_horizon,
							  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(&new->version.version_id),
										FullTransactionIdGetDatum(FullTransactionIdFromU64(transactions->next))},
							  NULL);
			taken = 1;
		}
		else if (!new->has_horizon || transactions->oldest >= new->horizon || is_of_other_node(new, transactions))
			taken = build_version(account_id, &new->version, budget);
		steps += taken;
		budget.steps -= taken;
	}
	return steps;
}

/* Housekeeping -------------------------------------------------------------- */

static uint32
rollups_key(const pg_uuid_t *account_id)
{
	return hash_bytes(account_id->data, UUID_LEN) % LOCK_COUNT;
}

/*
 * Whether the account's rollups are this refresh's to write: for all to begin anew it must be alone,
 * since another has perhaps read events, and will write rows of them, from before.
 */
static bool
lock_rollups(const pg_uuid_t *account_id, bool to_restart)
{
	uint32 key = rollups_key(account_id);

	return to_restart ? own_lock_try(OWN_LOCK_ROLLUPS, key) : own_lock_try_shared(OWN_LOCK_ROLLUPS, key);
}

/* Until this transaction ends no other refreshes the account. */
void
rollup_refresh_wait_for_others(const pg_uuid_t *account_id)
{
	own_lock_wait(OWN_LOCK_ROLLUPS, rollups_key(account_id));
}

static bool
keeps_account_marks(const pg_uuid_t *account_id)
{
	statement_execute(&keeps_marks, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	return SPI_processed > 0;
}

/*
 * Begins anew where there are no marks of all changes.  The rows that tell of it go first: what
 * is changed by hand from here on leaves another.  Returns how many steps that was; -1 if
 * others have to be over first, or nobody watches: then what was rolled up until now is not used later, either.
 */
static int64
restart_unmarked(const pg_uuid_t *account_id)
{
	Datum account = UUIDPGetDatum(account_id);
	bool keeps = keeps_account_marks(account_id);
	text *watch;

	if (!lock_rollups(account_id, !keeps))
		return -1;
	if (keeps || keeps_account_marks(account_id))
		return 0;
	statement_execute(&delete_marks_rows, (Datum[]){account}, NULL);
	statement_execute(&read_watch, NULL, NULL);
	if (SPI_processed == 0)
		return -1;
	watch = DatumGetTextPCopy(row_value_there(0, 1));
	statement_execute(&delete_roots, (Datum[]){account}, NULL);
	statement_execute(&restart_all, (Datum[]){account}, NULL);
	statement_execute(&insert_marks_row,
					  (Datum[]){account, TimestampTzGetDatum(GetCurrentTimestamp()), PointerGetDatum(watch)}, NULL);
	return 1;
}

/* Begins anew where marks may have been lost, or rollups. */
static int64
restart_where_needed(const pg_uuid_t *account_id)
{
	Datum account = UUIDPGetDatum(account_id);
	Datum now = TimestampTzGetDatum(GetCurrentTimestamp());
	int64 steps = restart_unmarked(account_id);
	List *versions = NIL;
	ListCell *cell;

	if (steps < 0)
		return steps;

	statement_execute(&delete_past_progress, (Datum[]){account}, NULL);
	if (SPI_processed > 0)
	{
		event_mark_types_changed();
		steps++;
	}

	/* Progress of metrics that came by a dump. */
	statement_execute(&insert_missing_progress, (Datum[]){account, now}, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		pg_uuid_t *version = palloc(sizeof(pg_uuid_t));

		*version = *DatumGetUUIDP(row_value_there(row, 1));
		versions = lappend(versions, version);
	}
	foreach(cell, versions)
	{
		statement_execute(&delete_roots_of_version, (Datum[]){account, UUIDPGetDatum(lfirst(cell))}, NULL);
		event_mark_types_changed();
		steps++;
	}

	statement_execute(&restart_truncated, (Datum[]){account}, NULL);
	return steps + (int64) SPI_processed;
}

static int64
delete_orphans(const pg_uuid_t *account_id)
{
	Datum account = UUIDPGetDatum(account_id);
	pg_uuid_t version;

	statement_execute(&find_orphan, (Datum[]){account}, NULL);
	if (SPI_processed == 0)
		return 0;
	version = *DatumGetUUIDP(row_value_there(0, 1));
	statement_execute(&delete_orphan, (Datum[]){account, UUIDPGetDatum(&version)}, NULL);
	return SPI_processed > 0 ? 1 : 0;
}

static bool
has_metrics(const pg_uuid_t *account_id)
{
	static Statement find_metric = {
		.sql = "SELECT WHERE EXISTS (SELECT FROM usage_events.metric WHERE account_id " EQ " $1)",
		.argument_count = 1,
		.argument_types = {UUIDOID},
	};

	statement_execute(&find_metric, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	return SPI_processed > 0;
}

/* Notes when, and how far it came; a refresh that found nothing to do writes it once a minute. */
static void
note_refreshed(const pg_uuid_t *account_id, bool had_work, const MarkPlace *place)
{
	TimestampTz now = GetCurrentTimestamp();

	statement_execute(&note_refresh,
					  (Datum[]){UUIDPGetDatum(account_id), TimestampTzGetDatum(now),
								TimestampTzGetDatum(had_work ? now : now - USECS_PER_MINUTE),
								slice_to_datum((Slice){place->event_type.data, place->event_type.len}),
								slice_to_datum((Slice){place->alias.data, place->alias.len})},
					  NULL);
}

/* Notes a turn that has failed, and was taken back: the next one comes after those of others. */
void
rollup_refresh_note_failure(const pg_uuid_t *account_id)
{
	TimestampTz now = GetCurrentTimestamp();

	SPI_connect();
	statement_execute(&note_failure,
					  (Datum[]){UUIDPGetDatum(account_id), TimestampTzGetDatum(now), TimestampTzGetDatum(now)}, NULL);
	SPI_finish();
}

/* Does what there is to do of an account; -1 if another refresh has to go first. */
static int64
refresh_rollups_of(const pg_uuid_t *account_id, const List *new_metrics, const Transactions *transactions,
				   RefreshBudget budget, bool is_turn)
{
	MarkPlace place;
	int64 steps = restart_where_needed(account_id);
	int64 taken;

	if (steps < 0)
		return steps;
	read_place(account_id, &place);
	/* Others have to be told of what has begun anew: the sooner this transaction ends, the better. */
	if (is_turn && steps > 0)
	{
		note_refreshed(account_id, true, &place);
		return steps;
	}
	budget.steps -= steps;
	/* Where there are new metrics, marks leave them a share. */
	taken = refresh_marked(account_id, new_metrics == NIL ? budget : budget_half(&budget), &place);
	steps += taken;
	budget.steps -= taken;
	taken = build_new_metrics(account_id, new_metrics, transactions, budget);
	steps += taken;
	budget.steps -= taken;
	if (budget.steps > 0)
		steps += delete_orphans(account_id);
	note_refreshed(account_id, steps > 0, &place);
	return steps;
}

/* Nor is what a refresh that began before the subscription may still write. */
static void
forget_of_subscriber(const pg_uuid_t *account_id)
{
	statement_execute(&delete_marks_rows, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	statement_execute(&delete_rollups, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
}

/*
 * Brings the rollups of an account up to date, in at most so many steps and, where it is
 * one of many, in the time of a turn; and deletes refused events that have been kept long
 * enough, or were sent again.  Returns how many steps it took: 0 when there is nothing
 * left to do, or nothing that can be done now.
 */
int64
rollup_refresh_account(const pg_uuid_t *account_id, int64 max_steps, bool is_turn)
{
	RefreshBudget budget = budget_make(max_steps, is_turn);
	Transactions transactions;
	List *new_metrics;
	int64 steps = 0;
	int nest_level;

	if (IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("rollups cannot be refreshed in a transaction of one snapshot"),
						errhint("Use isolation level READ COMMITTED.")));
	/* Transaction ids and locks are those of this node. */
	if (!distribution_is_here(account_id))
		return 0;

	rollup_watch_begin_anew();
	SPI_connect();
	statement_execute(&is_subscribed, NULL, NULL);
	if (SPI_processed > 0)
	{
		forget_of_subscriber(account_id);
		SPI_finish();
		return 0;
	}
	nest_level = statement_use_indexes();
	/* In this order, and before anything is written, which would make this transaction one of them. */
	new_metrics = read_new_metrics(account_id);
	if (!event_mark_types_are_told())
		new_metrics = NIL;
	read_running_transactions(&transactions);
	if (has_metrics(account_id))
		steps = refresh_rollups_of(account_id, new_metrics, &transactions, budget, is_turn);
	if (steps >= 0 && steps < max_steps)
		steps += rejected_event_delete_taken(account_id);
	statement_use_indexes_end(nest_level);
	SPI_finish();
	distribution_require_here(account_id);
	return Max(steps, 0) + (rejected_event_expire(account_id) > 0 ? 1 : 0);
}
