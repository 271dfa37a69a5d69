/*
 * metric/kind.h
 *		Kinds of aggregation: what becomes of the values of many events.
 */
#ifndef USAGE_EVENTS_METRIC_KIND_H
#define USAGE_EVENTS_METRIC_KIND_H

#include "base/calendar.h"
#include "base/slice.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

/* What of the property an event has to have, to count. */
typedef enum MetricReads
{
	METRIC_READS_NOTHING, /* the kind needs no property */
	METRIC_READS_TEXT,    /* anything but null, as its text */
	METRIC_READS_NUMBER
} MetricReads;

/* What is kept of the single values: those that are different take a cell of a total, and a row of a rollup, each. */
typedef enum MetricKeeps
{
	METRIC_KEEPS_NO_VALUES,
	METRIC_KEEPS_VALUES, /* that they are there */
	METRIC_KEEPS_COUNTS  /* numbers, and how many events have each */
} MetricKeeps;

/* How one event more changes the result, by what it comes to alone. */
typedef enum MetricRise
{
	METRIC_ADDS,  /* by just that */
	METRIC_RISES, /* by that at most, and never down; one that is taken away lowers it by that at most */
	METRIC_VARIES /* up or down */
} MetricRise;

/* Which order tells what events come to of which each may go again, see metric/running.h. */
typedef enum MetricRanks
{
	METRIC_RANKS_NOTHING, /* none is needed */
	METRIC_RANKS_NUMBERS, /* that of the numbers */
	METRIC_RANKS_TIMES,   /* in which the events took place */
	METRIC_RANKS_SCALES   /* of digits behind the point: the numbers are added up, and the sum has as many as any has */
} MetricRanks;

/* One number: that of an event, or what those of many have come to. */
typedef struct MetricNumber
{
	Numeric value;         /* NULL: there is none yet */
	TimestampTz timestamp; /* of the event whose number it is, where the kind keeps that */
	pg_uuid_t id;
} MetricNumber;

/* How many events have a number. */
typedef struct MetricCounted
{
	Numeric number;
	int64 event_count;
} MetricCounted;

struct Metric;

/* What is known of the events of a group that count, or of all, when an answer is made. */
typedef struct MetricSum
{
	const struct Metric *metric;
	int64 event_count;
	Numeric number;              /* combined of all; NULL: there is none */
	int64 value_count;           /* of a kind that keeps values; different ones, but for counts of all groups */
	const MetricCounted *values; /* of a kind that keeps counts; ascending */
} MetricSum;

/*
 * A kind is its row in kind.c, and nothing asks which one it has: whatever makes a
 * difference between kinds is a column.
 */
typedef struct MetricKind
{
	Slice name; /* in the API */
	/* An SQL expression's: administrators make it, and only the expression knows what events come to. */
	bool is_expression;
	MetricReads reads;
	MetricKeeps keeps;
	/* Rollups have no shorter buckets. */
	BucketLevel deepest;
	/* What a number and the next come to: one of them, or a new one.  In whatever order, it is the same. */
	Numeric (*combine)(const MetricNumber *number, const MetricNumber *next);
	bool makes_long_numbers; /* by combining, longer ones than the events have: usage_events.max_sum_digits holds */
	bool has_percentile;     /* a metric of this kind says which */
	bool keeps_event;        /* a number is that of the last event: totals and rollups know its time and id */
	MetricRise rise;
	MetricRanks ranks; /* of numbers that combine() does not make, it picks one of the first and the last */
	Numeric (*result)(const MetricSum *sum);
} MetricKind;

extern const MetricKind *metric_kind_find(Slice name);
extern const MetricKind *metric_kind_of_expressions(void);
extern int64 metric_percentile_rank(const struct Metric *metric, int64 event_count);
extern bool metric_percentile_is_valid(Numeric percentile);
extern const char *metric_kind_fault(Slice name, bool has_expressions);

#endif /* USAGE_EVENTS_METRIC_KIND_H */
