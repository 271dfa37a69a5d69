/*
 * rollup/follower.c
 *		Work of a room above that goes along with a refresh: it is told which events have changed, where
 *		that is known anyway, and has a share of each turn.
 */
#include "postgres.h"

#include "rollup/follower.h"

static const RefreshFollower *the_follower = NULL;

/* To be called once by a process. */
void
rollup_follower_set(const RefreshFollower *follower)
{
	the_follower = follower;
}

bool
rollup_follower_is_needed(const pg_uuid_t *account_id)
{
	return the_follower != NULL && the_follower->is_needed(account_id);
}

void
rollup_follower_take_marks(const pg_uuid_t *account_id, Slice event_type, Slice alias, const TimestampTz *seconds,
						   int count)
{
	if (the_follower != NULL)
		the_follower->take_marks(account_id, event_type, alias, seconds, count);
}

void
rollup_follower_begin_anew(const pg_uuid_t *account_id)
{
	if (the_follower != NULL)
		the_follower->begin_anew(account_id);
}

int64
rollup_follower_work(const pg_uuid_t *account_id, TurnBudget budget)
{
	return the_follower != NULL ? the_follower->work(account_id, budget) : 0;
}
