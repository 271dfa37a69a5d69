/*
 * rollup/turn.c
 *		What refreshes that run at the same time leave to each other, and how long each may
 *		take.
 *
 * Locks are tried, not waited for, and kept until the transaction ends: what another is at
 * is left to it.
 */
#include "postgres.h"

#include "rollup/turn.h"

#include <limits.h>
#include <math.h>

#include "access/xact.h"
#include "base/compat.h"
#include "common/hashfn.h"
#include "portability/instr_time.h"
#include "sql/own_lock.h"
#include "utils/guc.h"

/* Locks --------------------------------------------------------------------- */

static OwnLockKey
type_key(const pg_uuid_t *account_id, Slice event_type)
{
	return own_lock_key(account_id, hash_bytes((const unsigned char *) event_type.data, event_type.length));
}

static OwnLockKey
alias_key(const pg_uuid_t *account_id, Slice event_type, Slice alias)
{
	uint32 hash = hash_combine(hash_bytes((const unsigned char *) event_type.data, event_type.length),
							   hash_bytes((const unsigned char *) alias.data, alias.length));

	return own_lock_key(account_id, hash);
}

/* Whether the transaction may have those of another account.  It keeps them until it ends. */
bool
rollup_turn_has_locks(void)
{
	return own_lock_count() < own_lock_limit();
}

/* Says, once in a transaction, that an account is left to another one. */
void
rollup_turn_say_locks_are_out(void)
{
	static LocalTransactionId said_by = InvalidLocalTransactionId;

	if (said_by != current_local_transaction_id())
		ereport(WARNING,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("rollups of other accounts are left to another transaction"),
				 errdetail("This one has " INT64_FORMAT " locks of refreshes, as many as it may.", own_lock_limit()),
				 errhint("Commit, and refresh again, or raise max_locks_per_transaction.")));
	said_by = current_local_transaction_id();
}

/* Only one refresh at a time takes an alias; the lock is kept until its transaction ends. */
bool
rollup_turn_lock_alias(const pg_uuid_t *account_id, Slice event_type, Slice alias)
{
	return own_lock_try(OWN_LOCK_ALIAS, alias_key(account_id, event_type, alias));
}

/*
 * While a refresh builds a new metric of the type, no other takes marks of the type:
 * it does not see which aliases the metric has passed by, and must not leave those
 * out.
 */
bool
rollup_turn_lock_type(const pg_uuid_t *account_id, Slice event_type, bool to_build)
{
	OwnLockKey key = type_key(account_id, event_type);

	return to_build ? own_lock_try(OWN_LOCK_TYPE, key) : own_lock_try_shared(OWN_LOCK_TYPE, key);
}

/* Tries to take an account for this transaction: for refreshes that leave it to each other. */
bool
rollup_turn_lock_account(const pg_uuid_t *account_id)
{
	return own_lock_try(OWN_LOCK_ACCOUNT, own_lock_key(account_id, 0));
}

/*
 * Whether the account's rollups are this refresh's to write: for all to begin anew it must be alone,
 * since another has perhaps read events, and will write rows of them, from before.
 */
bool
rollup_turn_lock_rollups(const pg_uuid_t *account_id, bool to_restart)
{
	OwnLockKey key = own_lock_key(account_id, 0);

	return to_restart ? own_lock_try(OWN_LOCK_ROLLUPS, key) : own_lock_try_shared(OWN_LOCK_ROLLUPS, key);
}

/* Gives its share back where it has written none. */
void
rollup_turn_leave_rollups(const pg_uuid_t *account_id)
{
	own_lock_release_share(OWN_LOCK_ROLLUPS, own_lock_key(account_id, 0));
}

/* Until this transaction ends no other refreshes the account. */
void
rollup_turn_wait_for_others(const pg_uuid_t *account_id)
{
	if (!rollup_turn_has_locks())
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many accounts in one transaction"),
						errdetail("It has " INT64_FORMAT " locks of refreshes, as many as it may.", own_lock_limit()),
						errhint("Commit, and go on in another transaction, or raise max_locks_per_transaction.")));
	own_lock_wait(OWN_LOCK_ROLLUPS, own_lock_key(account_id, 0));
}

/* Transactions that write no events ------------------------------------------ */

static bool is_background = false;
static LocalTransactionId told_by = InvalidLocalTransactionId;

/* Tells that this process does nothing but refresh. */
void
rollup_turn_in_background(void)
{
	is_background = true;
}

/* What the lock is of: transactions that run at the same time differ in it. */
static OwnLockKey
transaction_key(uint64 transaction)
{
	return (OwnLockKey){transaction >> 32, (uint32) transaction};
}

/* Before a step, which may take long: shows the others that this transaction need not be waited for. */
void
rollup_turn_begin_step(void)
{
	if (!is_background || told_by == current_local_transaction_id())
		return;
	(void) own_lock_try(OWN_LOCK_TRANSACTION, transaction_key(U64FromFullTransactionId(GetTopFullTransactionId())));
	told_by = current_local_transaction_id();
}

/* Whether a transaction that runs may write events. */
bool
rollup_turn_may_write(uint64 transaction)
{
	return own_lock_is_free(OWN_LOCK_TRANSACTION, transaction_key(transaction));
}

/* How long a turn is -------------------------------------------------------- */

/* Milliseconds. */
static int account_time = 1000;

void
rollup_turn_init(void)
{
	DefineCustomIntVariable("usage_events.refresh_account_time",
							"How long rollups of an account are refreshed before the next account has its turn.",
							"A step that has begun is finished.", &account_time, 1000, 1, INT_MAX, PGC_SUSET,
							GUC_UNIT_MS, NULL, NULL, NULL);
}

static double
milliseconds_now(void)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_MILLISEC(now);
}

TurnBudget
rollup_turn_budget_make(int64 max_steps, bool is_turn)
{
	return (TurnBudget){max_steps, is_turn ? milliseconds_now() + account_time : HUGE_VAL, own_lock_limit()};
}

/* The first half of a budget: what comes after it shall have its share. */
TurnBudget
rollup_turn_budget_half(const TurnBudget *budget)
{
	double now = milliseconds_now();
	int64 locks = own_lock_count();

	return (TurnBudget){(budget->steps + 1) / 2, now + (budget->ends_at - now) / 2,
						locks + (budget->locks - locks) / 2};
}

bool
rollup_turn_is_over(const TurnBudget *budget)
{
	return own_lock_count() >= budget->locks || milliseconds_now() >= budget->ends_at;
}
