/*
 * usage/question.h
 *		What a metric is asked: in which version, of which customers, of which period.
 */
#ifndef USAGE_EVENTS_USAGE_QUESTION_H
#define USAGE_EVENTS_USAGE_QUESTION_H

#include "fmgr.h"
#include "metric/breakdown.h"
#include "sql/query.h"

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
extern void usage_question_break_down(UsageQuestion *question, const MetricBreakdown *breakdown);
extern void usage_question_refuse(const pg_uuid_t *metric_id, const UsageQuestion *question);
extern const char *usage_in_force(SqlQuery *query, const UsageQuestion *question, const char *table);
extern Slice usage_copied_text(uint64 row, int number, MemoryContext context);
extern int usage_find_aliases(const UsageQuestion *question, const List *customers, Slice **aliases);
extern const pg_uuid_t *usage_metric_argument(FunctionCallInfo fcinfo, int number);
extern List *usage_customers_argument(FunctionCallInfo fcinfo, int number);
extern void usage_period_argument(FunctionCallInfo fcinfo, int number, TimestampTz *start, TimestampTz *end);
extern const TimestampTz *usage_as_of_argument(FunctionCallInfo fcinfo, int number, TimestampTz *as_of);
extern const MetricBreakdown *usage_breakdown_argument(FunctionCallInfo fcinfo, int number);
extern bool usage_ask(FunctionCallInfo fcinfo, const pg_uuid_t *account_id, int metric_id_number, int as_of_number,
					  UsageQuestion *question);
extern int usage_custom_errcode(void);
extern void usage_refuse_custom(const Metric *metric);

#endif /* USAGE_EVENTS_USAGE_QUESTION_H */
