/*
 * dirty_bucket.c
 *		Marks: seconds, or minutes, whose events were changed since they were rolled
 *		up.
 *
 * Each write marks where its new versions are, and those that they replaced, in
 * its own transaction.  Marks are rows that are only added here, and only taken
 * away by a refresh, so that writers never wait for each other, or for a refresh,
 * because of them.
 *
 * Only types of events that a metric aggregates are marked.  Whether there is one
 * must be looked up when the transaction has an id already, see metric_refresh.c;
 * the events themselves have been written by then.  A transaction of one snapshot
 * may be too old to see the metric, and marks in any case.  Types that are known
 * to have had a metric are not looked up again: a mark too many does no harm.
 */
#include "postgres.h"

#include "dirty_bucket.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "event_id.h"
#include "metric_bucket.h"
#include "statement.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* So many types are remembered, of so many bytes. */
#define KNOWN_TYPES 16
#define KNOWN_TYPE_SIZE 64

/* A minute with fewer events in each of its seconds is marked as a whole. */
#define DENSE_EVENTS 8

typedef struct Mark
{
	EventText event_type;
	EventText customer_alias;
	TimestampTz bucket;
	int seconds;
} Mark;

#define MARK_COLUMNS "account_id, event_type, customer_alias, bucket, marked_at, seconds"
#define INSERT_MARKS \
	"INSERT INTO usage_events.dirty_bucket (" MARK_COLUMNS ")" \
	" SELECT $1, m.event_type, m.customer_alias, m.bucket, $5, m.seconds" \
	" FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($6))" \
	" AS m(event_type, customer_alias, bucket, seconds)"
#define MARK_TYPES UUIDOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID, INT2ARRAYOID

static Statement insert_marks = {
	.sql = INSERT_MARKS,
	.argument_count = 6,
	.argument_types = {MARK_TYPES},
};

/* The same, of those types that a metric aggregates. */
static Statement insert_marks_of_metrics = {
	.sql = INSERT_MARKS
	" WHERE EXISTS (SELECT FROM usage_events.metric_progress AS p WHERE p.account_id OPERATOR(pg_catalog.=) $1"
	" AND p.event_type OPERATOR(pg_catalog.=) m.event_type) RETURNING event_type",
	.argument_count = 6,
	.argument_types = {MARK_TYPES},
};

/* Of one event of a type that is not known: mostly nothing. */
static Statement insert_mark_of_metric = {
	.sql = "INSERT INTO usage_events.dirty_bucket (" MARK_COLUMNS ") SELECT $1, $2, $3, $4, $5, 1::smallint"
		   " WHERE EXISTS (SELECT FROM usage_events.metric_progress AS p WHERE p.account_id OPERATOR(pg_catalog.=) $1"
		   " AND p.event_type OPERATOR(pg_catalog.=) $2)",
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

/* Types that are marked ---------------------------------------------------- */

typedef struct KnownType
{
	pg_uuid_t account_id;
	int length; /* 0: none */
	char type[KNOWN_TYPE_SIZE];
} KnownType;

static KnownType known_types[KNOWN_TYPES];
static int next_known_type = 0;

static bool
is_known(const pg_uuid_t *account_id, EventText type)
{
	for (int i = 0; i < KNOWN_TYPES; i++)
	{
		if (known_types[i].length == type.length && memcmp(known_types[i].type, type.data, type.length) == 0 &&
			event_id_equal(&known_types[i].account_id, account_id))
			return true;
	}
	return false;
}

static void
remember(const pg_uuid_t *account_id, EventText type)
{
	KnownType *known = &known_types[next_known_type];

	if (type.length > KNOWN_TYPE_SIZE || is_known(account_id, type))
		return;
	next_known_type = (next_known_type + 1) % KNOWN_TYPES;
	known->account_id = *account_id;
	known->length = type.length;
	memcpy(known->type, type.data, type.length);
}

/* Whether events of the type are to be marked without looking for a metric. */
bool
dirty_bucket_is_marked(const pg_uuid_t *account_id, EventText event_type)
{
	return IsolationUsesXactSnapshot() || is_known(account_id, event_type);
}

/* Marks ------------------------------------------------------------------- */

/* The second that the event is in. */
TimestampTz
dirty_bucket_of(const UsageEvent *event)
{
	return bucket_start(event->timestamp, BUCKET_SECOND);
}

static Mark
mark_of(const UsageEvent *event)
{
	return (Mark){event->event_type, event->customer_alias, dirty_bucket_of(event), 1};
}

static int
compare_texts(EventText a, EventText b)
{
	int result = memcmp(a.data, b.data, Min(a.length, b.length));

	return result != 0 ? result : a.length - b.length;
}

/* In the order of the index. */
static int
compare_marks(const void *a, const void *b)
{
	const Mark *first = a;
	const Mark *second = b;
	int result = compare_texts(first->event_type, second->event_type);

	if (result == 0)
		result = compare_texts(first->customer_alias, second->customer_alias);
	return result != 0 ? result : (first->bucket > second->bucket) - (first->bucket < second->bucket);
}

/* Whether both marks are of one alias, in one minute. */
static bool
is_same_minute(const Mark *a, const Mark *b)
{
	return bucket_start(a->bucket, BUCKET_MINUTE) == bucket_start(b->bucket, BUCKET_MINUTE) &&
		   compare_texts(a->customer_alias, b->customer_alias) == 0 && compare_texts(a->event_type, b->event_type) == 0;
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
		}
		if (kept - kept_before > 1 && last - first < DENSE_EVENTS * (kept - kept_before))
		{
			kept = kept_before + 1;
			marks[kept_before].bucket = bucket_start(marks[kept_before].bucket, BUCKET_MINUTE);
			marks[kept_before].seconds = SECS_PER_MINUTE;
		}
		first = last;
	}
	return kept;
}

static Datum
text_datum(EventText text)
{
	return PointerGetDatum(cstring_to_text_with_len(text.data, text.length));
}

static void
insert_one(const pg_uuid_t *account_id, const Mark *mark)
{
	statement_execute(&insert_mark_of_metric,
					  (Datum[]){UUIDPGetDatum(account_id), text_datum(mark->event_type),
								text_datum(mark->customer_alias), TimestampTzGetDatum(mark->bucket),
								TimestampTzGetDatum(GetCurrentStatementStartTimestamp())},
					  NULL);
	if (SPI_processed > 0)
		remember(account_id, mark->event_type);
}

static void
insert_many(const pg_uuid_t *account_id, const Mark *marks, int count, bool all_are_marked)
{
	EventText *texts = palloc(sizeof(EventText) * count);
	Datum *values = palloc(sizeof(Datum) * count);
	Datum arguments[6];

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

	statement_execute(all_are_marked ? &insert_marks : &insert_marks_of_metrics, arguments, NULL);
	for (uint64 row = 0; !all_are_marked && row < SPI_processed; row++)
	{
		bool isnull;
		text *type = DatumGetTextPP(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &isnull));

		remember(account_id, (EventText){VARDATA_ANY(type), VARSIZE_ANY_EXHDR(type)});
	}
}

/* Marks what the puts have changed; the caller is connected to SPI. */
void
dirty_bucket_mark(const pg_uuid_t *account_id, const EventPut *puts, int count)
{
	Mark *marks = palloc_extended(sizeof(Mark) * 2 * count, MCXT_ALLOC_HUGE);
	bool all_are_marked = true;
	int mark_count = 0;

	for (int i = 0; i < count; i++)
	{
		if ((puts[i].outcome == EVENT_CREATED || puts[i].outcome == EVENT_SUPERSEDED) && !puts[i].is_marked)
			marks[mark_count++] = mark_of(&puts[i].event);
		if (puts[i].superseded != NULL)
			marks[mark_count++] = mark_of(puts[i].superseded);
	}
	if (mark_count > 1)
	{
		qsort(marks, mark_count, sizeof(Mark), compare_marks);
		mark_count = condense(marks, mark_count);
	}
	for (int i = 0; i < mark_count; i++)
		all_are_marked = all_are_marked && dirty_bucket_is_marked(account_id, marks[i].event_type);

	if (mark_count == 1 && !all_are_marked)
		insert_one(account_id, &marks[0]);
	else if (mark_count > 0)
		insert_many(account_id, marks, mark_count, all_are_marked);
	pfree(marks);
}
