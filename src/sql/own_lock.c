/*
 * sql/own_lock.c
 *		Locks of refreshes among each other.
 *
 * They are the server's locks of "objects", by the tag that DDL uses for an object in a
 * catalog; but where the catalog would be, there is our own table metric_progress.  No
 * SQL leads to such a tag, so nobody can take these locks away from a refresh, as every
 * role can with advisory locks.  They are released when the transaction ends, and
 * pg_locks shows them: classid is the table, objid a hash, objsubid says what is locked.
 */
#include "postgres.h"

#include "sql/own_lock.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/lsyscache.h"

static LOCKTAG
tag_of(OwnLock lock, uint32 key)
{
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId,
					   get_relname_relid("metric_progress", get_namespace_oid("usage_events", false)), key, lock);
	return tag;
}

static bool
try_in_mode(OwnLock lock, uint32 key, LOCKMODE mode)
{
	LOCKTAG tag = tag_of(lock, key);

	return LockAcquire(&tag, mode, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* Takes the lock if nobody has it. */
bool
own_lock_try(OwnLock lock, uint32 key)
{
	return try_in_mode(lock, key, ExclusiveLock);
}

/* Takes a share of the lock if nobody has all of it. */
bool
own_lock_try_shared(OwnLock lock, uint32 key)
{
	return try_in_mode(lock, key, ShareLock);
}

/* Whether nobody else has the lock, or a share of it, at this moment. */
bool
own_lock_is_free(OwnLock lock, uint32 key)
{
	LOCKTAG tag = tag_of(lock, key);

	if (!try_in_mode(lock, key, ExclusiveLock))
		return false;
	LockRelease(&tag, ExclusiveLock, false);
	return true;
}

/* Takes a share of a lock that nobody has for longer than own_lock_is_free() takes. */
void
own_lock_share(OwnLock lock, uint32 key)
{
	LOCKTAG tag = tag_of(lock, key);

	(void) LockAcquire(&tag, ShareLock, false, false);
}

/* Takes the lock, and waits for it: for who refreshes nothing, and must have refreshes over. */
void
own_lock_wait(OwnLock lock, uint32 key)
{
	LOCKTAG tag = tag_of(lock, key);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}
