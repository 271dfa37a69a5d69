/*
 * limit/measure.h
 *		What a metric says of a customer and a period, with events and without.
 */
#ifndef USAGE_EVENTS_LIMIT_MEASURE_H
#define USAGE_EVENTS_LIMIT_MEASURE_H

#include "event/store.h"
#include "limit/use.h"
#include "metric/value.h"
#include "utils/snapshot.h"

/* A limit's metric, and what makes out events of it. */
typedef struct MeasuredMetric
{
	Metric metric;
	const MetricMatcher *matcher;
	Numeric taken_away; /* from its values by a batch, at most; NULL: nobody has looked */
} MeasuredMetric;

/* What a customer has used of a limit in a period. */
typedef struct Measure
{
	const UsageLimit *limit;
	const LimitCustomer *customer;
	MeasuredMetric *metric; /* NULL: there is no need to look at it */
	TimestampTz moment;     /* in the period */
	TimestampTz start;
	TimestampTz end;
	Numeric value; /* with all events */
} Measure;

extern MeasuredMetric *measure_metric(const pg_uuid_t *account_id, const pg_uuid_t *id, List **known);
extern Numeric measure_ask(const Measure *measure, Snapshot snapshot);
extern Numeric measure_event(const MeasuredMetric *metric, const UsageEvent *event);

extern Numeric measure_zero(void);
extern Numeric measure_sum(Numeric a, Numeric b);
extern Numeric measure_difference(Numeric a, Numeric b);
extern Numeric measure_or_zero(Numeric number);

#endif /* USAGE_EVENTS_LIMIT_MEASURE_H */
