/*
 * usage/calculate.h
 *		What a metric says of customers and periods.
 */
#ifndef USAGE_EVENTS_USAGE_CALCULATE_H
#define USAGE_EVENTS_USAGE_CALCULATE_H

#include "fmgr.h"
#include "metric/metric.h"

/* How much of what: the metric, in a version, and as of when. */
typedef struct UsageQuestion
{
	Metric metric;
	Jsonb *parameters; /* of a CUSTOM metric; NULL: all have their defaults */
	bool has_as_of;
	pg_uuid_t as_of; /* ids below this one were known then */
	TimestampTz as_of_timestamp;
} UsageQuestion;

extern bool usage_question_ask(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const TimestampTz *as_of,
							   UsageQuestion *question);
extern void usage_question_refuse(const pg_uuid_t *metric_id, const UsageQuestion *question);
extern int usage_find_aliases(const UsageQuestion *question, const List *customers, Slice **aliases);

extern const pg_uuid_t *usage_metric_argument(FunctionCallInfo fcinfo, int number);
extern List *usage_customers_argument(FunctionCallInfo fcinfo, int number);
extern void usage_period_argument(FunctionCallInfo fcinfo, int number, TimestampTz *start, TimestampTz *end);
extern const TimestampTz *usage_as_of_argument(FunctionCallInfo fcinfo, int number, TimestampTz *as_of);

extern Jsonb *usage_calculate(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, List *customer_aliases,
							  TimestampTz start, TimestampTz end, const TimestampTz *as_of, Jsonb *parameters);

#endif /* USAGE_EVENTS_USAGE_CALCULATE_H */
