/*
 * rollup/common_marks.h
 *		Marks of all customers, and whom they concern.
 */
#ifndef USAGE_EVENTS_ROLLUP_COMMON_MARKS_H
#define USAGE_EVENTS_ROLLUP_COMMON_MARKS_H

#include "base/slice.h"
#include "rollup/marks.h"
#include "utils/uuid.h"

/* Ids from the first to the last. */
typedef struct IdRange
{
	pg_uuid_t first;
	pg_uuid_t last;
} IdRange;

typedef struct CommonMarks
{
	Marks minutes;   /* as those of alias 0; several in a row are one */
	IdRange *ranges; /* of the events that they are of; none overlaps another */
	int range_count;
	int range_capacity;
} CommonMarks;

/* An event in a range: whose it is, and when it was. */
typedef struct ConcernedEvent
{
	uint64 row; /* in a question, as scan_add_event() takes it */
	/* These last as long as the row. */
	Slice alias;
	const pg_uuid_t *id;
	TimestampTz timestamp;
} ConcernedEvent;

/* The columns that common_marks_take() reads, of dirty_bucket as d. */
#define COMMON_MARK_COLUMNS "d.bucket, d.seconds, d.first_id, d.last_id"

extern void common_marks_take(CommonMarks *marks, uint64 row, int first_column);
extern void common_marks_sort(CommonMarks *marks);
extern bool common_marks_have(const CommonMarks *marks, const pg_uuid_t *id, TimestampTz timestamp);
extern bool common_marks_have_ids(const CommonMarks *marks);
extern void common_marks_each_event(const CommonMarks *marks, const pg_uuid_t *account_id, Slice event_type,
									bool is_question, void (*take_event)(const ConcernedEvent *event, void *argument),
									void *argument);

#endif /* USAGE_EVENTS_ROLLUP_COMMON_MARKS_H */
