/*
 * metric/metric.c
 *		Usage metrics as they are stored: usage_events.metric, and their earlier
 *		versions in usage_events.superseded_metric.
 */
#include "postgres.h"

#include "metric/metric.h"

#include "account/key_scope.h"
#include "catalog/pg_type.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Numbers of METRIC_ROW_COLUMNS. */
enum
{
	COLUMN_ID = 1,
	COLUMN_VERSION_ID,
	COLUMN_NAME,
	COLUMN_DESCRIPTION,
	COLUMN_METRIC_TYPE,
	COLUMN_EVENT_TYPE,
	COLUMN_AGGREGATION_TYPE,
	COLUMN_AGGREGATION_PROPERTY,
	COLUMN_PERCENTILE,
	COLUMN_GROUPING_PROPERTY,
	COLUMN_UNIT,
	COLUMN_PROPERTY_FILTERS,
	COLUMN_PROPERTIES_TO_NEGATE,
	COLUMN_CASE_SENSITIVE,
	COLUMN_EXPRESSION,
	COLUMN_PARAMETERS,
	COLUMN_CREATED_AT,
	COLUMN_DELETED_AT
};

#define BY_ID " WHERE account_id " EQ " $1 AND id " EQ " $2"

static Statement get_metric = {
	.sql = "SELECT " METRIC_ROW_COLUMNS " FROM usage_events.metric" BY_ID,
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

/* The version in force at a moment, which is given as the id of a version that would begin just then. */
static Statement get_metric_as_of = {
	.sql =
		"SELECT " METRIC_ROW_COLUMNS " FROM (SELECT " METRIC_ROW_COLUMNS " FROM usage_events.metric" BY_ID " UNION ALL"
		" SELECT " METRIC_ROW_COLUMNS " FROM usage_events.superseded_metric" BY_ID ") AS version"
		" WHERE version_id " LT " $3 ORDER BY version_id DESC LIMIT 1",
	.read_only = true,
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, UUIDOID},
};

static Jsonb *
json_column(uint64 row, int number)
{
	bool isnull;
	Datum value = row_value(row, number, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(value);
}

/* Reads a row of the last statement into the metric, in memory that outlives SPI. */
void
metric_read_row(uint64 row, const pg_uuid_t *account_id, Metric *metric, MemoryContext context)
{
	MemoryContext spi_context = MemoryContextSwitchTo(context);
	Slice aggregation;
	bool isnull;
	Datum percentile;
	Datum deleted_at;

	metric->account_id = *account_id;
	metric->id = *DatumGetUUIDP(row_value(row, COLUMN_ID, &isnull));
	metric->version_id = *DatumGetUUIDP(row_value(row, COLUMN_VERSION_ID, &isnull));
	metric->name = row_text_copy(row, COLUMN_NAME);
	metric->description = row_text_copy(row, COLUMN_DESCRIPTION);
	metric->is_grouped = strcmp(TextDatumGetCString(row_value(row, COLUMN_METRIC_TYPE, &isnull)), "GROUPED") == 0;
	metric->event_type = row_text_copy(row, COLUMN_EVENT_TYPE);
	aggregation = row_text_copy(row, COLUMN_AGGREGATION_TYPE);
	metric->kind = metric_kind_find(aggregation);
	if (metric->kind == NULL)
		elog(ERROR, "unexpected aggregation of a usage metric: %.*s", aggregation.length, aggregation.data);
	metric->aggregation_property = row_text_copy(row, COLUMN_AGGREGATION_PROPERTY);
	percentile = row_value(row, COLUMN_PERCENTILE, &isnull);
	metric->percentile = isnull ? NULL : DatumGetNumericCopy(percentile);
	metric->grouping_property = row_text_copy(row, COLUMN_GROUPING_PROPERTY);
	metric->unit = row_text_copy(row, COLUMN_UNIT);
	metric->property_filters = json_column(row, COLUMN_PROPERTY_FILTERS);
	metric->properties_to_negate = json_column(row, COLUMN_PROPERTIES_TO_NEGATE);
	metric->case_sensitive = DatumGetBool(row_value(row, COLUMN_CASE_SENSITIVE, &isnull));
	metric->expression = row_text_copy(row, COLUMN_EXPRESSION);
	metric->parameters = json_column(row, COLUMN_PARAMETERS);
	metric->created_at = DatumGetTimestampTz(row_value(row, COLUMN_CREATED_AT, &isnull));
	deleted_at = row_value(row, COLUMN_DELETED_AT, &isnull);
	metric->is_deleted = !isnull;
	metric->deleted_at = isnull ? 0 : DatumGetTimestampTz(deleted_at);
	metric->breakdown = NULL;
	MemoryContextSwitchTo(spi_context);
}

static bool
get(Statement *statement, Datum *arguments, Metric *metric)
{
	MemoryContext context = CurrentMemoryContext;
	bool found;

	SPI_connect();
	statement_execute(statement, arguments, NULL);
	found = SPI_processed > 0;
	if (found)
		metric_read_row(0, DatumGetUUIDP(arguments[0]), metric, context);
	SPI_finish();
	return found;
}

/* Reads the account's metric of that id, also a deleted one; false if there is none. */
bool
metric_get(const pg_uuid_t *account_id, const pg_uuid_t *id, Metric *metric)
{
	return key_scope_has_metric(id) &&
		   get(&get_metric, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id)}, metric);
}

/* The version whose id is the last below `as_of`; false if there was none yet. */
bool
metric_get_as_of(const pg_uuid_t *account_id, const pg_uuid_t *id, const pg_uuid_t *as_of, Metric *metric)
{
	return key_scope_has_metric(id) &&
		   get(&get_metric_as_of, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id), UUIDPGetDatum(as_of)},
			   metric);
}
