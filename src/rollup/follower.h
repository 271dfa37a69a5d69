/*
 * rollup/follower.h
 *		Work of a room above that goes along with a refresh.
 */
#ifndef USAGE_EVENTS_ROLLUP_FOLLOWER_H
#define USAGE_EVENTS_ROLLUP_FOLLOWER_H

#include "base/slice.h"
#include "datatype/timestamp.h"
#include "rollup/turn.h"

/* What a refresh tells, in its own transaction, connected to SPI.  None may fail for what a client has stored. */
typedef struct RefreshFollower
{
	/* Whether it has, or may get, something to do for the account. */
	bool (*is_needed)(const pg_uuid_t *account_id);
	/* These marks of the alias are taken away: seconds, ascending, each once. */
	void (*take_marks)(const pg_uuid_t *account_id, Slice event_type, Slice alias, const TimestampTz *seconds,
					   int count);
	/* All begins anew: events may have been changed without marks. */
	void (*begin_anew)(const pg_uuid_t *account_id);
	/* Does what there is to do, in at most so many steps; returns how many it took. */
	int64 (*work)(const pg_uuid_t *account_id, TurnBudget budget);
} RefreshFollower;

extern void rollup_follower_set(const RefreshFollower *follower);
extern bool rollup_follower_is_needed(const pg_uuid_t *account_id);
extern void rollup_follower_take_marks(const pg_uuid_t *account_id, Slice event_type, Slice alias,
									   const TimestampTz *seconds, int count);
extern void rollup_follower_begin_anew(const pg_uuid_t *account_id);
extern int64 rollup_follower_work(const pg_uuid_t *account_id, TurnBudget budget);

#endif /* USAGE_EVENTS_ROLLUP_FOLLOWER_H */
