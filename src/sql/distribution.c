/*
 * sql/distribution.c
 *		Whether the tables are distributed over the nodes of a Citus cluster.
 *
 * All rows of an account are on one node.  SQL finds them from every node, but some
 * things are a node's own: what backends tell each other, transaction ids, locks of refreshes,
 * and a snapshot that several statements share.  What rests on these asks here
 * whether it runs where the account's rows are, and does without if not.
 *
 * Citus is not linked: its catalogs are asked.  It invalidates a table's relcache entry
 * when the table is distributed or a shard of it moves.
 */
#include "postgres.h"

#include "sql/distribution.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "sql/operator.h"
#include "sql/told.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/uuid.h"

static bool is_on = false;
static Told told = {.table = "event"};

static const char *const find_here =
	"SELECT FROM pg_catalog.pg_dist_placement AS p JOIN pg_catalog.pg_dist_local_group AS g"
	" ON g.groupid " EQ " p.groupid WHERE p.shardid " EQ
	" pg_catalog.get_shard_id_for_distribution_column('usage_events.event', $1)";

void
distribution_init(void)
{
	told_init(&told);
}

/*
 * Whether that table is distributed: not remembered here, but a message about the table tells of a change.  What is committed
 * counts, whatever snapshot the transaction keeps: that message may have come already.
 */
bool
distribution_has_table(Oid table)
{
	Oid partitions_id = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
	Relation partitions;
	ScanKeyData key;
	SysScanDesc scan;
	bool found;

	if (!OidIsValid(partitions_id))
		return false;
	partitions = table_open(partitions_id, AccessShareLock);
	ScanKeyInit(&key, get_attnum(partitions_id, "logicalrelid"), BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	scan = systable_beginscan(partitions, InvalidOid, false, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(partitions, AccessShareLock);
	return found;
}

/* Whether the tables are distributed. */
bool
distribution_is_on(void)
{
	uint64 since;

	if (told.is_known)
		return is_on;
	since = told_begin(&told);
	is_on = distribution_has_table(told.relation);
	told_end(&told, since);
	return is_on;
}

static bool
find_account_here(const pg_uuid_t *account_id)
{
	bool found;

	SPI_connect();
	if (SPI_execute_with_args(find_here, 1, (Oid[]){UUIDOID}, (Datum[]){UUIDPGetDatum(account_id)}, NULL, false, 1) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read catalogs of Citus");
	found = SPI_processed > 0;
	SPI_finish();
	return found;
}

/* Whether the rows of the account are on this node. */
bool
distribution_is_here(const pg_uuid_t *account_id)
{
	return !distribution_is_on() || find_account_here(account_id);
}

/*
 * Ends work that relied on the account's rows being here, if they have moved meanwhile.
 * What has written to them keeps them from moving.
 */
void
distribution_require_here(const pg_uuid_t *account_id)
{
	if (!distribution_is_here(account_id))
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("account has moved to another node"),
						errhint("Try again.")));
}
