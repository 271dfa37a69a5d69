/*
 * rollup/marks.c
 *		Lists of marked time.
 */
#include "postgres.h"

#include "rollup/marks.h"

#include "base/calendar.h"
#include "base/memory_budget.h"
#include "utils/timestamp.h"

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
marks_add_seconds(Marks *marks, int alias, TimestampTz timestamp, int seconds)
{
	TimestampTz start = bucket_start(timestamp, BUCKET_SECOND);
	TimestampTz end = start + Min(seconds, SECS_PER_MINUTE) * USECS_PER_SEC;
	Mark *last = marks->count > 0 ? &marks->items[marks->count - 1] : NULL;

	/* Roles that send events may also write a mark by hand, with anything in it. */
	if (seconds <= 0)
		return;
	if (last != NULL && last->alias == alias && last->start == start)
		last->end = Max(last->end, end);
	else
		marks_append(marks, (Mark){alias, start, end});
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
			last->end = Max(last->end, mark->end);
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
