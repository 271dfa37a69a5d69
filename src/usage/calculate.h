/*
 * usage/calculate.h
 *		What a metric says of customers and periods.
 */
#ifndef USAGE_EVENTS_USAGE_CALCULATE_H
#define USAGE_EVENTS_USAGE_CALCULATE_H

#include "fmgr.h"
#include "metric/metric.h"

/* How much of what: the metric, in a version, and as of when. */
typedef struct MetricQuestion
{
	Metric metric;
	Jsonb *parameters; /* of a CUSTOM metric; NULL: all have their defaults */
	bool has_as_of;
	pg_uuid_t as_of; /* ids below this one were known then */
	TimestampTz as_of_timestamp;
} MetricQuestion;

extern bool metric_question_ask(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const TimestampTz *as_of,
								MetricQuestion *question);
extern void metric_question_refuse(const pg_uuid_t *metric_id, const MetricQuestion *question);
extern int metric_find_aliases(const MetricQuestion *question, const List *customers, EventText **aliases);

extern const pg_uuid_t *metric_id_argument(FunctionCallInfo fcinfo, int number);
extern List *metric_customers_argument(FunctionCallInfo fcinfo, int number);
extern void metric_period_argument(FunctionCallInfo fcinfo, int number, TimestampTz *start, TimestampTz *end);
extern const TimestampTz *metric_as_of_argument(FunctionCallInfo fcinfo, int number, TimestampTz *as_of);

extern Jsonb *metric_calculate(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, List *customer_aliases,
							   TimestampTz start, TimestampTz end, const TimestampTz *as_of, Jsonb *parameters);

#endif /* USAGE_EVENTS_USAGE_CALCULATE_H */
