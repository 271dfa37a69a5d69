/*
 * metric/list.c
 *		Lists of usage metrics: filtered, in pages.
 *
 * An account has tens of them, or hundreds: what is filtered is looked at one by
 * one.
 */
#include "postgres.h"

#include "metric/list.h"

#include "account/account.h"
#include "account/key_scope.h"
#include "base/argument.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "endpoint/response.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "metric/definition.h"
#include "metric/metric.h"
#include "sql/statement.h"
#include "utils/builtins.h"

static void
add_text(StringInfo filters, const char *text)
{
	appendStringInfo(filters, "%d%s%c", text != NULL, text != NULL ? text : "", '\0');
}

static void
add_filter(StringInfo filters, const TextFilter *filter)
{
	ListCell *cell;

	appendStringInfo(filters, "%d %d%c", filter->given, list_length(filter->texts), '\0');
	foreach(cell, filter->texts)
		add_text(filters, lfirst(cell));
}

/* A cursor carries the total: that of a key that sees more is of another list. */
static void
add_scope(StringInfo filters)
{
	const KeyScope *scope = key_scope_current();

	if (scope != NULL && scope->metric_ids != NULL)
		appendBinaryStringInfo(filters, (const char *) scope->metric_ids,
							   (int) sizeof(pg_uuid_t) * scope->metric_count);
}

/* Tells lists of different filters apart. */
static uint32
filters_hash(const MetricList *list)
{
	StringInfoData filters;

	initStringInfo(&filters);
	add_text(&filters, list->name);
	add_text(&filters, list->id);
	add_filter(&filters, &list->event_types);
	add_filter(&filters, &list->event_properties);
	add_filter(&filters, &list->aggregation_types);
	add_scope(&filters);
	return hash_bytes((unsigned char *) filters.data, filters.len);
}

/* A type that no metric can have is a mistake: the list would be empty without a word. */
static List *
check_aggregation_types(List *faults, const TextFilter *filter)
{
	ListCell *cell;

	foreach(cell, filter->texts)
	{
		Slice name = slice_from_cstring(lfirst(cell));

		if (metric_kind_find(name) == NULL)
			faults = fault_add(faults, "aggregationType", metric_kind_fault(name, true));
	}
	return faults;
}

static void
append_part(SqlQuery *query, StringInfo sql, const char *expression, const char *part)
{
	if (part != NULL)
		appendStringInfo(sql, " AND pg_catalog.strpos(pg_catalog.lower(%s), pg_catalog.lower(%s)) " GT " 0", expression,
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(part)));
}

static void
append_filter(SqlQuery *query, StringInfo sql, const char *column, const TextFilter *filter)
{
	if (filter->given)
		appendStringInfo(sql, " AND %s " EQ " ANY (%s)", column,
						 sql_query_argument(query, TEXTARRAYOID, statement_text_array(filter->texts)));
}

/* Those that the request's key may know of. */
static void
append_scope(SqlQuery *query, StringInfo sql)
{
	const KeyScope *scope = key_scope_current();
	Datum *ids;

	if (scope == NULL || scope->metric_ids == NULL)
		return;
	ids = palloc(sizeof(Datum) * Max(scope->metric_count, 1));
	for (int i = 0; i < scope->metric_count; i++)
		ids[i] = UUIDPGetDatum(&scope->metric_ids[i]);
	appendStringInfo(sql, " AND id " EQ " ANY (%s)",
					 sql_query_argument(query, UUIDARRAYOID, statement_uuid_array(ids, scope->metric_count)));
}

/* What the list holds, whatever the page. */
static const char *
conditions(SqlQuery *query, const pg_uuid_t *account_id, const MetricList *list)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "account_id " EQ " %s AND deleted_at IS NULL",
					 sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id)));
	append_part(query, &sql, "name", list->name);
	append_part(query, &sql, "CAST(id AS pg_catalog.text)", list->id);
	append_filter(query, &sql, "event_type", &list->event_types);
	append_filter(query, &sql, "aggregation_property", &list->event_properties);
	append_filter(query, &sql, "aggregation_type", &list->aggregation_types);
	append_scope(query, &sql);
	return sql.data;
}

static Jsonb *
read_item(uint64 row, const pg_uuid_t *account_id, ListKey *key)
{
	Metric metric;

	metric_read_row(row, account_id, &metric, CurrentMemoryContext);
	key->id = metric.id;
	return metric_definition_to_json(&metric);
}

/* The newest first.  Refuses with the faults that were found before, and its own. */
Jsonb *
metric_list_read(const pg_uuid_t *account_id, MetricList *list, List *faults)
{
	MemoryContext context = CurrentMemoryContext;
	ListPage *page = &list->page;
	SqlQuery query;
	Jsonb *json;

	page->order = LIST_METRICS_BY_ID;
	page->filters = filters_hash(list);
	faults = check_aggregation_types(faults, &list->aggregation_types);
	list_page_faults_report(list_page_check(faults, page));

	SPI_connect();
	sql_query_init(&query);
	sql_query_append(&query, "SELECT FROM usage_events.metric WHERE %s", conditions(&query, account_id, list));
	list_page_count(page, &query);

	sql_query_init(&query);
	sql_query_append(&query, "SELECT " METRIC_ROW_COLUMNS " FROM usage_events.metric WHERE %s",
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
	ARGUMENT_METRIC_ID,
	ARGUMENT_EVENT_TYPES,
	ARGUMENT_EVENT_PROPERTIES,
	ARGUMENT_AGGREGATION_TYPES
};

static TextFilter
filter_argument(FunctionCallInfo fcinfo, int number)
{
	return (TextFilter){!PG_ARGISNULL(number), argument_texts(fcinfo, number)};
}

static Datum
list_metrics(PG_FUNCTION_ARGS)
{
	MetricList list = {.page = LIST_PAGE_DEFAULTS};

	if (!PG_ARGISNULL(ARGUMENT_LIMIT))
		list.page.limit = PG_GETARG_INT32(ARGUMENT_LIMIT);
	list.page.after = argument_text(fcinfo, ARGUMENT_AFTER);
	list.page.before = argument_text(fcinfo, ARGUMENT_BEFORE);
	list.name = argument_text(fcinfo, ARGUMENT_NAME);
	list.id = argument_text(fcinfo, ARGUMENT_METRIC_ID);
	list.event_types = filter_argument(fcinfo, ARGUMENT_EVENT_TYPES);
	list.event_properties = filter_argument(fcinfo, ARGUMENT_EVENT_PROPERTIES);
	list.aggregation_types = filter_argument(fcinfo, ARGUMENT_AGGREGATION_TYPES);
	PG_RETURN_JSONB_P(metric_list_read(account_current(), &list, NIL));
}

/* list_usage_metrics(page_limit integer, after text, before text, name text, metric_id text, ...) */
PG_FUNCTION_INFO_V1(list_usage_metrics);
Datum
list_usage_metrics(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_metrics, fcinfo, "list_usage_metrics", 200);
}
