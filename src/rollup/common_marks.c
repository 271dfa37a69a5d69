/*
 * rollup/common_marks.c
 *		Marks of all customers, and whom they concern.
 *
 * Such a mark is of a minute, and of those events in it that one batch has stored.  It has the
 * lowest and the highest of their ids, so they are found along the index on ids, among
 * few others: what was stored at the same time.  An event that has been corrected since is not found
 * any more, nor need it be: whoever replaced it marked it for its own customer.
 */
#include "postgres.h"

#include "rollup/common_marks.h"

#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "sql/lookup.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/timestamp.h"

#define READ_CONCERNED(columns) \
	"SELECT " columns " FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4)) AS i(first_id, last_id)" \
	" CROSS JOIN LATERAL (SELECT " columns " FROM usage_events.event AS e" \
	" WHERE e.account_id " EQ " $1 AND e.id " GE " i.first_id AND e.id " LE " i.last_id" \
	" AND e.event_type " EQ " $2 OFFSET 0) AS e"
#define READ_CONCERNED_TYPES UUIDOID, TEXTOID, UUIDARRAYOID, UUIDARRAYOID

static Statement read_concerned = {
	.sql = READ_CONCERNED("e.customer_alias, e.id, e.event_timestamp"),
	.argument_count = 4,
	.argument_types = {READ_CONCERNED_TYPES},
};

/* On the snapshot of whoever asks, and with what scan_add_event() reads. */
static Statement read_concerned_in_question = {
	.sql = READ_CONCERNED("e.customer_alias, e.id, e.event_timestamp, e.event_properties"),
	.read_only = true,
	.argument_count = 4,
	.argument_types = {READ_CONCERNED_TYPES},
};

static Lookup read_concerned_of_range = {
	.table = "event",
	.index = "event_id_key",
	.columns = "customer_alias, id, event_timestamp, event_properties, event_type",
	.keys = {KEY_EQUAL("account_id", UUIDOID), KEY_FROM("id", UUIDOID), KEY_THROUGH("id", UUIDOID)},
};

/* Adds the mark in a row of the last statement; one that was written by hand may be of any events. */
void
common_marks_take(CommonMarks *marks, uint64 row, int first_column)
{
	IdRange *range;
	bool has_no_first;
	bool has_no_last;
	Datum first = row_value(row, first_column + 2, &has_no_first);
	Datum last = row_value(row, first_column + 3, &has_no_last);

	marks_add_seconds(&marks->minutes, 0, DatumGetTimestampTz(row_value_there(row, first_column)),
					  DatumGetInt16(row_value_there(row, first_column + 1)), marks_first_id(row, first_column + 2));
	marks->ranges = memory_budget_room(marks->ranges, marks->range_count, &marks->range_capacity, sizeof(IdRange));
	range = &marks->ranges[marks->range_count++];
	memset(&range->first, 0, UUID_LEN);
	memset(&range->last, 0xff, UUID_LEN);
	/* So is one from a higher to a lower id: as a range it would bring the others out of order. */
	if (!has_no_first && !has_no_last && uuid_v7_compare(DatumGetUUIDP(first), DatumGetUUIDP(last)) > 0)
		return;
	if (!has_no_first)
		range->first = *DatumGetUUIDP(first);
	if (!has_no_last)
		range->last = *DatumGetUUIDP(last);
}

static int
compare_ranges(const void *a, const void *b)
{
	return uuid_v7_compare(&((const IdRange *) a)->first, &((const IdRange *) b)->first);
}

/* Brings minutes and ranges in order, and makes one of those that overlap: a batch has marked several minutes. */
void
common_marks_sort(CommonMarks *marks)
{
	int kept = 0;

	marks_sort(&marks->minutes);
	if (marks->range_count < 2)
		return;
	qsort(marks->ranges, marks->range_count, sizeof(IdRange), compare_ranges);
	for (int i = 1; i < marks->range_count; i++)
	{
		IdRange *last = &marks->ranges[kept];
		const IdRange *range = &marks->ranges[i];

		if (uuid_v7_compare(&range->first, &last->last) > 0)
			marks->ranges[++kept] = *range;
		else if (uuid_v7_compare(&range->last, &last->last) > 0)
			last->last = range->last;
	}
	marks->range_count = kept + 1;
}

static bool
is_in_minutes(const Marks *minutes, TimestampTz timestamp)
{
	int place = marks_first(minutes, 0, timestamp);

	return place < minutes->count && minutes->items[place].start <= timestamp;
}

static bool
is_in_ranges(const CommonMarks *marks, const pg_uuid_t *id)
{
	int low = 0;
	int high = marks->range_count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (uuid_v7_compare(&marks->ranges[middle].last, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < marks->range_count && uuid_v7_compare(&marks->ranges[low].first, id) <= 0;
}

/* Whether an event of the type is one of those that are handed out for the marks, which are in order. */
bool
common_marks_have(const CommonMarks *marks, const pg_uuid_t *id, TimestampTz timestamp)
{
	return is_in_ranges(marks, id) && is_in_minutes(&marks->minutes, timestamp);
}

/* Whether each of them, which are in order, says from which id on its events are; one that was written by hand may not. */
bool
common_marks_have_ids(const CommonMarks *marks)
{
	static const pg_uuid_t lowest = {{0}};

	return marks->range_count == 0 || !uuid_v7_equal(&marks->ranges[0].first, &lowest);
}

/* Events in the ranges --------------------------------------------------------- */

typedef struct ConcernedWork
{
	const CommonMarks *marks;
	const pg_uuid_t *account_id;
	Slice event_type;
	void (*take_event)(const ConcernedEvent *event, void *argument);
	void *argument;
} ConcernedWork;

static void
take_row(uint64 row, void *argument)
{
	ConcernedWork *work = argument;
	ConcernedEvent event = {.row = row, .timestamp = DatumGetTimestampTz(row_value_there(row, 3))};

	if (!is_in_minutes(&work->marks->minutes, event.timestamp))
		return;
	event.alias = row_text(row, 1);
	event.id = DatumGetUUIDP(row_value_there(row, 2));
	work->take_event(&event, work->argument);
}

static void
set_range(int place, Datum *arguments, void *argument)
{
	const ConcernedWork *work = argument;
	const IdRange *range = &work->marks->ranges[place];

	arguments[0] = UUIDPGetDatum(work->account_id);
	arguments[1] = UUIDPGetDatum(&range->first);
	arguments[2] = UUIDPGetDatum(&range->last);
}

static void
take_row_of_range(int place pg_attribute_unused(), uint64 row, void *argument)
{
	const ConcernedWork *work = argument;

	if (slice_equal(row_text(row, 5), work->event_type))
		take_row(row, argument);
}

/* One end of each range. */
static Datum
range_ends(const CommonMarks *marks, size_t offset)
{
	Datum *values = palloc_extended(sizeof(Datum) * marks->range_count, MCXT_ALLOC_HUGE);

	for (int i = 0; i < marks->range_count; i++)
		values[i] = PointerGetDatum((char *) &marks->ranges[i] + offset);
	return statement_uuid_array(values, marks->range_count);
}

/* Hands out the events of the type in the ranges and minutes of the marks, which are in order. */
void
common_marks_each_event(const CommonMarks *marks, const pg_uuid_t *account_id, Slice event_type, bool is_question,
						void (*take_event)(const ConcernedEvent *event, void *argument), void *argument)
{
	ConcernedWork work = {marks, account_id, event_type, take_event, argument};
	Datum arguments[4] = {UUIDPGetDatum(account_id), slice_to_datum(event_type)};

	if (marks->minutes.count == 0)
		return;
	if (is_question &&
		lookup_rows_of_many(&read_concerned_of_range, marks->range_count, set_range, take_row_of_range, &work))
		return;
	memory_budget_grow(2 * (sizeof(Datum) + UUID_LEN) * marks->range_count);
	arguments[2] = range_ends(marks, offsetof(IdRange, first));
	arguments[3] = range_ends(marks, offsetof(IdRange, last));
	if (is_question)
		statement_stream(&read_concerned_in_question, arguments, take_row, &work);
	/* A refresh writes meanwhile. */
	else
		statement_each_row(&read_concerned, arguments, take_row, &work);
}
