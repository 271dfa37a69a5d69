/*
 * rollup/scan_work.h
 *		What the parts of a scan share: intervals, marks, and what is left to the events.
 *
 * Only scan.c and its parts, scan_*.c and common_minutes.c, include it.
 */
#ifndef USAGE_EVENTS_ROLLUP_SCAN_WORK_H
#define USAGE_EVENTS_ROLLUP_SCAN_WORK_H

#include "base/calendar.h"
#include "rollup/common_marks.h"
#include "rollup/marks.h"
#include "rollup/row.h"
#include "rollup/scan.h"
#include "sql/statement.h"

/*
 * Statements look up many places in large tables.  LATERAL with OFFSET 0 leaves the
 * planner one way: a search in the index for each.
 */

#define INTERVAL_PARAMETERS \
	"ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5))" \
	" WITH ORDINALITY AS i(alias, starts_at, ends_at, place)"
#define INTERVAL_TYPES TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID

/* Intervals that are still to be looked up. */
typedef struct Intervals
{
	MetricInterval *items;
	int count;
	int capacity;
} Intervals;

typedef struct ScanWork
{
	const RollupScan *scan;
	const MetricMatcher *matcher;
	TimestampTz start;         /* of the first interval */
	TimestampTz end;           /* of the last */
	MemoryContext context;     /* of the whole scan */
	MemoryContext row_context; /* of one row */
	Marks marks;               /* of single aliases */
	Marks common_marks;        /* of all aliases, as those of alias 0 */
	const CommonMarks *added;  /* marks of all aliases, whose events are in the totals already; NULL: none */
	bool is_one_snapshot;      /* all statements see the same */
	Intervals raw;             /* to be read from the events */
	bool *is_rolled_up;        /* of each alias */
	int rolled_up_count;

	/* While a level is read. */
	const Intervals *reading;
	Intervals next; /* to be looked up one level below */
	BucketLevel level;
	RollupRow *node; /* the rows of the bucket that is being read */
	int node_count;
	int node_capacity;
	int node_place;
} ScanWork;

/* A moment in the time of an alias, and the first marks that end after it. */
typedef struct MarkPlace
{
	int alias;
	TimestampTz moment;
	int own;
	int common;
} MarkPlace;

extern bool scan_rollups_hold(const Metric *metric);
extern int scan_compare_aliases(const void *a, const void *b);
extern void scan_add_interval(Intervals *intervals, MetricInterval interval);
extern MetricInterval scan_part(const MetricInterval *interval, TimestampTz start, TimestampTz end);
extern void scan_interval_arguments(const ScanWork *work, const Intervals *intervals, Datum *arguments);
extern Datum scan_event_type(const Metric *metric);
extern Datum scan_aliases(const ScanWork *work);
extern int scan_row_place(uint64 row);
extern void scan_add_raw(ScanWork *work, MetricInterval interval);
extern MarkPlace scan_mark_place(const ScanWork *work, int alias, TimestampTz moment);
extern bool scan_next_mark(const ScanWork *work, const MarkPlace *place, TimestampTz end, TimestampTz *mark_start,
						   TimestampTz *mark_end);
extern bool scan_marks_are_newer(const ScanWork *work, const MarkPlace *place, TimestampTz until, const pg_uuid_t *id,
								 int max_marks);
extern void scan_skip_marks(const ScanWork *work, MarkPlace *place, TimestampTz moment);
extern TimestampTz scan_own_end(const RollupScan *scan, TimestampTz start, TimestampTz end);
extern void scan_read_marks(ScanWork *work, bool of_aliases, bool of_all);
extern int scan_find_alias(const RollupScan *scan, Slice alias);
extern const MetricInterval *scan_find_interval(const RollupScan *scan, int alias, TimestampTz timestamp);

extern void scan_add_superseded(ScanWork *work, TimestampTz start, TimestampTz end);
extern Intervals scan_find_rolled_up(ScanWork *work, TimestampTz start, TimestampTz end);
extern Intervals scan_read_level(ScanWork *work, BucketLevel level, const Intervals *open);
extern void scan_read_raw(ScanWork *work);

#endif /* USAGE_EVENTS_ROLLUP_SCAN_WORK_H */
