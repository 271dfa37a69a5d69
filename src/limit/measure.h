/*
 * limit/measure.h
 *		What a metric says of a customer and a period, with events and without.
 */
#ifndef USAGE_EVENTS_LIMIT_MEASURE_H
#define USAGE_EVENTS_LIMIT_MEASURE_H

#include "event/store.h"
#include "limit/in_force.h"
#include "metric/value.h"
#include "utils/snapshot.h"

/* A limit's metric, and what makes out events of it. */
typedef struct MeasuredMetric
{
	Metric metric;
	const MetricMatcher *matcher;
	Numeric taken_away; /* from its values by a batch, at most; NULL: nobody has looked */
} MeasuredMetric;

/* What was used of a limit by its customer in a period. */
typedef struct Measure
{
	const LimitInForce *limit;
	MeasuredMetric *metric; /* NULL: there is no need to look at it */
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
