/*
 * refresh_rollups.c
 *		Refreshing rollups: the function that people, and the background worker, call.
 */
#include "postgres.h"

#include "account.h"
#include "catalog/pg_type.h"
#include "event_id.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "metric_refresh.h"
#include "refresh_rights.h"
#include "statement.h"
#include "subtransaction.h"
#include "utils/timestamp.h"
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

typedef struct RefreshWork
{
	const pg_uuid_t *account_id;
	int64 max_steps;
	int64 steps;
} RefreshWork;

static void
refresh_work(void *argument)
{
	RefreshWork *work = argument;

	work->steps = refresh_account(work->account_id, work->max_steps);
}

/* Whether the error ends the whole call: somebody has ended it, or the server is in trouble. */
static bool
is_of_the_call(const ErrorData *error)
{
	int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_INSUFFICIENT_RESOURCES ||
		   error->sqlerrcode == ERRCODE_ACTIVE_SQL_TRANSACTION || error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE;
}

/* An account's error is a warning, and the others' refreshes go on. */
static int64
try_account(const pg_uuid_t *account_id, int64 max_steps)
{
	RefreshWork work = {account_id, max_steps, 0};
	ErrorData *error = subtransaction_try(refresh_work, &work);
	char id[EVENT_ID_TEXT_LENGTH + 1];

	if (error == NULL)
		return work.steps;
	if (is_of_the_call(error))
		ReThrowError(error);
	event_id_to_text(account_id, id);
	ereport(WARNING, (errcode(error->sqlerrcode), errmsg("could not refresh the rollups of account \"%s\"", id),
					  errdetail_internal("%s", error->message)));
	return 0;
}

/* From another account on each time: one that always has work must not keep the others from theirs. */
static int64
refresh_accounts(int64 max_steps)
{
	AccountList accounts = visible_accounts();
	uint32 first = accounts.count > 1 ? (uint32) GetCurrentTimestamp() % accounts.count : 0;
	int64 steps = 0;

	for (int i = 0; i < accounts.count && steps < max_steps; i++)
	{
		const pg_uuid_t *account_id = &accounts.ids[(first + i) % accounts.count];

		steps +=
			accounts.count == 1 ? refresh_account(account_id, max_steps) : try_account(account_id, max_steps - steps);
	}
	return steps;
}

/* usage_events.refresh_rollups(account_id uuid, max_steps integer) */
PG_FUNCTION_INFO_V1(refresh_rollups);
Datum
refresh_rollups(PG_FUNCTION_ARGS)
{
	RefreshRights before;
	int64 max_steps;
	int64 steps;

	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_steps must be 1 or more")));
	max_steps = PG_GETARG_INT32(1);

	before = refresh_rights_take();
	steps = PG_ARGISNULL(0) ? refresh_accounts(max_steps) : refresh_account(PG_GETARG_UUID_P(0), max_steps);
	refresh_rights_give_back(before);
	PG_RETURN_INT64(steps);
}
