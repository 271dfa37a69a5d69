/*
 * metric/expression.h
 *		CUSTOM metrics: an SQL expression of the administrator's over events.
 */
#ifndef USAGE_EVENTS_METRIC_EXPRESSION_H
#define USAGE_EVENTS_METRIC_EXPRESSION_H

#include "base/fault.h"
#include "metric/metric.h"
#include "sql/query.h"
#include "utils/numeric.h"

typedef struct CustomValue
{
	bool is_null;
	Numeric value; /* unless it is null */
	int64 event_count;
	pg_uuid_t min_event_id; /* where there are events */
	pg_uuid_t max_event_id;
} CustomValue;

extern List *metric_expression_check(List *faults, Slice expression, Jsonb *parameters);
extern void metric_expression_calculate(const Metric *metric, const SqlQuery *events, Jsonb *arguments,
										CustomValue *value);

#endif /* USAGE_EVENTS_METRIC_EXPRESSION_H */
