/*
 * retention/purge.c
 *		How far back an account's events are kept: usage_events.purge(), and the
 *		horizon that it leaves behind.
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

#include "retention/purge.h"

#include "access/xact.h"
#include "account/account.h"
#include "base/calendar.h"
#include "base/compat.h"
#include "base/fault.h"
#include "base/memory_budget.h"
#include "base/timestamp.h"
#include "base/uuid_v7.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "event/check.h"
#include "event/rejected.h"
#include "fmgr.h"
#include "sql/distribution.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* Rows of one call, which are all in memory. */
#define MAX_ROWS 100000

static Statement read_horizon = {
	.sql = "SELECT purged_before FROM usage_events.purge_horizon WHERE account_id OPERATOR(pg_catalog.=) $1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* The same in the caller's snapshot, which a question's events are read in. */
static Statement read_horizon_of_question = {
	.sql = "SELECT purged_before FROM usage_events.purge_horizon WHERE account_id OPERATOR(pg_catalog.=) $1",
	.read_only = true,
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement advance_horizon = {
	.sql = "INSERT INTO usage_events.purge_horizon AS h (account_id, purged_before) VALUES ($1, $2)"
		   " ON CONFLICT (account_id) DO UPDATE SET purged_before = EXCLUDED.purged_before"
		   " WHERE h.purged_before OPERATOR(pg_catalog.<) EXCLUDED.purged_before",
	.argument_count = 2,
	.argument_types = {UUIDOID, TIMESTAMPTZOID},
};

#define HAS_KEPT_VERSION \
	"EXISTS (SELECT FROM usage_events.superseded_event AS s" \
	" WHERE s.account_id OPERATOR(pg_catalog.=) $1" \
	" AND s.customer_event_id OPERATOR(pg_catalog.=) e.customer_event_id" \
	" AND s.event_timestamp OPERATOR(pg_catalog.>=) $2)"

static Statement lock_old_events = {
	.sql = "SELECT e.customer_event_id FROM usage_events.event AS e"
		   " WHERE e.account_id OPERATOR(pg_catalog.=) $1 AND e.event_timestamp OPERATOR(pg_catalog.<) $2"
		   " AND NOT " HAS_KEPT_VERSION " ORDER BY e.event_timestamp, e.id LIMIT $3 FOR UPDATE SKIP LOCKED",
	.argument_count = 3,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, INT8OID},
};

/* Looks again, at what the locked ones are now: before, they may have been corrected. */
static Statement delete_old_events = {
	.sql = "DELETE FROM usage_events.event AS e"
		   " WHERE e.account_id OPERATOR(pg_catalog.=) $1 AND e.event_timestamp OPERATOR(pg_catalog.<) $2"
		   " AND e.customer_event_id OPERATOR(pg_catalog.=) ANY ($3) AND NOT " HAS_KEPT_VERSION
		   " RETURNING e.customer_event_id",
	.argument_count = 3,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, TEXTARRAYOID},
};

static Statement delete_versions = {
	.sql = "DELETE FROM usage_events.superseded_event"
		   " WHERE account_id OPERATOR(pg_catalog.=) $1 AND customer_event_id OPERATOR(pg_catalog.=) ANY ($2)",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

/* Intervals that end before the horizon, by the first of each level that does not. */
static Statement delete_old_rollups = {
	.sql = "WITH old AS MATERIALIZED ("
		   " SELECT account_id, metric_version_id, level, customer_alias, bucket, group_key, unique_key"
		   " FROM usage_events.metric_rollup WHERE account_id OPERATOR(pg_catalog.=) $1"
		   " AND (level OPERATOR(pg_catalog.=) 1 AND bucket OPERATOR(pg_catalog.<) $2"
		   " OR level OPERATOR(pg_catalog.=) 2 AND bucket OPERATOR(pg_catalog.<) $3"
		   " OR level OPERATOR(pg_catalog.=) 3 AND bucket OPERATOR(pg_catalog.<) $4"
		   " OR level OPERATOR(pg_catalog.=) 4 AND bucket OPERATOR(pg_catalog.<) $5"
		   " OR level OPERATOR(pg_catalog.=) 5 AND bucket OPERATOR(pg_catalog.<) $6)"
		   " LIMIT $7 FOR UPDATE SKIP LOCKED)"
		   " DELETE FROM usage_events.metric_rollup AS r USING old"
		   " WHERE r.account_id OPERATOR(pg_catalog.=) $1"
		   " AND r.metric_version_id OPERATOR(pg_catalog.=) old.metric_version_id"
		   " AND r.level OPERATOR(pg_catalog.=) old.level"
		   " AND r.customer_alias OPERATOR(pg_catalog.=) old.customer_alias"
		   " AND r.bucket OPERATOR(pg_catalog.=) old.bucket"
		   " AND r.group_key OPERATOR(pg_catalog.=) old.group_key"
		   " AND r.unique_key OPERATOR(pg_catalog.=) old.unique_key",
	.argument_count = 7,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
					   INT8OID},
};

/* The horizon --------------------------------------------------------------- */

/* Of the account last asked for; DT_NOBEGIN where nothing was purged. */
static bool horizon_is_known = false;
static TimestampTz horizon_known_at;
static pg_uuid_t horizon_account_id;
static TimestampTz known_horizon;
static Oid horizon_table = InvalidOid;
static uint64 times_forgotten = 0;

/* Whoever advances a horizon tells all backends, by the message that goes out when a table's definition has changed. */
static void
forget_horizon(Datum argument pg_attribute_unused(), Oid relation)
{
	if (relation != InvalidOid && horizon_table != InvalidOid && relation != horizon_table)
		return;
	horizon_is_known = false;
	times_forgotten++;
}

void
purge_init(void)
{
	CacheRegisterRelcacheCallback(forget_horizon, (Datum) 0);
}

/* The table, or InvalidOid while the extension is older than the library. */
static Oid
find_horizon_table(void)
{
	return get_relname_relid("purge_horizon", get_namespace_oid("usage_events", false));
}

static TimestampTz
read_horizon_with(Statement *statement, const pg_uuid_t *account_id)
{
	TimestampTz horizon = DT_NOBEGIN;

	SPI_connect();
	statement_execute(statement, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	if (SPI_processed > 0)
	{
		bool isnull;

		horizon = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
	return horizon;
}

/* The account's horizon, from memory where it is known.  One that is being advanced may be missed: no harm is done. */
static TimestampTz
horizon_of(const pg_uuid_t *account_id)
{
	uint64 times_forgotten_before;

	/* What another node does is not told here: where tables are distributed, it is remembered for a statement. */
	if (horizon_is_known && event_id_equal(&horizon_account_id, account_id) &&
		(horizon_known_at == GetCurrentStatementStartTimestamp() || !distribution_is_on()))
		return known_horizon;

	horizon_is_known = false;
	horizon_table = find_horizon_table();
	times_forgotten_before = times_forgotten;
	known_horizon = OidIsValid(horizon_table) ? read_horizon_with(&read_horizon, account_id) : DT_NOBEGIN;
	horizon_account_id = *account_id;
	horizon_known_at = GetCurrentStatementStartTimestamp();
	horizon_is_known = times_forgotten == times_forgotten_before;
	return known_horizon;
}

static const char *
horizon_text(TimestampTz horizon)
{
	char *text = palloc(EVENT_TIMESTAMP_TEXT_SIZE);

	event_timestamp_to_text(horizon, text);
	return text;
}

/* Rule of every event that is to be stored: the session's account keeps events of its time. */
List *
purge_check_event(List *faults, const UsageEvent *event)
{
	TimestampTz horizon;

	if (!event->has_timestamp)
		return faults;
	horizon = horizon_of(account_current());
	if (event->timestamp >= horizon)
		return faults;
	return fault_add(faults, event_field_names[FIELD_EVENT_TIMESTAMP].data,
					 psprintf("is before %s, up to which events were purged", horizon_text(horizon)));
}

/* Refuses a question about a period of which events were purged: any answer would be wrong. */
void
purge_check_period(const pg_uuid_t *account_id, TimestampTz start)
{
	TimestampTz horizon = read_horizon_with(&read_horizon_of_question, account_id);

	if (start < horizon)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid period"),
				 errdetail("The period begins before %s, up to which events were purged.", horizon_text(horizon)),
				 errhint("Ask for a period from there on.")));
}

/* Purging ------------------------------------------------------------------- */

/* The texts of the first column of what the last statement returned, in memory that outlives it. */
static Datum
returned_texts(uint64 *count)
{
	EventText *texts = palloc(sizeof(EventText) * Max(SPI_processed, 1));

	*count = SPI_processed;
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool isnull;
		text *value = DatumGetTextPP(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &isnull));

		texts[row] = (EventText){VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
	}
	return statement_varlena_array(texts, (int) *count, TEXTOID);
}

/* Deletes events that are wholly before the horizon, with their history; returns how many. */
static uint64
purge_events(const pg_uuid_t *account_id, TimestampTz horizon, int64 max_rows)
{
	Datum account = UUIDPGetDatum(account_id);
	uint64 count;
	Datum keys;

	statement_execute(&lock_old_events, (Datum[]){account, TimestampTzGetDatum(horizon), Int64GetDatum(max_rows)},
					  NULL);
	keys = returned_texts(&count);
	if (count == 0)
		return 0;
	statement_execute(&delete_old_events, (Datum[]){account, TimestampTzGetDatum(horizon), keys}, NULL);
	keys = returned_texts(&count);
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
	statement_execute(&advance_horizon, (Datum[]){UUIDPGetDatum(account_id), TimestampTzGetDatum(horizon)}, NULL);
	if (SPI_processed > 0)
		CacheInvalidateRelcacheByRelid(find_horizon_table());

	rows += purge_events(account_id, horizon, (int64) max_rows);
	if (rows < max_rows)
		rows += purge_rollups(account_id, horizon, (int64) (max_rows - rows));
	if (rows < max_rows)
		rows += rejected_event_delete_before(account_id, horizon, (int64) (max_rows - rows));
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
	if (horizon < EVENT_TIME_START || horizon > GetCurrentTimestamp())
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
	uint64 rows;
	int nest_level;

	if (PG_ARGISNULL(2) || PG_GETARG_INT32(2) < 1 || PG_GETARG_INT32(2) > MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_rows must be between 1 and %d", MAX_ROWS)));

	memory_budget_begin();
	nest_level = account_enter(&account_id);
	rows = purge_account(&account_id, horizon, PG_GETARG_INT32(2));
	account_leave(nest_level);
	PG_RETURN_INT64((int64) rows);
}
