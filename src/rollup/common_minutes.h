/*
 * rollup/common_minutes.h
 *		Minutes that are marked for all customers, when all are asked for.
 */
#ifndef USAGE_EVENTS_ROLLUP_COMMON_MINUTES_H
#define USAGE_EVENTS_ROLLUP_COMMON_MINUTES_H

#include "rollup/common_marks.h"
#include "rollup/scan_work.h"

/* An alias that they concern, or that has marks of its own, or is rolled up. */
typedef struct CommonAlias
{
	Slice alias;
	MetricTotal total; /* of the events that the marks are of */
	bool is_rolled_up;
	int place; /* among the scan's aliases */
} CommonAlias;

/* What is known of all customers when their aliases have been found. */
struct CommonMinutes
{
	const RollupScan *scan;
	const MetricMatcher *matcher;
	bool knows_rolled_up; /* which aliases are */
	CommonMarks marked;   /* of all */
	CommonAlias *aliases;
	int alias_count;
	int alias_capacity;
	struct common_aliases_hash *places;
	Marks marks; /* of single aliases, which are places of those above */
	MemoryContext context;
	MemoryContext row_context;
};

extern int common_minutes_place(CommonMinutes *common, Slice alias);
extern CommonMinutes *common_minutes_make(const RollupScan *scan, MemoryContext context);
extern void common_minutes_read(CommonMinutes *common, TimestampTz start, TimestampTz end);
extern void common_minutes_add(ScanWork *work, CommonMinutes *common, TimestampTz start);
extern bool common_minutes_take_roots(ScanWork *work, const CommonMinutes *common);

#endif /* USAGE_EVENTS_ROLLUP_COMMON_MINUTES_H */
