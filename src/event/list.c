/*
 * event/list.c
 *		Lists of usage events: filtered, sorted, in pages.
 *
 * The first page reads current events.  The pages after it read the same list as
 * it was then: events up to the newest id of that moment, and for those that have
 * been superseded since, the version that was current.  So nobody who pages
 * through a list that is being written to misses an event or sees one twice.
 *
 * What the cursor says of "then" may have been made up.  So whether the events of
 * the list are few is found out again, and the versions superseded since are
 * looked through only up to a limit.
 *
 * "Then" is an id, and ids are given before transactions commit.  A correction that
 * was under way just when the first page was read can have an id from before and
 * show only after; its event may be missed, or seen in both versions.
 */
#include "postgres.h"

#include "event/list.h"

#include "account/account.h"
#include "account/key_scope.h"
#include "base/argument.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "customer/alias.h"
#include "customer/scope.h"
#include "endpoint/response.h"
#include "event/json.h"
#include "event/store.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "sql/query.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* So many bytes of aliases: statements have several copies of them. */
#define MAX_ALIAS_BYTES (8 * 1024 * 1024)

/* Tells lists of different filters apart. */
static uint32
filters_hash(const EventList *list)
{
	StringInfoData filters;
	ListCell *cell;

	initStringInfo(&filters);
	foreach(cell, list->customer_aliases)
		appendStringInfo(&filters, "%s%c", (char *) lfirst(cell), '\0');
	appendStringInfo(&filters, "%d %d %d", list->has_customer_aliases, list->unmapped_aliases_only,
					 list_length(list->customer_aliases));
	appendStringInfo(&filters, "%s%c%s%c", list->event_type != NULL ? list->event_type : "", '\0',
					 list->event_id != NULL ? list->event_id : "", '\0');
	appendStringInfo(&filters, "%d %d %d %d " INT64_FORMAT " " INT64_FORMAT, list->event_type != NULL,
					 list->event_id != NULL, list->has_timestamp_before, list->has_timestamp_after,
					 list->timestamp_before, list->timestamp_after);
	if (key_scope_customer() != NULL)
		appendBinaryStringInfo(&filters, key_scope_customer()->data, key_scope_customer()->length);
	return hash_bytes((unsigned char *) filters.data, filters.len);
}

/* What the list holds: these conditions stand in both arms of its statement. */
static const char *
conditions(SqlQuery *query, const pg_uuid_t *account_id, const EventList *list)
{
	StringInfoData sql;
	pg_uuid_t *id;

	/* The account is the first parameter of every statement here. */
	Assert(query->argument_count == 0);
	initStringInfo(&sql);
	appendStringInfo(&sql, "account_id " EQ " %s", sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id)));
	/* The index has its events in order for one alias, not for any of an array. */
	if (list_length(list->customer_aliases) == 1)
		appendStringInfo(&sql, " AND customer_alias " EQ " %s",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(linitial(list->customer_aliases))));
	else if (list->has_customer_aliases)
		appendStringInfo(&sql, " AND customer_alias " EQ " ANY (%s)",
						 sql_query_argument(query, TEXTARRAYOID, statement_text_array(list->customer_aliases)));
	if (list->event_type != NULL)
		appendStringInfo(&sql, " AND event_type " EQ " %s",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(list->event_type)));
	if (list->has_timestamp_after)
		appendStringInfo(&sql, " AND event_timestamp " GE " %s",
						 sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(list->timestamp_after)));
	if (list->has_timestamp_before)
		appendStringInfo(&sql, " AND event_timestamp " LT " %s",
						 sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(list->timestamp_before)));
	if (list->event_id != NULL)
	{
		appendStringInfo(&sql, " AND (customer_event_id " EQ " %s",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(list->event_id)));
		id = palloc(sizeof(pg_uuid_t));
		if (uuid_v7_from_text(slice_from_cstring(list->event_id), id))
			appendStringInfo(&sql, " OR id " EQ " %s", sql_query_argument(query, UUIDOID, UUIDPGetDatum(id)));
		appendStringInfoChar(&sql, ')');
	}
	return sql.data;
}

/* Statements -------------------------------------------------------------- */

static Datum
first_value(bool *isnull)
{
	return row_value(0, 1, isnull);
}

static void
turn_off(const char *setting)
{
	(void) set_config_option(setting, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Along indexes, since the tables are also other accounts'; and without bitmaps, which
 * are built of all rows before the first comes out: no statement here reads more than it
 * says.  Only an id of either kind needs one.
 */
static void
execute(SqlQuery *query, const EventList *list)
{
	int nest_level = NewGUCNestLevel();

	turn_off("enable_seqscan");
	if (list->event_id == NULL)
		turn_off("enable_bitmapscan");
	turn_off("jit");
	sql_query_execute(query);
	AtEOXact_GUC(true, nest_level);
}

/* Runs the statement of a page of many events: along the index that has their order, and no further than the page. */
static void
execute_in_order(SqlQuery *query, const EventList *list)
{
	int nest_level = NewGUCNestLevel();

	turn_off("enable_sort");
	turn_off("enable_incremental_sort");
	execute(query, list);
	AtEOXact_GUC(true, nest_level);
}

/* Refuses a list that would have to look through too much. */
static void
refuse_lookup(const char *message, const char *what, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg_internal("%s", message),
					errdetail("%s: more than %d, the limit of usage_events.list_lookup_limit.", what,
							  list_page_lookup_limit()),
					errhint("%s", hint)));
}

static void
refuse_aliases(void)
{
	refuse_lookup("too many aliases to look for those of no customer", "The account has events of many aliases",
				  "Name aliases in \"customerAlias\".");
}

/* Whether an alias belongs to no customer, as in the view usage_events.unmapped_alias. */
#define IS_UNMAPPED \
	"alias.value " NE " '" VOID_ALIAS "'" \
	" AND ((SELECT mapped.value FROM usage_events.customer_alias AS mapped" \
	" WHERE mapped.account_id " EQ " %s" \
	" AND mapped.deleted_at IS NULL AND mapped.value " GE " alias.value" \
	" ORDER BY mapped.value LIMIT 1) " EQ " alias.value) IS NOT TRUE" \
	" AND ((SELECT mapped.customer_id FROM usage_events.customer_alias AS mapped" \
	" WHERE mapped.account_id " EQ " %s" \
	" AND mapped.deleted_at IS NULL AND mapped.customer_id " GE " alias.value" \
	" ORDER BY mapped.customer_id LIMIT 1) " EQ " alias.value) IS NOT TRUE"

/*
 * Aliases with events, from one to the next in the index, with their numbers: one
 * more than may be looked at shows that there are too many.  The account is a
 * parameter: Citus needs to know it to find the shard.
 */
#define ALIASES_WITH_EVENTS \
	"WITH RECURSIVE alias (value, number) AS (" \
	"(SELECT customer_alias, 1 FROM usage_events.event WHERE account_id " EQ " %s" \
	" ORDER BY customer_alias LIMIT 1)" \
	" UNION ALL SELECT (SELECT customer_alias FROM usage_events.event WHERE account_id " EQ " %s" \
	" AND customer_alias " GT " alias.value ORDER BY customer_alias LIMIT 1)," \
	" alias.number " PLUS " 1" \
	" FROM alias WHERE alias.value IS NOT NULL AND alias.number " LE " %s)"

/* Adds what aliases have events, and on later pages had some when the first page was read. */
static void
append_unmapped_with_events(SqlQuery *query, const char *account, const ListPage *page)
{
	const char *limit = sql_query_argument(query, INT4OID, Int32GetDatum(list_page_lookup_limit()));

	sql_query_append(query,
					 ALIASES_WITH_EVENTS " SELECT value, number " GT " %s FROM alias"
										 " WHERE value IS NOT NULL AND (number " GT " %s OR " IS_UNMAPPED ")",
					 account, account, limit, limit, limit, account, account);
	if (page->has_key)
		sql_query_append(query,
						 " UNION SELECT value, false FROM (SELECT DISTINCT customer_alias AS value"
						 " FROM usage_events.superseded_event WHERE account_id " EQ " %s"
						 " AND superseded_by " GT " %s) AS alias WHERE " IS_UNMAPPED,
						 account, sql_query_argument(query, UUIDOID, UUIDPGetDatum(&page->newest)), account, account);
}

/* Adds those of the aliases that were asked for. */
static void
append_unmapped_of(SqlQuery *query, const char *account, List *aliases)
{
	sql_query_append(query,
					 "SELECT value, false FROM (SELECT DISTINCT value FROM pg_catalog.unnest(%s) AS named (value))"
					 " AS alias WHERE " IS_UNMAPPED,
					 sql_query_argument(query, TEXTARRAYOID, statement_text_array(aliases)), account, account);
}

/* The aliases in the rows of the last statement, in that context. */
static List *
read_aliases(MemoryContext context)
{
	List *aliases = NIL;
	Size size = 0;
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		CHECK_FOR_INTERRUPTS();
		if (DatumGetBool(row_value_there(row, 2)))
			refuse_aliases();
		aliases = lappend(aliases, SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1));
		size += strlen(llast(aliases));
		if (size > MAX_ALIAS_BYTES)
			refuse_aliases();
	}
	MemoryContextSwitchTo(spi_context);
	return aliases;
}

/* Aliases that belong to no customer, of those asked for: from now on the list is of these. */
static void
resolve_unmapped(const pg_uuid_t *account_id, EventList *list, MemoryContext context)
{
	SqlQuery query;
	const char *account;

	sql_query_init(&query);
	account = sql_query_argument(&query, UUIDOID, UUIDPGetDatum(account_id));
	if (list->has_customer_aliases)
		append_unmapped_of(&query, account, list->customer_aliases);
	else
		append_unmapped_with_events(&query, account, &list->page);
	execute(&query, list);

	list->customer_aliases = read_aliases(context);
	list->has_customer_aliases = true;
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Refuses to go on in a list from which too much has been corrected since: each of
 * its pages would look through all of that.
 */
static void
require_few_corrections(const pg_uuid_t *account_id, const EventList *list)
{
	SqlQuery query;

	sql_query_init(&query);
	sql_query_append(&query,
					 "SELECT FROM usage_events.superseded_event WHERE account_id " EQ " %s"
					 " AND superseded_by " GT " %s ORDER BY superseded_by OFFSET %s LIMIT 1",
					 sql_query_argument(&query, UUIDOID, UUIDPGetDatum(account_id)),
					 sql_query_argument(&query, UUIDOID, UUIDPGetDatum(&list->page.newest)),
					 sql_query_argument(&query, INT8OID, Int64GetDatum(list_page_lookup_limit())));
	execute(&query, list);
	if (SPI_processed > 0)
		refuse_lookup("cursor is too old", "Events were corrected since the first page of its list",
					  "Begin again with the first page.");
}

/* The newest id of the account: what comes later is not of this list. */
static void
read_newest(const pg_uuid_t *account_id, EventList *list)
{
	SqlQuery query;
	bool isnull;

	sql_query_init(&query);
	sql_query_append(&query,
					 "SELECT id FROM usage_events.event WHERE account_id " EQ " %s"
					 " ORDER BY id DESC LIMIT 1",
					 sql_query_argument(&query, UUIDOID, UUIDPGetDatum(account_id)));
	execute(&query, list);
	if (SPI_processed > 0)
		list->page.newest = *DatumGetUUIDP(first_value(&isnull));
}

/*
 * Counts the list, unless too many events would have to be looked at: an answer
 * that makes the page slow is none, and an estimate would not be true.
 */
static int64
count_listed(const pg_uuid_t *account_id, EventList *list)
{
	SqlQuery query;
	const char *picked;
	bool isnull;
	int64 total;

	sql_query_init(&query);
	picked = conditions(&query, account_id, list);
	sql_query_append(&query,
					 "SELECT pg_catalog.count(*) FROM (SELECT FROM usage_events.event WHERE %s LIMIT %s) AS event",
					 picked, sql_query_argument(&query, INT8OID, Int64GetDatum((int64) list_page_total_limit() + 1)));
	execute(&query, list);
	total = DatumGetInt64(first_value(&isnull));
	return total <= list_page_total_limit() ? total : TOTAL_UNKNOWN;
}

/*
 * Whether no index has the events of the list in its order.  Indexes have those of
 * one alias by timestamp, and those of a type by id.
 */
static bool
is_out_of_order(const EventList *list)
{
	if (list->page.order == LIST_EVENTS_BY_TIMESTAMP)
		return list_length(list->customer_aliases) != 1 && (list->has_customer_aliases || list->event_type != NULL);
	return list->has_customer_aliases || list->has_timestamp_before || list->has_timestamp_after;
}

/*
 * Decides whether all events of the list are looked at and sorted.
 * Where they are known to be few that is safe, and walking along the order until
 * enough of them have passed by is not: they may all be at its far end.  They are
 * counted on later pages as well, because a cursor's total may be made up.  That it has
 * none is believed of the account's own keys, since counting takes as long as many pages,
 * but not of a customer's, who would have others' events passed by, and tell from the
 * time how many there are.
 */
static void
decide_gathering(const pg_uuid_t *account_id, EventList *list)
{
	int64 total = list->page.total;

	if (list->page.has_key && (total != TOTAL_UNKNOWN || key_scope_customer() != NULL) && is_out_of_order(list))
		total = count_listed(account_id, list);
	list->gathers = total != TOTAL_UNKNOWN && is_out_of_order(list);
}

/* The place in the list from which the page goes on. */
static const char *
beyond_key(SqlQuery *query, const ListPage *page, const char *comparison)
{
	const char *id;

	if (!page->has_key)
		return "true";
	id = sql_query_argument(query, UUIDOID, UUIDPGetDatum(&page->key.id));
	if (page->order == LIST_EVENTS_BY_ID)
		return psprintf("id OPERATOR(pg_catalog.%s) %s", comparison, id);
	return psprintf("ROW(event_timestamp, id) OPERATOR(pg_catalog.%s) ROW(%s, %s)", comparison,
					sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(page->key.timestamp)), id);
}

/* Runs the statement of the page, which reads one item more than the page holds. */
static void
read_page(const pg_uuid_t *account_id, EventList *list)
{
	const ListPage *page = &list->page;
	bool descending = page->descending != page->backward;
	const char *direction = descending ? "DESC" : "ASC";
	const char *order;
	SqlQuery query;
	const char *listed;
	const char *beyond;
	const char *limit;
	const char *newest = NULL;

	sql_query_init(&query);
	listed = conditions(&query, account_id, list);
	beyond = beyond_key(&query, page, descending ? "<" : ">");
	if (page->has_key)
	{
		newest = sql_query_argument(&query, UUIDOID, UUIDPGetDatum(&page->newest));
		beyond = psprintf("%s AND id " LE " %s", beyond, newest);
	}
	order = page->order == LIST_EVENTS_BY_ID ? psprintf("ORDER BY id %s", direction)
											 : psprintf("ORDER BY event_timestamp %s, id %s", direction, direction);
	limit = sql_query_argument(&query, INT8OID, Int64GetDatum((int64) page->limit + page->offset + 1));

	/* OFFSET 0 has a statement planned by itself. */
	sql_query_append(&query, "SELECT " EVENT_COLUMNS " FROM ((SELECT " EVENT_COLUMNS " FROM usage_events.event");
	if (list->gathers)
		sql_query_append(
			&query,
			" WHERE account_id " EQ " $1 AND id " EQ " ANY (ARRAY("
			"SELECT id FROM (SELECT id, event_timestamp FROM usage_events.event WHERE %s OFFSET 0) AS event WHERE %s %s LIMIT %s)))",
			listed, beyond, order, limit);
	else
		sql_query_append(&query, " WHERE %s AND %s %s LIMIT %s)", listed, beyond, order, limit);
	if (page->has_key)
		sql_query_append(&query,
						 " UNION ALL (SELECT " EVENT_COLUMNS " FROM (SELECT * FROM usage_events.superseded_event"
						 " WHERE account_id " EQ " $1"
						 " AND superseded_by " GT " %s OFFSET 0) AS event"
						 " WHERE %s AND %s %s LIMIT %s)",
						 newest, listed, beyond, order, limit);
	sql_query_append(&query, ") AS page %s LIMIT %s OFFSET %s", order, limit,
					 sql_query_argument(&query, INT8OID, Int64GetDatum((int64) page->offset)));
	if (list->gathers || list->event_id != NULL)
		execute(&query, list);
	else
		execute_in_order(&query, list);
}

static Jsonb *
read_item(uint64 row, const pg_uuid_t *account_id, ListKey *key)
{
	UsageEvent event;

	event_store_read_row(row, account_id, &event, CurrentMemoryContext);
	key->timestamp = event.timestamp;
	key->id = event.id;
	return event_json_write(&event);
}

/* The highest id: a list up to it is of the moment at which each of its pages is read. */
static const pg_uuid_t highest_id = {{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}};

/*
 * For a key of one customer the list is of that customer's aliases.  What a list
 * says and takes otherwise, beside its events, is of all of the account: its newest
 * id, and what was corrected since.  So each page is of the moment at which it is
 * read.  An event's id may be the sender's, and be tried out: to look it up tells of
 * others' by the time that it takes.
 */
static void
keep_to_customer(const pg_uuid_t *account_id, EventList *list)
{
	if (list->event_id != NULL)
		key_scope_refuse_parameter("eventId");
	if (list->unmapped_aliases_only)
		key_scope_refuse_parameter("unmappedAliasesOnly");
	list->customer_aliases = customer_scope_aliases(account_id, list->customer_aliases, list->has_customer_aliases);
	list->has_customer_aliases = true;
	list->page.newest = highest_id;
}

/* Reads the page that is asked for, or refuses to: with the faults that were found before, and its own. */
Jsonb *
event_list_read(const pg_uuid_t *account_id, EventList *list, List *faults)
{
	MemoryContext context = CurrentMemoryContext;
	ListPage *page = &list->page;
	Jsonb *json;

	page->filters = filters_hash(list);
	list_page_faults_report(list_page_check(faults, page));

	if (key_scope_customer() != NULL)
		keep_to_customer(account_id, list);
	SPI_connect();
	if (page->has_key && key_scope_customer() == NULL)
		require_few_corrections(account_id, list);
	if (list->unmapped_aliases_only)
		resolve_unmapped(account_id, list, context);
	if (!page->has_key)
	{
		if (key_scope_customer() == NULL)
			read_newest(account_id, list);
		page->total = count_listed(account_id, list);
	}
	decide_gathering(account_id, list);
	read_page(account_id, list);
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

static Datum
list_events(PG_FUNCTION_ARGS)
{
	EventList list = {.page = LIST_PAGE_DEFAULTS};
	List *faults = NIL;

	if (!PG_ARGISNULL(ARGUMENT_LIMIT))
		list.page.limit = PG_GETARG_INT32(ARGUMENT_LIMIT);
	if (!PG_ARGISNULL(ARGUMENT_OFFSET))
		list.page.offset = PG_GETARG_INT32(ARGUMENT_OFFSET);
	list.page.after = argument_text(fcinfo, ARGUMENT_AFTER);
	list.page.before = argument_text(fcinfo, ARGUMENT_BEFORE);
	if (!PG_ARGISNULL(ARGUMENT_SORT_BY))
		faults = list_page_set_order(faults, &list.page, argument_text(fcinfo, ARGUMENT_SORT_BY));
	if (!PG_ARGISNULL(ARGUMENT_SORT_ORDER))
		faults = list_page_set_direction(faults, &list.page, argument_text(fcinfo, ARGUMENT_SORT_ORDER));
	list.has_customer_aliases = !PG_ARGISNULL(ARGUMENT_CUSTOMER_ALIASES);
	list.customer_aliases = argument_texts(fcinfo, ARGUMENT_CUSTOMER_ALIASES);
	list.unmapped_aliases_only =
		!PG_ARGISNULL(ARGUMENT_UNMAPPED_ALIASES_ONLY) && PG_GETARG_BOOL(ARGUMENT_UNMAPPED_ALIASES_ONLY);
	list.event_type = argument_text(fcinfo, ARGUMENT_EVENT_TYPE);
	list.event_id = argument_text(fcinfo, ARGUMENT_EVENT_ID);
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
