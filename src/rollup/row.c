/*
 * rollup/row.c
 *		Rows of rollups: reading, writing, deleting them.
 *
 * A bucket has a row for each cell of its total, and all say whether it is a
 * branch: whether the buckets of the next level inside it are there as well.  A
 * bucket without events has no row.  One with too many cells is open: it has one row,
 * without any events, which says only that what it has is to be read below.
 */
#include "postgres.h"

#include "rollup/row.h"

#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "sql/lookup.h"
#include "sql/row.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* So many rows are written by one statement, and about so many bytes. */
#define ROWS_AT_A_TIME 500
#define BYTES_AT_A_TIME ((Size) 4 * 1024 * 1024)

/* Numbers of ROLLUP_ROW_COLUMNS, from their first one on. */
enum
{
	COLUMN_BUCKET,
	COLUMN_IS_BRANCH,
	COLUMN_GROUP_KEY,
	COLUMN_UNIQUE_KEY,
	COLUMN_EVENT_COUNT,
	COLUMN_SKIPPED_COUNT,
	COLUMN_MIN_ID,
	COLUMN_MAX_ID,
	COLUMN_OLDEST_ID,
	COLUMN_NEWEST_ID,
	COLUMN_LATEST_TIMESTAMP,
	COLUMN_LATEST_ID,
	COLUMN_GROUP_VALUE,
	COLUMN_VALUE,
	COLUMN_COUNT
};

/* Arguments of write_rows: account, version, alias, level, then the columns. */
#define FIRST_COLUMN_ARGUMENT 4

static const Oid column_types[COLUMN_COUNT] = {
	[COLUMN_BUCKET] = TIMESTAMPTZOID,
	[COLUMN_IS_BRANCH] = BOOLOID,
	[COLUMN_GROUP_KEY] = TEXTOID,
	[COLUMN_UNIQUE_KEY] = TEXTOID,
	[COLUMN_EVENT_COUNT] = INT8OID,
	[COLUMN_SKIPPED_COUNT] = INT8OID,
	[COLUMN_MIN_ID] = UUIDOID,
	[COLUMN_MAX_ID] = UUIDOID,
	[COLUMN_OLDEST_ID] = UUIDOID,
	[COLUMN_NEWEST_ID] = UUIDOID,
	[COLUMN_LATEST_TIMESTAMP] = TIMESTAMPTZOID,
	[COLUMN_LATEST_ID] = UUIDOID,
	[COLUMN_GROUP_VALUE] = TEXTOID,
	[COLUMN_VALUE] = NUMERICOID,
};

#define INSERT_ROWS \
	"INSERT INTO usage_events.metric_rollup (account_id, metric_version_id, customer_alias, level, bucket," \
	" is_branch, group_key, unique_key, event_count, skipped_event_count, min_event_id, max_event_id, oldest_id, newest_id," \
	" latest_timestamp, latest_id, group_value, value)" \
	" SELECT $1, $2, $3, pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6)," \
	" pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10)," \
	" pg_catalog.unnest($11), pg_catalog.unnest($12), pg_catalog.unnest($13), pg_catalog.unnest($14)," \
	" pg_catalog.unnest($15), pg_catalog.unnest($16), pg_catalog.unnest($17)," \
	" pg_catalog.unnest($18)"
#define ROW_TYPES \
	UUIDOID, UUIDOID, TEXTOID, INT2ARRAYOID, TIMESTAMPTZARRAYOID, BOOLARRAYOID, TEXTARRAYOID, TEXTARRAYOID, \
		INT8ARRAYOID, INT8ARRAYOID, UUIDARRAYOID, UUIDARRAYOID, UUIDARRAYOID, UUIDARRAYOID, TIMESTAMPTZARRAYOID, \
		UUIDARRAYOID, TEXTARRAYOID, NUMERICARRAYOID

static Statement write_rows = {
	.sql = INSERT_ROWS
	" ON CONFLICT (account_id, metric_version_id, level, customer_alias, bucket, group_key, unique_key)"
	" DO UPDATE SET is_branch = EXCLUDED.is_branch, event_count = EXCLUDED.event_count,"
	" skipped_event_count = EXCLUDED.skipped_event_count, min_event_id = EXCLUDED.min_event_id,"
	" max_event_id = EXCLUDED.max_event_id, oldest_id = EXCLUDED.oldest_id, newest_id = EXCLUDED.newest_id,"
	" latest_timestamp = EXCLUDED.latest_timestamp, latest_id = EXCLUDED.latest_id,"
	" group_value = EXCLUDED.group_value, value = EXCLUDED.value",
	.argument_count = 18,
	.argument_types = {ROW_TYPES},
};

/* To look for a row that is not there, and to be ready for one that comes at the same time, takes a third of the upsert. */
static Statement insert_rows = {
	.sql = INSERT_ROWS,
	.argument_count = 18,
	.argument_types = {ROW_TYPES},
};

#define OF_ALIAS \
	" WHERE account_id " EQ " $1 AND metric_version_id " EQ " $2" \
	" AND customer_alias " EQ " $3"
#define OF_NODE OF_ALIAS " AND level " EQ " $4 AND bucket " EQ " $5"

static Statement delete_node = {
	.sql = "DELETE FROM usage_events.metric_rollup" OF_NODE,
	.argument_count = 5,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, INT2OID, TIMESTAMPTZOID},
};

/* Single rows of it. */
static Statement delete_rows = {
	.sql = "DELETE FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " AND ctid " EQ " ANY (ARRAY(SELECT r.ctid"
		   " FROM ROWS FROM (pg_catalog.unnest($6), pg_catalog.unnest($7)) AS gone(group_key, unique_key)"
		   " CROSS JOIN LATERAL (SELECT ctid FROM usage_events.metric_rollup" OF_NODE " AND group_key " EQ
		   " gone.group_key"
		   " AND unique_key " EQ " gone.unique_key OFFSET 0) AS r))",
	.argument_count = 7,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, INT2OID, TIMESTAMPTZOID, TEXTARRAYOID, TEXTARRAYOID},
};

/* Of one level: the index has the levels before the aliases, so all at once would be a search among those of all customers. */
static Statement delete_level = {
	.sql = "DELETE FROM usage_events.metric_rollup" OF_ALIAS " AND level " EQ " $4",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, INT2OID},
};

static Lookup find_level = {
	.table = "metric_rollup",
	.index = "metric_rollup_pkey",
	.columns = "is_branch",
	.keys = {ROLLUP_LEVEL_KEYS},
	.max_rows = 1,
	.takes_snapshot = true,
};

static Lookup find_node = {
	.table = "metric_rollup",
	.index = "metric_rollup_pkey",
	.columns = "is_branch",
	.keys = {ROLLUP_BUCKET_KEYS},
	.max_rows = 1,
	.takes_snapshot = true,
};

static Lookup read_node = {
	.table = "metric_rollup",
	.index = "metric_rollup_pkey",
	.columns = ROLLUP_ROW_COLUMNS,
	.keys = {ROLLUP_BUCKET_KEYS},
	.takes_snapshot = true,
};

static Statement read_rows = {
	.sql = "SELECT " ROLLUP_ROW_COLUMNS " FROM usage_events.metric_rollup AS r" OF_ALIAS " AND level " EQ " $4"
		   " AND bucket " GE " $5 AND bucket " LT " $6",
	.argument_count = 6,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, INT2OID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

/* Whether a bucket has one row, and not one of each group, or value. */
bool
rollup_has_one_row(const Metric *metric)
{
	return !metric->is_grouped && metric->kind->keeps == METRIC_KEEPS_NO_VALUES;
}

/* Reading ----------------------------------------------------------------- */

/* False where it is null. */
static bool
id_column(uint64 row, int number, pg_uuid_t *id)
{
	bool isnull;
	Datum value = row_value(row, number, &isnull);

	if (!isnull)
		*id = *DatumGetUUIDP(value);
	return !isnull;
}

/* Both keys as one, see MetricCell. */
static Slice
join_keys(Slice group_key, Slice unique_key)
{
	char *key = palloc(group_key.length + 1 + unique_key.length);

	if (group_key.data != NULL)
		memcpy(key, group_key.data, group_key.length);
	key[group_key.length] = '\0';
	if (unique_key.data != NULL)
		memcpy(key + group_key.length + 1, unique_key.data, unique_key.length);
	return (Slice){key, group_key.length + 1 + unique_key.length};
}

/* Reads a row of the last statement, whose columns begin at that number, into memory of its own. */
void
rollup_row_read(uint64 row, int first_column, RollupRow *rollup)
{
	MetricCell *cell = &rollup->cell;
	int64 event_count;
	Slice group_value;
	bool isnull;
	Datum value;

	memset(rollup, 0, sizeof(RollupRow));
	rollup->bucket = DatumGetTimestampTz(row_value(row, first_column + COLUMN_BUCKET, &isnull));
	rollup->is_branch = DatumGetBool(row_value(row, first_column + COLUMN_IS_BRANCH, &isnull));
	cell->key =
		join_keys(row_text(row, first_column + COLUMN_GROUP_KEY), row_text(row, first_column + COLUMN_UNIQUE_KEY));
	cell->group_key_length = row_text(row, first_column + COLUMN_GROUP_KEY).length;
	event_count = DatumGetInt64(row_value(row, first_column + COLUMN_EVENT_COUNT, &isnull));
	if (cell->key.length > cell->group_key_length + 1)
		cell->value_event_count = event_count;
	else
		cell->event_count = event_count;
	cell->skipped_count = DatumGetInt64(row_value(row, first_column + COLUMN_SKIPPED_COUNT, &isnull));
	id_column(row, first_column + COLUMN_MIN_ID, &cell->min_id);
	id_column(row, first_column + COLUMN_MAX_ID, &cell->max_id);
	id_column(row, first_column + COLUMN_OLDEST_ID, &cell->oldest_id);
	id_column(row, first_column + COLUMN_NEWEST_ID, &cell->newest_id);
	value = row_value(row, first_column + COLUMN_LATEST_TIMESTAMP, &isnull);
	cell->latest_timestamp = isnull ? 0 : DatumGetTimestampTz(value);
	cell->until = isnull ? DT_NOEND : cell->latest_timestamp;
	/* It is that of one event that counts, and others may have been skipped since. */
	if (id_column(row, first_column + COLUMN_LATEST_ID, &cell->latest_id) && cell->skipped_count > 0)
		cell->until = DT_NOEND;
	group_value = row_text(row, first_column + COLUMN_GROUP_VALUE);
	if (group_value.data != NULL)
		cell->group_value = (Slice){memcpy(palloc(Max(group_value.length, 1)), group_value.data, group_value.length),
									group_value.length};
	value = row_value(row, first_column + COLUMN_VALUE, &isnull);
	cell->value = isnull ? NULL : DatumGetNumericCopy(value);
	rollup->is_open = metric_cell_is_empty(cell);
}

/* The parameters that name an alias of a metric. */
static void
alias_arguments(const Metric *metric, Slice alias, Datum *arguments)
{
	arguments[0] = UUIDPGetDatum(&metric->account_id);
	arguments[1] = UUIDPGetDatum(&metric->version_id);
	arguments[2] = slice_to_datum(alias);
}

static void
look_up_node(Lookup *lookup, const Metric *metric, Slice alias, BucketLevel level, TimestampTz bucket,
			 void (*take_row)(uint64 row, void *argument), void *argument)
{
	lookup_rows(lookup,
				(Datum[]){UUIDPGetDatum(&metric->account_id), UUIDPGetDatum(&metric->version_id),
						  Int16GetDatum((int16) level), slice_to_datum(alias), TimestampTzGetDatum(bucket)},
				take_row, argument);
}

static void
take_node(uint64 row, void *argument)
{
	*(RollupNode *) argument = DatumGetBool(row_value_there(row, 1)) ? ROLLUP_BRANCH : ROLLUP_LEAF;
}

/* What there is of a bucket. */
RollupNode
rollup_find(const Metric *metric, Slice alias, BucketLevel level, TimestampTz bucket)
{
	RollupNode node = ROLLUP_ABSENT;

	look_up_node(&find_node, metric, alias, level, bucket, take_node, &node);
	return node;
}

typedef struct ChildrenWork
{
	MetricTotal *total;
	List *open_leaves; /* of TimestampTz * */
	MemoryContext row_context;
} ChildrenWork;

static void
take_open_child(ChildrenWork *work, const RollupRow *rollup)
{
	TimestampTz *bucket;

	/* What is below such a child is no less than what was too much for it. */
	if (rollup->is_branch)
	{
		metric_total_set_over(work->total);
		return;
	}
	bucket = palloc(sizeof(TimestampTz));
	*bucket = rollup->bucket;
	work->open_leaves = lappend(work->open_leaves, bucket);
}

static void
take_child(uint64 row, void *argument)
{
	ChildrenWork *work = argument;
	MemoryContext context = MemoryContextSwitchTo(work->row_context);
	RollupRow rollup;

	rollup_row_read(row, 1, &rollup);
	metric_total_add_cell(work->total, &rollup.cell);
	MemoryContextSwitchTo(context);
	if (rollup.is_open)
		take_open_child(work, &rollup);
	MemoryContextReset(work->row_context);
}

/*
 * Adds to the total what the buckets of the next level inside this one have, unless
 * that is too much.  Returns the begins of those whose events have to be added by the
 * caller.
 */
List *
rollup_add_children(const Metric *metric, Slice alias, BucketLevel level, TimestampTz bucket, MetricTotal *total)
{
	ChildrenWork work = {total, NIL,
						 AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES)};
	Datum arguments[6];

	alias_arguments(metric, alias, arguments);
	arguments[3] = Int16GetDatum((int16) (level + 1));
	arguments[4] = TimestampTzGetDatum(bucket);
	arguments[5] = TimestampTzGetDatum(bucket_end(bucket, level));
	statement_each_row_until(&read_rows, arguments, take_child, &work, &total->is_over);
	MemoryContextDelete(work.row_context);
	return work.open_leaves;
}

/* What is there already ---------------------------------------------------- */

/* To the byte: numbers may be equal and of another scale. */
static bool
is_equal_number(Numeric a, Numeric b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY((Pointer) a) == VARSIZE_ANY((Pointer) b) && memcmp(a, b, VARSIZE_ANY((Pointer) a)) == 0;
}

/* Whether both would be the same row; their keys are equal. */
static bool
is_same_row(const Metric *metric, const MetricCell *a, const MetricCell *b)
{
	if (a->event_count != b->event_count || a->skipped_count != b->skipped_count ||
		a->value_event_count != b->value_event_count || !slice_equal(a->group_value, b->group_value) ||
		!is_equal_number(a->value, b->value))
		return false;
	if (a->event_count > 0 && !(uuid_v7_equal(&a->min_id, &b->min_id) && uuid_v7_equal(&a->max_id, &b->max_id)))
		return false;
	if (a->event_count + a->skipped_count > 0 &&
		!(uuid_v7_equal(&a->oldest_id, &b->oldest_id) && uuid_v7_equal(&a->newest_id, &b->newest_id)))
		return false;
	if (!metric->kind->keeps_event)
		return a->event_count + a->skipped_count == 0 || a->until == b->until;
	return a->value == NULL ||
		   (a->latest_timestamp == b->latest_timestamp && uuid_v7_equal(&a->latest_id, &b->latest_id));
}

/* Of a bucket that has more rows too many than this, all are written anew. */
#define MAX_GONE ROWS_AT_A_TIME

typedef struct StoredWork
{
	const Metric *metric;
	MetricTotal *total;
	bool is_branch;
	int gone_count; /* rows that the total has not */
	Datum gone_groups[MAX_GONE];
	Datum gone_values[MAX_GONE];
	MemoryContext row_context;
	MemoryContext context; /* of the keys of those that are gone */
} StoredWork;

static void
note_gone(StoredWork *work, const MetricCell *cell)
{
	MemoryContext context = MemoryContextSwitchTo(work->context);
	int unique_key_at = cell->group_key_length + 1;

	if (work->gone_count < MAX_GONE)
	{
		work->gone_groups[work->gone_count] =
			PointerGetDatum(cstring_to_text_with_len(cell->key.data, cell->group_key_length));
		work->gone_values[work->gone_count] =
			PointerGetDatum(cstring_to_text_with_len(cell->key.data + unique_key_at, cell->key.length - unique_key_at));
	}
	work->gone_count++;
	MemoryContextSwitchTo(context);
}

static void
take_stored(uint64 row, void *argument)
{
	StoredWork *work = argument;
	MemoryContext context = MemoryContextSwitchTo(work->row_context);
	RollupRow rollup;
	MetricCell cell;

	rollup_row_read(row, 1, &rollup);
	if (rollup.is_open || !metric_total_find_cell(work->total, rollup.cell.key, &cell))
		note_gone(work, &rollup.cell);
	else
		metric_total_set_stored(work->total, rollup.cell.key,
								rollup.is_branch == work->is_branch && is_same_row(work->metric, &rollup.cell, &cell)
									? METRIC_CELL_STORED
									: METRIC_CELL_CHANGED);
	MemoryContextSwitchTo(context);
	MemoryContextReset(work->row_context);
}

static void
node_arguments(const Metric *metric, Slice alias, BucketLevel level, TimestampTz bucket, Datum *arguments)
{
	alias_arguments(metric, alias, arguments);
	arguments[3] = Int16GetDatum((int16) level);
	arguments[4] = TimestampTzGetDatum(bucket);
}

/*
 * Brings the rows that a bucket has nearer to those of its total: deletes what is too
 * many, and marks the cells whose rows are there, so that those which are as they are need not be written
 * again.  Of many groups or values, few change at a time.
 */
void
rollup_keep_stored(const Metric *metric, Slice alias, const RollupBucket *bucket, MetricTotal *total)
{
	StoredWork *work = palloc(sizeof(StoredWork));
	Datum arguments[7];

	work->metric = metric;
	work->total = total;
	work->is_branch = bucket->is_branch;
	work->gone_count = 0;
	work->context = CurrentMemoryContext;
	work->row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	look_up_node(&read_node, metric, alias, bucket->level, bucket->start, take_stored, work);
	MemoryContextDelete(work->row_context);
	node_arguments(metric, alias, bucket->level, bucket->start, arguments);
	if (work->gone_count > MAX_GONE)
	{
		metric_total_set_none_stored(total);
		statement_execute(&delete_node, arguments, NULL);
	}
	else if (work->gone_count > 0)
	{
		arguments[5] = statement_array(work->gone_groups, NULL, work->gone_count, TEXTOID);
		arguments[6] = statement_array(work->gone_values, NULL, work->gone_count, TEXTOID);
		statement_execute(&delete_rows, arguments, NULL);
	}
	pfree(work);
}

/* Deleting ---------------------------------------------------------------- */

void
rollup_delete_node(const Metric *metric, Slice alias, BucketLevel level, TimestampTz bucket)
{
	Datum arguments[5];

	node_arguments(metric, alias, level, bucket, arguments);
	statement_execute(&delete_node, arguments, NULL);
}

/* Deletes all buckets of an alias, but for its root. */
void
rollup_delete_below_root(const Metric *metric, Slice alias)
{
	for (int level = BUCKET_ALL + 1; level < BUCKET_LEVEL_COUNT; level++)
	{
		Datum arguments[4];
		RollupNode any = ROLLUP_ABSENT;

		/* An alias without a root hardly ever has any. */
		look_up_node(&find_level, metric, alias, level, 0, take_node, &any);
		if (any == ROLLUP_ABSENT)
			continue;
		alias_arguments(metric, alias, arguments);
		arguments[3] = Int16GetDatum((int16) level);
		statement_execute(&delete_level, arguments, NULL);
	}
}

/* Writing ----------------------------------------------------------------- */

/* Rows that are gathered for a statement. */
typedef struct RowBatch
{
	Statement *statement;
	MemoryContext context; /* of the rows */
	int count;
	Size size; /* of those parts of them that may be long */
	Datum levels[ROWS_AT_A_TIME];
	Datum values[COLUMN_COUNT][ROWS_AT_A_TIME];
	bool nulls[COLUMN_COUNT][ROWS_AT_A_TIME];
} RowBatch;

struct RollupWriter
{
	const Metric *metric;
	Slice alias;
	MemoryContext context; /* of the batches */
	RowBatch *new;         /* none of these is there; NULL: none yet */
	RowBatch *changed;     /* the others */
};

RollupWriter *
rollup_writer_make(const Metric *metric, Slice alias)
{
	RollupWriter *writer = palloc0(sizeof(RollupWriter));

	writer->metric = metric;
	writer->alias = alias;
	writer->context = AllocSetContextCreate(CurrentMemoryContext, "usage metric rollups", ALLOCSET_DEFAULT_SIZES);
	return writer;
}

static RowBatch *
batch_make(const RollupWriter *writer, Statement *statement)
{
	RowBatch *batch = MemoryContextAlloc(writer->context, sizeof(RowBatch));

	batch->statement = statement;
	batch->context = AllocSetContextCreate(writer->context, "usage metric rollup rows", ALLOCSET_DEFAULT_SIZES);
	batch->count = 0;
	batch->size = 0;
	return batch;
}

static void
flush_batch(const RollupWriter *writer, RowBatch *batch)
{
	MemoryContext context;
	Datum arguments[FIRST_COLUMN_ARGUMENT + COLUMN_COUNT];

	if (batch == NULL || batch->count == 0)
		return;
	context = MemoryContextSwitchTo(batch->context);
	alias_arguments(writer->metric, writer->alias, arguments);
	arguments[3] = statement_array(batch->levels, NULL, batch->count, INT2OID);
	for (int i = 0; i < COLUMN_COUNT; i++)
		arguments[FIRST_COLUMN_ARGUMENT + i] =
			statement_array(batch->values[i], batch->nulls[i], batch->count, column_types[i]);
	statement_execute(batch->statement, arguments, NULL);
	batch->count = 0;
	batch->size = 0;
	MemoryContextSwitchTo(context);
	MemoryContextReset(batch->context);
}

/* Writes what is gathered: it can be read from then on. */
void
rollup_write_flush(RollupWriter *writer)
{
	flush_batch(writer, writer->new);
	flush_batch(writer, writer->changed);
}

static void
set_text(RowBatch *batch, int number, Slice value)
{
	batch->nulls[number][batch->count] = value.data == NULL;
	if (value.data != NULL)
		batch->values[number][batch->count] = slice_to_datum(value);
}

static void
set_id(RowBatch *batch, int number, const pg_uuid_t *id)
{
	pg_uuid_t *copy = palloc(sizeof(pg_uuid_t));

	*copy = *id;
	batch->nulls[number][batch->count] = false;
	batch->values[number][batch->count] = UUIDPGetDatum(copy);
}

static void
set_datum(RowBatch *batch, int number, Datum value)
{
	batch->nulls[number][batch->count] = false;
	batch->values[number][batch->count] = value;
}

/* The batch that a row belongs to, with room for it. */
static RowBatch *
batch_for(RollupWriter *writer, bool is_new)
{
	RowBatch **batch = is_new ? &writer->new : &writer->changed;

	if (*batch == NULL)
		*batch = batch_make(writer, is_new ? &insert_rows : &write_rows);
	else if ((*batch)->count == ROWS_AT_A_TIME || (*batch)->size >= BYTES_AT_A_TIME)
		flush_batch(writer, *batch);
	return *batch;
}

static void
write_cell(RollupWriter *writer, const RollupBucket *bucket, bool is_new, const MetricCell *cell)
{
	RowBatch *batch = batch_for(writer, is_new);
	MemoryContext context = MemoryContextSwitchTo(batch->context);
	int unique_key_at = cell->group_key_length + 1;

	batch->size += Max(cell->group_value.length, 0) + (cell->value == NULL ? 0 : VARSIZE_ANY((Pointer) cell->value));
	batch->levels[batch->count] = Int16GetDatum((int16) bucket->level);
	for (int i = 0; i < COLUMN_COUNT; i++)
		batch->nulls[i][batch->count] = true;
	set_datum(batch, COLUMN_BUCKET, TimestampTzGetDatum(bucket->start));
	set_datum(batch, COLUMN_IS_BRANCH, BoolGetDatum(bucket->is_branch));
	set_text(batch, COLUMN_GROUP_KEY, (Slice){cell->key.data, cell->group_key_length});
	set_text(batch, COLUMN_UNIQUE_KEY, (Slice){cell->key.data + unique_key_at, cell->key.length - unique_key_at});
	set_datum(batch, COLUMN_EVENT_COUNT, Int64GetDatum(cell->event_count + cell->value_event_count));
	set_datum(batch, COLUMN_SKIPPED_COUNT, Int64GetDatum(cell->skipped_count));
	if (cell->event_count > 0)
	{
		set_id(batch, COLUMN_MIN_ID, &cell->min_id);
		set_id(batch, COLUMN_MAX_ID, &cell->max_id);
	}
	if (cell->event_count + cell->skipped_count > 0)
	{
		set_id(batch, COLUMN_OLDEST_ID, &cell->oldest_id);
		set_id(batch, COLUMN_NEWEST_ID, &cell->newest_id);
		if (!writer->metric->kind->keeps_event && cell->until != DT_NOEND)
			set_datum(batch, COLUMN_LATEST_TIMESTAMP, TimestampTzGetDatum(cell->until));
	}
	if (cell->value != NULL)
	{
		Size size = VARSIZE_ANY((Pointer) cell->value);
		Pointer copy = palloc(size);

		memcpy(copy, cell->value, size);
		set_datum(batch, COLUMN_VALUE, PointerGetDatum(copy));
		if (writer->metric->kind->keeps_event)
		{
			set_datum(batch, COLUMN_LATEST_TIMESTAMP, TimestampTzGetDatum(cell->latest_timestamp));
			set_id(batch, COLUMN_LATEST_ID, &cell->latest_id);
		}
	}
	set_text(batch, COLUMN_GROUP_VALUE, cell->group_value);
	batch->count++;
	MemoryContextSwitchTo(context);
}

/* Writes the one row of a bucket that has none of its own. */
void
rollup_write_open(RollupWriter *writer, const RollupBucket *bucket)
{
	static const MetricCell empty = {.key = {"", 1}};

	write_cell(writer, bucket, bucket->knows_rows, &empty);
}

/* Writes a bucket: a row for each cell of the total. */
void
rollup_write(RollupWriter *writer, const RollupBucket *bucket, const MetricTotal *total)
{
	MetricCellIterator iterator;
	MetricCell cell;

	metric_total_first_cell(total, &iterator);
	while (metric_total_next_cell(&iterator, &cell))
	{
		MetricCellStored stored = metric_total_stored(&iterator);

		if (stored != METRIC_CELL_STORED)
			write_cell(writer, bucket, bucket->knows_rows && stored == METRIC_CELL_NOT_STORED, &cell);
	}
}

void
rollup_write_end(RollupWriter *writer)
{
	rollup_write_flush(writer);
	MemoryContextDelete(writer->context);
	pfree(writer);
}
