/*
 * rollup/scan_own.c
 *		Until when a key of one customer uses rollups.
 *
 * Minutes that are marked for all customers would tell such a key, by the time that an answer takes, how much others send.  So
 * it reads none of these marks.  It takes the last minutes as if they were all marked: its own events there are read, whatever
 * others do.  Earlier ones are not marked for all where there are such keys (event/mark.c), unless a refresh is
 * long overdue, or the account's first such key has just been made: then everything from the first of these marks on is read
 * from its own events, so that the answer is right, and at most tells that there is one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "event/mark.h"
#include "rollup/scan_work.h"
#include "sql/row.h"
#include "utils/timestamp.h"

/* As long as a mark may be there, of a minute that was of late when it was marked. */
#define REFRESH_MINUTES 15

static Statement find_common_mark = {
	.sql = "SELECT d.bucket FROM usage_events.dirty_bucket AS d"
		   " WHERE d.account_id " EQ " $1 AND d.event_type " EQ " $2 AND d.customer_alias " EQ " ''"
		   " AND d.bucket " GE " $3 AND d.bucket " LT " $4 ORDER BY d.bucket LIMIT 1",
	.read_only = true,
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

/* What comes after it, of the time from start to end, is to be read from the events; before it no minute is marked for all. */
TimestampTz
scan_own_end(const RollupScan *scan, TimestampTz start, TimestampTz end)
{
	TimestampTz late =
		GetCurrentStatementStartTimestamp() - (EVENT_MARK_LATE_MINUTES + REFRESH_MINUTES) * USECS_PER_MINUTE;
	TimestampTz result = Min(end, bucket_start(late, BUCKET_MINUTE));
	Datum arguments[] = {UUIDPGetDatum(&scan->metric->account_id), scan_event_type(scan->metric),
						 TimestampTzGetDatum(bucket_start(start, BUCKET_MINUTE)), TimestampTzGetDatum(result)};

	statement_execute(&find_common_mark, arguments, NULL);
	if (SPI_processed > 0)
		result = DatumGetTimestampTz(row_value_there(0, 1));
	return result;
}
