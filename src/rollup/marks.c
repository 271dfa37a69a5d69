/*
 * rollup/marks.c
 *		Lists of marked time.
 */
#include "postgres.h"

#include "rollup/marks.h"

#include "base/calendar.h"
#include "base/memory_budget.h"
#include "port/pg_bswap.h"
#include "sql/row.h"
#include "utils/timestamp.h"

static uint64
leading_half(const pg_uuid_t *id)
{
	uint64 half;

	memcpy(&half, id->data, sizeof(half));
	return pg_ntoh64(half);
}

/* The first id of a mark in a column of a row. */
uint64
marks_first_id(uint64 row, int column)
{
	bool isnull;
	Datum id = row_value(row, column, &isnull);

	return isnull ? 0 : leading_half(DatumGetUUIDP(id));
}

void
marks_append(Marks *marks, Mark mark)
{
	marks->items = memory_budget_room(marks->items, marks->count, &marks->capacity, sizeof(Mark));
	marks->items[marks->count++] = mark;
}

/*
 * Adds a mark as it is stored.  Batches that came one after the other may have marked the same minute many times: where these
 * come in a row, as along the index, they take the room of one.
 */
void
marks_add_seconds(Marks *marks, int alias, TimestampTz timestamp, int seconds, uint64 first_id)
{
	TimestampTz start = bucket_start(timestamp, BUCKET_SECOND);
	TimestampTz end = start + Min(seconds, SECS_PER_MINUTE) * USECS_PER_SEC;
	Mark *last = marks->count > 0 ? &marks->items[marks->count - 1] : NULL;

	/* Roles that send events may also write a mark by hand, with anything in it. */
	if (seconds <= 0)
		return;
	if (last != NULL && last->alias == alias && last->start == start)
	{
		last->end = Max(last->end, end);
		last->first_id = Min(last->first_id, first_id);
	}
	else
		marks_append(marks, (Mark){alias, start, end, first_id});
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
void
marks_sort(Marks *marks)
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
		{
			last->end = Max(last->end, mark->end);
			last->first_id = Min(last->first_id, mark->first_id);
		}
		else
			marks->items[++kept] = *mark;
	}
	marks->count = kept + 1;
}

/* The place of the first mark of the alias, or of those after it, that ends after that moment. */
int
marks_first(const Marks *marks, int alias, TimestampTz moment)
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

/*
 * Whether those of the alias from that place on, and up to a moment, are of new versions alone, with higher ids than that one; false as
 * well where there are more.
 */
bool
marks_are_newer(const Marks *marks, int first, int alias, TimestampTz until, const pg_uuid_t *id, int max_marks)
{
	uint64 half = leading_half(id);

	for (int i = first; i < marks->count && marks->items[i].alias == alias && marks->items[i].start <= until; i++)
	{
		if (marks->items[i].first_id <= half || i - first >= max_marks)
			return false;
	}
	return true;
}
