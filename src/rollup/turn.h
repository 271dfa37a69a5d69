/*
 * rollup/turn.h
 *		What refreshes that run at the same time leave to each other, and how long each may
 *		take.
 */
#ifndef USAGE_EVENTS_ROLLUP_TURN_H
#define USAGE_EVENTS_ROLLUP_TURN_H

#include "base/slice.h"
#include "utils/uuid.h"

/* What is left of a turn.  The clock is one that nobody sets back. */
typedef struct TurnBudget
{
	int64 steps;
	double ends_at;
	int64 locks; /* that the transaction may have when it ends */
} TurnBudget;

extern void rollup_turn_init(void);
extern bool rollup_turn_has_locks(void);
extern void rollup_turn_say_locks_are_out(void);
extern bool rollup_turn_lock_alias(const pg_uuid_t *account_id, Slice event_type, Slice alias);
extern bool rollup_turn_lock_type(const pg_uuid_t *account_id, Slice event_type, bool to_build);
extern bool rollup_turn_lock_account(const pg_uuid_t *account_id);
extern bool rollup_turn_lock_rollups(const pg_uuid_t *account_id, bool to_restart);
extern void rollup_turn_leave_rollups(const pg_uuid_t *account_id);
extern void rollup_turn_wait_for_others(const pg_uuid_t *account_id);
extern void rollup_turn_in_background(void);
extern void rollup_turn_begin_step(void);
extern bool rollup_turn_may_write(uint64 transaction);
extern TurnBudget rollup_turn_budget_make(int64 max_steps, bool is_turn);
extern TurnBudget rollup_turn_budget_half(const TurnBudget *budget);
extern bool rollup_turn_is_over(const TurnBudget *budget);

#endif /* USAGE_EVENTS_ROLLUP_TURN_H */
