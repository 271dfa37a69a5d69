/*
 * usage/answer.h
 *		What a metric says: results for aliases in steps of time, as JSON and as rows.
 */
#ifndef USAGE_EVENTS_USAGE_ANSWER_H
#define USAGE_EVENTS_USAGE_ANSWER_H

#include "base/json_build.h"
#include "metric/total.h"
#include "nodes/execnodes.h"
#include "usage/question.h"

extern void usage_calculate_steps(const UsageQuestion *question, Slice *aliases, int alias_count,
								  const TimestampTz *bounds, int step_count, MetricResult *results);
extern void usage_add_metric(JsonObject *object, const Metric *metric);
extern void usage_add_result(JsonObject *object, const Metric *metric, const MetricResult *result);
extern Jsonb *usage_result_to_json(const Metric *metric, const MetricResult *result);
extern void usage_put_result(ReturnSetInfo *result_set, Datum *values, bool *nulls, int before, const Metric *metric,
							 const MetricResult *result);

#endif /* USAGE_EVENTS_USAGE_ANSWER_H */
