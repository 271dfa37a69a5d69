/*
 * rollup/scan_work.c
 *		What the parts of a scan share: intervals, marks, and what is left to the events.
 */
#include "postgres.h"

#include "rollup/scan_work.h"

#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "rollup/watch_state.h"
#include "sql/lookup.h"
#include "sql/row.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static Statement read_marks = {
	.sql = "SELECT i.place, d.bucket, d.seconds, d.first_id"
		   " FROM pg_catalog.unnest($3) WITH ORDINALITY AS i(alias, place)"
		   " CROSS JOIN LATERAL (SELECT d.bucket, d.seconds, d.first_id FROM usage_events.dirty_bucket AS d"
		   " WHERE d.account_id " EQ " $1"
		   " AND d.event_type " EQ " $2 AND d.customer_alias " EQ " i.alias"
		   " AND d.bucket " GE " $4 AND d.bucket " LT " $5 OFFSET 0) AS d",
	.read_only = true,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

/* Of one customer, or of all together, which have an empty alias. */
static Lookup read_marks_of_alias = {
	.table = "dirty_bucket",
	.index = "dirty_bucket_idx",
	.columns = "bucket, seconds, first_id",
	.keys = {KEY_EQUAL("account_id", UUIDOID), KEY_EQUAL("event_type", TEXTOID), KEY_EQUAL("customer_alias", TEXTOID),
			 KEY_FROM("bucket", TIMESTAMPTZOID), KEY_BEFORE("bucket", TIMESTAMPTZOID)},
};

static Lookup find_metric = {
	.table = "metric",
	.index = "metric_pkey",
	.columns = "version_id, deleted_at",
	.keys = {KEY_EQUAL("account_id", UUIDOID), KEY_EQUAL("id", UUIDOID)},
	.max_rows = 1,
};

static Lookup find_progress = {
	.table = "metric_progress",
	.index = "metric_progress_pkey",
	.columns = "metric_version_id",
	.keys = {KEY_EQUAL("account_id", UUIDOID), KEY_EQUAL("metric_version_id", UUIDOID)},
	.max_rows = 1,
};

typedef struct VersionInForce
{
	const Metric *metric;
	bool is_in_force;
} VersionInForce;

static void
take_metric(uint64 row, void *argument)
{
	VersionInForce *version = argument;
	bool is_there;

	(void) row_value(row, 2, &is_there);
	version->is_in_force =
		is_there && uuid_v7_equal(DatumGetUUIDP(row_value_there(row, 1)), &version->metric->version_id);
}

/* Whether this version of the metric is the current one. */
static bool
is_in_force(const Metric *metric)
{
	VersionInForce version = {.metric = metric};

	lookup_rows(&find_metric, (Datum[]){UUIDPGetDatum(&metric->account_id), UUIDPGetDatum(&metric->id)}, take_metric,
				&version);
	return version.is_in_force;
}

static void
note_there(uint64 row pg_attribute_unused(), void *argument)
{
	*(bool *) argument = true;
}

/* Whether its events are marked. */
static bool
has_progress(const Metric *metric)
{
	bool has = false;

	lookup_rows(&find_progress, (Datum[]){UUIDPGetDatum(&metric->account_id), UUIDPGetDatum(&metric->version_id)},
				note_there, &has);
	return has;
}

/*
 * Whether the rollups of the metric hold: not after somebody has truncated one of the tables, or changed
 * events by hand, where nothing is marked, and once another version is in force: a refresh
 * brings only that one up to date.  Connected to SPI.
 */
bool
scan_rollups_hold(const Metric *metric)
{
	return has_progress(metric) && is_in_force(metric) && rollup_watch_keeps_marks(&metric->account_id) &&
		   !rollup_watch_is_subscribed();
}

int
scan_compare_aliases(const void *a, const void *b)
{
	const Slice *first = a;
	const Slice *second = b;
	int result = memcmp(first->data, second->data, Min(first->length, second->length));

	return result != 0 ? result : first->length - second->length;
}

void
scan_add_interval(Intervals *intervals, MetricInterval interval)
{
	intervals->items =
		memory_budget_room(intervals->items, intervals->count, &intervals->capacity, sizeof(MetricInterval));
	intervals->items[intervals->count++] = interval;
}

/* The part of the interval from start to end. */
MetricInterval
scan_part(const MetricInterval *interval, TimestampTz start, TimestampTz end)
{
	MetricInterval result = *interval;

	result.start = Max(interval->start, start);
	result.end = Min(interval->end, end);
	return result;
}

/* The parameters of a statement over intervals; the first one is the account, the second depends. */
void
scan_interval_arguments(const ScanWork *work, const Intervals *intervals, Datum *arguments)
{
	Slice *aliases;
	Datum *values;

	/* Both, and the three arrays that are made of them. */
	memory_budget_grow((Size) intervals->count * 2 * (sizeof(Slice) + 2 * sizeof(Datum)));
	aliases = palloc_extended(sizeof(Slice) * intervals->count, MCXT_ALLOC_HUGE);
	values = palloc_extended(sizeof(Datum) * intervals->count, MCXT_ALLOC_HUGE);
	arguments[0] = UUIDPGetDatum(&work->scan->metric->account_id);
	for (int i = 0; i < intervals->count; i++)
		aliases[i] = work->scan->aliases[intervals->items[i].alias];
	arguments[2] = statement_varlena_array(aliases, intervals->count, TEXTOID);
	for (int i = 0; i < intervals->count; i++)
		values[i] = TimestampTzGetDatum(intervals->items[i].start);
	arguments[3] = statement_timestamp_array(values, intervals->count);
	for (int i = 0; i < intervals->count; i++)
		values[i] = TimestampTzGetDatum(intervals->items[i].end);
	arguments[4] = statement_timestamp_array(values, intervals->count);
	pfree(aliases);
	pfree(values);
}

Datum
scan_event_type(const Metric *metric)
{
	Slice type = metric->event_type;

	return slice_to_datum(type);
}

Datum
scan_aliases(const ScanWork *work)
{
	return statement_varlena_array(work->scan->aliases, work->scan->alias_count, TEXTOID);
}

/* The ordinality that a statement handed back, from 0 on. */
int
scan_row_place(uint64 row)
{
	return (int) DatumGetInt64(row_value_there(row, 1)) - 1;
}

/* To be read from the events; seconds in a row as one. */
void
scan_add_raw(ScanWork *work, MetricInterval interval)
{
	MetricInterval *last = work->raw.count > 0 ? &work->raw.items[work->raw.count - 1] : NULL;

	if (last != NULL && last->total == interval.total && last->alias == interval.alias && last->end == interval.start &&
		last->added == interval.added)
		last->end = interval.end;
	else
		scan_add_interval(&work->raw, interval);
}

MarkPlace
scan_mark_place(const ScanWork *work, int alias, TimestampTz moment)
{
	return (MarkPlace){alias, moment, marks_first(&work->marks, alias, moment),
					   marks_first(&work->common_marks, 0, moment)};
}

/* What is marked next, from the place's moment on; false if nothing is before the end. */
bool
scan_next_mark(const ScanWork *work, const MarkPlace *place, TimestampTz end, TimestampTz *mark_start,
			   TimestampTz *mark_end)
{
	const Mark *mark = NULL;

	if (place->own < work->marks.count && work->marks.items[place->own].alias == place->alias)
		mark = &work->marks.items[place->own];
	if (place->common < work->common_marks.count &&
		(mark == NULL || work->common_marks.items[place->common].start < mark->start))
		mark = &work->common_marks.items[place->common];
	if (mark == NULL)
		return false;
	*mark_start = Max(mark->start, place->moment);
	*mark_end = mark->end;
	return *mark_start < end;
}

/*
 * Whether all that is marked from the place's moment up to another has come with higher ids than that one, and nothing has gone; false
 * as well where there are more marks of a kind than that.
 */
bool
scan_marks_are_newer(const ScanWork *work, const MarkPlace *place, TimestampTz until, const pg_uuid_t *id,
					 int max_marks)
{
	return marks_are_newer(&work->marks, place->own, place->alias, until, id, max_marks) &&
		   marks_are_newer(&work->common_marks, place->common, 0, until, id, max_marks);
}

/* Goes on to a later moment. */
void
scan_skip_marks(const ScanWork *work, MarkPlace *place, TimestampTz moment)
{
	place->moment = moment;
	while (place->own < work->marks.count && work->marks.items[place->own].alias == place->alias &&
		   work->marks.items[place->own].end <= moment)
		place->own++;
	while (place->common < work->common_marks.count && work->common_marks.items[place->common].end <= moment)
		place->common++;
}

static void
take_mark(uint64 row, void *argument)
{
	ScanWork *work = argument;

	marks_add_seconds(&work->marks, scan_row_place(row), DatumGetTimestampTz(row_value_there(row, 2)),
					  DatumGetInt16(row_value_there(row, 3)), marks_first_id(row, 4));
}

/* Of the only customer, or of all, as of alias 0. */
static void
take_mark_of_alias(uint64 row, void *argument)
{
	marks_add_seconds(argument, 0, DatumGetTimestampTz(row_value_there(row, 1)), DatumGetInt16(row_value_there(row, 2)),
					  marks_first_id(row, 3));
}

/* Reads the marks from start to end: of the scan's aliases, unless they are known, and of all customers, where these matter. */
void
scan_read_marks(ScanWork *work, bool of_aliases, bool of_all)
{
	const RollupScan *scan = work->scan;
	Datum arguments[] = {UUIDPGetDatum(&scan->metric->account_id), scan_event_type(scan->metric), (Datum) 0,
						 TimestampTzGetDatum(bucket_start(work->start, BUCKET_MINUTE)), TimestampTzGetDatum(work->end)};

	if (of_aliases && scan->alias_count == 1)
	{
		arguments[2] = slice_to_datum(scan->aliases[0]);
		lookup_rows(&read_marks_of_alias, arguments, take_mark_of_alias, &work->marks);
	}
	else if (of_aliases)
	{
		arguments[2] = scan_aliases(work);
		statement_stream(&read_marks, arguments, take_mark, work);
	}
	if (of_all)
	{
		arguments[2] = slice_to_datum(SLICE(""));
		lookup_rows(&read_marks_of_alias, arguments, take_mark_of_alias, &work->common_marks);
	}
}

/* The place of an alias among those of all customers; -1 if it is none. */
int
scan_find_alias(const RollupScan *scan, Slice alias)
{
	int low = 0;
	int high = scan->alias_count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (scan_compare_aliases(&scan->aliases[middle], &alias) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < scan->alias_count && scan_compare_aliases(&scan->aliases[low], &alias) == 0 ? low : -1;
}

/* The interval that has the moment, or NULL. */
const MetricInterval *
scan_find_interval(const RollupScan *scan, int alias, TimestampTz timestamp)
{
	int low = 0;
	int high = scan->interval_count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;
		const MetricInterval *interval = &scan->intervals[middle];

		if (interval->alias < alias || (interval->alias == alias && interval->end <= timestamp))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == scan->interval_count || scan->intervals[low].alias != alias || scan->intervals[low].start > timestamp)
		return NULL;
	return &scan->intervals[low];
}
