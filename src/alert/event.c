/*
 * alert/event.c
 *		Thresholds that were crossed, as they are answered: one by one, and in pages.
 */
#include "postgres.h"

#include "alert/event.h"

#include "account/account.h"
#include "base/argument.h"
#include "base/json_build.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "endpoint/response.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "sql/row.h"
#include "utils/builtins.h"

/* Numbers of ALERT_EVENT_ROW_COLUMNS. */
enum
{
	COLUMN_ID = 1,
	COLUMN_ALERT_ID,
	COLUMN_CUSTOMER,
	COLUMN_PERIOD_START,
	COLUMN_THRESHOLD,
	COLUMN_VALUE,
	COLUMN_STATE,
	COLUMN_OCCURRED_AT
};

/* Of a row of the last statement, in the current memory context. */
Jsonb *
alert_event_to_json(uint64 row)
{
	JsonObject object = {0};
	bool isnull;
	Datum value;

	json_add_uuid(&object, SLICE("id"), DatumGetUUIDP(row_value_there(row, COLUMN_ID)));
	json_add_uuid(&object, SLICE("usageAlertId"), DatumGetUUIDP(row_value_there(row, COLUMN_ALERT_ID)));
	json_add_text(&object, SLICE("customer"), row_text(row, COLUMN_CUSTOMER));
	value = row_value(row, COLUMN_PERIOD_START, &isnull);
	if (isnull)
		json_add_null(&object, SLICE("periodStart"));
	else
		json_add_timestamp(&object, SLICE("periodStart"), DatumGetTimestampTz(value));
	json_add_numeric(&object, SLICE("threshold"), DatumGetNumeric(row_value_there(row, COLUMN_THRESHOLD)));
	value = row_value(row, COLUMN_VALUE, &isnull);
	if (isnull)
		json_add_null(&object, SLICE("value"));
	else
		json_add_numeric(&object, SLICE("value"), DatumGetNumeric(value));
	json_add_text(&object, SLICE("state"), row_text(row, COLUMN_STATE));
	json_add_timestamp(&object, SLICE("occurredAt"), DatumGetTimestampTz(row_value_there(row, COLUMN_OCCURRED_AT)));
	return json_make_object(&object);
}

/* Lists ------------------------------------------------------------------- */

/* Tells lists of different filters apart. */
static uint32
filters_hash(const AlertEventList *list)
{
	StringInfoData filters;

	initStringInfo(&filters);
	appendStringInfo(&filters, "%d%d%d", list->alert_id != NULL, list->customer != NULL, list->state != NULL);
	if (list->alert_id != NULL)
		appendBinaryStringInfo(&filters, (const char *) list->alert_id->data, UUID_LEN);
	if (list->state != NULL)
		appendStringInfo(&filters, "%s%c", list->state, '\0');
	if (list->customer != NULL)
		appendStringInfoString(&filters, list->customer);
	return hash_bytes((unsigned char *) filters.data, filters.len);
}

/* A state that no event can have is a mistake: the list would be empty without a word. */
static List *
check_state(List *faults, const char *state)
{
	if (state == NULL || strcmp(state, "TRIGGERED") == 0 || strcmp(state, "RESOLVED") == 0)
		return faults;
	return fault_add(faults, "state", "must be \"TRIGGERED\" or \"RESOLVED\"");
}

/* What the list holds, whatever the page. */
static const char *
conditions(SqlQuery *query, const pg_uuid_t *account_id, const AlertEventList *list)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "account_id " EQ " %s", sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id)));
	if (list->alert_id != NULL)
		appendStringInfo(&sql, " AND usage_alert_id " EQ " %s",
						 sql_query_argument(query, UUIDOID, UUIDPGetDatum(list->alert_id)));
	if (list->customer != NULL)
		appendStringInfo(&sql, " AND customer " EQ " %s",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(list->customer)));
	if (list->state != NULL)
		appendStringInfo(&sql, " AND state " EQ " %s",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(list->state)));
	return sql.data;
}

static Jsonb *
read_item(uint64 row, const pg_uuid_t *account_id pg_attribute_unused(), ListKey *key)
{
	key->id = *DatumGetUUIDP(row_value_there(row, COLUMN_ID));
	return alert_event_to_json(row);
}

/* The newest first.  Refuses with the faults that were found before, and its own. */
Jsonb *
alert_event_list_read(const pg_uuid_t *account_id, AlertEventList *list, List *faults)
{
	MemoryContext context = CurrentMemoryContext;
	ListPage *page = &list->page;
	SqlQuery query;
	Jsonb *json;

	page->order = LIST_ALERT_EVENTS_BY_ID;
	page->filters = filters_hash(list);
	list_page_faults_report(list_page_check(check_state(faults, list->state), page));

	SPI_connect();
	sql_query_init(&query);
	sql_query_append(&query, "SELECT FROM usage_events.usage_alert_event WHERE %s",
					 conditions(&query, account_id, list));
	list_page_count(page, &query);

	sql_query_init(&query);
	sql_query_append(&query, "SELECT " ALERT_EVENT_ROW_COLUMNS " FROM usage_events.usage_alert_event WHERE %s",
					 conditions(&query, account_id, list));
	list_page_append_order(page, &query);
	sql_query_execute(&query);
	json = list_page_answer(page, account_id, read_item, context);
	SPI_finish();
	return json;
}

/* The door for SQL --------------------------------------------------------- */

static Datum
list_events(PG_FUNCTION_ARGS)
{
	AlertEventList list = {.page = LIST_PAGE_DEFAULTS};

	if (!PG_ARGISNULL(0))
		list.page.limit = PG_GETARG_INT32(0);
	list.page.after = argument_text(fcinfo, 1);
	list.page.before = argument_text(fcinfo, 2);
	list.alert_id = PG_ARGISNULL(3) ? NULL : PG_GETARG_UUID_P(3);
	list.customer = argument_text(fcinfo, 4);
	list.state = argument_text(fcinfo, 5);
	PG_RETURN_JSONB_P(alert_event_list_read(account_current(), &list, NIL));
}

/* list_usage_alert_events(page_limit integer, after text, before text, usage_alert_id uuid, customer text, state text) */
PG_FUNCTION_INFO_V1(list_usage_alert_events);
Datum
list_usage_alert_events(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_events, fcinfo, "list_usage_alert_events", 200);
}
