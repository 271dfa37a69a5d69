/*
 * rollup/version.c
 *		The version of a metric that rollups are of.
 */
#include "postgres.h"

#include "rollup/version.h"

#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "sql/statement.h"

static Statement read_version = {
	.sql = "SELECT " METRIC_ROW_COLUMNS " FROM usage_events.metric WHERE account_id " EQ " $1"
		   " AND id " EQ " $2 AND version_id " EQ " $3 AND deleted_at IS NULL",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, UUIDOID},
};

/* As a line of the log names it. */
const char *
rollup_version_text(const pg_uuid_t *version_id)
{
	char *text = palloc(UUID_TEXT_LENGTH + 1);

	uuid_v7_to_text(version_id, text);
	return text;
}

/* Reads the metric in that version; false if it has another by now. */
bool
rollup_version_read(const pg_uuid_t *account_id, const MetricVersion *version, Metric *metric)
{
	bool found;

	statement_execute(&read_version,
					  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(&version->id),
								UUIDPGetDatum(&version->version_id)},
					  NULL);
	found = SPI_processed > 0;
	if (found)
		metric_read_row(0, account_id, metric, CurrentMemoryContext);
	SPI_freetuptable(SPI_tuptable);
	return found;
}
