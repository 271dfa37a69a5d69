/*
 * alert/work.c
 *		What alerts do in a refresh: the customers and periods that have changed are looked at, one a step,
 *		as long as the turn is.
 *
 * What is left is in usage_events.usage_alert_due, and looked at in another turn, by whomever: the oldest
 * first.  Of refreshes of an account that run at the same time one looks, and the others leave it to that
 * one: so what is recorded of an account is recorded in an order, and numbers ascend as it is committed.
 *
 * A new alert, and one whose metric has another version, looks at all customers once, alias by alias, in the period
 * that is now: usage_events.usage_alert_progress.
 *
 * In one refresh a customer is looked at once for a period of an alert.  What changes meanwhile is due again.
 */
#include "postgres.h"

#include "alert/work.h"

#include "alert/due.h"
#include "alert/evaluate.h"
#include "alert/known.h"
#include "alert/retire.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "common/hashfn.h"
#include "customer/alias.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rollup/follower.h"
#include "rollup/functions.h"
#include "sql/own_lock.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "sql/subtransaction.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Who listens is told nothing that is of one account. */
#define CHANNEL "usage_events_alert"

static Statement find_due = {
	.sql = "SELECT id, usage_alert_id, customer, period_start FROM usage_events.usage_alert_due"
		   " WHERE account_id " EQ " $1 AND id " GT " $2 ORDER BY id LIMIT 1",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement delete_due = {
	.sql = "DELETE FROM usage_events.usage_alert_due WHERE account_id " EQ " $1"
		   " AND usage_alert_id " EQ " $2 AND customer " EQ " $3 AND period_start " EQ " $4",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, TIMESTAMPTZOID},
};

/* Alerts that have not begun to look at all customers in their present version, and with that of their metric. */
#define WITHOUT_PROGRESS \
	" FROM usage_events.usage_alert AS a JOIN usage_events.metric AS m" \
	" ON m.account_id " EQ " a.account_id AND m.id " EQ " a.metric_id" \
	" WHERE a.account_id " EQ " $1 AND a.deleted_at IS NULL AND m.deleted_at IS NULL" \
	" AND NOT EXISTS (SELECT FROM usage_events.usage_alert_progress AS p WHERE p.account_id " EQ " $1" \
	" AND p.usage_alert_id " EQ " a.id AND p.version_id " EQ " a.version_id" \
	" AND p.metric_version_id " EQ " m.version_id)"

static Statement find_without_progress = {
	.sql = "SELECT a.id, a.version_id, m.version_id" WITHOUT_PROGRESS,
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement begin_progress = {
	.sql = "INSERT INTO usage_events.usage_alert_progress (account_id, usage_alert_id, version_id, metric_version_id,"
		   " customer_alias, is_over) VALUES ($1, $2, $3, $4, '', false)"
		   " ON CONFLICT (account_id, usage_alert_id) DO UPDATE SET version_id = EXCLUDED.version_id,"
		   " metric_version_id = EXCLUDED.metric_version_id, customer_alias = EXCLUDED.customer_alias,"
		   " is_over = EXCLUDED.is_over",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, UUIDOID, UUIDOID},
};

static Statement find_progress = {
	.sql = "SELECT usage_alert_id, customer_alias FROM usage_events.usage_alert_progress"
		   " WHERE account_id " EQ " $1 AND NOT is_over AND usage_alert_id " GT " $2 ORDER BY usage_alert_id LIMIT 1",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement set_progress = {
	.sql = "UPDATE usage_events.usage_alert_progress SET customer_alias = $3, is_over = $4"
		   " WHERE account_id " EQ " $1 AND usage_alert_id " EQ " $2",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, BOOLOID},
};

static Statement restart_progress = {
	.sql = "UPDATE usage_events.usage_alert_progress SET customer_alias = $2, is_over = false"
		   " WHERE account_id " EQ " $1",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static Statement find_next_alias = {
	.sql = "SELECT customer_alias FROM usage_events.event WHERE account_id " EQ " $1"
		   " AND customer_alias " GT " $2 ORDER BY customer_alias LIMIT 1",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

/* What was looked at in this refresh: customers by a hash, since one too many is only looked at later. */
typedef struct EvaluatedKey
{
	pg_uuid_t alert_id;
	TimestampTz start;
	uint64 customer_hash;
} EvaluatedKey;

/* The work of a refresh for an account. */
typedef struct AlertWork
{
	const pg_uuid_t *account_id;
	TurnBudget budget;
	int64 steps;
	AlertRecorder recorder;
	HTAB *evaluated;
	MemoryContext alert_context; /* of the alert that was read last, and its metric */
	UsageAlert alert;
	Metric metric;
	bool is_read;
	bool is_in_force;
	bool is_put_off;  /* it would be, if this server knew its time zone */
	bool has_put_off; /* one or another */
} AlertWork;

static bool
is_over(const AlertWork *work)
{
	return work->steps >= work->budget.steps || rollup_turn_is_over(&work->budget);
}

/* Alerts ------------------------------------------------------------------ */

static void
read_definition(void *argument)
{
	AlertWork *work = argument;

	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(work->alert_context);
	work->is_in_force = alert_get(work->account_id, &work->alert.id, &work->alert) && !work->alert.is_deleted &&
						metric_get(work->account_id, &work->alert.scope.metric_id, &work->metric) &&
						!work->metric.is_deleted && !work->metric.kind->is_expression;
	work->is_put_off = work->is_in_force && !period_is_known(&work->alert.scope.period);
	work->is_in_force = work->is_in_force && !work->is_put_off;
	PopActiveSnapshot();
}

/* Reads the alert, unless it was the last one.  Returns whether it is in force, as is its metric. */
static bool
use_alert(AlertWork *work, const pg_uuid_t *alert_id)
{
	ErrorData *error;

	if (work->is_read && uuid_v7_equal(&work->alert.id, alert_id))
		return work->is_in_force;
	MemoryContextReset(work->alert_context);
	work->alert.id = *alert_id;
	work->is_in_force = false;
	work->is_put_off = false;
	error = subtransaction_try(read_definition, work);
	work->alert.id = *alert_id;
	work->is_read = true;
	if (error == NULL && work->is_put_off)
	{
		alert_due_put_off(&work->alert);
		work->has_put_off = true;
	}
	if (error == NULL)
		return work->is_in_force;
	if (refresh_rollups_must_end(error->sqlerrcode))
		ReThrowError(error);
	work->is_in_force = false;
	ereport(WARNING, (errcode(error->sqlerrcode), errmsg("could not read usage alert"),
					  errdetail_internal("%s", error->message)));
	return false;
}

/* Whether this is the first time that the refresh looks at the customer in that period. */
static bool
is_first_look(AlertWork *work, Slice customer, TimestampTz moment)
{
	EvaluatedKey key;
	TimestampTz end;
	bool found;

	memset(&key, 0, sizeof(key));
	key.alert_id = work->alert.id;
	key.customer_hash = hash_bytes_extended((const unsigned char *) customer.data, customer.length, 0);
	period_find(&work->alert.scope.period, moment, &key.start, &end);
	(void) hash_search(work->evaluated, &key, HASH_ENTER, &found);
	return !found;
}

/* Changed customers -------------------------------------------------------- */

/* Looks at what a row says is due; what was looked at already in this refresh stays for the next. */
static void
do_due(AlertWork *work, const pg_uuid_t *alert_id, Slice customer, TimestampTz start)
{
	bool is_in_force = use_alert(work, alert_id);
	TimestampTz moment = start == ALERT_PERIOD_NOW ? GetCurrentTimestamp() : start;

	if (is_in_force && !is_first_look(work, customer, moment))
		return;
	statement_execute(&delete_due,
					  (Datum[]){UUIDPGetDatum(work->account_id), UUIDPGetDatum(alert_id), slice_to_datum(customer),
								TimestampTzGetDatum(start)},
					  NULL);
	if (is_in_force)
		alert_evaluate(&work->recorder, &work->alert, &work->metric, customer, moment);
	work->steps++;
}

/* Goes on to the next row; false if there is none. */
static bool
do_next_due(AlertWork *work, pg_uuid_t *place)
{
	pg_uuid_t alert_id;
	Slice customer;
	TimestampTz start;

	statement_execute(&find_due, (Datum[]){UUIDPGetDatum(work->account_id), UUIDPGetDatum(place)}, NULL);
	if (SPI_processed == 0)
		return false;
	*place = *DatumGetUUIDP(row_value_there(0, 1));
	alert_id = *DatumGetUUIDP(row_value_there(0, 2));
	customer = row_text_copy(0, 3);
	start = DatumGetTimestampTz(row_value_there(0, 4));
	SPI_freetuptable(SPI_tuptable);
	do_due(work, &alert_id, customer, start);
	return true;
}

static void
do_all_due(AlertWork *work)
{
	MemoryContext step_context = AllocSetContextCreate(CurrentMemoryContext, "usage alert due", ALLOCSET_SMALL_SIZES);
	pg_uuid_t place = {{0}};
	bool is_done = false;

	while (!is_done && !is_over(work))
	{
		MemoryContext context = MemoryContextSwitchTo(step_context);

		CHECK_FOR_INTERRUPTS();
		is_done = !do_next_due(work, &place);
		MemoryContextSwitchTo(context);
		MemoryContextReset(step_context);
	}
	MemoryContextDelete(step_context);
}

/* All customers ------------------------------------------------------------- */

typedef struct NewProgress
{
	pg_uuid_t alert_id;
	pg_uuid_t version_id;
	pg_uuid_t metric_version_id;
} NewProgress;

static List *
read_new_progress(const pg_uuid_t *account_id)
{
	List *list = NIL;

	statement_execute(&find_without_progress, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		NewProgress *new = palloc(sizeof(NewProgress));

		new->alert_id = *DatumGetUUIDP(row_value_there(row, 1));
		new->version_id = *DatumGetUUIDP(row_value_there(row, 2));
		new->metric_version_id = *DatumGetUUIDP(row_value_there(row, 3));
		list = lappend(list, new);
	}
	SPI_freetuptable(SPI_tuptable);
	return list;
}

/* In this order: what can be seen, and then whether all have been told of it. */
static void
begin_new(AlertWork *work)
{
	List *list = read_new_progress(work->account_id);
	ListCell *cell;

	if (list == NIL || !alert_known_are_told(work->account_id))
		return;
	foreach(cell, list)
	{
		const NewProgress *new = lfirst(cell);

		statement_execute(&begin_progress,
						  (Datum[]){UUIDPGetDatum(work->account_id), UUIDPGetDatum(&new->alert_id),
									UUIDPGetDatum(&new->version_id), UUIDPGetDatum(&new->metric_version_id)},
						  NULL);
		work->steps++;
	}
}

/* Looks at a customer now. */
static void
look(AlertWork *work, Slice customer)
{
	TimestampTz now = GetCurrentTimestamp();

	if (is_first_look(work, customer, now))
		alert_evaluate(&work->recorder, &work->alert, &work->metric, customer, now);
	work->steps++;
}

/* Looks at the customer of the next alias; false if there is none. */
static bool
look_at_next(AlertWork *work, StringInfo place)
{
	Slice alias;

	statement_execute(&find_next_alias,
					  (Datum[]){UUIDPGetDatum(work->account_id), slice_to_datum((Slice){place->data, place->len})},
					  NULL);
	if (SPI_processed == 0)
		return false;
	alias = row_text_copy(0, 1);
	SPI_freetuptable(SPI_tuptable);
	resetStringInfo(place);
	appendBinaryStringInfo(place, alias.data, alias.length);
	if (!slice_equal(alias, SLICE(VOID_ALIAS)))
		look(work, alert_due_customer_of(work->account_id, alias));
	return true;
}

/* Looks at all customers from the place on; returns whether it came to the end. */
static bool
look_at_all(AlertWork *work, StringInfo place)
{
	MemoryContext step_context = AllocSetContextCreate(CurrentMemoryContext, "usage alert look", ALLOCSET_SMALL_SIZES);
	bool is_done = false;

	while (!is_done && !is_over(work))
	{
		MemoryContext context = MemoryContextSwitchTo(step_context);

		CHECK_FOR_INTERRUPTS();
		is_done = !look_at_next(work, place);
		MemoryContextSwitchTo(context);
		MemoryContextReset(step_context);
	}
	MemoryContextDelete(step_context);
	return is_done;
}

/* Goes on with the next alert that has not looked at all customers; false if there is none. */
static bool
go_on(AlertWork *work, pg_uuid_t *alert_id)
{
	StringInfoData place;
	Slice alias;
	bool is_done = true;
	int64 steps_before = work->steps;

	statement_execute(&find_progress, (Datum[]){UUIDPGetDatum(work->account_id), UUIDPGetDatum(alert_id)}, NULL);
	if (SPI_processed == 0)
		return false;
	*alert_id = *DatumGetUUIDP(row_value_there(0, 1));
	alias = row_text_copy(0, 2);
	SPI_freetuptable(SPI_tuptable);

	initStringInfo(&place);
	appendBinaryStringInfo(&place, alias.data, alias.length);
	if (use_alert(work, alert_id))
	{
		if (work->alert.scope.customer.data != NULL)
			look(work, work->alert.scope.customer);
		else
			is_done = look_at_all(work, &place);
	}
	else if (work->is_put_off)
		return true;
	statement_execute(&set_progress,
					  (Datum[]){UUIDPGetDatum(work->account_id), UUIDPGetDatum(alert_id),
								slice_to_datum((Slice){place.data, place.len}), BoolGetDatum(is_done)},
					  NULL);
	work->steps += work->steps == steps_before ? 1 : 0;
	return true;
}

static void
go_on_with_all(AlertWork *work)
{
	pg_uuid_t alert_id = {{0}};

	begin_new(work);
	while (!is_over(work) && go_on(work, &alert_id))
		CHECK_FOR_INTERRUPTS();
}

/* The whole ---------------------------------------------------------------- */

static void
work_begin(AlertWork *work, const pg_uuid_t *account_id, TurnBudget budget)
{
	HASHCTL control = {.keysize = sizeof(EvaluatedKey),
					   .entrysize = sizeof(EvaluatedKey),
					   .hcxt = CurrentMemoryContext};

	memset(work, 0, sizeof(AlertWork));
	work->account_id = account_id;
	work->budget = budget;
	work->recorder.account_id = account_id;
	work->evaluated = hash_create("usage alerts evaluated", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	work->alert_context = AllocSetContextCreate(CurrentMemoryContext, "usage alert", ALLOCSET_DEFAULT_SIZES);
}

static int64
do_work(const pg_uuid_t *account_id, TurnBudget budget)
{
	MemoryContext work_context = AllocSetContextCreate(CurrentMemoryContext, "usage alerts", ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = MemoryContextSwitchTo(work_context);
	OwnLockKey key = own_lock_key(account_id, 0);
	AlertWork work;

	work_begin(&work, account_id, budget);
	if (own_lock_try(OWN_LOCK_ALERTS, key))
	{
		rollup_turn_begin_step();
		do_all_due(&work);
		go_on_with_all(&work);
		if (!is_over(&work))
			work.steps += alert_retire(account_id);
		if (work.steps == 0 && !work.has_put_off)
			own_lock_release(OWN_LOCK_ALERTS, key);
	}
	if (work.recorder.has_recorded)
		Async_Notify(CHANNEL, "");
	MemoryContextSwitchTo(context);
	MemoryContextDelete(work_context);
	return work.steps;
}

/* Values may be others now, of all customers. */
static void
begin_anew(const pg_uuid_t *account_id)
{
	if (alert_known_has_alerts(account_id))
		statement_execute(&restart_progress, (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(SLICE(""))}, NULL);
}

static const RefreshFollower follower = {
	.is_needed = alert_known_has_alerts,
	.take_marks = alert_due_take_marks,
	.begin_anew = begin_anew,
	.work = do_work,
};

void
alert_work_init(void)
{
	rollup_follower_set(&follower);
	customer_alias_watch(alert_due_alias_changed);
}
