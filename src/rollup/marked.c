/*
 * rollup/marked.c
 *		Rolling up anew what is marked: alias by alias, of all metrics of the type.
 *
 * A step deletes the marks of an alias that it sees, and then rolls up the marked buckets,
 * from the events that it sees.  Events that come between the two are rolled up as well, but
 * their marks stay, so those buckets are not used, and are rolled up once more.
 */
#include "postgres.h"

#include "rollup/marked.h"

#include "base/calendar.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rollup/alias.h"
#include "rollup/common_marks.h"
#include "rollup/follower.h"
#include "rollup/version.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* So many marks in one step. */
#define MARKS_AT_A_TIME "20000"

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
	.sql = "DELETE FROM usage_events.dirty_bucket AS d WHERE d.account_id " EQ " $1"
		   " AND d.ctid " EQ " ANY (ARRAY(SELECT ctid FROM usage_events.dirty_bucket"
		   " WHERE account_id " EQ " $1 AND event_type " EQ " $2"
		   " AND customer_alias " EQ " '' ORDER BY bucket LIMIT " MARKS_AT_A_TIME "))"
		   " RETURNING " COMMON_MARK_COLUMNS,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

/* In their place, marks of those customers whom they concern. */
static Statement insert_marks_of_customers = {
	.sql =
		"INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at, seconds, first_id)"
		" SELECT $1, $2, pg_catalog.unnest($3), pg_catalog.unnest($4), $5, 60::smallint, pg_catalog.unnest($6)"
		" RETURNING account_id",
	.argument_count = 6,
	.argument_types = {UUIDOID, TEXTOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID, UUIDARRAYOID},
};

/* Metrics that have rolled up this alias, or passed by its place: their ids, since the metrics themselves may be large. */
static Statement metrics_of_alias = {
	.sql = "SELECT m.id, m.version_id" METRICS_WITH_PROGRESS " AND m.event_type " EQ " $2"
		   " AND (p.is_built OR p.customer_alias " GE " $3"
		   " OR EXISTS (SELECT FROM usage_events.metric_rollup AS r WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " m.version_id"
		   " AND r.level " EQ " 0::smallint AND r.customer_alias " EQ " $3))",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID},
};

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

/* Minutes of customers ---------------------------------------------------------- */

/* So many are kept before they are written: of more than these, some may be written twice. */
#define MINUTES_AT_A_TIME 20000

typedef struct CustomerMinute
{
	Slice alias;
	TimestampTz minute;
} CustomerMinute;

typedef struct CustomerMinuteEntry
{
	CustomerMinute key;
	pg_uuid_t first_id; /* of its events that the marks are of */
	uint32 hash;
	char status;
} CustomerMinuteEntry;

static uint32
hash_minute(CustomerMinute key)
{
	return hash_combine(hash_bytes((const unsigned char *) key.alias.data, key.alias.length),
						hash_bytes((const unsigned char *) &key.minute, sizeof(key.minute)));
}

#define SH_PREFIX customer_minutes
#define SH_ELEMENT_TYPE CustomerMinuteEntry
#define SH_KEY_TYPE CustomerMinute
#define SH_KEY key
#define SH_HASH_KEY(table, key) hash_minute(key)
#define SH_EQUAL(table, a, b) ((a).minute == (b).minute && slice_equal((a).alias, (b).alias))
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct Division
{
	const pg_uuid_t *account_id;
	Slice event_type;
	MemoryContext context; /* of the minutes that are kept */
	customer_minutes_hash *minutes;
	bool are_new; /* each mark says of which events it is */
	uint64 written;
} Division;

static void
begin_minutes(Division *division)
{
	division->minutes = customer_minutes_create(division->context, 256, NULL);
}

/* Writes marks of the minutes that are kept, and forgets them.  The rows of the last statement stay. */
static void
write_minutes(Division *division)
{
	SPITupleTable *rows = SPI_tuptable;
	MemoryContext context = MemoryContextSwitchTo(division->context);
	uint32 count = division->minutes->members;
	Slice *aliases = palloc(sizeof(Slice) * Max(count, 1));
	Datum *minutes = palloc(sizeof(Datum) * Max(count, 1));
	Datum *first_ids = palloc(sizeof(Datum) * Max(count, 1));
	bool *unknown = palloc(sizeof(bool) * Max(count, 1));
	customer_minutes_iterator iterator;
	const CustomerMinuteEntry *entry;
	int place = 0;

	customer_minutes_start_iterate(division->minutes, &iterator);
	while ((entry = customer_minutes_iterate(division->minutes, &iterator)) != NULL)
	{
		aliases[place] = entry->key.alias;
		minutes[place] = TimestampTzGetDatum(entry->key.minute);
		unknown[place] = !division->are_new;
		first_ids[place++] = UUIDPGetDatum(&entry->first_id);
	}
	if (count > 0)
	{
		statement_execute(&insert_marks_of_customers,
						  (Datum[]){UUIDPGetDatum(division->account_id), slice_to_datum(division->event_type),
									statement_varlena_array(aliases, place, TEXTOID),
									statement_timestamp_array(minutes, place),
									TimestampTzGetDatum(GetCurrentTimestamp()),
									statement_array(first_ids, unknown, place, UUIDOID)},
						  NULL);
		SPI_freetuptable(SPI_tuptable);
	}
	division->written += count;
	SPI_tuptable = rows;
	MemoryContextSwitchTo(context);
	MemoryContextReset(division->context);
	begin_minutes(division);
}

static void
take_concerned(const ConcernedEvent *event, void *argument)
{
	Division *division = argument;
	CustomerMinute key = {event->alias, bucket_start(event->timestamp, BUCKET_MINUTE)};
	CustomerMinuteEntry *entry;
	bool found;

	entry = customer_minutes_insert(division->minutes, key, &found);
	if (!found || uuid_v7_compare(event->id, &entry->first_id) < 0)
		entry->first_id = *event->id;
	if (found)
		return;
	entry->key.alias.data = memcpy(MemoryContextAlloc(division->context, Max(event->alias.length, 1)),
								   event->alias.data, event->alias.length);
	if (division->minutes->members >= MINUTES_AT_A_TIME)
		write_minutes(division);
}

/* Deletes marks of all customers, and returns them in order. */
static CommonMarks
take_marks_of_all(const pg_uuid_t *account_id, Slice event_type)
{
	CommonMarks marks = {0};

	statement_execute(&take_common_marks, (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(event_type)}, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		if (is_event_time(DatumGetTimestampTz(row_value_there(row, 1))))
			common_marks_take(&marks, row, 1);
	}
	SPI_freetuptable(SPI_tuptable);
	common_marks_sort(&marks);
	return marks;
}

/*
 * Turns the marks of all customers into those of the ones concerned: whose events they are
 * of, which are new versions.  Who had one that is gone from its minute was marked when it went.
 */
static void
divide_common_marks(const pg_uuid_t *account_id, Slice event_type)
{
	CommonMarks marks = take_marks_of_all(account_id, event_type);
	Division division = {
		.account_id = account_id,
		.event_type = event_type,
		.context = AllocSetContextCreate(CurrentMemoryContext, "usage metric minutes", ALLOCSET_DEFAULT_SIZES),
	};

	division.are_new = common_marks_have_ids(&marks);
	begin_minutes(&division);
	common_marks_each_event(&marks, account_id, event_type, false, take_concerned, &division);
	write_minutes(&division);
	elog(DEBUG1,
		 "divided marks of all customers, of %d minutes in a row or alone, into " UINT64_FORMAT " of one customer each",
		 marks.minutes.count, division.written);
	MemoryContextDelete(division.context);
}

static void
refresh_version(const pg_uuid_t *account_id, const MetricVersion *version, Slice alias, const TimestampTz *marks,
				int mark_count, EventCache *cache)
{
	MemoryContext work_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric", ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = MemoryContextSwitchTo(work_context);
	Metric metric;

	if (rollup_version_read(account_id, version, &metric))
		rollup_alias(&metric, alias, marks, mark_count, cache);
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
	rollup_follower_take_marks(account_id, event_type, alias, marks, mark_count);
	statement_execute(&metrics_of_alias,
					  (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(event_type), slice_to_datum(alias)}, NULL);
	versions = read_versions();
	cache = list_length(versions) > 1 ? rollup_event_cache_make() : NULL;
	foreach(cell, versions)
		refresh_version(account_id, lfirst(cell), alias, marks, mark_count, cache);
	elog(DEBUG1, "rolled up an alias of %d metrics anew: %d marked seconds", list_length(versions), mark_count);
}

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
void
rollup_marked_read_place(const pg_uuid_t *account_id, MarkPlace *place)
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

	if (!rollup_turn_lock_type(account_id, event_type, false) || !rollup_turn_lock_alias(account_id, event_type, alias))
		return false;
	rollup_turn_begin_step();
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
int64
rollup_marked_refresh(const pg_uuid_t *account_id, TurnBudget budget, MarkPlace *place)
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
			is_over = steps >= budget.steps || rollup_turn_is_over(&budget);
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
