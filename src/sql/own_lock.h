/*
 * sql/own_lock.h
 *		Locks of refreshes among each other.
 */
#ifndef USAGE_EVENTS_SQL_OWN_LOCK_H
#define USAGE_EVENTS_SQL_OWN_LOCK_H

#include "utils/uuid.h"

/* What a lock is of; the last four bits of objsubid in pg_locks. */
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

/* Of which account, in 44 bits, and of which part of it: two that differ in either do not meet. */
typedef struct OwnLockKey
{
	uint64 owner;
	uint32 part;
} OwnLockKey;

extern OwnLockKey own_lock_key(const pg_uuid_t *account_id, uint32 part);
extern bool own_lock_try(OwnLock lock, OwnLockKey key);
extern bool own_lock_try_shared(OwnLock lock, OwnLockKey key);
extern bool own_lock_is_free(OwnLock lock, OwnLockKey key);
extern void own_lock_share(OwnLock lock, OwnLockKey key);
extern void own_lock_share_of_account(OwnLock lock, const pg_uuid_t *account_id);
extern bool own_lock_is_free_of_account(OwnLock lock, const pg_uuid_t *account_id);
extern void own_lock_wait(OwnLock lock, OwnLockKey key);
extern void own_lock_release(OwnLock lock, OwnLockKey key);
extern void own_lock_release_share(OwnLock lock, OwnLockKey key);
extern int own_lock_count(void);
extern void own_lock_count_again(int count);
extern int64 own_lock_limit(void);

#endif /* USAGE_EVENTS_SQL_OWN_LOCK_H */
