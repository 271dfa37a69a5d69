/*
 * rollup/build.c
 *		Rolling up a new metric, alias by alias.
 *
 * Before that begins, all transactions must be over that may have written events without
 * knowing of the metric, and so without marks.  Whoever writes has a transaction id before
 * it looks whether the type is one to be marked.  So those are transactions below the next id
 * of a moment at which all backends had been told: the metric's horizon.  Refreshes in the
 * background write no events, and are not waited for: one may take long.
 */
#include "postgres.h"

#include "rollup/build.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rollup/alias.h"
#include "rollup/version.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/memutils.h"
#include "utils/xid8.h"

/* Metrics that have not rolled up all aliases. */
static Statement metrics_to_build = {
	.sql = "SELECT m.id, m.version_id, p.horizon" METRICS_WITH_PROGRESS " AND NOT p.is_built ORDER BY m.version_id",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Those that run, but for this one, in ascending order; and the id below which all others are over. */
static Statement read_transactions = {
	.sql = "SELECT running, pg_catalog.pg_snapshot_xmax(snapshot)"
		   " FROM pg_catalog.pg_current_snapshot() AS snapshot"
		   " LEFT JOIN LATERAL pg_catalog.pg_snapshot_xip(snapshot) AS running ON true ORDER BY running",
};

static Statement set_horizon = {
	.sql = "UPDATE usage_events.metric_progress SET horizon = $3 WHERE account_id " EQ " $1"
		   " AND metric_version_id " EQ " $2 AND horizon IS NULL",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, XID8OID},
};

static Statement find_next_alias = {
	.sql = "SELECT customer_alias FROM usage_events.event WHERE account_id " EQ " $1"
		   " AND customer_alias " GT " (SELECT COALESCE(p.customer_alias, '')"
		   " FROM usage_events.metric_progress AS p WHERE p.account_id " EQ " $1"
		   " AND p.metric_version_id " EQ " $2) ORDER BY customer_alias LIMIT 1",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement set_progress = {
	.sql = "UPDATE usage_events.metric_progress SET customer_alias = $3 WHERE account_id " EQ " $1"
		   " AND metric_version_id " EQ " $2"
		   " AND COALESCE(customer_alias, '') " LT " $3",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID},
};

static Statement set_built = {
	.sql = "UPDATE usage_events.metric_progress SET is_built = true WHERE account_id " EQ " $1"
		   " AND metric_version_id " EQ " $2",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement insert_complete_row = {
	.sql = "INSERT INTO usage_events.metric_rollup (account_id, metric_version_id, customer_alias, level, bucket,"
		   " is_branch, group_key, unique_key, event_count, skipped_event_count)"
		   " VALUES ($1, $2, '', -1, '-infinity', true, '', '', 0, 0)"
		   " ON CONFLICT (account_id, metric_version_id, level, customer_alias, bucket, group_key, unique_key)"
		   " DO NOTHING",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static uint64
transaction_id(uint64 row, int number, bool *isnull)
{
	Datum value = row_value(row, number, isnull);

	return *isnull ? 0 : U64FromFullTransactionId(DatumGetFullTransactionId(value));
}

/* The oldest of the transactions that were read which may write events. */
static uint64
oldest_writer(void)
{
	uint64 own = U64FromFullTransactionId(GetTopFullTransactionIdIfAny());
	uint64 oldest = 0;
	bool isnull;

	for (uint64 row = 0; oldest == 0 && row < SPI_processed; row++)
	{
		uint64 running = transaction_id(row, 1, &isnull);

		if (!isnull && rollup_turn_may_write(running))
			oldest = running;
	}
	if (oldest == 0)
		oldest = transaction_id(0, 2, &isnull);
	return own == 0 ? oldest : Min(own, oldest);
}

/* In this order: where both are the same, all that had begun to write is over. */
void
rollup_build_read_transactions(Transactions *transactions)
{
	transactions->next = U64FromFullTransactionId(ReadNextFullTransactionId());
	statement_execute(&read_transactions, NULL, NULL);
	transactions->oldest = oldest_writer();
	SPI_freetuptable(SPI_tuptable);
}

typedef struct NewMetric
{
	MetricVersion version;
	bool has_horizon;
	uint64 horizon;
} NewMetric;

List *
rollup_build_read_metrics(const pg_uuid_t *account_id)
{
	List *metrics = NIL;

	statement_execute(&metrics_to_build, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		NewMetric *new = palloc(sizeof(NewMetric));
		bool isnull;
		Datum horizon;

		new->version.id = *DatumGetUUIDP(row_value(row, 1, &isnull));
		new->version.version_id = *DatumGetUUIDP(row_value(row, 2, &isnull));
		horizon = row_value(row, 3, &isnull);
		new->has_horizon = !isnull;
		new->horizon = isnull ? 0 : U64FromFullTransactionId(DatumGetFullTransactionId(horizon));
		metrics = lappend(metrics, new);
	}
	SPI_freetuptable(SPI_tuptable);
	return metrics;
}

/* Rolls up the next aliases of a metric; returns how many. */
static int64
build_aliases(const Metric *metric, TurnBudget budget)
{
	MemoryContext step_context =
		AllocSetContextCreate(CurrentMemoryContext, "usage metric refresh", ALLOCSET_DEFAULT_SIZES);
	Datum account = UUIDPGetDatum(&metric->account_id);
	Datum version = UUIDPGetDatum(&metric->version_id);
	bool is_done = !rollup_turn_lock_type(&metric->account_id, metric->event_type, true);
	int64 steps = 0;

	while (!is_done)
	{
		MemoryContext context = MemoryContextSwitchTo(step_context);

		CHECK_FOR_INTERRUPTS();
		statement_execute(&find_next_alias, (Datum[]){account, version}, NULL);
		if (SPI_processed == 0)
		{
			statement_execute(&insert_complete_row, (Datum[]){account, version}, NULL);
			statement_execute(&set_built, (Datum[]){account, version}, NULL);
			elog(DEBUG1, "version %s of a metric is rolled up", rollup_version_text(&metric->version_id));
			is_done = true;
			steps++;
		}
		else
		{
			Slice alias = row_text_copy(0, 1);

			SPI_freetuptable(SPI_tuptable);
			if (rollup_turn_lock_alias(&metric->account_id, metric->event_type, alias))
			{
				rollup_turn_begin_step();
				rollup_alias(metric, alias, NULL, 0, NULL);
				statement_execute(&set_progress, (Datum[]){account, version, slice_to_datum(alias)}, NULL);
				elog(DEBUG1, "rolled up an alias of version %s of a metric", rollup_version_text(&metric->version_id));
				steps++;
			}
			else
				is_done = true; /* another refresh is at it */
		}
		is_done = is_done || steps >= budget.steps || rollup_turn_is_over(&budget);
		MemoryContextSwitchTo(context);
		MemoryContextReset(step_context);
	}
	MemoryContextDelete(step_context);
	return steps;
}

/* The same of a version. */
static int64
build_version(const pg_uuid_t *account_id, const MetricVersion *version, TurnBudget budget)
{
	MemoryContext work_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric", ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = MemoryContextSwitchTo(work_context);
	Metric metric;
	int64 steps = rollup_version_read(account_id, version, &metric) ? build_aliases(&metric, budget) : 0;

	MemoryContextSwitchTo(context);
	MemoryContextDelete(work_context);
	return steps;
}

/*
 * A horizon that is still to come here was set on another node, from which the account's
 * rows have moved.  They do so when no transaction there is writing to them any more.
 */
static bool
is_of_other_node(const NewMetric *new, const Transactions *transactions)
{
	return new->horizon > transactions->next;
}

/* Takes one step at least. */
int64
rollup_build_metrics(const pg_uuid_t *account_id, const List *metrics, const Transactions *transactions,
					 TurnBudget budget)
{
	int64 steps = 0;
	ListCell *cell;

	foreach(cell, metrics)
	{
		NewMetric *new = lfirst(cell);
		int64 taken = 0;

		if (budget.steps <= 0 || (steps > 0 && rollup_turn_is_over(&budget)))
			break;
		if (!new->has_horizon && transactions->oldest < transactions->next)
		{
			statement_execute(&set_horizon,
							  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(&new->version.version_id),
										FullTransactionIdGetDatum(FullTransactionIdFromU64(transactions->next))},
							  NULL);
			elog(DEBUG1, "version %s of a metric waits for transactions below " UINT64_FORMAT,
				 rollup_version_text(&new->version.version_id), transactions->next);
			taken = 1;
		}
		else if (!new->has_horizon || transactions->oldest >= new->horizon || is_of_other_node(new, transactions))
			taken = build_version(account_id, &new->version, budget);
		steps += taken;
		budget.steps -= taken;
	}
	return steps;
}
