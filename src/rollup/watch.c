/*
 * rollup/watch.c
 *		Changes that do not come through our own statements: rollups that were made
 *		before one are forgotten.
 *
 * Our statements mark what they change (event/mark.c).  A superuser's DELETE, a COPY
 * into a table, a restore or a subscription does not.  So a trigger fires once for each
 * statement, before it, and lets our own pass.  For any other it writes a row of no
 * type into usage_events.dirty_bucket, for each account that has rollups, in the
 * statement's own transaction.  As long as a snapshot shows such a row, nothing is taken
 * from rollups; a refresh takes away those that it sees, and begins anew
 * (rollup/refresh.c).  So whoever sees the change does without the rollups of before,
 * under the same rule that marks have.
 *
 * What applies the changes of a subscription fires no such trigger.  Beside a subscription nothing is
 * taken from rollups anyway, so it is enough that they are forgotten when one
 * ends, or is about other tables: an event trigger sees to that.
 *
 * While the trigger does not fire nothing is taken from rollups either, nor are any made.  It may be turned
 * off, and on again as it was, before anybody looks, in one transaction even; so it is enough, again, that rollups are
 * forgotten when it is turned off, by another event trigger.
 *
 * Which accounts a statement is about to change is not known before it, and to look at
 * its rows would cost our own statements more than is worth it.  That it changes nothing is
 * known where policies refuse each row that it could write: roles that may send events shall
 * not have rollups forgotten by statements without rows.
 */
#include "postgres.h"

#include "rollup/watch.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "base/compat.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "rollup/rights.h"
#include "sql/distribution.h"
#include "sql/operator.h"
#include "sql/own_statement.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/*
 * A metric that is made meanwhile waits for this transaction, which has its id already
 * (see rollup/refresh.c).  Those that were there before are seen, whatever snapshot the
 * transaction keeps.
 */
#define FORGET_ROLLUPS \
	"INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at, seconds)" \
	" SELECT DISTINCT p.account_id, '', '', '-infinity'::pg_catalog.timestamptz, $1, (-1)::smallint" \
	" FROM usage_events.metric_progress AS p"

static Statement forget_rollups = {
	.sql = FORGET_ROLLUPS,
	.sees_all = true,
	.argument_count = 1,
	.argument_types = {TIMESTAMPTZOID},
};

/* As the tables' owner, with no row-level security: in a plan of its own, since the user may be the same. */
static Statement forget_rollups_of_all = {
	.sql = FORGET_ROLLUPS,
	.sees_all = true,
	.argument_count = 1,
	.argument_types = {TIMESTAMPTZOID},
};

static Statement read_rows_of_no_type = {
	.sql = "SELECT d.watched_by, d.seconds FROM usage_events.dirty_bucket AS d"
		   " WHERE d.account_id " EQ " $1 AND d.event_type " EQ " ''::pg_catalog.text",
	.read_only = true,
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* A transaction that applies changes may still be under way: as for a new metric, it is waited for. */
static Statement build_anew = {
	.sql = "UPDATE usage_events.metric_progress SET is_built = false, customer_alias = NULL, horizon = NULL",
};

/* What the catalogs say ------------------------------------------------------ */

/*
 * They are read here and not by SQL, which takes ten times as long to be made ready for it, before each question.
 * It is in the active snapshot, as the question: what has changed since says nothing of the rows that this one shows.
 */

static Oid
events_table(void)
{
	return get_relname_relid("event", get_namespace_oid("usage_events", false));
}

/* A scan of a catalog for rows that have that Oid in their first column. */
static SysScanDesc
scan_catalog(Relation catalog, Oid index, AttrNumber column, Oid value)
{
	ScanKeyData key;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	return systable_beginscan(catalog, index, true, GetActiveSnapshot(), 1, &key);
}

/* Whether this transaction has written the row of a catalog. */
static bool
is_new(HeapTuple tuple)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

/* Whether there is such a row, or one that this transaction has written. */
static bool
catalog_has(Oid catalog_id, Oid index, AttrNumber column, Oid value, bool only_new)
{
	Relation catalog = table_open(catalog_id, AccessShareLock);
	SysScanDesc scan = scan_catalog(catalog, index, column, value);
	bool found = false;
	HeapTuple tuple;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = !only_new || is_new(tuple);
	systable_endscan(scan);
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

/* In which state the trigger on a table is; "none" where there is none, or this transaction has not changed it. */
static Slice
trigger_state(Oid table, bool only_new)
{
	Relation catalog = table_open(TriggerRelationId, AccessShareLock);
	Slice state = SLICE("none");
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(table));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("usage_events_watch"));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, GetActiveSnapshot(), lengthof(keys), keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) && (!only_new || is_new(tuple)))
		state = state_of_trigger(tuple);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return state;
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
	Slice state = trigger_state(events, false);

	if (!slice_equal(state, SLICE("none")) && is_inherited(events, false))
		return SLICE("off");
	return state;
}

/* Whether this transaction has changed the table of events so that the trigger does not fire for all that changes events. */
static bool
is_turned_off_now(void)
{
	Oid events = events_table();
	Slice state = trigger_state(events, true);

	return (!slice_equal(state, SLICE("none")) && !slice_equal(state, SLICE("always"))) || is_inherited(events, true);
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
	bool are_missing;
} KeptMarks;

static void
take_row_of_no_type(uint64 row, void *argument)
{
	KeptMarks *marks = argument;

	marks->are_watched = marks->are_watched || slice_equal(row_text(row, 1), marks->state);
	marks->are_missing = marks->are_missing || DatumGetInt16(row_value_there(row, 2)) < 0;
}

/*
 * Whether the account has marks: its row of no type says since which state of the trigger, and
 * another that something was changed without them.  Connected to SPI.
 */
bool
rollup_watch_keeps_marks(const pg_uuid_t *account_id)
{
	KeptMarks marks = {.state = rollup_watch_state()};

	statement_stream(&read_rows_of_no_type, (Datum[]){UUIDPGetDatum(account_id)}, take_row_of_no_type, &marks);
	return marks.are_watched && !marks.are_missing;
}

/* Whether the database has a subscription that is of no table. */
static bool
has_empty_subscription(void)
{
	Relation catalog = table_open(SubscriptionRelationId, AccessShareLock);
	SysScanDesc scan = scan_catalog(catalog, SubscriptionNameIndexId, Anum_pg_subscription_subdbid, MyDatabaseId);
	bool found = false;
	HeapTuple tuple;

	/* No index has the subscriptions of tables by themselves: without one all are read, where there is a subscription. */
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = !catalog_has(SubscriptionRelRelationId, InvalidOid, Anum_pg_subscription_rel_srsubid,
							 ((Form_pg_subscription) GETSTRUCT(tuple))->oid, false);
	systable_endscan(scan);
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

/* Forgetting ------------------------------------------------------------------ */

/* The transaction that has forgotten rollups, and where in it. */
static LocalTransactionId forgotten_in = InvalidLocalTransactionId;
static SubTransactionId forgotten_below = InvalidSubTransactionId;

/* What a subtransaction wrote may be taken back: it counts while that one lasts. */
static bool
are_forgotten(void)
{
	return forgotten_in == current_local_transaction_id() &&
		   (forgotten_below == TopSubTransactionId || forgotten_below == GetCurrentSubTransactionId());
}

/* A refresh in the same transaction makes rollups anew: what comes after it is another change. */
void
rollup_watch_begin_anew(void)
{
	forgotten_in = InvalidLocalTransactionId;
}

/*
 * A role that sees all accounts has them forgotten with its own rights.  What others may have put on the table of
 * marks does not run with these.
 */
static void
forget_by_caller(void)
{
	int nest_level = rollup_rights_quieten();

	SPI_connect();
	statement_execute(&forget_rollups, (Datum[]){TimestampTzGetDatum(GetCurrentTimestamp())}, NULL);
	SPI_finish();
	AtEOXact_GUC(true, nest_level);
}

/*
 * A role under row-level security may change rows of any account: by another policy of that one table, by a view of
 * somebody's, or as the owner of a table whose policies are not forced.  TRUNCATE takes the rows of all.
 */
static void
forget_by_owner(void)
{
	RollupRights before = rollup_rights_take_owners();

	SPI_connect();
	statement_execute(&forget_rollups_of_all, (Datum[]){TimestampTzGetDatum(GetCurrentTimestamp())}, NULL);
	SPI_finish();
	rollup_rights_give_back(before);
}

static void
forget(void)
{
	if (are_forgotten())
		return;
	/* Before it is read which metrics there are. */
	(void) GetTopTransactionId();
	if (has_bypassrls_privilege(GetUserId()))
		forget_by_caller();
	else
		forget_by_owner();
	forgotten_in = current_local_transaction_id();
	forgotten_below = GetCurrentSubTransactionId();
}

/* Whether the check of a policy refuses whatever is written by a statement that is none of ours. */
static bool
refuses_all(const WithCheckOption *check, Oid is_written_by_us)
{
	ListCell *cell;

	if (check->qual == NULL || !IsA(check->qual, List))
		return false;
	foreach(cell, (List *) check->qual)
	{
		if (IsA(lfirst(cell), FuncExpr) && lfirst_node(FuncExpr, cell)->funcid == is_written_by_us)
			return true;
	}
	return false;
}

/* The table as the statement writes it that has fired the trigger, or NULL. */
static ResultRelInfo *
written_table(const Trigger *trigger)
{
	QueryDesc *query = own_statement_executor();
	ListCell *cell;

	if (query == NULL || query->estate == NULL)
		return NULL;
	foreach(cell, query->estate->es_opened_result_relations)
	{
		ResultRelInfo *table = lfirst(cell);
		const TriggerDesc *triggers = table->ri_TrigDesc;

		if (triggers != NULL && trigger >= triggers->triggers && trigger < triggers->triggers + triggers->numtriggers)
			return table;
	}
	return NULL;
}

/* Whether one of our own statements has fired the trigger, none of which truncates; a COPY inside of one is none. */
static bool
is_own_change(const TriggerData *trigger)
{
	return own_statement_is_running() && written_table(trigger->tg_trigger) != NULL;
}

/*
 * Whether no row of an INSERT or UPDATE passes our policies.  It is read from the plan, which has what was decided: for
 * whom, through whose view, and with which other policies.
 */
static bool
writes_nothing(const TriggerData *trigger)
{
	WCOKind kind = TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? WCO_RLS_INSERT_CHECK : WCO_RLS_UPDATE_CHECK;
	List *name = list_make2(makeString("usage_events"), makeString("written_by_extension"));
	const ResultRelInfo *table = written_table(trigger->tg_trigger);
	ListCell *cell;

	/* A cluster's policies let pass what comes from another node; those of a DELETE are no checks. */
	if (table == NULL || TRIGGER_FIRED_BY_DELETE(trigger->tg_event) || distribution_is_on())
		return false;
	foreach(cell, table->ri_WithCheckOptions)
	{
		const WithCheckOption *check = lfirst_node(WithCheckOption, cell);

		if (check->kind == kind && refuses_all(check, LookupFuncName(name, 0, NULL, false)))
			return true;
	}
	return false;
}

static void
forget_of_subscriber(void)
{
	bool is_subscribed;

	PushActiveSnapshot(GetTransactionSnapshot());
	is_subscribed = rollup_watch_is_subscribed();
	PopActiveSnapshot();
	if (!is_subscribed)
		return;
	SPI_connect();
	statement_execute(&forget_rollups, (Datum[]){TimestampTzGetDatum(GetCurrentTimestamp())}, NULL);
	statement_execute(&build_anew, NULL, NULL);
	SPI_finish();
}

/* The event trigger usage_events_watch_subscriptions: who owns a subscription need not have rights here. */
PG_FUNCTION_INFO_V1(watch_subscriptions);
Datum
watch_subscriptions(PG_FUNCTION_ARGS)
{
	RollupRights before;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("watch_subscriptions() must be called as an event trigger")));
	before = rollup_rights_take_owners();
	forget_of_subscriber();
	rollup_rights_give_back(before);
	PG_RETURN_NULL();
}

/* The event trigger usage_events_watch_tables: who may alter a table need not see all accounts. */
PG_FUNCTION_INFO_V1(watch_tables);
Datum
watch_tables(PG_FUNCTION_ARGS)
{
	bool is_turned_off;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("watch_tables() must be called as an event trigger")));
	PushActiveSnapshot(GetTransactionSnapshot());
	is_turned_off = is_turned_off_now();
	PopActiveSnapshot();
	if (is_turned_off)
		forget();
	PG_RETURN_NULL();
}

/* What is taken from there may be what this transaction has written of an earlier change: it is written once more. */
static bool
has_marks(Relation table)
{
	return strcmp(RelationGetRelationName(table), "dirty_bucket") == 0;
}

/* The trigger usage_events_watch.  None of our statements truncates. */
PG_FUNCTION_INFO_V1(watch_changes);
Datum
watch_changes(PG_FUNCTION_ARGS)
{
	const TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("watch_changes() must be called as a trigger")));
	if (!is_own_change(trigger) && !writes_nothing(trigger))
	{
		if (has_marks(trigger->tg_relation))
			rollup_watch_begin_anew();
		forget();
	}
	PG_RETURN_POINTER(NULL);
}
