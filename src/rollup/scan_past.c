/*
 * rollup/scan_past.c
 *		Scans as of a past moment: versions that were current then, and are not now.
 */
#include "postgres.h"

#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "rollup/scan_work.h"
#include "sql/row.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Versions that were current as of $3, and are not now. */
static Statement read_superseded = {
	.sql = "SELECT e.customer_alias, e.id, e.event_timestamp, e.event_properties"
		   " FROM usage_events.superseded_event AS e"
		   " WHERE e.account_id " EQ " $1 AND e.superseded_by " GE " $3"
		   " AND e.id " LT " $3 AND e.event_type " EQ " $2"
		   " AND e.event_timestamp " GE " $4 AND e.event_timestamp " LT " $5",
	.read_only = true,
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

typedef struct AliasPlace
{
	Slice alias;
	int place;
} AliasPlace;

static int
compare_alias_places(const void *a, const void *b)
{
	Slice first = ((const AliasPlace *) a)->alias;
	Slice second = ((const AliasPlace *) b)->alias;
	int result = memcmp(first.data, second.data, Min(first.length, second.length));

	return result != 0 ? result : first.length - second.length;
}

typedef struct SupersededWork
{
	ScanWork *work;
	AliasPlace *places; /* sorted */
} SupersededWork;

static void
take_superseded(uint64 row, void *argument)
{
	SupersededWork *superseded = argument;
	ScanWork *work = superseded->work;
	const MetricInterval *interval;
	MemoryContext context;
	text *alias = DatumGetTextPP(row_value_there(row, 1));
	AliasPlace wanted = {{VARDATA_ANY(alias), VARSIZE_ANY_EXHDR(alias)}, 0};
	AliasPlace *found =
		bsearch(&wanted, superseded->places, work->scan->alias_count, sizeof(AliasPlace), compare_alias_places);
	TimestampTz timestamp = DatumGetTimestampTz(row_value_there(row, 3));

	interval = found != NULL ? scan_find_interval(work->scan, found->place, timestamp) : NULL;
	if (interval == NULL)
		return;
	context = MemoryContextSwitchTo(work->row_context);
	metric_total_add_event(interval->total, work->matcher, DatumGetUUIDP(row_value_there(row, 2)), timestamp,
						   DatumGetJsonbP(row_value_there(row, 4)));
	MemoryContextSwitchTo(context);
	MemoryContextReset(work->row_context);
	marks_add_seconds(&work->marks, found->place, timestamp, 1, 0);
}

/* Adds the versions that were current then, and marks their seconds. */
void
scan_add_superseded(ScanWork *work, TimestampTz start, TimestampTz end)
{
	const RollupScan *scan = work->scan;
	SupersededWork superseded = {work, NULL};

	memory_budget_grow(sizeof(AliasPlace) * scan->alias_count);
	superseded.places = palloc_extended(sizeof(AliasPlace) * Max(scan->alias_count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < scan->alias_count; i++)
		superseded.places[i] = (AliasPlace){scan->aliases[i], i};
	qsort(superseded.places, scan->alias_count, sizeof(AliasPlace), compare_alias_places);
	statement_stream(&read_superseded,
					 (Datum[]){UUIDPGetDatum(&scan->metric->account_id), scan_event_type(work->scan->metric),
							   UUIDPGetDatum(scan->as_of), TimestampTzGetDatum(start), TimestampTzGetDatum(end)},
					 take_superseded, &superseded);
}
