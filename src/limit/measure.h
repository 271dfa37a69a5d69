/*
 * limit/measure.h
 *		What a metric says of a customer and a period, with events and without.
 */
#ifndef USAGE_EVENTS_LIMIT_MEASURE_H
#define USAGE_EVENTS_LIMIT_MEASURE_H

#include "event/store.h"
#include "limit/use.h"
#include "metric/running.h"
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
	bool has_unwritten;        /* an event that is not written may come to it yet */
	TimestampTz purged_before; /* events of the period are gone up to then, and not in the value; DT_NOBEGIN: none */
	Numeric value;             /* with all events; while they are counted, with those that came before */
	MetricRunning *running;    /* instead of the value while events are counted whose values do not just add up */
} Measure;

extern MeasuredMetric *measure_metric(const pg_uuid_t *account_id, uint64 state, const pg_uuid_t *id, List **known);
extern void measure_find_period(Measure *measure);
extern Numeric measure_ask(Measure *measure, Snapshot snapshot);
extern void measure_run(Measure *measure, Snapshot snapshot, LeftOut left_out);
extern Numeric measure_event(const MeasuredMetric *metric, const UsageEvent *event);
extern void measure_part(const MeasuredMetric *metric, const UsageEvent *event, MetricPart *part);
extern bool measure_counts(const MeasuredMetric *metric, const UsageEvent *event);

extern Numeric measure_value(const Measure *measure);
extern void measure_add(Measure *measure, Numeric amount, const MetricPart *part);
extern void measure_take(Measure *measure, Numeric amount, const MetricPart *part);

extern bool measure_just_adds(const Measure *measure);
extern bool measure_is_purged(const Measure *measure);
extern bool measure_has_period(const Measure *measure);
extern bool measure_is_certain(const Measure *measure);
extern bool measure_is_open(const Measure *measure);
extern bool measure_is_run(const Measure *measure);
extern bool measure_is_above(const Measure *measure, Numeric value);

extern Numeric measure_zero(void);
extern Numeric measure_sum(Numeric a, Numeric b);
extern Numeric measure_difference(Numeric a, Numeric b);
extern Numeric measure_or_zero(Numeric number);

#endif /* USAGE_EVENTS_LIMIT_MEASURE_H */
