/*
 * account/horizon.c
 *		The moment up to which an account's events were purged.
 *
 * What is left before it says nothing of a period there: nobody is answered about one,
 * and no event is taken there.
 */
#include "postgres.h"

#include "account/horizon.h"

#include "access/xact.h"
#include "base/fault.h"
#include "base/timestamp.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "sql/distribution.h"
#include "sql/lookup.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "sql/told.h"
#include "utils/timestamp.h"

static Lookup read_horizon = {
	.table = "purge_horizon",
	.index = "purge_horizon_pkey",
	.columns = "purged_before",
	.keys = {KEY_EQUAL("account_id", UUIDOID)},
	.max_rows = 1,
	.takes_snapshot = true,
};

/* The same in the caller's snapshot, which a question's events are read in. */
static Lookup read_horizon_of_question = {
	.table = "purge_horizon",
	.index = "purge_horizon_pkey",
	.columns = "purged_before",
	.keys = {KEY_EQUAL("account_id", UUIDOID)},
	.max_rows = 1,
};

static Statement advance = {
	.sql = "INSERT INTO usage_events.purge_horizon AS h (account_id, purged_before) VALUES ($1, $2)"
		   " ON CONFLICT (account_id) DO UPDATE SET purged_before = EXCLUDED.purged_before"
		   " WHERE h.purged_before " LT " EXCLUDED.purged_before",
	.argument_count = 2,
	.argument_types = {UUIDOID, TIMESTAMPTZOID},
};

/* Of the account last asked for; DT_NOBEGIN where nothing was purged. */
static TimestampTz known_horizon;
static pg_uuid_t known_account_id;
static TimestampTz known_at;
static Told told = {.table = "purge_horizon"};

void
horizon_init(void)
{
	told_init(&told);
}

static void
take_horizon(uint64 row, void *argument)
{
	*(TimestampTz *) argument = DatumGetTimestampTz(row_value_there(row, 1));
}

static TimestampTz
read_horizon_with(Lookup *lookup, const pg_uuid_t *account_id)
{
	TimestampTz horizon = DT_NOBEGIN;

	SPI_connect();
	lookup_rows(lookup, (Datum[]){UUIDPGetDatum(account_id)}, take_horizon, &horizon);
	SPI_finish();
	return horizon;
}

/* The account's horizon, from memory where it is known.  One that is being advanced may be missed: no harm is done. */
static TimestampTz
horizon_of(const pg_uuid_t *account_id)
{
	uint64 since;

	/* What another node does is not told here: where tables are distributed, it is remembered for a statement. */
	if (told.is_known && uuid_v7_equal(&known_account_id, account_id) &&
		(known_at == GetCurrentStatementStartTimestamp() || !distribution_is_on()))
		return known_horizon;

	since = told_begin(&told);
	known_horizon = read_horizon_with(&read_horizon, account_id);
	known_account_id = *account_id;
	known_at = GetCurrentStatementStartTimestamp();
	told_end_rows(&told, since);
	return known_horizon;
}

static const char *
horizon_text(TimestampTz horizon)
{
	char *text = palloc(TIMESTAMP_TEXT_SIZE);

	timestamp_to_text(horizon, text);
	return text;
}

/* Rule of every time that is to be stored: the account keeps what is of it. */
List *
horizon_check(List *faults, const pg_uuid_t *account_id, const char *field, TimestampTz timestamp)
{
	TimestampTz horizon = horizon_of(account_id);

	if (timestamp >= horizon)
		return faults;
	return fault_add(faults, field, psprintf("is before %s, up to which events were purged", horizon_text(horizon)));
}

/* The account's horizon in the caller's snapshot; DT_NOBEGIN where nothing was purged. */
TimestampTz
horizon_of_question(const pg_uuid_t *account_id)
{
	return read_horizon_with(&read_horizon_of_question, account_id);
}

/* Refuses a question about a period of which events were purged: any answer would be wrong. */
void
horizon_check_period(const pg_uuid_t *account_id, TimestampTz start)
{
	TimestampTz horizon = horizon_of_question(account_id);

	if (start < horizon)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid period"),
				 errdetail("The period begins before %s, up to which events were purged.", horizon_text(horizon)),
				 errhint("Ask for a period from there on.")));
}

/* Moves the horizon on, and tells all backends; one that is further already stays.  Connected to SPI. */
void
horizon_advance(const pg_uuid_t *account_id, TimestampTz horizon)
{
	statement_execute(&advance, (Datum[]){UUIDPGetDatum(account_id), TimestampTzGetDatum(horizon)}, NULL);
	if (SPI_processed > 0)
		told_tell(&told);
}
