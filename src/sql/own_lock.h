/*
 * sql/own_lock.h
 *		Locks of refreshes among each other.
 */
#ifndef USAGE_EVENTS_SQL_OWN_LOCK_H
#define USAGE_EVENTS_SQL_OWN_LOCK_H

/* What a lock is of; objsubid in pg_locks. */
typedef enum OwnLock
{
	OWN_LOCK_ALIAS = 1,
	OWN_LOCK_TYPE,
	OWN_LOCK_ACCOUNT,
	OWN_LOCK_MARKED_TYPES,
	OWN_LOCK_TRANSACTION,
	OWN_LOCK_ROLLUPS,
	OWN_LOCK_KNOWN_ALERTS,
	OWN_LOCK_ALERTS,
	OWN_LOCK_ALERT_DELIVERY
} OwnLock;

extern bool own_lock_try(OwnLock lock, uint32 key);
extern bool own_lock_try_shared(OwnLock lock, uint32 key);
extern bool own_lock_is_free(OwnLock lock, uint32 key);
extern void own_lock_share(OwnLock lock, uint32 key);
extern void own_lock_wait(OwnLock lock, uint32 key);

#endif /* USAGE_EVENTS_SQL_OWN_LOCK_H */
