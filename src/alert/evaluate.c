/*
 * alert/evaluate.c
 *		Whether a customer's value has crossed thresholds of an alert in a period, and what is told of it.
 *
 * The value is the metric's own, as a question would be answered at this moment, in a snapshot that
 * has all that this transaction has rolled up.  It is compared with what was said last, in
 * usage_events.usage_alert_state: so each crossing is told once.
 *
 * An alert ABOVE is triggered while the value is at a threshold, or above.  One BELOW is
 * triggered while it is below, once it has been there: each period begins with nothing used, which is
 * no reason to tell anybody.  A value that is not there is neither above nor below.
 */
#include "postgres.h"

#include "alert/evaluate.h"

#include "account/horizon.h"
#include "access/xact.h"
#include "alert/due.h"
#include "base/calendar.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "rollup/functions.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "sql/subtransaction.h"
#include "usage/answer.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Aliases of a customer as lists of customers know them: those that are mapped to the customer, and the id where it is nobody's alias. */
static Statement find_aliases = {
	.sql = "SELECT found.value FROM (SELECT a.value FROM usage_events.customer_alias AS a"
		   " WHERE a.account_id " EQ " $1 AND a.customer_id " EQ " $2 AND a.deleted_at IS NULL"
		   " UNION SELECT $2 WHERE NOT EXISTS (SELECT FROM usage_events.customer_alias AS m"
		   " WHERE m.account_id " EQ " $1 AND m.value " EQ " $2 AND m.deleted_at IS NULL)) AS found (value)"
		   " ORDER BY found.value COLLATE pg_catalog.\"C\"",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

#define OF_PERIOD \
	" WHERE account_id " EQ " $1 AND usage_alert_id " EQ " $2 AND customer " EQ " $3 AND period_start " EQ " $4"

static Statement read_states = {
	.sql = "SELECT threshold, is_triggered FROM usage_events.usage_alert_state" OF_PERIOD,
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, TIMESTAMPTZOID},
};

static Statement write_state = {
	.sql = "INSERT INTO usage_events.usage_alert_state (account_id, usage_alert_id, customer, period_start, threshold,"
		   " is_triggered, period_end) VALUES ($1, $2, $3, $4, $5, $6, $7)"
		   " ON CONFLICT (account_id, usage_alert_id, customer, period_start, threshold)"
		   " DO UPDATE SET is_triggered = EXCLUDED.is_triggered",
	.argument_count = 7,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, TIMESTAMPTZOID, NUMERICOID, BOOLOID, TIMESTAMPTZOID},
};

static Statement delete_state = {
	.sql = "DELETE FROM usage_events.usage_alert_state" OF_PERIOD " AND threshold " EQ " $5",
	.argument_count = 5,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, TIMESTAMPTZOID, NUMERICOID},
};

/* Those of events that are gone are not given again: a consumer may have been beyond them. */
static Statement find_last_number = {
	.sql = "SELECT GREATEST(0, (SELECT pg_catalog.max(number) FROM usage_events.usage_alert_event"
		   " WHERE account_id " EQ " $1),"
		   " (SELECT pg_catalog.max(acknowledged_through) FROM usage_events.usage_alert_consumer"
		   " WHERE account_id " EQ " $1),"
		   " (SELECT pg_catalog.max(event_number) FROM usage_events.usage_alert_delivery"
		   " WHERE account_id " EQ " $1))",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement insert_event = {
	.sql = "INSERT INTO usage_events.usage_alert_event (account_id, usage_alert_id, customer, period_start, threshold,"
		   " id, value, state, occurred_at, number) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
	.argument_count = 10,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, TIMESTAMPTZOID, NUMERICOID, UUIDOID, NUMERICOID, TEXTOID,
					   TIMESTAMPTZOID, INT8OID},
};

/* A customer, a period, and what the metric says. */
typedef struct Evaluation
{
	AlertRecorder *recorder;
	const UsageAlert *alert;
	const Metric *metric;
	Slice customer;
	TimestampTz start;
	TimestampTz end;
	bool is_purged; /* nothing can be said of the period */
	Numeric value;  /* NULL: there is none */
	MemoryContext context;
} Evaluation;

/* The value --------------------------------------------------------------- */

static int
find_aliases_of(const Evaluation *evaluation, const UsageQuestion *question, Slice **aliases)
{
	MemoryContext context = CurrentMemoryContext;
	const char *customer = pnstrdup(evaluation->customer.data, evaluation->customer.length);
	int count;

	if (evaluation->alert->scope.customer.data != NULL)
		return usage_find_aliases(question, list_make1(unconstify(char *, customer)), aliases);
	SPI_connect();
	statement_execute(&find_aliases,
					  (Datum[]){UUIDPGetDatum(&question->metric.account_id), slice_to_datum(evaluation->customer)},
					  NULL);
	count = (int) SPI_processed;
	*aliases = MemoryContextAlloc(context, sizeof(Slice) * Max(count, 1));
	for (int row = 0; row < count; row++)
		(*aliases)[row] = usage_copied_text(row, 1, context);
	SPI_finish();
	return count;
}

static void
ask_value(Evaluation *evaluation)
{
	TimestampTz bounds[] = {Max(evaluation->start, CALENDAR_START), Min(evaluation->end, CALENDAR_END)};
	UsageQuestion question = {.metric = *evaluation->metric};
	MetricResult result;
	Slice *aliases;
	int count = find_aliases_of(evaluation, &question, &aliases);
	MemoryContext context;

	evaluation->is_purged = bounds[0] < horizon_of_question(&question.metric.account_id);
	/* An alias that is another's is no customer: nothing is said of it. */
	if (evaluation->is_purged || count == 0)
		return;
	usage_calculate_steps(&question, aliases, count, bounds, 1, &result);
	context = MemoryContextSwitchTo(evaluation->context);
	evaluation->value = result.value != NULL ? DatumGetNumericCopy(NumericGetDatum(result.value)) : NULL;
	MemoryContextSwitchTo(context);
}

/* All that the value is made of is read in one snapshot, which has what this transaction has written. */
static void
ask_in_snapshot(void *argument)
{
	MemoryContext work_context = AllocSetContextCreate(CurrentMemoryContext, "usage alert", ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = MemoryContextSwitchTo(work_context);

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	ask_value(argument);
	PopActiveSnapshot();
	MemoryContextSwitchTo(context);
	MemoryContextDelete(work_context);
}

/*
 * A value that cannot be told, because it would take too much memory or has too many digits, is left out until the
 * customer's events change again: it must not keep rollups from being refreshed.
 */
static bool
ask(Evaluation *evaluation)
{
	ErrorData *error = subtransaction_try(ask_in_snapshot, evaluation);
	char id[UUID_TEXT_LENGTH + 1];

	if (error == NULL)
		return !evaluation->is_purged;
	if (refresh_rollups_must_end(error->sqlerrcode))
		ReThrowError(error);
	uuid_v7_to_text(&evaluation->alert->id, id);
	ereport(WARNING, (errcode(error->sqlerrcode), errmsg("could not evaluate usage alert \"%s\"", id),
					  errdetail_internal("%s", error->message)));
	return false;
}

/* What is told ------------------------------------------------------------- */

/* What was said last of a threshold. */
typedef struct ThresholdState
{
	Numeric threshold;
	bool is_known;
	bool is_triggered;
} ThresholdState;

static void
set_key(const Evaluation *evaluation, Datum *arguments)
{
	arguments[0] = UUIDPGetDatum(&evaluation->alert->account_id);
	arguments[1] = UUIDPGetDatum(&evaluation->alert->id);
	arguments[2] = slice_to_datum(evaluation->customer);
	arguments[3] = TimestampTzGetDatum(evaluation->start);
}

static void
forget_threshold(const Evaluation *evaluation, Numeric threshold)
{
	Datum arguments[5];

	set_key(evaluation, arguments);
	arguments[4] = NumericGetDatum(threshold);
	statement_execute(&delete_state, arguments, NULL);
}

static void
remember_threshold(const Evaluation *evaluation, Numeric threshold, bool is_triggered)
{
	Datum arguments[7];

	set_key(evaluation, arguments);
	arguments[4] = NumericGetDatum(threshold);
	arguments[5] = BoolGetDatum(is_triggered);
	arguments[6] = TimestampTzGetDatum(evaluation->end);
	statement_execute(&write_state, arguments, NULL);
}

static int64
next_number(AlertRecorder *recorder)
{
	if (recorder->last_number == 0)
	{
		statement_execute(&find_last_number, (Datum[]){UUIDPGetDatum(recorder->account_id)}, NULL);
		recorder->last_number = DatumGetInt64(row_value_there(0, 1));
	}
	return ++recorder->last_number;
}

static void
record(const Evaluation *evaluation, Numeric threshold, bool is_triggered)
{
	Datum arguments[10];
	char nulls[] = "          ";
	pg_uuid_t id;

	uuid_v7_generate(&id);
	set_key(evaluation, arguments);
	nulls[3] = TIMESTAMP_IS_NOBEGIN(evaluation->start) ? 'n' : ' ';
	arguments[4] = NumericGetDatum(threshold);
	arguments[5] = UUIDPGetDatum(&id);
	arguments[6] = NumericGetDatum(evaluation->value);
	nulls[6] = evaluation->value == NULL ? 'n' : ' ';
	arguments[7] = slice_to_datum(is_triggered ? SLICE("TRIGGERED") : SLICE("RESOLVED"));
	arguments[8] = TimestampTzGetDatum(GetCurrentTimestamp());
	arguments[9] = Int64GetDatum(next_number(evaluation->recorder));
	statement_execute(&insert_event, arguments, nulls);
	evaluation->recorder->has_recorded = true;
}

/* Fills what is known of the alert's thresholds, and forgets those that it has no longer. */
static void
read_threshold_states(const Evaluation *evaluation, ThresholdState *states)
{
	const UsageAlert *alert = evaluation->alert;
	List *gone = NIL;
	ListCell *cell;
	Datum arguments[4];

	for (int i = 0; i < alert->threshold_count; i++)
		states[i] = (ThresholdState){alert->thresholds[i], false, false};
	set_key(evaluation, arguments);
	statement_execute(&read_states, arguments, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Numeric threshold = DatumGetNumeric(row_value_there(row, 1));
		int i = 0;

		while (i < alert->threshold_count && alert_compare(states[i].threshold, threshold) != 0)
			i++;
		if (i == alert->threshold_count)
			gone = lappend(gone, DatumGetNumericCopy(NumericGetDatum(threshold)));
		else
		{
			states[i].is_known = true;
			states[i].is_triggered = DatumGetBool(row_value_there(row, 2));
		}
	}
	foreach(cell, gone)
		forget_threshold(evaluation, lfirst(cell));
}

/* Whether the value is at the threshold, or above. */
static bool
reaches(const Evaluation *evaluation, Numeric threshold)
{
	return evaluation->value != NULL && alert_compare(evaluation->value, threshold) >= 0;
}

/* Compares with a threshold of an alert ABOVE. */
static void
compare_above(const Evaluation *evaluation, const ThresholdState *state)
{
	bool is_triggered = reaches(evaluation, state->threshold);

	if (is_triggered == state->is_triggered)
		return;
	if (is_triggered)
		remember_threshold(evaluation, state->threshold, true);
	else
		forget_threshold(evaluation, state->threshold);
	record(evaluation, state->threshold, is_triggered);
}

/* The same of one BELOW, which has to have been there. */
static void
compare_below(const Evaluation *evaluation, const ThresholdState *state)
{
	bool is_there = reaches(evaluation, state->threshold);
	bool is_triggered = evaluation->value != NULL && !is_there && state->is_known;

	if (evaluation->value == NULL && state->is_known)
		forget_threshold(evaluation, state->threshold);
	else if ((is_there && !state->is_known) || is_triggered != state->is_triggered)
		remember_threshold(evaluation, state->threshold, is_triggered);
	if (is_triggered != state->is_triggered)
		record(evaluation, state->threshold, is_triggered);
}

/* Whether the value goes up, as far as it passes thresholds. */
static bool
goes_up(const Evaluation *evaluation, const ThresholdState *states)
{
	for (int i = 0; i < evaluation->alert->threshold_count; i++)
	{
		bool was_there =
			evaluation->alert->is_below ? states[i].is_known && !states[i].is_triggered : states[i].is_triggered;

		if (reaches(evaluation, states[i].threshold) && !was_there)
			return true;
	}
	return false;
}

/* Tells what has changed, in the order in which a value passes thresholds. */
static void
compare(const Evaluation *evaluation)
{
	int count = evaluation->alert->threshold_count;
	ThresholdState *states = palloc(sizeof(ThresholdState) * Max(count, 1));
	bool is_ascending;

	read_threshold_states(evaluation, states);
	is_ascending = goes_up(evaluation, states);
	for (int i = 0; i < count; i++)
	{
		const ThresholdState *state = &states[is_ascending ? i : count - 1 - i];

		if (evaluation->alert->is_below)
			compare_below(evaluation, state);
		else
			compare_above(evaluation, state);
	}
}

/* Looks at the customer in the period of that moment, and records what is to be told. */
void
alert_evaluate(AlertRecorder *recorder, const UsageAlert *alert, const Metric *metric, Slice customer,
			   TimestampTz moment)
{
	MemoryContext work_context =
		AllocSetContextCreate(CurrentMemoryContext, "usage alert evaluation", ALLOCSET_SMALL_SIZES);
	MemoryContext context = MemoryContextSwitchTo(work_context);
	Evaluation evaluation = {
		.recorder = recorder,
		.alert = alert,
		.metric = metric,
		.customer = customer,
		.context = work_context,
	};

	period_find(&alert->scope.period, moment, &evaluation.start, &evaluation.end);
	if (evaluation.end > alert_due_oldest_end() && ask(&evaluation))
	{
		SPI_connect();
		compare(&evaluation);
		SPI_finish();
	}
	MemoryContextSwitchTo(context);
	MemoryContextDelete(work_context);
}
