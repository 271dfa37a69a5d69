/*
 * limit/entered.c
 *		What is known of events under limits before they are written: which limits, their locks, a snapshot.
 *
 * Types and aliases without a limit end here, and pay for nothing else.
 */
#include "postgres.h"

#include "limit/entered.h"

#include "base/memory_budget.h"
#include "sql/distribution.h"
#include "utils/snapmgr.h"

/* Under which types and aliases the events come that limits may hold for: sorted, each once. */
static int
gather_aliases(const pg_uuid_t *account_id, const EventPut *puts, int count, LimitedAlias **aliases)
{
	int capacity = 0;
	int found = 0;
	int kept = 0;

	*aliases = NULL;
	for (int i = 0; i < count; i++)
	{
		const UsageEvent *event = &puts[i].event;

		if (puts[i].refusal != NULL || !limit_in_force_may_hold(account_id, event->event_type, event->customer_alias))
			continue;
		*aliases = memory_budget_room(*aliases, found, &capacity, sizeof(LimitedAlias));
		(*aliases)[found++] = (LimitedAlias){.event_type = event->event_type, .alias = event->customer_alias};
	}
	if (found > 1)
		qsort(*aliases, found, sizeof(LimitedAlias), limit_in_force_compare);
	for (int i = 0; i < found; i++)
	{
		if (kept == 0 || limit_in_force_compare(&(*aliases)[kept - 1], &(*aliases)[i]) != 0)
			(*aliases)[kept++] = (*aliases)[i];
	}
	return kept;
}

/* Which limits hold for the events, by types and aliases. */
int
entered_find_limited(const pg_uuid_t *account_id, const EventPut *puts, int count, LimitedAlias **aliases)
{
	int alias_count = gather_aliases(account_id, puts, count, aliases);

	return alias_count == 0 ? 0 : limit_in_force_find(account_id, *aliases, alias_count);
}

/* Entering ---------------------------------------------------------------- */

LimitLock
entered_lock_of(const LimitedAlias *alias, const UsageLimit *limit)
{
	return limit_lock_of(&limit->scope.metric_id, alias->customer.id);
}

static int
gather_locks(const LimitedAlias *aliases, int count, LimitLock **locks)
{
	int capacity = 0;
	int found = 0;
	ListCell *cell;

	*locks = NULL;
	for (int i = 0; i < count; i++)
	{
		foreach(cell, aliases[i].limits)
		{
			*locks = memory_budget_room(*locks, found, &capacity, sizeof(LimitLock));
			(*locks)[found++] = entered_lock_of(&aliases[i], lfirst(cell));
		}
	}
	return found;
}

/* What has been committed until now, and what this transaction has done itself. */
Snapshot
entered_snapshot(ResourceOwner owner)
{
	Snapshot snapshot;

	/* A copy: that of a transaction that keeps its own goes on with each command. */
	PushCopiedSnapshot(GetTransactionSnapshot());
	snapshot = RegisterSnapshotOnOwner(GetActiveSnapshot(), owner);
	PopActiveSnapshot();
	return snapshot;
}

void *
entered_make(const pg_uuid_t *account_id, const EventPut *puts, int count)
{
	uint64 state = limit_in_force_state();
	LimitedAlias *aliases;
	int alias_count = entered_find_limited(account_id, puts, count, &aliases);
	Entered *entered;

	if (alias_count == 0)
		return NULL;
	entered = palloc(sizeof(Entered));
	*entered = (Entered){.account_id = account_id, .state = state, .aliases = aliases, .alias_count = alias_count};
	entered->lock_count = gather_locks(aliases, alias_count, &entered->locks);
	entered->lock_count = limit_lock_take(account_id, entered->locks, entered->lock_count);
	entered->owner = CurrentResourceOwner;
	return entered;
}

static void
forget_before(Entered *entered)
{
	if (entered->before != NULL)
		UnregisterSnapshotFromOwner(entered->before, entered->owner);
	entered->before = NULL;
}

/* Each attempt has what there is now before it. */
void
entered_begin(void *argument)
{
	Entered *entered = argument;

	forget_before(entered);
	if (distribution_is_here(entered->account_id))
		entered->before = entered_snapshot(entered->owner);
}

void
entered_leave(void *argument)
{
	forget_before(argument);
}
