/*
 * limit/entered.h
 *		What is known of events under limits before they are written: which limits, their locks, a snapshot.
 */
#ifndef USAGE_EVENTS_LIMIT_ENTERED_H
#define USAGE_EVENTS_LIMIT_ENTERED_H

#include "event/store.h"
#include "limit/in_force.h"
#include "limit/lock.h"
#include "utils/resowner.h"
#include "utils/snapshot.h"

/* What is known of events from before they are written until they are checked. */
typedef struct Entered
{
	const pg_uuid_t *account_id;
	uint64 state;          /* of what is in force, when it was looked up */
	LimitedAlias *aliases; /* with the limits that were */
	int alias_count;
	LimitLock *locks;
	int lock_count;
	ResourceOwner owner; /* of the snapshot, which outlasts subtransactions */
	Snapshot before;     /* NULL: it would not show what other nodes of a cluster have */
} Entered;

extern int entered_find_limited(const pg_uuid_t *account_id, const EventPut *puts, int count, LimitedAlias **aliases);
extern LimitLock entered_lock_of(const LimitedAlias *alias, const UsageLimit *limit);
extern Snapshot entered_snapshot(ResourceOwner owner);

/* Of the guard, see event/guard.h. */
extern void *entered_make(const pg_uuid_t *account_id, const EventPut *puts, int count);
extern void entered_begin(void *argument);
extern void entered_leave(void *argument);

#endif /* USAGE_EVENTS_LIMIT_ENTERED_H */
