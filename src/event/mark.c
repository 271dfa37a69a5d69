/*
 * event/mark.c
 *		Marks: seconds, or minutes, whose events were changed since they were rolled
 *		up.
 *
 * Each write marks where its new versions are, and those that they replaced, in
 * its own transaction.  Marks are rows that are only added here, and only taken
 * away by a refresh, so that writers never wait for each other, or for a refresh,
 * because of them.  A batch writes few: a minute rather than several of its seconds,
 * and one for all customers where several have events in a minute.  That one has the lowest
 * and the highest id of these events, by which they are found: whose they are is whom it concerns.
 *
 * Only types of events that a metric aggregates are marked, and each backend
 * remembers which they are.  It looks whether that still holds when the events have
 * been written, and its transaction has an id.  Whoever changes the types tells
 * all backends, by the message that goes out when the definition of a table has
 * changed.  Messages are sent a moment after a commit can be seen, and before its
 * locks are released; rollup/refresh.c waits for both before it relies on marks.
 *
 * A transaction of one snapshot may be too old to see a metric, and marks in any
 * case.  A mark too many does no harm.
 */
#include "postgres.h"

#include "event/mark.h"

#include "access/xact.h"
#include "account/customer_keys.h"
#include "base/calendar.h"
#include "base/compat.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "sql/distribution.h"
#include "sql/own_lock.h"
#include "sql/row.h"
#include "sql/row_insert.h"
#include "sql/statement.h"
#include "sql/told.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A minute in which so many customers of a batch have events is marked for all. */
#define COMMON_CUSTOMERS 4

/* A minute with fewer events in each of its seconds is marked as a whole. */
#define DENSE_EVENTS 8

/* So many are written one by one: an event's, and those of a version that it replaces. */
#define MAX_SINGLE_MARKS 2

typedef struct Mark
{
	Slice event_type;
	Slice customer_alias;
	TimestampTz bucket;
	int seconds;
	bool is_dense; /* its customer has many events in its minute */
	bool is_common;
	const pg_uuid_t *first_id; /* of the events that it is of */
	const pg_uuid_t *last_id;
} Mark;

/* With RETURNING, Citus sends rows by INSERT and not by COPY, which row-level security refuses. */
static Statement insert_marks = {
	.sql =
		"INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at, seconds, first_id, last_id)"
		" SELECT $1, pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), $5, pg_catalog.unnest($6),"
		" pg_catalog.unnest($7), pg_catalog.unnest($8) RETURNING account_id",
	.argument_count = 8,
	.argument_types = {UUIDOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID, INT2ARRAYOID,
					   UUIDARRAYOID, UUIDARRAYOID},
};

static RowInsert insert_mark = {
	.table = "dirty_bucket",
	.columns = "account_id, event_type, customer_alias, bucket, marked_at, seconds, first_id, last_id, watched_by",
	.types = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT2OID, UUIDOID, UUIDOID, TEXTOID},
};

static Statement read_types = {
	.sql = "SELECT DISTINCT event_type FROM usage_events.metric_progress WHERE account_id " EQ " $1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Types that are marked ---------------------------------------------------- */

/* Of the account last asked for. */
static List *types = NIL; /* of Slice * */
static pg_uuid_t types_account_id;
static Told told = {.table = "metric_progress"};

/* The transaction of this backend that last changed types. */
static LocalTransactionId types_changed_by = InvalidLocalTransactionId;

void
event_mark_init(void)
{
	told_init(&told);
}

/*
 * To be called by a transaction that changes usage_events.metric_progress.  It has a share of
 * a lock until the message has gone out: the table's own lock is also that of
 * refreshes, which write to it all the time.
 */
void
event_mark_types_changed(const pg_uuid_t *account_id)
{
	own_lock_share_of_account(OWN_LOCK_MARKED_TYPES, account_id);
	told_tell(&told);
	types_changed_by = current_local_transaction_id();
}

/*
 * Waits for nothing, and returns whether all that can be seen of the account's
 * usage_events.metric_progress has been told to all backends.  What this
 * transaction has changed is told when it commits, and its own locks do not show.
 */
bool
event_mark_types_are_told(const pg_uuid_t *account_id)
{
	return types_changed_by != current_local_transaction_id() &&
		   own_lock_is_free_of_account(OWN_LOCK_MARKED_TYPES, account_id);
}

static void
free_types(void)
{
	list_free_deep(types);
	types = NIL;
}

static void
remember_type(Slice type)
{
	Slice *copy = MemoryContextAlloc(TopMemoryContext, sizeof(Slice) + type.length);
	MemoryContext context;

	*copy = (Slice){memcpy(copy + 1, type.data, type.length), type.length};
	context = MemoryContextSwitchTo(TopMemoryContext);
	types = lappend(types, copy);
	MemoryContextSwitchTo(context);
}

static void
learn_types(const pg_uuid_t *account_id)
{
	uint64 since = told_begin(&told);

	free_types();
	SPI_connect();
	statement_execute(&read_types, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
		remember_type(row_text(row, 1));
	SPI_finish();
	types_account_id = *account_id;
	told_end_rows(&told, since);
	/* Other nodes tell nobody here. */
	if (distribution_is_on())
		told.is_known = false;
}

static bool
has_type(Slice event_type)
{
	ListCell *cell;

	foreach(cell, types)
	{
		const Slice *type = lfirst(cell);

		if (slice_equal(*type, event_type))
			return true;
	}
	return false;
}

/* Whether events of the type are to be marked.  The transaction must have an id. */
static bool
is_marked(const pg_uuid_t *account_id, Slice event_type)
{
	if (IsolationUsesXactSnapshot())
		return true;
	AcceptInvalidationMessages();
	if (!told.is_known || !uuid_v7_equal(&types_account_id, account_id))
		learn_types(account_id);
	return has_type(event_type);
}

/* Marks ------------------------------------------------------------------- */

/* The second that the event is in; a row written by hand may have a time that no bucket has. */
static TimestampTz
second_of(const UsageEvent *event)
{
	TimestampTz timestamp = Min(Max(event->timestamp, CALENDAR_START), CALENDAR_END - 1);

	return bucket_start(timestamp, BUCKET_SECOND);
}

static Mark
mark_of(const UsageEvent *event)
{
	return (Mark){.event_type = event->event_type,
				  .customer_alias = event->customer_alias,
				  .bucket = second_of(event),
				  .seconds = 1,
				  .first_id = &event->id,
				  .last_id = &event->id};
}

/* In the order of the index. */
static int
compare_marks(const void *a, const void *b)
{
	const Mark *first = a;
	const Mark *second = b;
	int result = slice_compare(first->event_type, second->event_type);

	if (result == 0)
		result = slice_compare(first->customer_alias, second->customer_alias);
	return result != 0 ? result : (first->bucket > second->bucket) - (first->bucket < second->bucket);
}

/* Whether both marks are of one alias, in one minute. */
static bool
is_same_minute(const Mark *a, const Mark *b)
{
	return bucket_start(a->bucket, BUCKET_MINUTE) == bucket_start(b->bucket, BUCKET_MINUTE) &&
		   slice_compare(a->customer_alias, b->customer_alias) == 0 && slice_compare(a->event_type, b->event_type) == 0;
}

/* The mark stands for the other one's events as well. */
static void
take_in(Mark *mark, const Mark *other)
{
	if (uuid_v7_compare(other->first_id, mark->first_id) < 0)
		mark->first_id = other->first_id;
	if (uuid_v7_compare(other->last_id, mark->last_id) > 0)
		mark->last_id = other->last_id;
}

/*
 * Makes sorted marks fewer: each second once, or its minute.  Few rows are worth
 * more than exact ones, as long as reading a minute of events is nothing.
 */
static int
condense(Mark *marks, int count)
{
	int kept = 0;

	for (int first = 0; first < count;)
	{
		int kept_before = kept;
		int last = first;

		for (; last < count && is_same_minute(&marks[first], &marks[last]); last++)
		{
			if (kept == kept_before || marks[kept - 1].bucket != marks[last].bucket)
				marks[kept++] = marks[last];
			else
				take_in(&marks[kept - 1], &marks[last]);
		}
		if (kept - kept_before > 1 && last - first < DENSE_EVENTS * (kept - kept_before))
		{
			for (int i = kept_before + 1; i < kept; i++)
				take_in(&marks[kept_before], &marks[i]);
			kept = kept_before + 1;
			marks[kept_before].bucket = bucket_start(marks[kept_before].bucket, BUCKET_MINUTE);
			marks[kept_before].seconds = SECS_PER_MINUTE;
		}
		for (int i = kept_before; i < kept; i++)
			marks[i].is_dense = last - first >= DENSE_EVENTS;
		first = last;
	}
	return kept;
}

/* By type and minute. */
static int
compare_minutes(const void *a, const void *b)
{
	const Mark *first = a;
	const Mark *second = b;
	int result = slice_compare(first->event_type, second->event_type);
	TimestampTz first_minute = bucket_start(first->bucket, BUCKET_MINUTE);
	TimestampTz second_minute = bucket_start(second->bucket, BUCKET_MINUTE);

	return result != 0 ? result : (first_minute > second_minute) - (first_minute < second_minute);
}

/*
 * Whether the minute of the bucket may be marked for all.  Where a key sees one customer alone, only one of late: those
 * are all that it reads in any case (rollup/scan_own.c), so that it takes no time whether others have marked them.  A
 * transaction of one snapshot may be too old to see the key.
 */
static bool
may_be_common(const pg_uuid_t *account_id, TimestampTz bucket)
{
	return bucket >= GetCurrentStatementStartTimestamp() - EVENT_MARK_LATE_MINUTES * USECS_PER_MINUTE ||
		   (!IsolationUsesXactSnapshot() && !customer_keys_exist(account_id));
}

/*
 * Makes condensed marks of new versions fewer still: a minute in which many customers
 * have events has one mark for all, unless one of them has many there.
 */
static int
make_common(const pg_uuid_t *account_id, Mark *marks, int count)
{
	int kept = 0;

	qsort(marks, count, sizeof(Mark), compare_minutes);
	for (int first = 0; first < count;)
	{
		bool is_dense = false;
		int last = first;

		for (; last < count && compare_minutes(&marks[first], &marks[last]) == 0; last++)
			is_dense = is_dense || marks[last].is_dense;
		if (last - first >= COMMON_CUSTOMERS && !is_dense && may_be_common(account_id, marks[first].bucket))
		{
			Mark common = marks[first];

			for (int i = first + 1; i < last; i++)
				take_in(&common, &marks[i]);
			common.customer_alias = (Slice){"", 0};
			common.bucket = bucket_start(common.bucket, BUCKET_MINUTE);
			common.seconds = SECS_PER_MINUTE;
			common.is_common = true;
			marks[kept++] = common;
		}
		else
		{
			for (int i = first; i < last; i++)
				marks[kept++] = marks[i];
		}
		first = last;
	}
	return kept;
}

static void
insert_one(const pg_uuid_t *account_id, const Mark *mark, bool is_new)
{
	Datum values[] = {UUIDPGetDatum(account_id),
					  slice_to_datum(mark->event_type),
					  slice_to_datum(mark->customer_alias),
					  TimestampTzGetDatum(mark->bucket),
					  TimestampTzGetDatum(GetCurrentStatementStartTimestamp()),
					  Int16GetDatum((int16) mark->seconds),
					  UUIDPGetDatum(mark->first_id),
					  UUIDPGetDatum(mark->last_id),
					  (Datum) 0};
	char nulls[] = "        n";

	if (!is_new)
		nulls[6] = 'n';
	if (!mark->is_common)
		nulls[7] = 'n';
	row_insert(&insert_mark, values, nulls);
}

/* The first ones are of new versions: they say from which id on. */
static void
insert_many(const pg_uuid_t *account_id, const Mark *marks, int new_count, int count)
{
	Slice *texts = palloc(sizeof(Slice) * count);
	Datum *values = palloc(sizeof(Datum) * count);
	bool *nulls = palloc(sizeof(bool) * count);
	Datum arguments[8];

	arguments[0] = UUIDPGetDatum(account_id);
	for (int i = 0; i < count; i++)
		texts[i] = marks[i].event_type;
	arguments[1] = statement_varlena_array(texts, count, TEXTOID);
	for (int i = 0; i < count; i++)
		texts[i] = marks[i].customer_alias;
	arguments[2] = statement_varlena_array(texts, count, TEXTOID);
	for (int i = 0; i < count; i++)
		values[i] = TimestampTzGetDatum(marks[i].bucket);
	arguments[3] = statement_timestamp_array(values, count);
	arguments[4] = TimestampTzGetDatum(GetCurrentStatementStartTimestamp());
	for (int i = 0; i < count; i++)
		values[i] = Int16GetDatum((int16) marks[i].seconds);
	arguments[5] = statement_array(values, NULL, count, INT2OID);
	for (int i = 0; i < count; i++)
		nulls[i] = i >= new_count;
	for (int i = 0; i < count; i++)
		values[i] = UUIDPGetDatum(marks[i].first_id);
	arguments[6] = statement_array(values, nulls, count, UUIDOID);
	for (int i = 0; i < count; i++)
		nulls[i] = !marks[i].is_common;
	for (int i = 0; i < count; i++)
		values[i] = UUIDPGetDatum(marks[i].last_id);
	arguments[7] = statement_array(values, nulls, count, UUIDOID);

	statement_execute(&insert_marks, arguments, NULL);
}

/* The type that was asked for last: a batch often has one. */
typedef struct LastType
{
	Slice type;
	bool is_marked;
} LastType;

/* Adds a mark of the event, if its type is marked. */
static void
add_mark(const pg_uuid_t *account_id, const UsageEvent *event, LastType *last, Mark *marks, int *count)
{
	if (last->type.data == NULL || slice_compare(event->event_type, last->type) != 0)
	{
		last->type = event->event_type;
		last->is_marked = is_marked(account_id, event->event_type);
	}
	if (last->is_marked)
		marks[(*count)++] = mark_of(event);
}

static int
sort_and_condense(Mark *marks, int count)
{
	if (count > 1)
		qsort(marks, count, sizeof(Mark), compare_marks);
	return condense(marks, count);
}

/*
 * Marks what the puts have changed; the caller is connected to SPI.  Versions that
 * were replaced are marked for their own customers: a mark for all is for those whose events
 * from its first id to its last are still there when it is taken away.  And they are marked without ids: a mark with one
 * says that nothing has gone from its time, and that what has come has that id or a higher one.
 */
void
event_mark_add(const pg_uuid_t *account_id, const EventPut *puts, int count)
{
	Mark *marks = palloc_extended(sizeof(Mark) * 2 * count, MCXT_ALLOC_HUGE);
	LastType last = {{NULL, 0}, false};
	int new_count = 0;
	int replaced_count = 0;

	for (int i = 0; i < count; i++)
	{
		if (puts[i].outcome == EVENT_CREATED || puts[i].outcome == EVENT_SUPERSEDED)
			add_mark(account_id, &puts[i].event, &last, marks, &new_count);
	}
	new_count = sort_and_condense(marks, new_count);
	if (new_count >= COMMON_CUSTOMERS)
		new_count = make_common(account_id, marks, new_count);
	for (int i = 0; i < count; i++)
	{
		if (puts[i].superseded != NULL)
			add_mark(account_id, puts[i].superseded, &last, marks + new_count, &replaced_count);
	}
	replaced_count = sort_and_condense(marks + new_count, replaced_count);
	if (new_count + replaced_count <= MAX_SINGLE_MARKS)
	{
		for (int i = 0; i < new_count + replaced_count; i++)
			insert_one(account_id, &marks[i], i < new_count);
	}
	else
		insert_many(account_id, marks, new_count, new_count + replaced_count);
	pfree(marks);
}
