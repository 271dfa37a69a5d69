/*
 * alert/alert.c
 *		Usage alerts as they are stored: usage_events.usage_alert, and their earlier versions in
 *		usage_events.superseded_usage_alert.
 */
#include "postgres.h"

#include "alert/alert.h"

#include "catalog/pg_type.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"

/* Numbers of ALERT_ROW_COLUMNS. */
enum
{
	COLUMN_ID = 1,
	COLUMN_VERSION_ID,
	COLUMN_SCOPE,
	COLUMN_THRESHOLDS = COLUMN_SCOPE + LIMIT_SCOPE_COLUMN_COUNT,
	COLUMN_DIRECTION,
	COLUMN_CREATED_AT,
	COLUMN_UPDATED_AT,
	COLUMN_DELETED_AT
};

static Statement get_alert = {
	.sql = "SELECT " ALERT_ROW_COLUMNS " FROM usage_events.usage_alert WHERE account_id " EQ " $1 AND id " EQ " $2",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

/* As numbers: zeros at the end make no difference. */
int
alert_compare(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

Slice
alert_direction_name(const UsageAlert *alert)
{
	return alert->is_below ? SLICE("BELOW") : SLICE("ABOVE");
}

Datum
alert_thresholds_datum(const UsageAlert *alert)
{
	Datum *values = palloc(sizeof(Datum) * Max(alert->threshold_count, 1));

	for (int i = 0; i < alert->threshold_count; i++)
		values[i] = NumericGetDatum(alert->thresholds[i]);
	return statement_array(values, NULL, alert->threshold_count, NUMERICOID);
}

static void
read_thresholds(Datum array, UsageAlert *alert)
{
	Datum *values;
	bool *nulls;

	deconstruct_array(DatumGetArrayTypePCopy(array), NUMERICOID, -1, false, TYPALIGN_INT, &values, &nulls,
					  &alert->threshold_count);
	alert->thresholds = palloc(sizeof(Numeric) * Max(alert->threshold_count, 1));
	for (int i = 0; i < alert->threshold_count; i++)
		alert->thresholds[i] = DatumGetNumeric(values[i]);
}

/* Reads a row of the last statement into the alert, in memory that outlives SPI. */
void
alert_read_row(uint64 row, const pg_uuid_t *account_id, UsageAlert *alert, MemoryContext context)
{
	MemoryContext spi_context = MemoryContextSwitchTo(context);
	bool isnull;
	Datum deleted_at;

	alert->account_id = *account_id;
	alert->id = *DatumGetUUIDP(row_value_there(row, COLUMN_ID));
	alert->version_id = *DatumGetUUIDP(row_value_there(row, COLUMN_VERSION_ID));
	limit_scope_read_row(row, COLUMN_SCOPE, &alert->scope);
	read_thresholds(row_value_there(row, COLUMN_THRESHOLDS), alert);
	alert->is_below = slice_equal(row_text(row, COLUMN_DIRECTION), SLICE("BELOW"));
	alert->created_at = DatumGetTimestampTz(row_value_there(row, COLUMN_CREATED_AT));
	alert->updated_at = DatumGetTimestampTz(row_value_there(row, COLUMN_UPDATED_AT));
	deleted_at = row_value(row, COLUMN_DELETED_AT, &isnull);
	alert->is_deleted = !isnull;
	alert->deleted_at = isnull ? 0 : DatumGetTimestampTz(deleted_at);
	MemoryContextSwitchTo(spi_context);
}

/* Reads the account's alert of that id, also a deleted one; false if there is none. */
bool
alert_get(const pg_uuid_t *account_id, const pg_uuid_t *id, UsageAlert *alert)
{
	MemoryContext context = CurrentMemoryContext;
	bool found;

	SPI_connect();
	statement_execute(&get_alert, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id)}, NULL);
	found = SPI_processed > 0;
	if (found)
		alert_read_row(0, account_id, alert, context);
	SPI_finish();
	return found;
}
