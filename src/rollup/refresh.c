/*
 * rollup/refresh.c
 *		Bringing rollups up to date.
 *
 * A step takes an alias whose events were changed: it deletes the marks that it
 * sees, and then rolls up the marked buckets anew, from the events that it sees.
 * Events that come between the two are rolled up as well, but their marks stay,
 * so those buckets are not used and rolled up once more.  Nobody who writes waits
 * for a refresh.  Refreshes do not wait for each other either: of two, only the
 * one that has the alias' lock takes it, and sees what the one before committed,
 * because each statement has its own snapshot.
 */
#include "postgres.h"

#include "rollup/refresh.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "event/mark.h"
#include "event/rejected.h"
#include "executor/spi.h"
#include "rollup/build.h"
#include "rollup/follower.h"
#include "rollup/marked.h"
#include "rollup/row.h"
#include "rollup/turn.h"
#include "rollup/version.h"
#include "rollup/watch.h"
#include "rollup/watch_state.h"
#include "sql/distribution.h"
#include "sql/planner.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* So many rows of a metric that is gone, in one step. */
#define ROWS_AT_A_TIME "20000"

/* Its marks row, and what was written when something was changed by hand. */
static Statement delete_marks_rows = {
	.sql = "DELETE FROM usage_events.dirty_bucket WHERE account_id " EQ " $1"
		   " AND event_type " EQ " ''::pg_catalog.text",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* What was rolled up before the subscription is not to be used after it, either. */
static Statement delete_rollups = {
	.sql = "DELETE FROM usage_events.metric_rollup WHERE account_id " EQ " $1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement insert_marks_row = {
	.sql = "INSERT INTO usage_events.dirty_bucket"
		   " (account_id, event_type, customer_alias, bucket, marked_at, seconds, watched_by)"
		   " VALUES ($1, '', '', '-infinity', $2, 0, $3)",
	.argument_count = 3,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, TEXTOID},
};

/* Without the rows of these levels nothing below them is used. */
static Statement delete_roots = {
	.sql = "DELETE FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " AND level " LE " 0::smallint",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement restart_all = {
	.sql = "UPDATE usage_events.metric_progress SET is_built = false, customer_alias = NULL"
		   " WHERE account_id " EQ " $1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement delete_roots_of_version = {
	.sql = "DELETE FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " AND metric_version_id " EQ " $2 AND level " LE " 0::smallint",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement insert_missing_progress = {
	.sql = "INSERT INTO usage_events.metric_progress (account_id, metric_version_id, event_type, started_at)"
		   " SELECT m.account_id, m.version_id, m.event_type, $2 FROM usage_events.metric AS m"
		   " WHERE m.account_id " EQ " $1 AND m.deleted_at IS NULL"
		   " AND m.aggregation_type " NE " 'CUSTOM'::pg_catalog.text"
		   " AND NOT EXISTS (SELECT FROM usage_events.metric_progress AS p"
		   " WHERE p.account_id " EQ " $1"
		   " AND p.metric_version_id " EQ " m.version_id)"
		   " ON CONFLICT (account_id, metric_version_id) DO NOTHING RETURNING metric_version_id",
	.argument_count = 2,
	.argument_types = {UUIDOID, TIMESTAMPTZOID},
};

/*
 * What an update or deletion of a metric leaves behind: its rollups are orphans then.  Written by hand,
 * a metric may have another type in the same version.
 */
static Statement delete_past_progress = {
	.sql = "DELETE FROM usage_events.metric_progress WHERE account_id " EQ " $1"
		   " AND metric_version_id " EQ " ANY (ARRAY(SELECT p.metric_version_id"
		   " FROM usage_events.metric_progress AS p WHERE p.account_id " EQ " $1"
		   " AND NOT ROW(p.metric_version_id, p.event_type) " EQ " ANY"
		   " (SELECT m.version_id, m.event_type FROM usage_events.metric AS m"
		   " WHERE m.account_id " EQ " $1 AND m.deleted_at IS NULL) FOR UPDATE SKIP LOCKED))",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* From version to version in the index: the first that is no metric's any more. */
static Statement find_orphan = {
	.sql = "WITH RECURSIVE version (id) AS ("
		   " (SELECT metric_version_id FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " ORDER BY metric_version_id LIMIT 1)"
		   " UNION ALL"
		   " SELECT (SELECT metric_version_id FROM usage_events.metric_rollup"
		   " WHERE account_id " EQ " $1 AND metric_version_id " GT " version.id"
		   " ORDER BY metric_version_id LIMIT 1) FROM version WHERE version.id IS NOT NULL)"
		   " SELECT version.id FROM version WHERE version.id IS NOT NULL"
		   " AND NOT EXISTS (SELECT FROM usage_events.metric_progress AS p"
		   " WHERE p.account_id " EQ " $1"
		   " AND p.metric_version_id " EQ " version.id) LIMIT 1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement delete_orphan = {
	.sql = "DELETE FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " AND ctid " EQ " ANY (ARRAY(SELECT ctid FROM usage_events.metric_rollup"
		   " WHERE account_id " EQ " $1 AND metric_version_id " EQ " $2"
		   " LIMIT " ROWS_AT_A_TIME " FOR UPDATE SKIP LOCKED))",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

/* Those whose cache somebody has truncated: the row that was written last is not there. */
static Statement restart_truncated = {
	.sql = "UPDATE usage_events.metric_progress AS p SET is_built = false, customer_alias = NULL"
		   " WHERE p.account_id " EQ " $1 AND (p.is_built OR p.customer_alias IS NOT NULL)"
		   " AND NOT EXISTS (SELECT FROM usage_events.metric_rollup AS r"
		   " WHERE r.account_id " EQ " $1"
		   " AND r.metric_version_id " EQ " p.metric_version_id"
		   " AND r.level " EQ " CASE WHEN p.is_built THEN (-1)::smallint ELSE 0::smallint END"
		   " AND r.customer_alias " EQ " CASE WHEN p.is_built THEN '' ELSE p.customer_alias END)",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

#define OF_TURN_BEFORE \
	" WHERE account_id " EQ " $1" \
	" AND metric_version_id " EQ " ANY (ARRAY(SELECT metric_version_id" \
	" FROM usage_events.metric_progress WHERE account_id " EQ " $1" \
	" AND (turn_at IS NULL OR turn_at " LT " $3) FOR UPDATE SKIP LOCKED))"

static Statement note_refresh = {
	.sql = "UPDATE usage_events.metric_progress"
		   " SET refreshed_at = $2, turn_at = $2, turn_event_type = $4, turn_customer_alias = $5" OF_TURN_BEFORE,
	.argument_count = 5,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID},
};

static Statement note_failure = {
	.sql = "UPDATE usage_events.metric_progress SET turn_at = $2" OF_TURN_BEFORE,
	.argument_count = 3,
	.argument_types = {UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

/* What is watched at this moment ----------------------------------------------- */

static Slice
watch_state(void)
{
	Slice state;

	PushActiveSnapshot(GetTransactionSnapshot());
	state = rollup_watch_state();
	PopActiveSnapshot();
	return state;
}

static bool
keeps_marks(const pg_uuid_t *account_id)
{
	bool result;

	PushActiveSnapshot(GetTransactionSnapshot());
	result = rollup_watch_keeps_marks(account_id);
	PopActiveSnapshot();
	return result;
}

static bool
is_subscribed(void)
{
	bool result;

	PushActiveSnapshot(GetTransactionSnapshot());
	result = rollup_watch_is_subscribed();
	PopActiveSnapshot();
	return result;
}

/*
 * Begins anew where there are no marks of all changes.  The rows that tell of it go first: what
 * is changed by hand from here on leaves another.  Returns how many steps that was; -1 if
 * others have to be over first, or nobody watches: then what was rolled up until now is not used later, either.
 */
static int64
restart_unmarked(const pg_uuid_t *account_id)
{
	Datum account = UUIDPGetDatum(account_id);
	bool keeps = keeps_marks(account_id);
	Slice watch;

	if (!rollup_turn_lock_rollups(account_id, !keeps))
		return -1;
	if (keeps || keeps_marks(account_id))
		return 0;
	statement_execute(&delete_marks_rows, (Datum[]){account}, NULL);
	watch = watch_state();
	if (rollup_watch_is_off(watch))
		return -1;
	statement_execute(&delete_roots, (Datum[]){account}, NULL);
	statement_execute(&restart_all, (Datum[]){account}, NULL);
	statement_execute(&insert_marks_row,
					  (Datum[]){account, TimestampTzGetDatum(GetCurrentTimestamp()), slice_to_datum(watch)}, NULL);
	rollup_follower_begin_anew(account_id);
	elog(DEBUG1, "rollups of an account begin anew: events were changed by hand, or nobody had watched them");
	return 1;
}

/* Begins anew where marks may have been lost, or rollups. */
static int64
restart_where_needed(const pg_uuid_t *account_id)
{
	Datum account = UUIDPGetDatum(account_id);
	Datum now = TimestampTzGetDatum(GetCurrentTimestamp());
	int64 steps = restart_unmarked(account_id);
	List *versions = NIL;
	ListCell *cell;

	if (steps < 0)
		return steps;

	statement_execute(&delete_past_progress, (Datum[]){account}, NULL);
	if (SPI_processed > 0)
	{
		event_mark_types_changed(account_id);
		steps++;
	}

	/* Progress of metrics that came by a dump. */
	statement_execute(&insert_missing_progress, (Datum[]){account, now}, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		pg_uuid_t *version = palloc(sizeof(pg_uuid_t));

		*version = *DatumGetUUIDP(row_value_there(row, 1));
		versions = lappend(versions, version);
	}
	foreach(cell, versions)
	{
		statement_execute(&delete_roots_of_version, (Datum[]){account, UUIDPGetDatum(lfirst(cell))}, NULL);
		event_mark_types_changed(account_id);
		steps++;
	}

	statement_execute(&restart_truncated, (Datum[]){account}, NULL);
	return steps + (int64) SPI_processed;
}

static int64
delete_orphans(const pg_uuid_t *account_id)
{
	Datum account = UUIDPGetDatum(account_id);
	pg_uuid_t version;

	statement_execute(&find_orphan, (Datum[]){account}, NULL);
	if (SPI_processed == 0)
		return 0;
	version = *DatumGetUUIDP(row_value_there(0, 1));
	statement_execute(&delete_orphan, (Datum[]){account, UUIDPGetDatum(&version)}, NULL);
	elog(DEBUG1, "deleted " UINT64_FORMAT " rollups of version %s, which is no metric's any more", SPI_processed,
		 rollup_version_text(&version));
	return SPI_processed > 0 ? 1 : 0;
}

static bool
has_metrics(const pg_uuid_t *account_id)
{
	static Statement find_metric = {
		.sql = "SELECT WHERE EXISTS (SELECT FROM usage_events.metric WHERE account_id " EQ " $1)",
		.argument_count = 1,
		.argument_types = {UUIDOID},
	};

	statement_execute(&find_metric, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	return SPI_processed > 0;
}

/* Notes when, and how far it came; a refresh that found nothing to do writes it once a minute. */
static void
note_refreshed(const pg_uuid_t *account_id, bool had_work, const MarkPlace *place)
{
	TimestampTz now = GetCurrentTimestamp();

	statement_execute(&note_refresh,
					  (Datum[]){UUIDPGetDatum(account_id), TimestampTzGetDatum(now),
								TimestampTzGetDatum(had_work ? now : now - USECS_PER_MINUTE),
								slice_to_datum((Slice){place->event_type.data, place->event_type.len}),
								slice_to_datum((Slice){place->alias.data, place->alias.len})},
					  NULL);
}

/* Notes a turn that has failed, and was taken back: the next one comes after those of others. */
void
rollup_refresh_note_failure(const pg_uuid_t *account_id)
{
	TimestampTz now = GetCurrentTimestamp();

	SPI_connect();
	statement_execute(&note_failure,
					  (Datum[]){UUIDPGetDatum(account_id), TimestampTzGetDatum(now), TimestampTzGetDatum(now)}, NULL);
	SPI_finish();
}

/* Does what there is to do of an account; -1 if another refresh has to go first. */
static int64
refresh_rollups_of(const pg_uuid_t *account_id, const List *new_metrics, const Transactions *transactions,
				   TurnBudget budget, bool is_turn)
{
	MarkPlace place;
	int64 steps = restart_where_needed(account_id);
	bool is_followed;
	int64 taken;

	if (steps < 0)
		return steps;
	rollup_marked_read_place(account_id, &place);
	/* Others have to be told of what has begun anew: the sooner this transaction ends, the better. */
	if (is_turn && steps > 0)
	{
		note_refreshed(account_id, true, &place);
		return steps;
	}
	budget.steps -= steps;
	/* Where there is something to do after them, marks leave it a share. */
	is_followed = rollup_follower_is_needed(account_id);
	taken =
		rollup_marked_refresh(account_id, is_followed || new_metrics != NIL ? rollup_turn_budget_half(&budget) : budget,
							  &place);
	steps += taken;
	budget.steps -= taken;
	if (is_followed)
	{
		taken = rollup_follower_work(account_id, new_metrics == NIL ? budget : rollup_turn_budget_half(&budget));
		steps += taken;
		budget.steps -= taken;
	}
	taken = rollup_build_metrics(account_id, new_metrics, transactions, budget);
	steps += taken;
	budget.steps -= taken;
	if (budget.steps > 0)
		steps += delete_orphans(account_id);
	note_refreshed(account_id, steps > 0, &place);
	/* Neither rollups nor a customer as its place: no erasure has to wait for it. */
	if (steps == 0 && place.alias.len == 0)
		rollup_turn_leave_rollups(account_id);
	return steps;
}

/* Nor is what a refresh that began before the subscription may still write. */
static void
forget_of_subscriber(const pg_uuid_t *account_id)
{
	statement_execute(&delete_marks_rows, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	statement_execute(&delete_rollups, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
}

typedef struct Refresh
{
	const pg_uuid_t *account_id;
	TurnBudget budget;
	int64 max_steps;
	bool is_turn;
	int64 steps; /* that it has taken; -1 if another refresh has to go first */
} Refresh;

static void
refresh(void *argument)
{
	Refresh *work = argument;
	Transactions transactions;
	/* In this order, and before anything is written, which would make this transaction one of them. */
	List *new_metrics = rollup_build_read_metrics(work->account_id);

	if (!event_mark_types_are_told(work->account_id))
		new_metrics = NIL;
	rollup_build_read_transactions(&transactions);
	if (has_metrics(work->account_id))
		work->steps = refresh_rollups_of(work->account_id, new_metrics, &transactions, work->budget, work->is_turn);
	if (work->steps >= 0 && work->steps < work->max_steps)
		work->steps += rejected_event_delete_taken(work->account_id);
}

/*
 * Brings the rollups of an account up to date, in at most so many steps and, where it is
 * one of many, in the time of a turn; and deletes refused events that have been kept long
 * enough, or were sent again.  Returns how many steps it took: 0 when there is nothing
 * left to do, or nothing that can be done now.
 */
int64
rollup_refresh_account(const pg_uuid_t *account_id, int64 max_steps, bool is_turn)
{
	Refresh work = {.account_id = account_id,
					.budget = rollup_turn_budget_make(max_steps, is_turn),
					.max_steps = max_steps,
					.is_turn = is_turn};

	if (IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("rollups cannot be refreshed in a transaction of one snapshot"),
						errhint("Use isolation level READ COMMITTED.")));
	/* Transaction ids and locks are those of this node. */
	if (!distribution_is_here(account_id))
		return 0;
	if (!rollup_turn_has_locks())
	{
		rollup_turn_say_locks_are_out();
		return 0;
	}

	rollup_watch_begin_anew();
	SPI_connect();
	if (is_subscribed())
	{
		forget_of_subscriber(account_id);
		SPI_finish();
		return 0;
	}
	planner_along_indexes(refresh, &work);
	SPI_finish();
	distribution_require_here(account_id);
	return Max(work.steps, 0) + (rejected_event_expire(account_id) > 0 ? 1 : 0);
}
