/*
 * dirty_bucket.c
 *		Marks: seconds whose events were changed since they were rolled up.
 *
 * Each write marks the seconds of its new versions, and of those that they
 * replaced, in its own transaction.  Marks are rows that are only added here, and
 * only taken away by a refresh, so that writers never wait for each other, or for
 * a refresh, because of them.
 *
 * Only types of events that a metric aggregates are marked.  Whether there is one
 * must be looked up when the transaction has an id already, see metric_refresh.c;
 * the events themselves have been written by then.  A transaction of one snapshot
 * may be too old to see the metric, and marks in any case.
 */
#include "postgres.h"

#include "dirty_bucket.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "metric_bucket.h"
#include "statement.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

typedef struct Mark
{
	EventText event_type;
	EventText customer_alias;
	TimestampTz second;
} Mark;

#define HAS_METRIC(type) \
	" WHERE EXISTS (SELECT FROM usage_events.metric_progress AS p WHERE p.account_id OPERATOR(pg_catalog.=) $1" \
	" AND p.event_type OPERATOR(pg_catalog.=) " type ")"
#define INSERT_MARKS "INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at)"
#define ONE_MARK INSERT_MARKS " SELECT $1, $2, $3, $4, $5"
#define MANY_MARKS \
	INSERT_MARKS " SELECT $1, m.event_type, m.customer_alias, m.bucket, $5" \
				 " FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))" \
				 " AS m(event_type, customer_alias, bucket)"

static Statement insert_mark = {
	.sql = ONE_MARK HAS_METRIC("$2"),
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

static Statement insert_mark_in_any_case = {
	.sql = ONE_MARK,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

static Statement insert_marks = {
	.sql = MANY_MARKS HAS_METRIC("m.event_type"),
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID},
};

static Statement insert_marks_in_any_case = {
	.sql = MANY_MARKS,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID},
};

static Mark
mark_of(const UsageEvent *event)
{
	return (Mark){event->event_type, event->customer_alias, bucket_start(event->timestamp, BUCKET_SECOND)};
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
	return result != 0 ? result : (first->second > second->second) - (first->second < second->second);
}

static Datum
text_datum(EventText text)
{
	return PointerGetDatum(cstring_to_text_with_len(text.data, text.length));
}

static void
insert_one(const pg_uuid_t *account_id, const Mark *mark, TimestampTz now)
{
	statement_execute(IsolationUsesXactSnapshot() ? &insert_mark_in_any_case : &insert_mark,
					  (Datum[]){UUIDPGetDatum(account_id), text_datum(mark->event_type),
								text_datum(mark->customer_alias), TimestampTzGetDatum(mark->second),
								TimestampTzGetDatum(now)},
					  NULL);
}

static void
insert_many(const pg_uuid_t *account_id, const Mark *marks, int count, TimestampTz now)
{
	EventText *texts = palloc(sizeof(EventText) * count);
	Datum *seconds = palloc(sizeof(Datum) * count);
	Datum arguments[] = {UUIDPGetDatum(account_id), 0, 0, 0, TimestampTzGetDatum(now)};

	for (int i = 0; i < count; i++)
		texts[i] = marks[i].event_type;
	arguments[1] = statement_varlena_array(texts, count, TEXTOID);
	for (int i = 0; i < count; i++)
		texts[i] = marks[i].customer_alias;
	arguments[2] = statement_varlena_array(texts, count, TEXTOID);
	for (int i = 0; i < count; i++)
		seconds[i] = TimestampTzGetDatum(marks[i].second);
	arguments[3] = statement_timestamp_array(seconds, count);
	statement_execute(IsolationUsesXactSnapshot() ? &insert_marks_in_any_case : &insert_marks, arguments, NULL);
}

/* Marks what the puts have changed; the caller is connected to SPI. */
void
dirty_bucket_mark(const pg_uuid_t *account_id, const EventPut *puts, int count)
{
	Mark *marks = palloc(sizeof(Mark) * 2 * count);
	TimestampTz now = GetCurrentStatementStartTimestamp();
	int mark_count = 0;
	int kept = 0;

	for (int i = 0; i < count; i++)
	{
		if (puts[i].outcome == EVENT_CREATED || puts[i].outcome == EVENT_SUPERSEDED)
			marks[mark_count++] = mark_of(&puts[i].event);
		if (puts[i].superseded != NULL)
			marks[mark_count++] = mark_of(puts[i].superseded);
	}
	if (mark_count > 1)
		qsort(marks, mark_count, sizeof(Mark), compare_marks);
	for (int i = 0; i < mark_count; i++)
	{
		if (kept == 0 || compare_marks(&marks[kept - 1], &marks[i]) != 0)
			marks[kept++] = marks[i];
	}

	if (kept == 1)
		insert_one(account_id, &marks[0], now);
	else if (kept > 1)
		insert_many(account_id, marks, kept, now);
	pfree(marks);
}
