/*
 * rollup/scan_events.c
 *		What a scan reads from the events.
 */
#include "postgres.h"

#include "rollup/scan_events.h"

#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "rollup/scan_work.h"
#include "sql/lookup.h"
#include "sql/row.h"
#include "utils/memutils.h"

#define READ_EVENTS \
	"SELECT i.place, e.id, e.event_timestamp, e.event_properties FROM " INTERVAL_PARAMETERS \
	" CROSS JOIN LATERAL (SELECT e.id, e.event_timestamp, e.event_properties FROM usage_events.event AS e" \
	" WHERE e.account_id " EQ " $1" \
	" AND e.customer_alias " EQ " i.alias" \
	" AND e.event_timestamp " GE " i.starts_at" \
	" AND e.event_timestamp " LT " i.ends_at" \
	" AND e.event_type " EQ " $2"

static Statement read_events = {
	.sql = READ_EVENTS " OFFSET 0) AS e",
	.read_only = true,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, INTERVAL_TYPES},
};

/* Of an interval. */
static Lookup read_events_of_interval = {
	.table = "event",
	.index = "event_customer_idx",
	.columns = "customer_alias, id, event_timestamp, event_properties",
	.keys = {KEY_EQUAL("account_id", UUIDOID), KEY_EQUAL("customer_alias", TEXTOID), KEY_EQUAL("event_type", TEXTOID),
			 KEY_FROM("event_timestamp", TIMESTAMPTZOID), KEY_BEFORE("event_timestamp", TIMESTAMPTZOID)},
};

/* Both from one statement, where several would not see the same. */
static Statement read_events_and_superseded = {
	.sql = READ_EVENTS
	" AND e.id " LT " $6"
	" UNION ALL SELECT e.id, e.event_timestamp, e.event_properties FROM usage_events.superseded_event AS e"
	" WHERE e.account_id " EQ " $1 AND e.superseded_by " GE " $6"
	" AND e.id " LT " $6 AND e.event_type " EQ " $2"
	" AND e.customer_alias " EQ " i.alias"
	" AND e.event_timestamp " GE " i.starts_at"
	" AND e.event_timestamp " LT " i.ends_at OFFSET 0) AS e",
	.read_only = true,
	.argument_count = 6,
	.argument_types = {UUIDOID, TEXTOID, INTERVAL_TYPES, UUIDOID},
};

static Statement read_events_as_of = {
	.sql = READ_EVENTS " AND e.id " LT " $6 OFFSET 0) AS e",
	.read_only = true,
	.argument_count = 6,
	.argument_types = {UUIDOID, TEXTOID, INTERVAL_TYPES, UUIDOID},
};

/* Adds the event in a row, if it was known then. */
void
scan_add_event(MetricTotal *total, const MetricMatcher *matcher, const pg_uuid_t *as_of, uint64 row,
			   MemoryContext row_context)
{
	MemoryContext context = MemoryContextSwitchTo(row_context);
	const pg_uuid_t *id = DatumGetUUIDP(row_value_there(row, 2));

	if (as_of == NULL || uuid_v7_compare(id, as_of) < 0)
		metric_total_add_event(total, matcher, id, DatumGetTimestampTz(row_value_there(row, 3)),
							   DatumGetJsonbP(row_value_there(row, 4)));
	MemoryContextSwitchTo(context);
	MemoryContextReset(row_context);
}

static int
compare_ids(const void *a, const void *b)
{
	return uuid_v7_compare(a, b);
}

/* What was just stored is marked: it is in no rollup, and is read here. */
static bool
is_left_out(const RollupScan *scan, uint64 row)
{
	return scan->left_out_count > 0 && bsearch(DatumGetUUIDP(row_value_there(row, 2)), scan->left_out,
											   scan->left_out_count, sizeof(pg_uuid_t), compare_ids) != NULL;
}

/* Whether the event is in a row of rollups that is in the interval's total. */
static bool
is_in_row(const MetricInterval *interval, uint64 row)
{
	const MetricCell *added = interval->added;

	return added != NULL && DatumGetTimestampTz(row_value_there(row, 3)) <= added->until &&
		   uuid_v7_compare(DatumGetUUIDP(row_value_there(row, 2)), &added->newest_id) <= 0;
}

/* Whether it was read with what is marked for all customers. */
static bool
is_of_all(const ScanWork *work, uint64 row)
{
	return work->added != NULL && common_marks_have(work->added, DatumGetUUIDP(row_value_there(row, 2)),
													DatumGetTimestampTz(row_value_there(row, 3)));
}

/* Adds the event to the total of the interval at that place. */
static void
add_event(ScanWork *work, int place, uint64 row)
{
	const MetricInterval *interval = &work->raw.items[place];

	if (!is_left_out(work->scan, row) && !is_in_row(interval, row) && !is_of_all(work, row))
		scan_add_event(interval->total, work->matcher, work->scan->as_of, row, work->row_context);
}

static void
take_event(uint64 row, void *argument)
{
	add_event(argument, scan_row_place(row), row);
}

static void
take_event_of_interval(uint64 row, void *argument)
{
	add_event(argument, 0, row);
}

static void
read_interval(ScanWork *work, const MetricInterval *interval)
{
	const RollupScan *scan = work->scan;

	lookup_rows(&read_events_of_interval,
				(Datum[]){UUIDPGetDatum(&scan->metric->account_id), slice_to_datum(scan->aliases[interval->alias]),
						  scan_event_type(scan->metric), TimestampTzGetDatum(interval->start),
						  TimestampTzGetDatum(interval->end)},
				take_event_of_interval, work);
}

/* Many intervals ------------------------------------------------------------ */

typedef struct IntervalSearch
{
	ScanWork *work;
	Datum event_type;
	int alias; /* that the text is of: intervals of one follow one another */
	Datum alias_text;
} IntervalSearch;

static void
set_interval(int place, Datum *arguments, void *argument)
{
	IntervalSearch *search = argument;
	const RollupScan *scan = search->work->scan;
	const MetricInterval *interval = &search->work->raw.items[place];

	if (search->alias != interval->alias)
	{
		if (search->alias >= 0)
			pfree(DatumGetPointer(search->alias_text));
		search->alias_text = slice_to_datum(scan->aliases[interval->alias]);
		search->alias = interval->alias;
	}
	arguments[0] = UUIDPGetDatum(&scan->metric->account_id);
	arguments[1] = search->alias_text;
	arguments[2] = search->event_type;
	arguments[3] = TimestampTzGetDatum(interval->start);
	arguments[4] = TimestampTzGetDatum(interval->end);
}

static void
take_event_of_intervals(int place, uint64 row, void *argument)
{
	IntervalSearch *search = argument;

	add_event(search->work, place, row);
}

/* Whether they could be read without a statement. */
static bool
search_intervals(ScanWork *work)
{
	IntervalSearch search = {.work = work, .event_type = scan_event_type(work->scan->metric), .alias = -1};

	return lookup_rows_of_many(&read_events_of_interval, work->raw.count, set_interval, take_event_of_intervals,
							   &search);
}

void
scan_read_raw(ScanWork *work)
{
	Datum arguments[6];

	if (work->raw.count == 0)
		return;
	if (work->raw.count == 1 && work->scan->as_of == NULL)
	{
		read_interval(work, &work->raw.items[0]);
		return;
	}
	if (work->is_one_snapshot && search_intervals(work))
		return;
	scan_interval_arguments(work, &work->raw, arguments);
	arguments[1] = scan_event_type(work->scan->metric);
	if (work->scan->as_of == NULL)
		statement_stream(&read_events, arguments, take_event, work);
	else
	{
		arguments[5] = UUIDPGetDatum(work->scan->as_of);
		statement_stream(work->is_one_snapshot ? &read_events_as_of : &read_events_and_superseded, arguments,
						 take_event, work);
	}
}
