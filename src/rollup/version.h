/*
 * rollup/version.h
 *		The version of a metric that rollups are of.
 */
#ifndef USAGE_EVENTS_ROLLUP_VERSION_H
#define USAGE_EVENTS_ROLLUP_VERSION_H

#include "metric/metric.h"
#include "sql/operator.h"

typedef struct MetricVersion
{
	pg_uuid_t id;
	pg_uuid_t version_id;
} MetricVersion;

/* Metrics of account $1 as m, each with its progress as p. */
#define METRICS_WITH_PROGRESS \
	" FROM usage_events.metric AS m JOIN usage_events.metric_progress AS p" \
	" ON p.account_id " EQ " m.account_id" \
	" AND p.metric_version_id " EQ " m.version_id" \
	" WHERE m.account_id " EQ " $1 AND m.deleted_at IS NULL"

extern const char *rollup_version_text(const pg_uuid_t *version_id);
extern bool rollup_version_read(const pg_uuid_t *account_id, const MetricVersion *version, Metric *metric);

#endif /* USAGE_EVENTS_ROLLUP_VERSION_H */
