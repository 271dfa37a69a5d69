/*
 * metric/metric.h
 *		The usage metric as every part of the extension sees it: what is counted, of
 *		which events.
 */
#ifndef USAGE_EVENTS_METRIC_METRIC_H
#define USAGE_EVENTS_METRIC_METRIC_H

#include "base/slice.h"
#include "datatype/timestamp.h"
#include "metric/kind.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

struct MetricBreakdown;

/* A version of a metric.  Texts that are absent have no data. */
typedef struct Metric
{
	pg_uuid_t account_id;
	pg_uuid_t id;         /* the same in all versions */
	pg_uuid_t version_id; /* of version 7, ascending with each update */
	Slice name;
	Slice description;
	bool is_grouped;
	Slice event_type;
	const MetricKind *kind; /* of aggregation */
	Slice aggregation_property;
	Numeric percentile; /* from 0 to 1, or NULL: of a kind that has one */
	Slice grouping_property;
	Slice unit;
	Jsonb *property_filters;     /* an object of arrays of scalars, perhaps empty */
	Jsonb *properties_to_negate; /* an array of strings, or NULL */
	bool case_sensitive;
	Slice expression;  /* of a CUSTOM metric */
	Jsonb *parameters; /* an array, empty but for CUSTOM metrics */
	TimestampTz created_at;
	bool is_deleted;
	TimestampTz deleted_at;
	const struct MetricBreakdown *breakdown; /* of a question; NULL: as it is stored */
} Metric;

/* The columns of a row that metric_read_row() reads, the first ones of the row. */
#define METRIC_ROW_COLUMNS "id, " METRIC_VERSION_COLUMNS
#define METRIC_VERSION_COLUMNS \
	"version_id, name, description, metric_type, event_type, aggregation_type, aggregation_property," \
	" percentile, grouping_property, unit, property_filters, properties_to_negate, case_sensitive, expression, parameters," \
	" created_at, deleted_at"

extern void metric_read_row(uint64 row, const pg_uuid_t *account_id, Metric *metric, MemoryContext context);
extern bool metric_get(const pg_uuid_t *account_id, const pg_uuid_t *id, Metric *metric);
extern bool metric_get_as_of(const pg_uuid_t *account_id, const pg_uuid_t *id, const pg_uuid_t *as_of, Metric *metric);

#endif /* USAGE_EVENTS_METRIC_METRIC_H */
