/*
 * limit/in_force.h
 *		Which BLOCK limits hold for events of a type and an alias.
 */
#ifndef USAGE_EVENTS_LIMIT_IN_FORCE_H
#define USAGE_EVENTS_LIMIT_IN_FORCE_H

#include "limit/limit.h"

/* Events of a type that come under an alias, and what holds for them. */
typedef struct LimitedAlias
{
	Slice event_type;
	Slice alias;
	LimitCustomer customer; /* whose alias it is */
	List *limits;           /* of UsageLimit *, of mode BLOCK */
} LimitedAlias;

extern void limit_in_force_init(void);
extern void limit_in_force_changed(void);
extern uint64 limit_in_force_state(void);
extern bool limit_in_force_is_told(void);
extern bool limit_in_force_may_hold(const pg_uuid_t *account_id, Slice event_type, Slice alias);
extern int limit_in_force_find(const pg_uuid_t *account_id, LimitedAlias *aliases, int count);
extern int limit_in_force_compare(const void *a, const void *b);

#endif /* USAGE_EVENTS_LIMIT_IN_FORCE_H */
