/*
 * metric_total.h
 *		What many events are to a metric: counts, values, groups.
 */
#ifndef USAGE_EVENTS_METRIC_TOTAL_H
#define USAGE_EVENTS_METRIC_TOTAL_H

#include "metric_value.h"

/* One group and, of a UNIQUE metric, one of its values. */
typedef struct MetricCell
{
	EventText key;         /* both keys, with a byte of zero between */
	int group_key_length;  /* how much of it is the group's */
	EventText group_value; /* no data: null */
	int64 event_count;
	int64 skipped_count;
	Numeric value; /* sum, maximum, minimum or latest; NULL: none */
	TimestampTz latest_timestamp;
	pg_uuid_t latest_id;
	pg_uuid_t min_id; /* of those that count, where there are any */
	pg_uuid_t max_id;
	pg_uuid_t oldest_id; /* of those that count or are skipped */
	pg_uuid_t newest_id;
	bool is_stored; /* the bucket's row is like this: see rollup_mark_stored() */
	uint32 hash;
	char status;
} MetricCell;

struct metric_cells_hash;

/* Sums up; which events, only the caller knows. */
typedef struct MetricTotal
{
	const Metric *metric;
	MemoryContext context;
	struct metric_cells_hash *cells;
	struct metric_cells_hash *long_groups; /* cells share what these are called */
} MetricTotal;

/* A group of the result. */
typedef struct MetricGroup
{
	EventText value; /* no data: null */
	int64 event_count;
	Numeric result; /* NULL: there is none */
} MetricGroup;

/* The answer of a metric. */
typedef struct MetricResult
{
	int64 event_count;
	int64 skipped_count;
	Numeric value;    /* NULL: there is none */
	pg_uuid_t min_id; /* where event_count is not zero */
	pg_uuid_t max_id;
	MetricGroup *groups; /* sorted; of a GROUPED metric */
	int group_count;
} MetricResult;

extern void metric_total_init(MetricTotal *total, const Metric *metric, MemoryContext context);
extern void metric_total_reset(MetricTotal *total);
extern void metric_total_add_event(MetricTotal *total, const MetricMatcher *matcher, const pg_uuid_t *id,
								   TimestampTz timestamp, Jsonb *properties);
extern void metric_total_add_cell(MetricTotal *total, const MetricCell *cell);
extern void metric_total_add(MetricTotal *total, const MetricTotal *other);
extern int64 metric_total_cell_count(const MetricTotal *total);
extern int64 metric_total_events(const MetricTotal *total);
extern List *metric_total_cells(const MetricTotal *total);
extern MetricCell *metric_total_find_cell(const MetricTotal *total, EventText key);
extern void metric_total_result(const MetricTotal *total, MetricResult *result);

#endif /* USAGE_EVENTS_METRIC_TOTAL_H */
