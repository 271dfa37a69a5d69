/*
 * metric/check.h
 *		The rules of a usage metric, and the faults of one that breaks them.
 */
#ifndef USAGE_EVENTS_METRIC_CHECK_H
#define USAGE_EVENTS_METRIC_CHECK_H

#include "base/fault.h"
#include "metric/metric.h"

/* What every refusal of a metric says as its hint. */
#define METRIC_HINT \
	"A usage metric is an object with the strings \"name\", \"eventType\", \"metricType\" and \"aggregationType\", " \
	"and optionally \"description\", \"unit\", \"aggregationProperty\", \"groupingProperty\" (strings), " \
	"\"propertyFilters\" (object of arrays), \"propertiesToNegate\" (array of strings) and \"caseSensitive\" (boolean)."

extern void metric_require_object(Jsonb *body, const char *hint);
extern void metric_check_init(void);
extern List *metric_check(Jsonb *body, Metric *metric);
extern List *metric_check_texts(List *faults, Jsonb *body, Metric *metric);
extern List *metric_check_filters(List *faults, const char *field, const JsonbValue *value, Jsonb **filters);
extern List *metric_check_filter_size(List *faults, const char *field, const Jsonb *filters);
extern List *metric_check_size(List *faults, const Metric *metric);
extern List *metric_check_unknown_fields(List *faults, Jsonb *body);
extern void metric_faults_report(const List *faults, const char *hint);

#endif /* USAGE_EVENTS_METRIC_CHECK_H */
