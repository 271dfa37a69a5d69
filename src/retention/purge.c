/*
 * retention/purge.c
 *		Deleting events that are no longer needed: usage_events.purge().
 *
 * An event is purged as a whole, with all its versions, and only when each of
 * them is before the horizon: one that was moved across it still counts in a period
 * that is kept, now or as of a past day.  What is left before the horizon says
 * nothing of a period there, so nobody is answered about one, and no event is taken
 * there.  With that, rollups need no marks: those of intervals that begin before the
 * horizon are not used any more.
 *
 * Whoever purges never waits for a writer: events that are being changed are
 * left for the next time.
 */
#include "postgres.h"

#include "access/xact.h"
#include "account/account.h"
#include "account/horizon.h"
#include "base/calendar.h"
#include "base/compat.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "event/rejected.h"
#include "fmgr.h"
#include "limit/lock.h"
#include "retention/step.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define HAS_KEPT_VERSION \
	"EXISTS (SELECT FROM usage_events.superseded_event AS s" \
	" WHERE s.account_id " EQ " $1" \
	" AND s.customer_event_id " EQ " e.customer_event_id" \
	" AND s.event_timestamp " GE " $2)"

/*
 * From the events of one customer and type to those of the next in the index, each with its oldest
 * event: only where that is before the horizon there is something to do.
 */
static Statement lock_old_events = {
	.sql = "WITH RECURSIVE kind (customer_alias, event_type, oldest) AS ("
		   " (SELECT customer_alias, event_type, event_timestamp FROM usage_events.event WHERE account_id " EQ " $1"
		   " ORDER BY customer_alias, event_type, event_timestamp LIMIT 1)"
		   " UNION ALL SELECT next.customer_alias, next.event_type, next.event_timestamp FROM kind"
		   " CROSS JOIN LATERAL (SELECT customer_alias, event_type, event_timestamp FROM usage_events.event"
		   " WHERE account_id " EQ " $1"
		   " AND ROW(customer_alias, event_type) " GT " ROW(kind.customer_alias, kind.event_type)"
		   " ORDER BY customer_alias, event_type, event_timestamp LIMIT 1) AS next)"
		   " SELECT old.customer_event_id FROM kind"
		   " CROSS JOIN LATERAL (SELECT e.customer_event_id FROM usage_events.event AS e"
		   " WHERE e.account_id " EQ " $1 AND e.customer_alias " EQ " kind.customer_alias"
		   " AND e.event_type " EQ " kind.event_type AND e.event_timestamp " LT " $2"
		   " AND NOT " HAS_KEPT_VERSION " ORDER BY e.event_timestamp FOR UPDATE SKIP LOCKED) AS old"
		   " WHERE kind.oldest " LT " $2 LIMIT $3",
	.argument_count = 3,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, INT8OID},
};

/* Looks again, at what the locked ones are now: before, they may have been corrected. */
static Statement delete_old_events = {
	.sql = "DELETE FROM usage_events.event AS e"
		   " WHERE e.account_id " EQ " $1 AND e.event_timestamp " LT " $2"
		   " AND e.customer_event_id " EQ " ANY ($3) AND NOT " HAS_KEPT_VERSION " RETURNING e.customer_event_id",
	.argument_count = 3,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, TEXTARRAYOID},
};

static Statement delete_versions = {
	.sql = "DELETE FROM usage_events.superseded_event"
		   " WHERE account_id " EQ " $1 AND customer_event_id " EQ " ANY ($2)",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

/* Intervals that end before the horizon, by the first of each level that does not. */
static Statement delete_old_rollups = {
	.sql = "WITH old AS MATERIALIZED ("
		   " SELECT account_id, metric_version_id, level, customer_alias, bucket, group_key, unique_key"
		   " FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " AND (level " EQ " 1 AND bucket " LT " $2"
		   " OR level " EQ " 2 AND bucket " LT " $3"
		   " OR level " EQ " 3 AND bucket " LT " $4"
		   " OR level " EQ " 4 AND bucket " LT " $5"
		   " OR level " EQ " 5 AND bucket " LT " $6)"
		   " LIMIT $7 FOR UPDATE SKIP LOCKED)"
		   " DELETE FROM usage_events.metric_rollup AS r USING old"
		   " WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " old.metric_version_id"
		   " AND r.level " EQ " old.level"
		   " AND r.customer_alias " EQ " old.customer_alias"
		   " AND r.bucket " EQ " old.bucket"
		   " AND r.group_key " EQ " old.group_key"
		   " AND r.unique_key " EQ " old.unique_key",
	.argument_count = 7,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
					   INT8OID},
};

/* Deletes events that are wholly before the horizon, with their history; returns how many. */
static uint64
purge_events(const pg_uuid_t *account_id, TimestampTz horizon, int64 max_rows)
{
	Datum account = UUIDPGetDatum(account_id);
	int count;
	Datum keys;

	statement_execute(&lock_old_events, (Datum[]){account, TimestampTzGetDatum(horizon), Int64GetDatum(max_rows)},
					  NULL);
	keys = row_text_array(&count);
	if (count == 0)
		return 0;
	statement_execute(&delete_old_events, (Datum[]){account, TimestampTzGetDatum(horizon), keys}, NULL);
	keys = row_text_array(&count);
	statement_execute(&delete_versions, (Datum[]){account, keys}, NULL);
	return count;
}

static uint64
purge_rollups(const pg_uuid_t *account_id, TimestampTz horizon, int64 max_rows)
{
	Datum arguments[7] = {UUIDPGetDatum(account_id)};

	for (int level = BUCKET_MONTH; level <= BUCKET_SECOND; level++)
		arguments[level] = TimestampTzGetDatum(bucket_start(horizon, level));
	arguments[6] = Int64GetDatum(max_rows);
	statement_execute(&delete_old_rollups, arguments, NULL);
	return SPI_processed;
}

static uint64
purge_account(const pg_uuid_t *account_id, TimestampTz horizon, uint64 max_rows)
{
	uint64 rows = 0;

	account_require(account_id);
	SPI_connect();
	horizon_advance(account_id, horizon);
	rows += purge_events(account_id, horizon, (int64) max_rows);
	if (rows < max_rows)
		rows += purge_rollups(account_id, horizon, (int64) (max_rows - rows));
	if (rows < max_rows)
		rows += rejected_event_delete_before(account_id, horizon, (int64) (max_rows - rows));
	if (rows < max_rows)
		rows += limit_lock_delete_idle(account_id, (int64) (max_rows - rows));
	SPI_finish();
	return rows;
}

static TimestampTz
horizon_argument(FunctionCallInfo fcinfo, int number)
{
	TimestampTz horizon;

	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("before must not be null")));
	horizon = PG_GETARG_TIMESTAMPTZ(number);
	if (horizon < CALENDAR_START || horizon > GetCurrentTimestamp())
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid moment to purge events before"),
						errdetail("It must be in the past, and not before the year 0.")));
	return horizon;
}

/* usage_events.purge(before timestamptz, account_id uuid, max_rows integer) */
PG_FUNCTION_INFO_V1(purge);
Datum
purge(PG_FUNCTION_ARGS)
{
	TimestampTz horizon = horizon_argument(fcinfo, 0);
	pg_uuid_t account_id = PG_ARGISNULL(1) ? *account_current() : *PG_GETARG_UUID_P(1);
	int max_rows = step_rows_argument(fcinfo, 2);
	uint64 rows;
	int nest_level;

	memory_budget_begin();
	nest_level = account_enter(&account_id);
	rows = purge_account(&account_id, horizon, max_rows);
	account_leave(nest_level);
	PG_RETURN_INT64((int64) rows);
}
