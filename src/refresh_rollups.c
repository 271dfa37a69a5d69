/*
 * refresh_rollups.c
 *		Refreshing rollups: the function that people, and the background worker, call.
 */
#include "postgres.h"

#include "account.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "metric_refresh.h"
#include "statement.h"
#include "utils/uuid.h"

/* Row-level security shows ordinary roles their own account alone. */
static Statement list_accounts = {
	.sql = "SELECT account_id FROM usage_events.account ORDER BY account_id",
};

typedef struct AccountList
{
	pg_uuid_t *ids;
	int count;
} AccountList;

static AccountList
visible_accounts(void)
{
	MemoryContext context = CurrentMemoryContext;
	AccountList accounts;

	SPI_connect();
	statement_execute(&list_accounts, NULL, NULL);
	accounts.count = (int) SPI_processed;
	accounts.ids = MemoryContextAlloc(context, sizeof(pg_uuid_t) * Max(accounts.count, 1));
	for (int i = 0; i < accounts.count; i++)
	{
		bool isnull;

		accounts.ids[i] = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
	return accounts;
}

static int64
refresh_account(const pg_uuid_t *account_id, int64 max_steps)
{
	int nest_level = account_enter(account_id);
	int64 steps = metric_refresh_account(account_id, max_steps);

	account_leave(nest_level);
	return steps;
}

/* usage_events.refresh_rollups(account_id uuid, max_steps integer) */
PG_FUNCTION_INFO_V1(refresh_rollups);
Datum
refresh_rollups(PG_FUNCTION_ARGS)
{
	int64 max_steps;
	int64 steps = 0;
	AccountList accounts;

	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_steps must be 1 or more")));
	max_steps = PG_GETARG_INT32(1);

	if (!PG_ARGISNULL(0))
		PG_RETURN_INT64(refresh_account(PG_GETARG_UUID_P(0), max_steps));

	accounts = visible_accounts();
	for (int i = 0; i < accounts.count && steps < max_steps; i++)
		steps += refresh_account(&accounts.ids[i], max_steps - steps);
	PG_RETURN_INT64(steps);
}
