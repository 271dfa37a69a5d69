/*
 * sql/own_lock.c
 *		Locks of refreshes, and of others who work with what these leave, among each other.
 *
 * They are the server's "user locks", a kind that it has kept since a module of long ago made them.
 * No SQL leads to such a lock, so nobody can take these locks away from a refresh, as every
 * role can with advisory locks.  They are released when the transaction ends, and
 * pg_locks shows them.
 *
 * A lock has 44 bits of a hash of its account, whose id nobody chooses, and 32 of what a client has named.
 * So names that are made to meet meet in their own account, and accounts do not by chance: of 10,000
 * two are the same in one of 350,000 databases.
 */
#include "postgres.h"

#include "sql/own_lock.h"

#include "access/twophase.h"
#include "base/compat.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"

#define OWNER_BITS 44
#define LOCK_BITS 4

StaticAssertDecl(OWN_LOCK_ALERT_DELIVERY < 1 << LOCK_BITS, "each lock has its number in the tag");

/* The key of a lock of all accounts, which may be one of theirs as well. */
#define KEY_OF_ALL ((OwnLockKey){0, 0})

/* So many transactions may have all the locks that they may. */
#define FULL_TRANSACTIONS 8

/* Those of one transaction. */
static int count = 0;
static LocalTransactionId counted_of = InvalidLocalTransactionId;

/* What is an account's. */
OwnLockKey
own_lock_key(const pg_uuid_t *account_id, uint32 part)
{
	uint64 hash = hash_bytes_extended(account_id->data, UUID_LEN, 0);

	return (OwnLockKey){hash & ((UINT64CONST(1) << OWNER_BITS) - 1), part};
}

static LOCKTAG
tag_of(OwnLock lock, OwnLockKey key)
{
	return (LOCKTAG){
		.locktag_field1 = MyDatabaseId,
		.locktag_field2 = (uint32) key.owner,
		.locktag_field3 = key.part,
		.locktag_field4 = (uint16) ((key.owner >> 32) << LOCK_BITS | lock),
		.locktag_type = LOCKTAG_USERLOCK,
		.locktag_lockmethodid = DEFAULT_LOCKMETHOD,
	};
}

/* How many locks this transaction has. */
int
own_lock_count(void)
{
	if (counted_of != current_local_transaction_id())
		count = 0;
	counted_of = current_local_transaction_id();
	return count;
}

/* After a subtransaction that was taken back: so many there were before it. */
void
own_lock_count_again(int count_before)
{
	count = count_before;
	counted_of = current_local_transaction_id();
}

/*
 * How many a transaction may have.  The server has room for so many for each backend, but all share it, and
 * where there is none left everybody's statements fail: who takes many ends before that.
 */
int64
own_lock_limit(void)
{
	return (int64) max_locks_per_xact * (MaxBackends + max_prepared_xacts) / FULL_TRANSACTIONS;
}

static bool
take(OwnLock lock, OwnLockKey key, LOCKMODE mode, bool waits)
{
	LOCKTAG tag = tag_of(lock, key);
	int count_before = own_lock_count();
	LockAcquireResult result = LockAcquire(&tag, mode, false, !waits);

	count = count_before + (result == LOCKACQUIRE_OK ? 1 : 0);
	return result != LOCKACQUIRE_NOT_AVAIL;
}

/* What was taken more than once is still there. */
static void
release(OwnLock lock, OwnLockKey key, LOCKMODE mode)
{
	LOCKTAG tag = tag_of(lock, key);
	int count_before = own_lock_count();

	if (!lock_is_held(&tag, mode))
		return;
	LockRelease(&tag, mode, false);
	count = count_before - (lock_is_held(&tag, mode) ? 0 : 1);
}

/* Takes the lock if nobody has it. */
bool
own_lock_try(OwnLock lock, OwnLockKey key)
{
	return take(lock, key, ExclusiveLock, false);
}

/* Takes a share of the lock if nobody has all of it. */
bool
own_lock_try_shared(OwnLock lock, OwnLockKey key)
{
	return take(lock, key, ShareLock, false);
}

/* Whether nobody else has the lock, or a share of it, at this moment. */
bool
own_lock_is_free(OwnLock lock, OwnLockKey key)
{
	if (!own_lock_try(lock, key))
		return false;
	own_lock_release(lock, key);
	return true;
}

/* Takes a share of a lock that nobody has for longer than own_lock_is_free() takes. */
void
own_lock_share(OwnLock lock, OwnLockKey key)
{
	(void) take(lock, key, ShareLock, true);
}

/* Takes a share of the account's lock: of that of all accounts where the transaction has as many as it may. */
void
own_lock_share_of_account(OwnLock lock, const pg_uuid_t *account_id)
{
	own_lock_share(lock, own_lock_count() < own_lock_limit() ? own_lock_key(account_id, 0) : KEY_OF_ALL);
}

/* Whether nobody else has a share of it, either way, at this moment. */
bool
own_lock_is_free_of_account(OwnLock lock, const pg_uuid_t *account_id)
{
	return own_lock_is_free(lock, own_lock_key(account_id, 0)) && own_lock_is_free(lock, KEY_OF_ALL);
}

/* Takes the lock, and waits for it: for who refreshes nothing, and must have refreshes over. */
void
own_lock_wait(OwnLock lock, OwnLockKey key)
{
	(void) take(lock, key, ExclusiveLock, true);
}

/* Gives back what was taken for nothing, before the transaction ends. */
void
own_lock_release(OwnLock lock, OwnLockKey key)
{
	release(lock, key, ExclusiveLock);
}

void
own_lock_release_share(OwnLock lock, OwnLockKey key)
{
	release(lock, key, ShareLock);
}
