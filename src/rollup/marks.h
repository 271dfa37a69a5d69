/*
 * rollup/marks.h
 *		Lists of marked time.
 */
#ifndef USAGE_EVENTS_ROLLUP_MARKS_H
#define USAGE_EVENTS_ROLLUP_MARKS_H

#include "datatype/timestamp.h"

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

extern void marks_append(Marks *marks, Mark mark);
extern void marks_add_seconds(Marks *marks, int alias, TimestampTz timestamp, int seconds);
extern void marks_sort(Marks *marks);
extern int marks_first(const Marks *marks, int alias, TimestampTz moment);

#endif /* USAGE_EVENTS_ROLLUP_MARKS_H */
