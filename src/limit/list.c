/*
 * limit/list.c
 *		Lists of usage limits: filtered, in pages.
 */
#include "postgres.h"

#include "limit/list.h"

#include "account/account.h"
#include "base/argument.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "endpoint/response.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "limit/definition.h"
#include "utils/builtins.h"

static void
add_text(StringInfo filters, const char *text)
{
	appendStringInfo(filters, "%d%s%c", text != NULL, text != NULL ? text : "", '\0');
}

/* Tells lists of different filters apart. */
static uint32
filters_hash(const LimitList *list)
{
	StringInfoData filters;

	initStringInfo(&filters);
	add_text(&filters, list->name);
	add_text(&filters, list->usage_metric_id);
	add_text(&filters, list->customer);
	add_text(&filters, list->period);
	add_text(&filters, list->mode);
	return hash_bytes((unsigned char *) filters.data, filters.len);
}

/* A word that no limit can have is a mistake: the list would be empty without a word. */
static List *
check_filters(List *faults, const LimitList *list)
{
	PeriodUnit unit;
	bool blocks;
	const char *fault;
	pg_uuid_t id;

	if (list->usage_metric_id != NULL && !uuid_v7_from_text(slice_from_cstring(list->usage_metric_id), &id))
		faults = fault_add(faults, "usageMetricId", "must be a UUID");
	if (list->period != NULL && (fault = period_unit_from_text(slice_from_cstring(list->period), &unit)) != NULL)
		faults = fault_add(faults, "period", fault);
	if (list->mode != NULL && (fault = limit_mode_from_text(slice_from_cstring(list->mode), &blocks)) != NULL)
		faults = fault_add(faults, "mode", fault);
	return faults;
}

static void
append_filter(SqlQuery *query, StringInfo sql, const char *column, const char *value)
{
	if (value != NULL)
		appendStringInfo(sql, " AND %s " EQ " %s", column,
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(value)));
}

/* What the list holds, whatever the page. */
static const char *
conditions(SqlQuery *query, const pg_uuid_t *account_id, const LimitList *list)
{
	StringInfoData sql;
	pg_uuid_t *metric_id;

	initStringInfo(&sql);
	appendStringInfo(&sql, "account_id " EQ " %s AND deleted_at IS NULL",
					 sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id)));
	if (list->name != NULL)
		appendStringInfo(&sql, " AND pg_catalog.strpos(pg_catalog.lower(name), pg_catalog.lower(%s)) " GT " 0",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(list->name)));
	if (list->usage_metric_id != NULL)
	{
		metric_id = palloc(sizeof(pg_uuid_t));
		(void) uuid_v7_from_text(slice_from_cstring(list->usage_metric_id), metric_id);
		appendStringInfo(&sql, " AND metric_id " EQ " %s",
						 sql_query_argument(query, UUIDOID, UUIDPGetDatum(metric_id)));
	}
	append_filter(query, &sql, "customer", list->customer);
	append_filter(query, &sql, "period", list->period);
	append_filter(query, &sql, "mode", list->mode);
	return sql.data;
}

static Jsonb *
read_item(uint64 row, const pg_uuid_t *account_id, ListKey *key)
{
	UsageLimit limit;

	limit_read_row(row, account_id, &limit);
	key->id = limit.id;
	return limit_definition_to_json(&limit);
}

/* The newest first.  Refuses with the faults that were found before, and its own. */
Jsonb *
limit_list_read(const pg_uuid_t *account_id, LimitList *list, List *faults)
{
	MemoryContext context = CurrentMemoryContext;
	ListPage *page = &list->page;
	SqlQuery query;
	Jsonb *json;

	page->order = LIST_LIMITS_BY_ID;
	page->filters = filters_hash(list);
	faults = check_filters(faults, list);
	list_page_faults_report(list_page_check(faults, page));

	SPI_connect();
	sql_query_init(&query);
	sql_query_append(&query, "SELECT FROM usage_events.usage_limit WHERE %s", conditions(&query, account_id, list));
	list_page_count(page, &query);

	sql_query_init(&query);
	sql_query_append(&query, "SELECT " LIMIT_ROW_COLUMNS " FROM usage_events.usage_limit WHERE %s",
					 conditions(&query, account_id, list));
	list_page_append_order(page, &query);
	sql_query_execute(&query);
	json = list_page_answer(page, account_id, read_item, context);
	SPI_finish();
	return json;
}

/* The door for SQL --------------------------------------------------------- */

enum
{
	ARGUMENT_LIMIT,
	ARGUMENT_AFTER,
	ARGUMENT_BEFORE,
	ARGUMENT_NAME,
	ARGUMENT_USAGE_METRIC_ID,
	ARGUMENT_CUSTOMER,
	ARGUMENT_PERIOD,
	ARGUMENT_MODE
};

static Datum
list_limits(PG_FUNCTION_ARGS)
{
	LimitList list = {.page = LIST_PAGE_DEFAULTS};

	if (!PG_ARGISNULL(ARGUMENT_LIMIT))
		list.page.limit = PG_GETARG_INT32(ARGUMENT_LIMIT);
	list.page.after = argument_text(fcinfo, ARGUMENT_AFTER);
	list.page.before = argument_text(fcinfo, ARGUMENT_BEFORE);
	list.name = argument_text(fcinfo, ARGUMENT_NAME);
	list.usage_metric_id = argument_text(fcinfo, ARGUMENT_USAGE_METRIC_ID);
	list.customer = argument_text(fcinfo, ARGUMENT_CUSTOMER);
	list.period = argument_text(fcinfo, ARGUMENT_PERIOD);
	list.mode = argument_text(fcinfo, ARGUMENT_MODE);
	PG_RETURN_JSONB_P(limit_list_read(account_current(), &list, NIL));
}

/* list_usage_limits(page_limit integer, after text, before text, name text, usage_metric_id text, customer text, ...) */
PG_FUNCTION_INFO_V1(list_usage_limits);
Datum
list_usage_limits(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_limits, fcinfo, "list_usage_limits", 200);
}
