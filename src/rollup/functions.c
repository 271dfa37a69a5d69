/*
 * rollup/functions.c
 *		Refreshing rollups of many accounts, in turns: the function that people call, and
 *		what the background process does of it.
 *
 * Each account has a turn, of some time.  When it was is kept in its rows of metric_progress, and
 * who has waited longest is first: so turns go round the accounts, whoever refreshes, and
 * wherever the one before had to stop.
 */
#include "postgres.h"

#include "rollup/functions.h"

#include "account/account.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "rollup/refresh.h"
#include "rollup/rights.h"
#include "rollup/turn.h"
#include "sql/own_lock.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "sql/subtransaction.h"
#include "utils/uuid.h"

/* Row-level security shows ordinary roles their own account alone. */
static Statement list_accounts = {
	.sql = "SELECT a.account_id FROM usage_events.account AS a LEFT JOIN usage_events.metric_progress AS p"
		   " ON p.account_id " EQ " a.account_id GROUP BY a.account_id"
		   " ORDER BY pg_catalog.max(p.turn_at) NULLS FIRST, a.account_id",
};

/* In the order of their turns. */
AccountList
refresh_rollups_accounts(void)
{
	MemoryContext context = CurrentMemoryContext;
	AccountList accounts;

	SPI_connect();
	statement_execute(&list_accounts, NULL, NULL);
	accounts.count = (int) SPI_processed;
	accounts.ids = MemoryContextAlloc(context, sizeof(pg_uuid_t) * Max(accounts.count, 1));
	for (int i = 0; i < accounts.count; i++)
	{
		accounts.ids[i] = *DatumGetUUIDP(row_value_there(i, 1));
	}
	SPI_finish();
	return accounts;
}

int64
refresh_rollups_of_account(const pg_uuid_t *account_id, int64 max_steps, bool is_turn)
{
	int nest_level = account_enter(account_id);
	int64 steps;

	memory_budget_begin();
	steps = rollup_refresh_account(account_id, max_steps, is_turn);
	account_leave(nest_level);
	return steps;
}

/* After a turn that has failed. */
void
refresh_rollups_note_failure(const pg_uuid_t *account_id)
{
	int nest_level = account_enter(account_id);

	rollup_refresh_note_failure(account_id);
	account_leave(nest_level);
}

/* Whether an error ends the refresh of all accounts: somebody has ended it, or the server is in trouble. */
bool
refresh_rollups_must_end(int sqlerrcode)
{
	int category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_INSUFFICIENT_RESOURCES ||
		   sqlerrcode == ERRCODE_ACTIVE_SQL_TRANSACTION || sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE;
}

/* By hand ------------------------------------------------------------------- */

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

	work->steps = refresh_rollups_of_account(work->account_id, work->max_steps, true);
}

/* An account's error is a warning, and the others' refreshes go on. */
static int64
try_account(const pg_uuid_t *account_id, int64 max_steps)
{
	RefreshWork work = {account_id, max_steps, 0};
	int lock_count = own_lock_count();
	ErrorData *error = subtransaction_try(refresh_work, &work);
	char id[UUID_TEXT_LENGTH + 1];

	if (error == NULL)
		return work.steps;
	if (refresh_rollups_must_end(error->sqlerrcode))
		ReThrowError(error);
	own_lock_count_again(lock_count);
	uuid_v7_to_text(account_id, id);
	ereport(WARNING, (errcode(error->sqlerrcode), errmsg("could not refresh the rollups of account \"%s\"", id),
					  errdetail_internal("%s", error->message)));
	refresh_rollups_note_failure(account_id);
	return 0;
}

static int64
refresh_in_turns(int64 max_steps)
{
	AccountList accounts = refresh_rollups_accounts();
	int64 steps = 0;

	if (accounts.count == 1)
		return refresh_rollups_of_account(&accounts.ids[0], max_steps, false);
	for (int i = 0; i < accounts.count && steps < max_steps && (steps == 0 || rollup_turn_has_locks()); i++)
		steps += try_account(&accounts.ids[i], max_steps - steps);
	return steps;
}

/* usage_events.refresh_rollups(account_id uuid, max_steps integer) */
PG_FUNCTION_INFO_V1(refresh_rollups);
Datum
refresh_rollups(PG_FUNCTION_ARGS)
{
	RollupRights before;
	int64 max_steps;
	int64 steps;

	if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_steps must be 1 or more")));
	max_steps = PG_GETARG_INT32(1);

	before = rollup_rights_take();
	steps = PG_ARGISNULL(0) ? refresh_in_turns(max_steps)
							: refresh_rollups_of_account(PG_GETARG_UUID_P(0), max_steps, false);
	rollup_rights_give_back(before);
	PG_RETURN_INT64(steps);
}
