/*
 * limit/lock.c
 *		Who stores events under a limit waits for who does so already, until that commits.
 *
 * A lock is a row of metric and customer that is updated.  So it lasts until the transaction ends,
 * also where that is prepared and the server restarts before; and a transaction that keeps its
 * snapshot fails where another has taken it since, rather than say what was used without what that one
 * has stored.
 *
 * It is of the metric and not of the limit: one limit may take the place of another while events
 * are on their way.  And it is of the customer whose alias it is, whatever name a limit has for it.
 */
#include "postgres.h"

#include "limit/lock.h"

#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "sql/distribution.h"
#include "sql/row_lock.h"
#include "sql/statement.h"
#include "storage/procarray.h"

/* How often a row may turn out to be there and then gone again before we give up. */
#define MAX_ATTEMPTS 100

static RowLock limit_lock = {
	.row =
		{
			.table = "usage_limit_lock",
			.index = "usage_limit_lock_pkey",
			.columns = "turn",
			.keys = {KEY_EQUAL("account_id", UUIDOID), KEY_EQUAL("metric_id", UUIDOID),
					 KEY_EQUAL("customer_hash", INT4OID)},
			.takes_snapshot = true,
		},
	.statement =
		{
			.sql = "UPDATE usage_events.usage_limit_lock SET turn = turn " PLUS " 1"
				   " WHERE account_id " EQ " $1 AND metric_id " EQ " $2 AND customer_hash " EQ " $3",
			.argument_count = 3,
			.argument_types = {UUIDOID, UUIDOID, INT4OID},
		},
};

static Statement insert_lock = {
	.sql = "INSERT INTO usage_events.usage_limit_lock (account_id, metric_id, customer_hash, turn)"
		   " VALUES ($1, $2, $3, 1) ON CONFLICT (account_id, metric_id, customer_hash) DO NOTHING",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, INT4OID},
};

/* So many transactions of the server later nobody will soon take a lock that was not taken since. */
#define LONG_AGO "100000"

/*
 * What the last transaction that took them has stored all see: a row that goes tells nobody any more that
 * there was one.  Those that hold or wait for one make another, see take().
 */
static Statement delete_idle = {
	.sql =
		"DELETE FROM usage_events.usage_limit_lock WHERE account_id " EQ " $1"
		" AND ctid " EQ " ANY (ARRAY(SELECT k.ctid FROM usage_events.usage_limit_lock AS k"
		" WHERE k.account_id " EQ " $1 AND pg_catalog.age(k.xmin) " GT " pg_catalog.age($2)"
		" AND (pg_catalog.age(k.xmin) " GT " " LONG_AGO " OR NOT EXISTS (SELECT FROM usage_events.usage_limit AS l"
		" JOIN usage_events.metric AS m ON m.account_id " EQ " $1 AND m.id " EQ " l.metric_id AND m.deleted_at IS NULL"
		" WHERE l.account_id " EQ " $1 AND l.metric_id " EQ " k.metric_id AND l.mode " EQ " 'BLOCK'"
		" AND l.deleted_at IS NULL)) LIMIT $3 FOR UPDATE OF k SKIP LOCKED))",
	.argument_count = 3,
	.argument_types = {UUIDOID, XIDOID, INT8OID},
};

LimitLock
limit_lock_of(const pg_uuid_t *metric_id, Slice customer)
{
	return (LimitLock){*metric_id, DatumGetInt32(hash_any((const unsigned char *) customer.data, customer.length))};
}

int
limit_lock_compare(const void *a, const void *b)
{
	const LimitLock *first = a;
	const LimitLock *second = b;
	int result = uuid_v7_compare(&first->metric_id, &second->metric_id);

	return result != 0
			   ? result
			   : (first->customer_hash > second->customer_hash) - (first->customer_hash < second->customer_hash);
}

static void
take(const pg_uuid_t *account_id, const LimitLock *lock)
{
	Datum arguments[] = {UUIDPGetDatum(account_id), UUIDPGetDatum(&lock->metric_id),
						 Int32GetDatum(lock->customer_hash)};

	for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++)
	{
		CHECK_FOR_INTERRUPTS();
		if (row_lock_take(&limit_lock, arguments))
			return;
		statement_execute(&insert_lock, arguments, NULL);
		/* Citus counts as inserted what was not. */
		if (SPI_processed > 0 && !distribution_is_on())
			return;
	}
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("could not lock a usage limit"),
					errdetail("A trigger or policy keeps its row out of usage_events.usage_limit_lock.")));
}

/* Takes the locks, each once and in one order for all, so that nobody waits in a circle.  Returns how many there are. */
int
limit_lock_take(const pg_uuid_t *account_id, LimitLock *locks, int count)
{
	int kept = 0;

	qsort(locks, count, sizeof(LimitLock), limit_lock_compare);
	SPI_connect();
	for (int i = 0; i < count; i++)
	{
		if (kept > 0 && limit_lock_compare(&locks[kept - 1], &locks[i]) == 0)
			continue;
		locks[kept++] = locks[i];
		take(account_id, &locks[i]);
	}
	SPI_finish();
	return kept;
}

/*
 * Deletes locks of no limit, and of customers who have been silent for long; connected to SPI.  Returns how many.
 *
 * A transaction that keeps its snapshot must find a row that was changed since, or it would overlook what others have
 * stored.  So a row stays as long as there is a snapshot that is older than it, as vacuum leaves dead rows.  On Citus, where
 * snapshots of other nodes are not known here, it stays.
 */
uint64
limit_lock_delete_idle(const pg_uuid_t *account_id, int64 max_rows)
{
	TransactionId oldest = GetOldestNonRemovableTransactionId(NULL);

	if (distribution_is_on())
		return 0;
	statement_execute(&delete_idle,
					  (Datum[]){UUIDPGetDatum(account_id), TransactionIdGetDatum(oldest), Int64GetDatum(max_rows)},
					  NULL);
	return SPI_processed;
}
