/*
 * rollup/scan_events.c
 *		What a scan reads from the events: of single customers, or of all together.
 */
#include "postgres.h"

#include "rollup/scan_events.h"

#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "rollup/common_minutes.h"
#include "rollup/scan_work.h"
#include "sql/planner.h"
#include "sql/row.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Compared by a function, the type does not tempt the planner to an index that has all customers' events of it. */
#define READ_EVENTS \
	"SELECT i.place, e.id, e.event_timestamp, e.event_properties FROM " INTERVAL_PARAMETERS \
	" CROSS JOIN LATERAL (SELECT e.id, e.event_timestamp, e.event_properties FROM usage_events.event AS e" \
	" WHERE e.account_id " EQ " $1" \
	" AND e.customer_alias " EQ " i.alias" \
	" AND e.event_timestamp " GE " i.starts_at" \
	" AND e.event_timestamp " LT " i.ends_at" \
	" AND pg_catalog.texteq(e.event_type, $2)"

static Statement read_events = {
	.sql = READ_EVENTS " OFFSET 0) AS e",
	.read_only = true,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, INTERVAL_TYPES},
};

/* Of a single interval, as after each event under a limit: made ready in a third of the time. */
static Statement read_events_of_interval = {
	.sql = "SELECT 1::bigint, e.id, e.event_timestamp, e.event_properties FROM usage_events.event AS e"
		   " WHERE e.account_id " EQ " $1 AND e.customer_alias " EQ " $3"
		   " AND e.event_timestamp " GE " $4 AND e.event_timestamp " LT " $5"
		   " AND pg_catalog.texteq(e.event_type, $2)",
	.read_only = true,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
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

static void
take_event(uint64 row, void *argument)
{
	ScanWork *work = argument;
	MemoryContext context = MemoryContextSwitchTo(work->row_context);

	metric_total_add_event(work->raw.items[scan_row_place(row)].total, work->matcher,
						   DatumGetUUIDP(row_value_there(row, 2)), DatumGetTimestampTz(row_value_there(row, 3)),
						   DatumGetJsonbP(row_value_there(row, 4)));
	MemoryContextSwitchTo(context);
	MemoryContextReset(work->row_context);
}

static void
read_interval(ScanWork *work)
{
	const MetricInterval *interval = &work->raw.items[0];
	Datum arguments[] = {UUIDPGetDatum(&work->scan->metric->account_id), scan_event_type(work->scan->metric),
						 slice_to_datum(work->scan->aliases[interval->alias]), TimestampTzGetDatum(interval->start),
						 TimestampTzGetDatum(interval->end)};

	statement_each_row(&read_events_of_interval, arguments, take_event, work);
}

void
scan_read_raw(ScanWork *work)
{
	Datum arguments[6];

	if (work->raw.count == 0)
		return;
	if (work->raw.count == 1 && work->scan->as_of == NULL)
	{
		read_interval(work);
		return;
	}
	scan_interval_arguments(work, &work->raw, arguments);
	arguments[1] = scan_event_type(work->scan->metric);
	if (work->scan->as_of == NULL)
		statement_each_row(&read_events, arguments, take_event, work);
	else
	{
		arguments[5] = UUIDPGetDatum(work->scan->as_of);
		statement_each_row(work->is_one_snapshot ? &read_events_as_of : &read_events_and_superseded, arguments,
						   take_event, work);
	}
}

/* Events of all customers ---------------------------------------------------- */

void
event_row_read(uint64 row, int first_column, EventRow *event)
{
	text *alias = DatumGetTextPP(row_value_there(row, first_column + 2));

	event->id = DatumGetUUIDP(row_value_there(row, first_column));
	event->timestamp = DatumGetTimestampTz(row_value_there(row, first_column + 1));
	event->alias = (Slice){VARDATA_ANY(alias), VARSIZE_ANY_EXHDR(alias)};
	event->properties = row_value_there(row, first_column + 3);
}

/* Adds the event, if it was known then. */
void
event_row_add(MetricTotal *total, const MetricMatcher *matcher, const pg_uuid_t *as_of, const EventRow *event,
			  MemoryContext row_context)
{
	MemoryContext context = MemoryContextSwitchTo(row_context);

	if (as_of == NULL || uuid_v7_compare(event->id, as_of) < 0)
		metric_total_add_event(total, matcher, event->id, event->timestamp, DatumGetJsonbP(event->properties));
	MemoryContextSwitchTo(context);
	MemoryContextReset(row_context);
}

static Statement read_events_of_times = {
	.sql = "SELECT i.place, e.id, e.event_timestamp, e.customer_alias, e.event_properties"
		   " FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4))"
		   " WITH ORDINALITY AS i(starts_at, ends_at, place)"
		   " CROSS JOIN LATERAL (SELECT e.id, e.event_timestamp, e.customer_alias, e.event_properties"
		   " FROM usage_events.event AS e WHERE e.account_id " EQ " $1"
		   " AND e.event_timestamp " GE " i.starts_at"
		   " AND e.event_timestamp " LT " i.ends_at"
		   " AND pg_catalog.texteq(e.event_type, $2) OFFSET 0) AS e",
	.read_only = true,
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID},
};

/* Hands out the events of these times: after the place among the times come the columns of an event. */
void
scan_read_times(const Metric *metric, const Marks *times, void (*take_row)(uint64 row, void *argument), void *argument)
{
	Datum arguments[4] = {UUIDPGetDatum(&metric->account_id), scan_event_type(metric)};
	Datum *values;

	if (times->count == 0)
		return;
	/* The values, and the arrays that are made of them. */
	memory_budget_require(3 * sizeof(Datum) * times->count);
	values = palloc_extended(sizeof(Datum) * times->count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < times->count; i++)
		values[i] = TimestampTzGetDatum(times->items[i].start);
	arguments[2] = statement_timestamp_array(values, times->count);
	for (int i = 0; i < times->count; i++)
		values[i] = TimestampTzGetDatum(times->items[i].end);
	arguments[3] = statement_timestamp_array(values, times->count);
	statement_each_row(&read_events_of_times, arguments, take_row, argument);
}

static Statement read_all_events = {
	.sql = "SELECT id, event_timestamp, customer_alias, event_properties FROM usage_events.event"
		   " WHERE account_id " EQ " $1 AND event_type " EQ " $2"
		   " AND event_timestamp " GE " $3 AND event_timestamp " LT " $4",
	.read_only = true,
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

static void
take_event_of_all(ScanWork *work, uint64 row, int first_column)
{
	EventRow event;
	const MetricInterval *interval = NULL;
	int place;

	event_row_read(row, first_column, &event);
	place = scan_find_alias(work->scan, event.alias);
	if (place >= 0 && !work->is_rolled_up[place])
		interval = scan_find_interval(work->scan, place, event.timestamp);
	if (interval != NULL)
		event_row_add(interval->total, work->matcher, work->scan->as_of, &event, work->row_context);
}

static void
take_event_of_period(uint64 row, void *argument)
{
	take_event_of_all(argument, row, 1);
}

static void
take_event_of_gap(uint64 row, void *argument)
{
	take_event_of_all(argument, row, 2);
}

/* The time between the minutes that have been read. */
static Marks
gaps_between(const Marks *minutes, TimestampTz start, TimestampTz end)
{
	Marks gaps = {0};
	TimestampTz at = start;

	for (int i = 0; i < minutes->count; i++)
	{
		if (minutes->items[i].start > at)
			marks_append(&gaps, (Mark){0, at, minutes->items[i].start});
		at = minutes->items[i].end;
	}
	if (at < end)
		marks_append(&gaps, (Mark){0, at, end});
	return gaps;
}

/* Reads all events of the period once, rather than those of each customer. */
void
scan_read_all(ScanWork *work, TimestampTz start, TimestampTz end)
{
	const Metric *metric = work->scan->metric;
	const CommonMinutes *common = work->scan->common;
	int nest_level;

	if (common != NULL && common->minutes.count > 0)
	{
		Marks gaps = gaps_between(&common->minutes, start, end);

		nest_level = planner_use_bitmaps();
		scan_read_times(metric, &gaps, take_event_of_gap, work);
		planner_use_end(nest_level);
		return;
	}
	/* The planner is free here: most of the table may be read. */
	statement_each_row(&read_all_events,
					   (Datum[]){UUIDPGetDatum(&metric->account_id), scan_event_type(metric),
								 TimestampTzGetDatum(start), TimestampTzGetDatum(end)},
					   take_event_of_period, work);
}
