/*
 * event_list.c
 *		Lists of usage events: filtered, sorted, in pages.
 *
 * The first page reads current events.  The pages after it read the same list as
 * it was then: events up to the newest id of that moment, and for those that have
 * been superseded since, the version that was current.  So nobody who pages
 * through a list that is being written to misses an event or sees one twice.
 */
#include "postgres.h"

#include "event_list.h"

#include "account.h"
#include "catalog/pg_type.h"
#include "customer_alias.h"
#include "event_id.h"
#include "event_json.h"
#include "event_store.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "http_response.h"
#include "sql_query.h"
#include "statement.h"
#include "utils/timestamp.h"
#include "utils/array.h"
#include "utils/builtins.h"

static Datum
text_array(const List *texts)
{
	EventText *contents = palloc(sizeof(EventText) * Max(list_length(texts), 1));
	int count = 0;
	ListCell *cell;

	foreach(cell, texts)
		contents[count++] = cstring_event_text(lfirst(cell));
	return statement_varlena_array(contents, count, TEXTOID);
}

/* Conditions: the text of each stands in both arms of the list's statement ------ */

/* Those that an index can find. */
static char *
indexed_conditions(SqlQuery *query, const pg_uuid_t *account_id, const EventList *list)
{
	StringInfoData sql;
	pg_uuid_t *id;

	initStringInfo(&sql);
	appendStringInfo(&sql, "account_id OPERATOR(pg_catalog.=) %s",
					 sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id)));
	if (list->has_customer_aliases)
		appendStringInfo(&sql, " AND customer_alias OPERATOR(pg_catalog.=) ANY (%s)",
						 sql_query_argument(query, TEXTARRAYOID, text_array(list->customer_aliases)));
	if (list->has_timestamp_after)
		appendStringInfo(&sql, " AND event_timestamp OPERATOR(pg_catalog.>=) %s",
						 sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(list->timestamp_after)));
	if (list->has_timestamp_before)
		appendStringInfo(&sql, " AND event_timestamp OPERATOR(pg_catalog.<) %s",
						 sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(list->timestamp_before)));
	if (list->event_id != NULL)
	{
		appendStringInfo(&sql, " AND (customer_event_id OPERATOR(pg_catalog.=) %s",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(list->event_id)));
		id = palloc(sizeof(pg_uuid_t));
		if (event_id_from_text(cstring_event_text(list->event_id), id))
			appendStringInfo(&sql, " OR id OPERATOR(pg_catalog.=) %s",
							 sql_query_argument(query, UUIDOID, UUIDPGetDatum(id)));
		appendStringInfoChar(&sql, ')');
	}
	return sql.data;
}

/* And those that need the row. */
static char *
other_conditions(SqlQuery *query, const pg_uuid_t *account_id, const EventList *list)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "true");
	if (list->event_type != NULL)
		appendStringInfo(&sql, " AND event_type OPERATOR(pg_catalog.=) %s",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(list->event_type)));
	if (list->unmapped_aliases_only)
	{
		const char *account = sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id));

		appendStringInfo(&sql,
						 " AND customer_alias OPERATOR(pg_catalog.<>) '" VOID_ALIAS "'"
						 " AND NOT EXISTS (SELECT FROM usage_events.customer_alias AS alias"
						 " WHERE alias.account_id OPERATOR(pg_catalog.=) %s AND alias.deleted_at IS NULL"
						 " AND alias.value OPERATOR(pg_catalog.=) event.customer_alias)"
						 " AND NOT EXISTS (SELECT FROM usage_events.customer_alias AS alias"
						 " WHERE alias.account_id OPERATOR(pg_catalog.=) %s AND alias.deleted_at IS NULL"
						 " AND alias.customer_id OPERATOR(pg_catalog.=) event.customer_alias)",
						 account, account);
	}
	return sql.data;
}

/* Statements -------------------------------------------------------------- */

static Datum
first_value(bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
}

/* The newest id of the account: what comes later is not of this list. */
static void
read_newest(const pg_uuid_t *account_id, ListPage *page)
{
	SqlQuery query;
	bool isnull;

	sql_query_init(&query);
	sql_query_append(&query,
					 "SELECT id FROM usage_events.event WHERE account_id OPERATOR(pg_catalog.=) %s"
					 " ORDER BY id DESC LIMIT 1",
					 sql_query_argument(&query, UUIDOID, UUIDPGetDatum(account_id)));
	sql_query_execute(&query);
	if (SPI_processed > 0)
		page->newest = *DatumGetUUIDP(first_value(&isnull));
}

/*
 * Counts the list, unless too many events would have to be looked at: an answer
 * that makes the page slow is none, and an estimate would not be true.
 */
static void
count_total(const pg_uuid_t *account_id, EventList *list)
{
	SqlQuery query;
	char *indexed;
	char *other;
	bool isnull;
	int64 examined;

	sql_query_init(&query);
	indexed = indexed_conditions(&query, account_id, list);
	other = other_conditions(&query, account_id, list);
	sql_query_append(&query,
					 "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE %s)"
					 " FROM (SELECT customer_alias, event_type FROM usage_events.event WHERE %s LIMIT %s) AS event",
					 other, indexed,
					 sql_query_argument(&query, INT8OID, Int64GetDatum((int64) list_page_total_limit() + 1)));
	sql_query_execute(&query);
	examined = DatumGetInt64(first_value(&isnull));
	if (examined <= list_page_total_limit())
		list->page.total = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
}

/* Runs the statement of the page, which reads one item more than the page holds. */
static void
read_page(const pg_uuid_t *account_id, EventList *list)
{
	const ListPage *page = &list->page;
	bool descending = page->descending != page->backward;
	const char *direction = descending ? "DESC" : "ASC";
	const char *beyond = descending ? "<" : ">";
	SqlQuery query;
	char *indexed;
	char *other;
	const char *keys = "true";

	sql_query_init(&query);
	indexed = indexed_conditions(&query, account_id, list);
	other = other_conditions(&query, account_id, list);
	if (page->has_key)
	{
		const char *id = sql_query_argument(&query, UUIDOID, UUIDPGetDatum(&page->key.id));

		if (page->order == LIST_BY_ID)
			keys = psprintf("id OPERATOR(pg_catalog.%s) %s", beyond, id);
		else
			keys = psprintf("ROW(event_timestamp, id) OPERATOR(pg_catalog.%s) ROW(%s, %s)", beyond,
							sql_query_argument(&query, TIMESTAMPTZOID, TimestampTzGetDatum(page->key.timestamp)), id);
	}

	sql_query_append(&query, "SELECT " EVENT_ROW_COLUMNS " FROM usage_events.event AS event WHERE %s AND %s AND %s",
					 indexed, other, keys);
	if (page->has_key)
	{
		const char *newest = sql_query_argument(&query, UUIDOID, UUIDPGetDatum(&page->newest));

		sql_query_append(&query,
						 " AND id OPERATOR(pg_catalog.<=) %s"
						 " UNION ALL SELECT " EVENT_ROW_COLUMNS
						 " FROM usage_events.superseded_event AS event WHERE %s AND %s AND %s"
						 " AND id OPERATOR(pg_catalog.<=) %s AND superseded_by OPERATOR(pg_catalog.>) %s",
						 newest, indexed, other, keys, newest, newest);
	}
	sql_query_append(&query, " ORDER BY %sid %s LIMIT %s OFFSET %s",
					 page->order == LIST_BY_TIMESTAMP ? psprintf("event_timestamp %s, ", direction) : "", direction,
					 sql_query_argument(&query, INT8OID, Int64GetDatum((int64) page->limit + 1)),
					 sql_query_argument(&query, INT8OID, Int64GetDatum((int64) page->offset)));
	sql_query_execute(&query);
}

/* Reads the page that is asked for, or refuses to: with the faults that were found before, and its own. */
Jsonb *
event_list_read(const pg_uuid_t *account_id, EventList *list, List *faults)
{
	MemoryContext context = CurrentMemoryContext;
	ListPage *page = &list->page;
	UsageEvent *events;
	Jsonb **items;
	ListKey *keys;
	int count;
	bool has_more;

	list_page_faults_report(list_page_check(faults, page));

	SPI_connect();
	read_page(account_id, list);
	has_more = SPI_processed > (uint64) page->limit;
	count = has_more ? page->limit : (int) SPI_processed;

	events = MemoryContextAlloc(context, sizeof(UsageEvent) * Max(count, 1));
	for (int i = 0; i < count; i++)
		event_store_read_row(i, account_id, &events[page->backward ? count - 1 - i : i], context);
	if (!page->has_key)
	{
		read_newest(account_id, page);
		count_total(account_id, list);
	}
	SPI_finish();

	items = palloc(sizeof(Jsonb *) * Max(count, 1));
	keys = palloc0(sizeof(ListKey) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		items[i] = event_json_write(&events[i]);
		keys[i].id = events[i].id;
		if (page->order == LIST_BY_TIMESTAMP)
			keys[i].timestamp = events[i].timestamp;
	}
	return list_page_answer(page, items, keys, count, has_more);
}

/* The door for SQL --------------------------------------------------------- */

enum
{
	ARGUMENT_LIMIT,
	ARGUMENT_AFTER,
	ARGUMENT_BEFORE,
	ARGUMENT_OFFSET,
	ARGUMENT_SORT_BY,
	ARGUMENT_SORT_ORDER,
	ARGUMENT_CUSTOMER_ALIASES,
	ARGUMENT_UNMAPPED_ALIASES_ONLY,
	ARGUMENT_EVENT_TYPE,
	ARGUMENT_EVENT_ID,
	ARGUMENT_TIMESTAMP_BEFORE,
	ARGUMENT_TIMESTAMP_AFTER
};

static const char *
text_argument(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

static List *
texts_argument(FunctionCallInfo fcinfo, int number)
{
	Datum *values;
	bool *nulls;
	int count;
	List *texts = NIL;

	if (PG_ARGISNULL(number))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			texts = lappend(texts, TextDatumGetCString(values[i]));
	}
	return texts;
}

static Datum
list_events(PG_FUNCTION_ARGS)
{
	EventList list = {.page = LIST_PAGE_DEFAULTS};
	List *faults = NIL;

	if (!PG_ARGISNULL(ARGUMENT_LIMIT))
		list.page.limit = PG_GETARG_INT32(ARGUMENT_LIMIT);
	if (!PG_ARGISNULL(ARGUMENT_OFFSET))
		list.page.offset = PG_GETARG_INT32(ARGUMENT_OFFSET);
	list.page.after = text_argument(fcinfo, ARGUMENT_AFTER);
	list.page.before = text_argument(fcinfo, ARGUMENT_BEFORE);
	if (!PG_ARGISNULL(ARGUMENT_SORT_BY))
		faults = list_page_set_order(faults, &list.page, text_argument(fcinfo, ARGUMENT_SORT_BY));
	if (!PG_ARGISNULL(ARGUMENT_SORT_ORDER))
		faults = list_page_set_direction(faults, &list.page, text_argument(fcinfo, ARGUMENT_SORT_ORDER));
	list.has_customer_aliases = !PG_ARGISNULL(ARGUMENT_CUSTOMER_ALIASES);
	list.customer_aliases = texts_argument(fcinfo, ARGUMENT_CUSTOMER_ALIASES);
	list.unmapped_aliases_only =
		!PG_ARGISNULL(ARGUMENT_UNMAPPED_ALIASES_ONLY) && PG_GETARG_BOOL(ARGUMENT_UNMAPPED_ALIASES_ONLY);
	list.event_type = text_argument(fcinfo, ARGUMENT_EVENT_TYPE);
	list.event_id = text_argument(fcinfo, ARGUMENT_EVENT_ID);
	if ((list.has_timestamp_before = !PG_ARGISNULL(ARGUMENT_TIMESTAMP_BEFORE)))
		list.timestamp_before = PG_GETARG_TIMESTAMPTZ(ARGUMENT_TIMESTAMP_BEFORE);
	if ((list.has_timestamp_after = !PG_ARGISNULL(ARGUMENT_TIMESTAMP_AFTER)))
		list.timestamp_after = PG_GETARG_TIMESTAMPTZ(ARGUMENT_TIMESTAMP_AFTER);

	PG_RETURN_JSONB_P(event_list_read(account_current(), &list, faults));
}

PG_FUNCTION_INFO_V1(list_usage_events);
Datum
list_usage_events(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_events, fcinfo, "list_usage_events", 200);
}
