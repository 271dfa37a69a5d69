/*
 * metric/versions.c
 *		All versions of a usage metric, in pages: what it says now, what it said
 *		before, and since when each was in force.
 */
#include "postgres.h"

#include "metric/versions.h"

#include "account/account.h"
#include "base/argument.h"
#include "base/json_build.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "endpoint/response.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "metric/definition.h"
#include "metric/metric.h"
#include "sql/row.h"
#include "sql/statement.h"

/* After METRIC_ROW_COLUMNS, whose id is that of the version here: pages go by it. */
#define VERSION_ROW_COLUMNS METRIC_ROW_COLUMNS ", metric_id, superseded_by"

enum
{
	COLUMN_METRIC_ID = 19,
	COLUMN_SUPERSEDED_BY
};

#define BY_ID " WHERE account_id " EQ " %s AND id " EQ " %s"

/* A deleted metric's last version is the deletion. */
static void
append_versions(SqlQuery *query, const char *columns, const pg_uuid_t *account_id, const pg_uuid_t *metric_id)
{
	const char *account = sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id));
	const char *metric = sql_query_argument(query, UUIDOID, UUIDPGetDatum(metric_id));

	sql_query_append(query,
					 "SELECT %s FROM (SELECT version_id AS id, " METRIC_VERSION_COLUMNS ", id AS metric_id,"
					 " pg_catalog.lead(version_id) OVER (ORDER BY version_id) AS superseded_by FROM ("
					 "SELECT " METRIC_ROW_COLUMNS " FROM usage_events.metric" BY_ID " UNION ALL "
					 "SELECT " METRIC_ROW_COLUMNS " FROM usage_events.superseded_metric" BY_ID
					 ") AS version) AS version"
					 " WHERE true",
					 columns, account, metric, account, metric);
}

/* The moment from which on a version is in force. */
static void
add_time(JsonObject *object, Slice name, const pg_uuid_t *version_id)
{
	TimestampTz timestamp;

	if (uuid_v7_time(version_id, &timestamp))
		json_add_timestamp(object, name, timestamp);
	else
		json_add_null(object, name);
}

static Jsonb *
read_item(uint64 row, const pg_uuid_t *account_id, ListKey *key)
{
	JsonObject object = {0};
	Metric metric;
	bool is_last;
	Datum superseded_by = row_value(row, COLUMN_SUPERSEDED_BY, &is_last);

	metric_read_row(row, account_id, &metric, CurrentMemoryContext);
	key->id = metric.version_id;
	metric.id = *DatumGetUUIDP(row_value_there(row, COLUMN_METRIC_ID));
	metric_definition_add(&object, &metric);
	json_add_uuid(&object, SLICE("versionId"), &metric.version_id);
	add_time(&object, SLICE("inForceSince"), &metric.version_id);
	if (is_last)
		json_add_null(&object, SLICE("supersededAt"));
	else
		add_time(&object, SLICE("supersededAt"), DatumGetUUIDP(superseded_by));
	return json_make_object(&object);
}

/* The newest first; NULL where there is no such metric.  Refuses with the faults that were found before, and its own. */
Jsonb *
metric_versions_read(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, ListPage *page, List *faults)
{
	MemoryContext context = CurrentMemoryContext;
	Metric metric;
	SqlQuery query;
	Jsonb *json;

	page->order = LIST_METRIC_VERSIONS_BY_ID;
	page->filters = hash_bytes(metric_id->data, UUID_LEN);
	list_page_faults_report(list_page_check(faults, page));
	if (!metric_get(account_id, metric_id, &metric))
		return NULL;

	SPI_connect();
	sql_query_init(&query);
	append_versions(&query, "", account_id, metric_id);
	list_page_count(page, &query);

	sql_query_init(&query);
	append_versions(&query, VERSION_ROW_COLUMNS, account_id, metric_id);
	list_page_append_order(page, &query);
	sql_query_execute(&query);
	json = list_page_answer(page, account_id, read_item, context);
	SPI_finish();
	return json;
}

/* The door for SQL --------------------------------------------------------- */

static Datum
list_versions(PG_FUNCTION_ARGS)
{
	ListPage page = LIST_PAGE_DEFAULTS;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(1))
		page.limit = PG_GETARG_INT32(1);
	page.after = argument_text(fcinfo, 2);
	page.before = argument_text(fcinfo, 3);
	return http_answer_or_null(fcinfo, metric_versions_read(account_current(), PG_GETARG_UUID_P(0), &page, NIL));
}

/* list_usage_metric_versions(metric_id uuid, page_limit integer, after text, before text) */
PG_FUNCTION_INFO_V1(list_usage_metric_versions);
Datum
list_usage_metric_versions(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_versions, fcinfo, "list_usage_metric_versions", 200);
}
