/*
 * alert/list.c
 *		Lists of usage alerts: filtered, in pages.
 *
 * An account has tens of them: what is filtered is looked at one by one.
 */
#include "postgres.h"

#include "alert/list.h"

#include "account/account.h"
#include "alert/definition.h"
#include "base/argument.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "endpoint/response.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"

/* Tells lists of different filters apart. */
static uint32
filters_hash(const AlertList *list)
{
	StringInfoData filters;

	initStringInfo(&filters);
	appendStringInfo(&filters, "%d%d", list->metric_id != NULL, list->customer != NULL);
	if (list->metric_id != NULL)
		appendBinaryStringInfo(&filters, (const char *) list->metric_id->data, UUID_LEN);
	if (list->customer != NULL)
		appendStringInfoString(&filters, list->customer);
	return hash_bytes((unsigned char *) filters.data, filters.len);
}

/* What the list holds, whatever the page. */
static const char *
conditions(SqlQuery *query, const pg_uuid_t *account_id, const AlertList *list)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "account_id " EQ " %s AND deleted_at IS NULL",
					 sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id)));
	if (list->metric_id != NULL)
		appendStringInfo(&sql, " AND metric_id " EQ " %s",
						 sql_query_argument(query, UUIDOID, UUIDPGetDatum(list->metric_id)));
	if (list->customer != NULL)
		appendStringInfo(&sql, " AND customer " EQ " %s",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(list->customer)));
	return sql.data;
}

static Jsonb *
read_item(uint64 row, const pg_uuid_t *account_id, ListKey *key)
{
	UsageAlert alert;

	alert_read_row(row, account_id, &alert, CurrentMemoryContext);
	key->id = alert.id;
	return alert_definition_to_json(&alert);
}

/* The newest first.  Refuses with the faults that were found before, and its own. */
Jsonb *
alert_list_read(const pg_uuid_t *account_id, AlertList *list, List *faults)
{
	MemoryContext context = CurrentMemoryContext;
	ListPage *page = &list->page;
	SqlQuery query;
	Jsonb *json;

	page->order = LIST_ALERTS_BY_ID;
	page->filters = filters_hash(list);
	list_page_faults_report(list_page_check(faults, page));

	SPI_connect();
	sql_query_init(&query);
	sql_query_append(&query, "SELECT FROM usage_events.usage_alert WHERE %s", conditions(&query, account_id, list));
	list_page_count(page, &query);

	sql_query_init(&query);
	sql_query_append(&query, "SELECT " ALERT_ROW_COLUMNS " FROM usage_events.usage_alert WHERE %s",
					 conditions(&query, account_id, list));
	list_page_append_order(page, &query);
	sql_query_execute(&query);
	json = list_page_answer(page, account_id, read_item, context);
	SPI_finish();
	return json;
}

/* The door for SQL --------------------------------------------------------- */

static Datum
list_alerts(PG_FUNCTION_ARGS)
{
	AlertList list = {.page = LIST_PAGE_DEFAULTS};

	if (!PG_ARGISNULL(0))
		list.page.limit = PG_GETARG_INT32(0);
	list.page.after = argument_text(fcinfo, 1);
	list.page.before = argument_text(fcinfo, 2);
	list.metric_id = PG_ARGISNULL(3) ? NULL : PG_GETARG_UUID_P(3);
	list.customer = argument_text(fcinfo, 4);
	PG_RETURN_JSONB_P(alert_list_read(account_current(), &list, NIL));
}

/* list_usage_alerts(page_limit integer, after text, before text, usage_metric_id uuid, customer text) */
PG_FUNCTION_INFO_V1(list_usage_alerts);
Datum
list_usage_alerts(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_alerts, fcinfo, "list_usage_alerts", 200);
}
