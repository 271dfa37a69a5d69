/*
 * metric/breakdown.h
 *		What a question adds to a metric: filters, and properties to group by.
 */
#ifndef USAGE_EVENTS_METRIC_BREAKDOWN_H
#define USAGE_EVENTS_METRIC_BREAKDOWN_H

#include "metric/value.h"

typedef struct MetricBreakdown
{
	Jsonb *filters;                       /* an object of arrays of scalars; NULL: none */
	Slice group_by[METRIC_MAX_GROUPINGS]; /* in place of the metric's own grouping */
	int group_by_count;                   /* 0: as the metric has it */
} MetricBreakdown;

extern List *metric_breakdown_check_filters(List *faults, Jsonb *filters, MetricBreakdown *breakdown);
extern List *metric_breakdown_check_group_by(List *faults, const char *field, const List *properties,
											 MetricBreakdown *breakdown);
extern Slice metric_breakdown_text(const MetricBreakdown *breakdown, const MetricValue *value);
extern Jsonb *metric_breakdown_grouping(const MetricBreakdown *breakdown, Slice text);

/* Whether groups are of the question's properties. */
static inline bool
metric_breakdown_groups(const Metric *metric)
{
	return metric->breakdown != NULL && metric->breakdown->group_by_count > 0;
}

#endif /* USAGE_EVENTS_METRIC_BREAKDOWN_H */
