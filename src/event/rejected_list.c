/*
 * event/rejected_list.c
 *		Events that were refused: looked at, sent again, given up.
 *
 * Those that were taken, and that a refresh has still to delete, are gone for
 * whoever looks.
 */
#include "postgres.h"

#include "event/rejected_list.h"

#include "account/account.h"
#include "base/json_build.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "endpoint/response.h"
#include "event/rejected.h"
#include "fmgr.h"
#include "base/argument.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/timestamp.h"

enum
{
	COLUMN_ID = 1,
	COLUMN_BODY,
	COLUMN_FAULTS
};

/* Who sends may not delete: see rejected.c. */
static Statement take_one = {
	.sql = "UPDATE usage_events.rejected_event SET taken_at = $3"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2 AND taken_at IS NULL RETURNING id, body, faults",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, TIMESTAMPTZOID},
};

static Jsonb *
read_item(uint64 row, const pg_uuid_t *account_id pg_attribute_unused(), ListKey *key)
{
	JsonObject object = {0};
	TimestampTz rejected_at;

	key->id = *DatumGetUUIDP(row_value_there(row, COLUMN_ID));
	json_add_uuid(&object, SLICE("id"), &key->id);
	if (uuid_v7_time(&key->id, &rejected_at))
		json_add_timestamp(&object, SLICE("rejectedAt"), rejected_at);
	else
		json_add_null(&object, SLICE("rejectedAt"));
	json_add_text(&object, SLICE("body"), row_text(row, COLUMN_BODY));
	json_add_json(&object, SLICE("faults"), DatumGetJsonbP(row_value_there(row, COLUMN_FAULTS)));
	return json_make_object(&object);
}

static const char *
conditions(SqlQuery *query, const pg_uuid_t *account_id)
{
	return psprintf("account_id " EQ " %s AND taken_at IS NULL",
					sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id)));
}

/* The newest first.  Refuses with the faults that were found before, and its own. */
Jsonb *
rejected_event_list(const pg_uuid_t *account_id, ListPage *page, List *faults)
{
	MemoryContext context = CurrentMemoryContext;
	SqlQuery query;
	Jsonb *json;

	page->order = LIST_REJECTED_BY_ID;
	list_page_faults_report(list_page_check(faults, page));

	SPI_connect();
	if (!page->has_key)
	{
		sql_query_init(&query);
		sql_query_append(&query, "SELECT FROM usage_events.rejected_event WHERE %s", conditions(&query, account_id));
		list_page_count(page, &query);
	}
	sql_query_init(&query);
	sql_query_append(&query, "SELECT id, body, faults FROM usage_events.rejected_event WHERE %s",
					 conditions(&query, account_id));
	list_page_append_order(page, &query);
	sql_query_execute(&query);
	json = list_page_answer(page, account_id, read_item, context);
	SPI_finish();
	return json;
}

/* Sends those of the ids again, or all; the outcomes of a batch. */
Jsonb *
rejected_event_retry(const pg_uuid_t *account_id, ArrayType *ids)
{
	text **bodies;
	pg_uuid_t *row_ids;
	int count = rejected_event_take(account_id, ids, &bodies, &row_ids);
	EventBatch batch;

	event_batch_from_texts(account_id, bodies, NULL, count, &batch);
	for (int i = 0; i < count; i++)
		batch.elements[i].rejected_id = &row_ids[i];
	event_batch_store(&batch);
	return event_batch_outcomes(&batch);
}

/* Gives one up, and answers it; NULL where none waits under the id. */
Jsonb *
rejected_event_delete(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb *json = NULL;
	ListKey key;

	SPI_connect();
	statement_execute(&take_one,
					  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id),
								TimestampTzGetDatum(GetCurrentTimestamp())},
					  NULL);
	if (SPI_processed > 0)
	{
		MemoryContext spi_context = MemoryContextSwitchTo(context);

		json = read_item(0, account_id, &key);
		MemoryContextSwitchTo(spi_context);
	}
	SPI_finish();
	return json;
}

/* The doors for SQL -------------------------------------------------------- */

static Datum
list_rejected(PG_FUNCTION_ARGS)
{
	ListPage page = LIST_PAGE_DEFAULTS;

	if (!PG_ARGISNULL(0))
		page.limit = PG_GETARG_INT32(0);
	page.after = argument_text(fcinfo, 1);
	page.before = argument_text(fcinfo, 2);
	PG_RETURN_JSONB_P(rejected_event_list(account_current(), &page, NIL));
}

/* list_rejected_usage_events(page_limit integer, after text, before text) */
PG_FUNCTION_INFO_V1(list_rejected_usage_events);
Datum
list_rejected_usage_events(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_rejected, fcinfo, "list_rejected_usage_events", 200);
}

static Datum
retry(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(rejected_event_retry(account_current(), PG_ARGISNULL(0) ? NULL : PG_GETARG_ARRAYTYPE_P(0)));
}

/* retry_rejected_usage_events(ids uuid[]) */
PG_FUNCTION_INFO_V1(retry_rejected_usage_events);
Datum
retry_rejected_usage_events(PG_FUNCTION_ARGS)
{
	return http_endpoint(retry, fcinfo, "retry_rejected_usage_events", 200);
}

static Datum
delete_rejected(PG_FUNCTION_ARGS)
{
	return http_answer_or_null(fcinfo, rejected_event_delete(account_current(), PG_GETARG_UUID_P(0)));
}

/* delete_rejected_usage_event(id uuid) */
PG_FUNCTION_INFO_V1(delete_rejected_usage_event);
Datum
delete_rejected_usage_event(PG_FUNCTION_ARGS)
{
	return http_endpoint(delete_rejected, fcinfo, "delete_rejected_usage_event", 200);
}
