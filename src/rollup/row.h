/*
 * rollup/row.h
 *		Rows of rollups: one bucket, one cell of its total.
 */
#ifndef USAGE_EVENTS_ROLLUP_ROW_H
#define USAGE_EVENTS_ROLLUP_ROW_H

#include "base/calendar.h"
#include "metric/total.h"
#include "sql/statement.h"

/* The columns of a row that rollup_row_read() reads, after whatever comes before them. */
#define ROLLUP_ROW_COLUMNS \
	"r.bucket, r.is_branch, r.group_key, r.unique_key, r.event_count, r.skipped_event_count, r.min_event_id," \
	" r.max_event_id, r.oldest_id, r.newest_id, r.latest_timestamp, r.latest_id, r.group_value, r.value"

typedef struct RollupRow
{
	TimestampTz bucket;
	bool is_branch;
	bool is_open; /* the bucket has more than it has rows for: what it has is read below */
	MetricCell cell;
} RollupRow;

/* What there is of a bucket. */
typedef enum RollupNode
{
	ROLLUP_ABSENT, /* had no events when it was rolled up */
	ROLLUP_LEAF,   /* is rolled up as a whole */
	ROLLUP_BRANCH  /* so are the buckets of the next level inside it */
} RollupNode;

/* Keys of a lookup: all buckets of an alias on a level, and one of them. */
#define ROLLUP_LEVEL_KEYS \
	KEY_EQUAL("account_id", UUIDOID), KEY_EQUAL("metric_version_id", UUIDOID), KEY_EQUAL("level", INT2OID), \
		KEY_EQUAL("customer_alias", TEXTOID)
#define ROLLUP_BUCKET_KEYS ROLLUP_LEVEL_KEYS, KEY_EQUAL("bucket", TIMESTAMPTZOID)

extern bool rollup_has_one_row(const Metric *metric);
extern void rollup_row_read(uint64 row, int first_column, RollupRow *rollup);

/* Buckets to be written. */
typedef struct RollupWriter RollupWriter;

typedef struct RollupBucket
{
	BucketLevel level;
	TimestampTz start;
	bool is_branch;
	bool knows_rows; /* which of its cells have a row that stays is known; otherwise each may */
} RollupBucket;

extern RollupWriter *rollup_writer_make(const Metric *metric, Slice alias);
extern void rollup_write(RollupWriter *writer, const RollupBucket *bucket, const MetricTotal *total);
extern void rollup_write_open(RollupWriter *writer, const RollupBucket *bucket);
extern void rollup_keep_stored(const Metric *metric, Slice alias, const RollupBucket *bucket, MetricTotal *total);
extern void rollup_write_flush(RollupWriter *writer);
extern void rollup_write_end(RollupWriter *writer);
extern void rollup_delete_node(const Metric *metric, Slice alias, BucketLevel level, TimestampTz bucket);
extern void rollup_delete_below_root(const Metric *metric, Slice alias);
extern RollupNode rollup_find(const Metric *metric, Slice alias, BucketLevel level, TimestampTz bucket);
extern List *rollup_add_children(const Metric *metric, Slice alias, BucketLevel level, TimestampTz bucket,
								 MetricTotal *total);

#endif /* USAGE_EVENTS_ROLLUP_ROW_H */
