/*
 * metric/running.h
 *		A metric's whole value while events come one after the other.
 */
#ifndef USAGE_EVENTS_METRIC_RUNNING_H
#define USAGE_EVENTS_METRIC_RUNNING_H

#include "metric/total.h"

struct running_values_hash;

/* What is known of all events together, whatever groups they are of. */
typedef struct MetricRunning
{
	const Metric *metric;
	MemoryContext context;
	MetricSum sum;                      /* its number is that of the following, its values are counted */
	MetricNumber number;                /* combined of all */
	struct running_values_hash *values; /* of a kind that keeps values: which there are */
	MetricCounted *counted;             /* of a kind that keeps counts: ascending */
	int64 capacity;
} MetricRunning;

extern MetricRunning *metric_running_begin(const MetricTotal *total);
extern Numeric metric_running_value(const MetricRunning *running);
extern Numeric metric_running_value_with(MetricRunning *running, const MetricTotal *event);
extern void metric_running_add(MetricRunning *running, const MetricTotal *event);

#endif /* USAGE_EVENTS_METRIC_RUNNING_H */
