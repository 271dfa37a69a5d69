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
 * off, and on again as it was, before anybody looks, in one transaction even; so rollups are forgotten by another event
 * trigger when its row is written: when it is turned off or on, made anew, or has its name again.
 *
 * Which accounts a statement is about to change is not known before it, and to look at
 * its rows would cost our own statements more than is worth it.  That it changes nothing is
 * known where policies refuse each row that it could write: roles that may send events shall
 * not have rollups forgotten by statements without rows.
 */
#include "postgres.h"

#include "rollup/watch.h"

#include "access/xact.h"
#include "base/compat.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "rollup/rights.h"
#include "rollup/watch_state.h"
#include "sql/distribution.h"
#include "sql/own_statement.h"
#include "sql/statement.h"
#include "utils/acl.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
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

/* A transaction that applies changes may still be under way: as for a new metric, it is waited for. */
static Statement build_anew = {
	.sql = "UPDATE usage_events.metric_progress SET is_built = false, customer_alias = NULL, horizon = NULL",
};

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
	bool was_off;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("watch_tables() must be called as an event trigger")));
	/* The script of the extension makes the trigger before all tables are there. */
	if (creating_extension)
		PG_RETURN_NULL();
	PushActiveSnapshot(GetTransactionSnapshot());
	was_off = rollup_watch_was_off_now();
	PopActiveSnapshot();
	if (was_off)
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
