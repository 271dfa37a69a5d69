/*
 * usage/status.c
 *		What happens to an account at the moment: its row of the view account_status.
 */
#include "postgres.h"

#include "usage/status.h"

#include "account/account.h"
#include "base/json_build.h"
#include "catalog/pg_type.h"
#include "endpoint/response.h"
#include "fmgr.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/timestamp.h"

#define SECONDS(column) "pg_catalog.round(CAST(" column " AS pg_catalog.numeric), 6)"

static Statement find_status = {
	.sql =
		"SELECT stored_last_minute, superseded_last_minute, rejected_last_minute, over_limit_last_minute, rejected_waiting,"
		" rejected_bytes, rejected_not_kept, marks_waiting, metric_count, metric_version_count, limit_count, alert_count,"
		" rejected_not_kept_at, purged_before,"
		" " SECONDS("newest_event_age_seconds") ", " SECONDS(
			"refresh_lag_seconds") " FROM usage_events.account_status WHERE account_id " EQ " $1",
	.read_only = true,
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Columns of the statement, by their types: numbers, moments, seconds. */
#define COUNT_COLUMNS 12
#define MOMENT_COLUMNS 2
#define SECONDS_COLUMNS 2

static const char *const members[COUNT_COLUMNS + MOMENT_COLUMNS + SECONDS_COLUMNS] = {
	"storedLastMinute",  "supersededLastMinute", "rejectedLastMinute", "overLimitLastMinute", "rejectedWaiting",
	"rejectedBytes",     "rejectedNotKept",      "marksWaiting",       "metricCount",         "metricVersionCount",
	"limitCount",        "alertCount",           "rejectedNotKeptAt",  "purgedBefore",        "newestEventAgeSeconds",
	"refreshLagSeconds",
};

static Jsonb *
account_to_json(uint64 row)
{
	JsonObject object = {0};

	for (int i = 0; i < (int) lengthof(members); i++)
	{
		Slice name = slice_from_cstring(members[i]);
		bool isnull;
		Datum value = row_value(row, i + 1, &isnull);

		if (isnull)
			json_add_null(&object, name);
		else if (i < COUNT_COLUMNS)
			json_add_integer(&object, name, DatumGetInt64(value));
		else if (i < COUNT_COLUMNS + MOMENT_COLUMNS)
			json_add_timestamp(&object, name, DatumGetTimestampTz(value));
		else
			json_add_numeric(&object, name, DatumGetNumeric(value));
	}
	return json_make_object(&object);
}

/* NULL if there is no such account. */
Jsonb *
usage_status(const pg_uuid_t *account_id)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	Jsonb *status = NULL;

	SPI_connect();
	statement_execute(&find_status, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	if (SPI_processed > 0)
	{
		spi_context = MemoryContextSwitchTo(context);
		status = account_to_json(0);
		MemoryContextSwitchTo(spi_context);
	}
	SPI_finish();
	return status;
}

static Datum
get_status(PG_FUNCTION_ARGS)
{
	return http_answer_or_null(fcinfo, usage_status(account_current()));
}

/* get_usage_status() */
PG_FUNCTION_INFO_V1(get_usage_status);
Datum
get_usage_status(PG_FUNCTION_ARGS)
{
	return http_endpoint(get_status, fcinfo, "get_usage_status", 200);
}
