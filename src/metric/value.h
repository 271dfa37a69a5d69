/*
 * metric/value.h
 *		What one event is to a metric.
 */
#ifndef USAGE_EVENTS_METRIC_VALUE_H
#define USAGE_EVENTS_METRIC_VALUE_H

#include "metric/metric.h"
#include "utils/numeric.h"

/* Makes out what events are to a metric; made once for many. */
typedef struct MetricMatcher MetricMatcher;

typedef enum MetricVerdict
{
	METRIC_COUNTS,
	METRIC_SKIPS,  /* has no value that could be aggregated */
	METRIC_FILTERS /* is filtered out */
} MetricVerdict;

/* So many properties make a group. */
#define METRIC_MAX_GROUPINGS 3

/* The value of a property by which events are grouped. */
typedef struct MetricGrouping
{
	Slice text;          /* no data: the event has none, or long_number */
	Numeric long_number; /* that is too long to be written out for each event */
} MetricGrouping;

typedef struct MetricValue
{
	MetricGrouping groupings[METRIC_MAX_GROUPINGS]; /* as many as the metric groups by */
	Slice unique;                                   /* the text, of a kind that reads texts; no data: long_unique */
	Numeric long_unique;
	Numeric number;     /* of a kind that reads numbers */
	const char *reason; /* why it does not count, worded to follow the event: "has no property \"length\"" */
} MetricValue;

extern MetricMatcher *metric_matcher_make(const Metric *metric);
extern MetricVerdict metric_value_read(const MetricMatcher *matcher, Jsonb *properties, bool explain,
									   MetricValue *value);
extern int metric_grouping_count(const Metric *metric);
extern Numeric metric_number_from_text(Slice text);
extern Slice metric_number_text(Numeric number);
extern int metric_number_scale(Numeric number);
extern bool metric_number_equal(Numeric a, Numeric b);
extern bool metric_number_is_above(Numeric a, Numeric b);
extern int metric_number_compare(Numeric a, Numeric b);

#endif /* USAGE_EVENTS_METRIC_VALUE_H */
