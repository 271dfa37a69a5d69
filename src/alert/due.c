/*
 * alert/due.c
 *		Which customers and periods a refresh has still to look at: usage_events.usage_alert_due.
 *
 * When marks of an alias are taken away, the periods that they fall in are noted for each alert
 * that the change may concern, in the same transaction: so nothing is lost, whenever and by
 * whom it is looked at.  A row too many does no harm.
 *
 * An alert of every customer is told whose the alias is: the customer's it is mapped to, or else the
 * alias itself.  One of a single customer is of an alias, or of all that are mapped to it.
 */
#include "postgres.h"

#include "alert/due.h"

#include <limits.h>

#include "alert/alert.h"
#include "alert/known.h"
#include "base/calendar.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "miscadmin.h"
#include "rollup/functions.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "sql/subtransaction.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Alerts of metrics of a type; the columns of an alert first. */
static Statement alerts_of_type = {
	.sql = "SELECT " ALERT_ROW_COLUMNS " FROM usage_events.usage_alert WHERE account_id " EQ " $1"
		   " AND deleted_at IS NULL AND metric_id " EQ " ANY (ARRAY(SELECT m.id FROM usage_events.metric AS m"
		   " WHERE m.account_id " EQ " $1 AND m.event_type " EQ " $2 AND m.deleted_at IS NULL))",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static Statement find_customer = {
	.sql = "SELECT customer_id FROM usage_events.customer_alias WHERE account_id " EQ " $1"
		   " AND value " EQ " $2 AND deleted_at IS NULL",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static Statement insert_due = {
	.sql = "INSERT INTO usage_events.usage_alert_due (account_id, id, usage_alert_id, customer, period_start)"
		   " SELECT $1, pg_catalog.unnest($2), $3, $4, pg_catalog.unnest($5)",
	.argument_count = 5,
	.argument_types = {UUIDOID, UUIDARRAYOID, UUIDOID, TEXTOID, TIMESTAMPTZARRAYOID},
};

/* Which of these two names an alert is of, or both. */
static Statement alerts_of_names = {
	.sql = "SELECT id, customer FROM usage_events.usage_alert WHERE account_id " EQ " $1"
		   " AND deleted_at IS NULL AND (customer IS NULL OR customer " EQ " $2 OR customer " EQ " $3)",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID},
};

/* It looks at all customers, from the first on, as soon as its periods are known. */
static Statement restart_progress = {
	.sql = "UPDATE usage_events.usage_alert_progress SET customer_alias = '', is_over = false"
		   " WHERE account_id " EQ " $1 AND usage_alert_id " EQ " $2 AND (is_over OR customer_alias " NE " '')",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static int retention_minutes = 90 * 24 * 60;

void
alert_due_init(void)
{
	DefineCustomIntVariable("usage_events.usage_alert_retention",
							"How long usage alert events are kept, and periods that are over looked at; 0: for ever.",
							"A refresh of rollups deletes older ones.", &retention_minutes, 90 * 24 * 60, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MIN, NULL, NULL, NULL);
}

/* Periods that ended before this moment are not looked at any more. */
TimestampTz
alert_due_oldest_end(void)
{
	return retention_minutes == 0 ? DT_NOBEGIN : GetCurrentTimestamp() - retention_minutes * USECS_PER_MINUTE;
}

/* Whose the alias is, in the current memory context: its own, where it is mapped to nobody. */
Slice
alert_due_customer_of(const pg_uuid_t *account_id, Slice alias)
{
	Slice customer = alias;

	statement_execute(&find_customer, (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(alias)}, NULL);
	if (SPI_processed > 0)
		customer = row_text_copy(0, 1);
	SPI_freetuptable(SPI_tuptable);
	return customer;
}

static void
insert(const pg_uuid_t *account_id, const pg_uuid_t *alert_id, Slice customer, Datum *starts, int count)
{
	pg_uuid_t *ids;
	Datum *id_values;

	if (count == 0)
		return;
	ids = palloc(sizeof(pg_uuid_t) * count);
	id_values = palloc(sizeof(Datum) * count);
	for (int i = 0; i < count; i++)
	{
		uuid_v7_generate(&ids[i]);
		id_values[i] = UUIDPGetDatum(&ids[i]);
	}
	statement_execute(&insert_due,
					  (Datum[]){UUIDPGetDatum(account_id), statement_uuid_array(id_values, count),
								UUIDPGetDatum(alert_id), slice_to_datum(customer),
								statement_timestamp_array(starts, count)},
					  NULL);
}

/* Marks ------------------------------------------------------------------- */

/* Whether the alert watches periods that begin and end then: what an anchor of ALL_TIME leaves out, and old ones, it does not. */
static bool
is_watched(const UsageAlert *alert, TimestampTz start, TimestampTz end, TimestampTz oldest_end)
{
	bool is_before_anchor =
		alert->scope.period.unit == PERIOD_ALL_TIME && alert->scope.period.has_anchor && TIMESTAMP_IS_NOBEGIN(start);

	return end > oldest_end && !is_before_anchor;
}

/* The begins of the periods in which the seconds lie: an anchor may cut one in two. */
static Datum *
periods_of(const UsageAlert *alert, const TimestampTz *seconds, int count, int *period_count)
{
	TimestampTz oldest_end = alert_due_oldest_end();
	Datum *starts = NULL;
	int capacity = 0;
	TimestampTz start;
	TimestampTz end = DT_NOBEGIN;

	*period_count = 0;
	for (int i = 0; i < count; i++)
	{
		while (end < seconds[i] + USECS_PER_SEC)
		{
			CHECK_FOR_INTERRUPTS();
			period_find(&alert->scope.period, Max(end, seconds[i]), &start, &end);
			if (!is_watched(alert, start, end, oldest_end))
				continue;
			starts = memory_budget_room(starts, *period_count, &capacity, sizeof(Datum));
			starts[(*period_count)++] = TimestampTzGetDatum(start);
		}
	}
	return starts;
}

static void
note_periods(const UsageAlert *alert, Slice customer, const TimestampTz *seconds, int count)
{
	int period_count;
	Datum *starts = periods_of(alert, seconds, count, &period_count);

	insert(&alert->account_id, &alert->id, customer, starts, period_count);
}

/* Notes what the alert has to look at, if it concerns the alias, or the customer whose it is. */
static void
note_marks(const UsageAlert *alert, Slice alias, Slice customer, const TimestampTz *seconds, int count)
{
	Slice only = alert->scope.customer;

	if (only.data == NULL)
		note_periods(alert, customer, seconds, count);
	else if (slice_equal(only, alias) || slice_equal(only, customer))
		note_periods(alert, only, seconds, count);
}

/*
 * Nobody can say which periods have changed by a clock that this server does not know.  So that nothing of
 * the present one is lost, all customers are looked at once it is known.  Connected to SPI.
 */
void
alert_due_put_off(const UsageAlert *alert)
{
	statement_execute(&restart_progress, (Datum[]){UUIDPGetDatum(&alert->account_id), UUIDPGetDatum(&alert->id)}, NULL);
}

static void
put_off_marks(const UsageAlert *alert)
{
	alert_due_put_off(alert);
	ereport(WARNING,
			(errmsg("usage alert \"%.*s\" cannot be evaluated", alert->scope.name.length, alert->scope.name.data),
			 errdetail("Its time zone is not known to this server.")));
}

/* The alerts of metrics of a type. */
typedef struct AlertsOfType
{
	const pg_uuid_t *account_id;
	Slice event_type;
	UsageAlert *alerts;
	int count;
	MemoryContext context;
} AlertsOfType;

static void
read_alerts(void *argument)
{
	AlertsOfType *read = argument;

	SPI_connect();
	statement_execute(&alerts_of_type, (Datum[]){UUIDPGetDatum(read->account_id), slice_to_datum(read->event_type)},
					  NULL);
	read->count = (int) SPI_processed;
	read->alerts = MemoryContextAlloc(read->context, sizeof(UsageAlert) * Max(read->count, 1));
	for (int row = 0; row < read->count; row++)
		alert_read_row(row, read->account_id, &read->alerts[row], read->context);
	SPI_finish();
}

/* Alerts that this server cannot read keep no rollups from being refreshed. */
static void
try_read_alerts(AlertsOfType *read)
{
	ErrorData *error = subtransaction_try(read_alerts, read);

	if (error == NULL)
		return;
	if (refresh_rollups_must_end(error->sqlerrcode))
		ReThrowError(error);
	read->count = 0;
	ereport(WARNING, (errcode(error->sqlerrcode), errmsg("could not read usage alerts"),
					  errdetail_internal("%s", error->message)));
}

/* Notes what is to be looked at after these changes.  What was taken back is nobody's. */
void
alert_due_take_marks(const pg_uuid_t *account_id, Slice event_type, Slice alias, const TimestampTz *seconds, int count)
{
	MemoryContext work_context;
	MemoryContext context;
	AlertsOfType of_type = {.account_id = account_id, .event_type = event_type};

	if (!alert_known_has_alerts(account_id) || slice_equal(alias, SLICE(VOID_ALIAS)))
		return;
	work_context = AllocSetContextCreate(CurrentMemoryContext, "usage alerts due", ALLOCSET_DEFAULT_SIZES);
	context = MemoryContextSwitchTo(work_context);
	of_type.context = work_context;
	try_read_alerts(&of_type);
	if (of_type.count > 0)
	{
		Slice customer = alert_due_customer_of(account_id, alias);

		for (int i = 0; i < of_type.count; i++)
		{
			if (period_is_known(&of_type.alerts[i].scope.period))
				note_marks(&of_type.alerts[i], alias, customer, seconds, count);
			else
				put_off_marks(&of_type.alerts[i]);
		}
	}
	MemoryContextSwitchTo(context);
	MemoryContextDelete(work_context);
}

/* Aliases ----------------------------------------------------------------- */

static void
note_now(const pg_uuid_t *account_id, const pg_uuid_t *alert_id, Slice customer)
{
	insert(account_id, alert_id, customer, (Datum[]){TimestampTzGetDatum(ALERT_PERIOD_NOW)}, 1);
}

/* The alias has become the customer's, or is no longer: what both have used in the present periods is another now. */
void
alert_due_alias_changed(const pg_uuid_t *account_id, Slice customer_id, Slice value)
{
	pg_uuid_t *ids;
	Slice *customers;
	int count;

	statement_execute(&alerts_of_names,
					  (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(customer_id), slice_to_datum(value)}, NULL);
	count = (int) SPI_processed;
	ids = palloc(sizeof(pg_uuid_t) * Max(count, 1));
	customers = palloc(sizeof(Slice) * Max(count, 1));
	for (int row = 0; row < count; row++)
	{
		ids[row] = *DatumGetUUIDP(row_value_there(row, 1));
		customers[row] = row_text_copy(row, 2);
	}
	for (int i = 0; i < count; i++)
	{
		if (customers[i].data != NULL)
			note_now(account_id, &ids[i], customers[i]);
		else
		{
			note_now(account_id, &ids[i], customer_id);
			note_now(account_id, &ids[i], value);
		}
	}
}
