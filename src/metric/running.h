/*
 * metric/running.h
 *		A metric's whole value while events come and go, one after the other.
 */
#ifndef USAGE_EVENTS_METRIC_RUNNING_H
#define USAGE_EVENTS_METRIC_RUNNING_H

#include "metric/total.h"

struct running_values_hash;

/* What one event is to the whole value, whichever group it is of. */
typedef struct MetricPart
{
	bool counts;         /* it is one of those that make the value */
	MetricNumber number; /* its number; none of a kind that reads none */
	Slice value;         /* the key of its value, of a kind that keeps values; no data: none */
} MetricPart;

/* A number that events have, and how many. */
typedef struct RankedNumber
{
	MetricNumber number;
	int64 event_count; /* that were there from the beginning */
} RankedNumber;

/*
 * What is known of all events together, whatever groups they are of.
 *
 * Numbers stand in the order that tells which of them makes the value.  All that may come are made
 * known before they are put in order; then only how many events have each is counted, in a tree
 * of sums (Fenwick's), which finds the nth as fast as it counts one.
 */
typedef struct MetricRunning
{
	const Metric *metric;
	MemoryContext context;
	int64 event_count;
	Numeric sum;                        /* of the numbers, of a kind that adds them up; NULL: nothing was ever added */
	struct running_values_hash *values; /* of a kind that keeps values: how many have each */
	int64 value_count;                  /* that events have */
	RankedNumber *ranks;
	int rank_count;
	int rank_capacity;
	int64 *tree; /* NULL: not in order yet */
	int64 ranked_event_count;
} MetricRunning;

extern void metric_part_read(const MetricTotal *event, MetricPart *part);
extern MetricRunning *metric_running_begin(const MetricTotal *total);
extern void metric_running_expect(MetricRunning *running, const MetricPart *part);
extern void metric_running_order(MetricRunning *running);
extern void metric_running_add(MetricRunning *running, const MetricPart *part);
extern void metric_running_take(MetricRunning *running, const MetricPart *part);
extern Numeric metric_running_value(const MetricRunning *running);

#endif /* USAGE_EVENTS_METRIC_RUNNING_H */
