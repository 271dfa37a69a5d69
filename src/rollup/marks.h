/*
 * rollup/marks.h
 *		Lists of marked time.
 */
#ifndef USAGE_EVENTS_ROLLUP_MARKS_H
#define USAGE_EVENTS_ROLLUP_MARKS_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* Seconds whose buckets do not hold. */
typedef struct Mark
{
	int alias;
	TimestampTz start;
	TimestampTz end;
	/* The leading half of the lowest id of what it stands for, which are new versions alone.  0: something may have gone as well. */
	uint64 first_id;
} Mark;

/* Several in order, none overlaps another. */
typedef struct Marks
{
	Mark *items;
	int count;
	int capacity;
} Marks;

extern void marks_append(Marks *marks, Mark mark);
extern void marks_add_seconds(Marks *marks, int alias, TimestampTz timestamp, int seconds, uint64 first_id);
extern uint64 marks_first_id(uint64 row, int column);
extern void marks_sort(Marks *marks);
extern int marks_first(const Marks *marks, int alias, TimestampTz moment);
extern bool marks_are_newer(const Marks *marks, int first, int alias, TimestampTz until, const pg_uuid_t *id,
							int max_marks);

#endif /* USAGE_EVENTS_ROLLUP_MARKS_H */
