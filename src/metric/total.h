/*
 * metric/total.h
 *		What many events are to a metric: counts, values, groups.
 */
#ifndef USAGE_EVENTS_METRIC_TOTAL_H
#define USAGE_EVENTS_METRIC_TOTAL_H

#include "metric/value.h"

/*
 * What a row of a rollup says: of one group or, where values are kept, that the group has a
 * value, and how many events have it where that is kept; they are among those of the group.
 */
typedef struct MetricCell
{
	Slice key;            /* both keys, with a byte of zero between */
	int group_key_length; /* how much of it is the group's */
	Slice group_value;    /* no data: null */
	int64 event_count;
	int64 skipped_count;
	int64 value_event_count; /* of a value whose events are counted; the group's are not */
	Numeric value;           /* that number, or what those of the group have come to; NULL: none */
	TimestampTz latest_timestamp;
	pg_uuid_t latest_id;
	pg_uuid_t min_id; /* of those that count, where there are any */
	pg_uuid_t max_id;
	pg_uuid_t oldest_id; /* of those that count or are skipped */
	pg_uuid_t newest_id;
	TimestampTz until; /* no event of those is later; DT_NOEND: nobody knows */
} MetricCell;

/* What is there of a cell in rows of rollups. */
typedef enum MetricCellStored
{
	METRIC_CELL_NOT_STORED,
	METRIC_CELL_CHANGED, /* its row is to be written anew */
	METRIC_CELL_STORED
} MetricCellStored;

typedef struct KeptCell KeptCell;
typedef struct MemoryBlock MemoryBlock;
struct kept_cells_hash;

/* Sums up; which events, only the caller knows. */
typedef struct MetricTotal
{
	const Metric *metric;
	MemoryContext context;
	bool is_for_rows;  /* of rollups */
	bool is_for_event; /* for a single one, whose number is no sum */
	bool is_over;      /* of those: it had too much, and says nothing but how many events it has */
	int64 event_count; /* skipped ones too */
	int64 group_count;
	Size size;      /* of all that in memory */
	KeptCell *only; /* the group of a metric that has no groups */
	struct kept_cells_hash *cells;
	MemoryBlock *blocks; /* where cells are */
} MetricTotal;

/* A group of the result. */
typedef struct MetricGroup
{
	Slice value; /* no data: null */
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

/* Goes through the cells of a total, which must not change meanwhile. */
typedef struct MetricCellIterator
{
	const MetricTotal *total;
	uint64 place;
	KeptCell *kept; /* the one that came last */
} MetricCellIterator;

extern void metric_total_settings_init(void);
extern int metric_total_max_rows(void);
extern bool metric_cell_is_empty(const MetricCell *cell);
extern void metric_total_init(MetricTotal *total, const Metric *metric, MemoryContext context);
extern void metric_total_init_for_event(MetricTotal *total, const Metric *metric, MemoryContext context);
extern void metric_total_init_for_rows(MetricTotal *total, const Metric *metric, MemoryContext context);
extern void metric_total_add_event(MetricTotal *total, const MetricMatcher *matcher, const pg_uuid_t *id,
								   TimestampTz timestamp, Jsonb *properties);
extern void metric_total_add_number(MetricTotal *total, const pg_uuid_t *id, TimestampTz timestamp, Numeric number);
extern void metric_total_add_cell(MetricTotal *total, const MetricCell *cell);
extern void metric_total_add(MetricTotal *total, const MetricTotal *other);
extern void metric_total_move(MetricTotal *total, MetricTotal *other);
extern void metric_total_clear(MetricTotal *total);
extern void metric_total_set_over(MetricTotal *total);
extern int64 metric_total_cell_count(const MetricTotal *total);
extern void metric_total_first_cell(const MetricTotal *total, MetricCellIterator *iterator);
extern bool metric_total_next_cell(MetricCellIterator *iterator, MetricCell *cell);
extern bool metric_total_find_cell(const MetricTotal *total, Slice key, MetricCell *cell);
extern void metric_total_set_stored(MetricTotal *total, Slice key, MetricCellStored stored);
extern void metric_total_set_none_stored(MetricTotal *total);
extern MetricCellStored metric_total_stored(const MetricCellIterator *iterator);
extern void metric_total_result(const MetricTotal *total, MetricResult *result);

#endif /* USAGE_EVENTS_METRIC_TOTAL_H */
