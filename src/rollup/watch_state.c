/*
 * rollup/watch_state.c
 *		Whether changes of events are seen: what the catalogs say of the trigger and of subscriptions,
 *		and the account's marks of how it was.
 *
 * The catalogs are read along their indexes and not by SQL, which takes ten times as long to be made ready for it, before
 * each question.  They are read in the active snapshot, as the question: what has changed since says nothing of the
 * rows that this one shows.
 */
#include "postgres.h"

#include "rollup/watch_state.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "sql/lookup.h"
#include "sql/row.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* There is one where marks are kept.  Who may change events by hand can leave very many others. */
static Lookup read_rows_of_no_type = {
	.table = "dirty_bucket",
	.index = "dirty_bucket_idx",
	.columns = "watched_by, seconds",
	.keys = {KEY_EQUAL("account_id", UUIDOID), KEY_EQUAL("event_type", TEXTOID)},
	.max_rows = 2,
};

/* Invalid while somebody has given it another name. */
static Oid
events_table(void)
{
	return get_relname_relid("event", get_namespace_oid("usage_events", true));
}

/* A scan of a catalog for rows that have that Oid in a column, along an index of which it is the first, if there is one. */
static SysScanDesc
scan_catalog(Relation catalog, Oid index, AttrNumber column, Oid value)
{
	ScanKeyData key;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	return systable_beginscan(catalog, index, OidIsValid(index), GetActiveSnapshot(), 1, &key);
}

/* Whether this transaction has written the row of a catalog. */
static bool
is_new(HeapTuple tuple)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

/* A catalog that takes no room has no rows, under any snapshot: most databases have no subscriptions. */
static bool
is_empty(Relation catalog)
{
	return RelationGetNumberOfBlocks(catalog) == 0;
}

/* Whether there is such a row, or one that this transaction has written. */
static bool
has_row(Relation catalog, Oid index, AttrNumber column, Oid value, bool only_new)
{
	SysScanDesc scan = scan_catalog(catalog, index, column, value);
	bool found = false;
	HeapTuple tuple;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = !only_new || is_new(tuple);
	systable_endscan(scan);
	return found;
}

static bool
catalog_has(Oid catalog_id, Oid index, AttrNumber column, Oid value, bool only_new)
{
	Relation catalog = table_open(catalog_id, AccessShareLock);
	bool found = !is_empty(catalog) && has_row(catalog, index, column, value, only_new);

	table_close(catalog, AccessShareLock);
	return found;
}

/* What is written to a parent or a child fires no trigger of the table itself. */
static bool
is_inherited(Oid table, bool only_new)
{
	return catalog_has(InheritsRelationId, InheritsRelidSeqnoIndexId, Anum_pg_inherits_inhrelid, table, only_new) ||
		   catalog_has(InheritsRelationId, InheritsParentIndexId, Anum_pg_inherits_inhparent, table, only_new);
}

static Slice
state_of_trigger(HeapTuple tuple)
{
	char *transaction;

	switch (((Form_pg_trigger) GETSTRUCT(tuple))->tgenabled)
	{
		case TRIGGER_FIRES_ALWAYS:
			return SLICE("always");
		case TRIGGER_FIRES_ON_ORIGIN:
			transaction = psprintf("%u", HeapTupleHeaderGetRawXmin(tuple->t_data));
			return slice_from_cstring(transaction);
		default:
			return SLICE("off");
	}
}

/* Reads the state of the trigger on a table; "none" where there is none.  Returns whether this transaction has written its row. */
static bool
read_trigger(Oid table, Slice *state)
{
	Relation catalog = table_open(TriggerRelationId, AccessShareLock);
	bool is_written_now = false;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(table));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("usage_events_watch"));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, GetActiveSnapshot(), lengthof(keys), keys);
	tuple = systable_getnext(scan);
	*state = HeapTupleIsValid(tuple) ? state_of_trigger(tuple) : SLICE("none");
	is_written_now = HeapTupleIsValid(tuple) && is_new(tuple);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return is_written_now;
}

/*
 * In which state the trigger on events is.  "always" is how it was made, also in a database that pg_upgrade
 * has moved.  A restore of data alone may turn all triggers off and on, which leaves it
 * another: each time of its own.  "off" while it does not fire; "none" where there
 * is none, as on a Citus cluster.
 */
Slice
rollup_watch_state(void)
{
	Oid events = events_table();
	Slice state;

	(void) read_trigger(events, &state);
	if (!slice_equal(state, SLICE("none")) && is_inherited(events, false))
		return SLICE("off");
	return state;
}

/*
 * Whether this transaction may have changed events unseen: it has turned the trigger off or on, made it anew, or named it so; or
 * the table was in an inheritance tree.
 */
bool
rollup_watch_was_off_now(void)
{
	Oid events = events_table();
	Slice state;

	return read_trigger(events, &state) || is_inherited(events, true);
}

bool
rollup_watch_is_off(Slice state)
{
	return slice_equal(state, SLICE("off"));
}

typedef struct KeptMarks
{
	Slice state;
	bool are_watched;
	int row_count;
} KeptMarks;

static void
take_row_of_no_type(uint64 row, void *argument)
{
	KeptMarks *marks = argument;

	marks->are_watched = slice_equal(row_text(row, 1), marks->state) && DatumGetInt16(row_value_there(row, 2)) >= 0;
	marks->row_count++;
}

/*
 * Whether the account has marks: its row of no type says since which state of the trigger, and
 * another that something was changed without them.  Connected to SPI.
 */
bool
rollup_watch_keeps_marks(const pg_uuid_t *account_id)
{
	KeptMarks marks = {.state = rollup_watch_state()};

	lookup_rows(&read_rows_of_no_type, (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(SLICE(""))},
				take_row_of_no_type, &marks);
	return marks.are_watched && marks.row_count == 1;
}

/* Whether the database has a subscription that is of no table. */
static bool
find_empty_subscription(Relation catalog)
{
	SysScanDesc scan = scan_catalog(catalog, SubscriptionNameIndexId, Anum_pg_subscription_subdbid, MyDatabaseId);
	bool found = false;
	HeapTuple tuple;

	/* No index has the subscriptions of tables by themselves: without one all are read, where there is a subscription. */
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = !catalog_has(SubscriptionRelRelationId, InvalidOid, Anum_pg_subscription_rel_srsubid,
							 ((Form_pg_subscription) GETSTRUCT(tuple))->oid, false);
	systable_endscan(scan);
	return found;
}

static bool
has_empty_subscription(void)
{
	Relation catalog = table_open(SubscriptionRelationId, AccessShareLock);
	bool found = !is_empty(catalog) && find_empty_subscription(catalog);

	table_close(catalog, AccessShareLock);
	return found;
}

/*
 * Whether events come by logical replication: what applies them marks nothing, so rollups do not hold.  A
 * subscription without any tables may be to events: of those of 15 and 16 pg_upgrade forgets the tables.
 */
bool
rollup_watch_is_subscribed(void)
{
	return catalog_has(SubscriptionRelRelationId, SubscriptionRelSrrelidSrsubidIndexId,
					   Anum_pg_subscription_rel_srrelid, events_table(), false) ||
		   has_empty_subscription();
}
