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
#include "event/list_runs.h"
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

/* To look at an event takes a fifth of what it takes to look for one in an index. */
#define EVENTS_FOR_A_LOOKUP 5

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

/* The period that is asked for, each condition after an AND. */
static const char *
period(SqlQuery *query, const EventList *list)
{
	StringInfoData sql;

	initStringInfo(&sql);
	if (list->has_timestamp_after)
		appendStringInfo(&sql, " AND event_timestamp " GE " %s",
						 sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(list->timestamp_after)));
	if (list->has_timestamp_before)
		appendStringInfo(&sql, " AND event_timestamp " LT " %s",
						 sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(list->timestamp_before)));
	return sql.data;
}

/* What the list holds: these conditions stand in both arms of its statement. */
static const char *
conditions(SqlQuery *query, const EventList *list)
{
	StringInfoData sql;
	pg_uuid_t *id;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "account_id " EQ " $1");
	if (list_length(list->customer_aliases) == 1)
		appendStringInfo(&sql, " AND customer_alias " EQ " %s",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(linitial(list->customer_aliases))));
	else if (list->has_customer_aliases)
		appendStringInfo(&sql, " AND customer_alias " EQ " ANY (%s)",
						 sql_query_argument(query, TEXTARRAYOID, statement_text_array(list->customer_aliases)));
	if (list->event_type != NULL)
		appendStringInfo(&sql, " AND event_type " EQ " %s",
						 sql_query_argument(query, TEXTOID, CStringGetTextDatum(list->event_type)));
	appendStringInfoString(&sql, period(query, list));
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

/* In which direction a page is read. */
static bool
reads_descending(const ListPage *page)
{
	return page->descending != page->backward;
}

/* Every statement here has the account as its first parameter. */
static void
begin_query(SqlQuery *query, const pg_uuid_t *account_id)
{
	sql_query_init(query);
	(void) sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id));
}

/*
 * Along indexes, since the tables are also other accounts'; and without bitmaps, which
 * are built of all rows before the first comes out: no statement here reads more than it
 * says.  Only an id of either kind needs one.
 */
static int
begin_settings(const EventList *list)
{
	int nest_level = NewGUCNestLevel();

	turn_off("enable_seqscan");
	if (list->event_id == NULL)
		turn_off("enable_bitmapscan");
	turn_off("jit");
	return nest_level;
}

static void
execute(SqlQuery *query, const EventList *list)
{
	int nest_level = begin_settings(list);

	sql_query_execute(query);
	AtEOXact_GUC(true, nest_level);
}

/* Runs the statement of a page of many runs: of each no further than the page, and of one moment all. */
static void
execute_merging(SqlQuery *query, const EventList *list)
{
	int nest_level = begin_settings(list);

	turn_off("enable_sort");
	sql_query_execute(query);
	AtEOXact_GUC(true, nest_level);
}

/* Runs the statement of a page of many events: along the index that has their order, and no further than the page. */
static void
execute_in_order(SqlQuery *query, const EventList *list)
{
	int nest_level = begin_settings(list);

	turn_off("enable_sort");
	turn_off("enable_incremental_sort");
	sql_query_execute(query);
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

static void
refuse_events(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many events to look for those of the list"),
			 errdetail("More than %d would have to be looked at, %d times the limit of usage_events.list_lookup_limit.",
					   list_page_lookup_limit() * EVENTS_FOR_A_LOOKUP, EVENTS_FOR_A_LOOKUP),
			 errhint("Sort by \"eventTimestamp\", or ask for a shorter period.")));
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

/* How many there are ------------------------------------------------------------ */

/* Runs a statement that counts at most one more than the limit: what it found, or TOTAL_UNKNOWN. */
static int64
count_up_to(SqlQuery *query, const EventList *list, int64 limit)
{
	int64 looked_at;

	execute(query, list);
	looked_at = DatumGetInt64(row_value_there(0, 1));
	return looked_at <= limit ? DatumGetInt64(row_value_there(0, 2)) : TOTAL_UNKNOWN;
}

static const char *
count_limit(SqlQuery *query, int64 limit)
{
	return sql_query_argument(query, INT8OID, Int64GetDatum(limit + 1));
}

/* Counts a list that has no filter, or an id. */
static int64
count_plain(const pg_uuid_t *account_id, const EventList *list, int64 limit)
{
	SqlQuery query;
	const char *picked;

	begin_query(&query, account_id);
	picked = conditions(&query, list);
	sql_query_append(&query,
					 "SELECT pg_catalog.count(*), pg_catalog.count(*)"
					 " FROM (SELECT FROM usage_events.event WHERE %s LIMIT %s) AS event",
					 picked, count_limit(&query, limit));
	return count_up_to(&query, list, limit);
}

/* Counts the events of runs that were found. */
static int64
count_of_runs(const pg_uuid_t *account_id, const EventList *list, const EventRuns *runs, int64 limit)
{
	SqlQuery query;
	const char *unnested;
	const char *asked_for;

	begin_query(&query, account_id);
	unnested = event_runs_unnested(&query, runs);
	asked_for = period(&query, list);
	sql_query_append(&query,
					 "SELECT pg_catalog.count(*), pg_catalog.count(*) FROM (SELECT FROM %s"
					 " CROSS JOIN LATERAL (SELECT FROM usage_events.event WHERE account_id " EQ " $1 AND " EVENT_OF_RUN
					 "%s OFFSET 0) AS event LIMIT %s) AS event",
					 unnested, asked_for, count_limit(&query, limit));
	return count_up_to(&query, list, limit);
}

/* The same while they are being found: a fifth as many of these, since each has to be looked for. */
static int64
count_while_found(const pg_uuid_t *account_id, const EventList *list, int64 limit)
{
	SqlQuery query;
	const char *asked_for;
	int64 most_runs = limit / EVENTS_FOR_A_LOOKUP;
	int64 total;
	bool isnull;

	begin_query(&query, account_id);
	asked_for = period(&query, list);
	event_runs_append(&query, list, reads_descending(&list->page));
	sql_query_append(&query,
					 " SELECT pg_catalog.count(is_there), pg_catalog.count(is_there), pg_catalog.max(number)"
					 " FROM (SELECT event.is_there, run.number"
					 " FROM (SELECT customer_alias, event_type, pg_catalog.row_number() OVER () AS number"
					 " FROM run WHERE event_type IS NOT NULL LIMIT %s) AS run"
					 " LEFT JOIN LATERAL (SELECT true AS is_there FROM usage_events.event WHERE account_id " EQ
					 " $1 AND " EVENT_OF_RUN "%s OFFSET 0) AS event ON true LIMIT %s) AS event",
					 count_limit(&query, most_runs), asked_for, count_limit(&query, limit + most_runs));
	total = count_up_to(&query, list, limit);
	return DatumGetInt64(row_value(0, 3, &isnull)) > most_runs ? TOTAL_UNKNOWN : total;
}

/* A page ------------------------------------------------------------------------ */

/* A statement that reads a page, and one item more; its parts are names of its parameters, and conditions with these. */
typedef struct PageQuery
{
	SqlQuery query;
	const EventList *list;
	bool descending; /* in which direction it reads */
	const char *listed;
	const char *beyond; /* the place from which the page goes on */
	const char *order;
	const char *limit;
	const char *newest; /* NULL on the first page */
} PageQuery;

static int64
page_rows(const ListPage *page)
{
	return (int64) page->limit + page->offset + 1;
}

/* The place in the list from which the page goes on, and the newest id of the list; each condition after an AND. */
static const char *
beyond_key(SqlQuery *query, const ListPage *page, const char **newest)
{
	const char *comparison = reads_descending(page) ? "<" : ">";
	const char *id;
	const char *timestamp;

	if (!page->has_key)
		return "";
	*newest = sql_query_argument(query, UUIDOID, UUIDPGetDatum(&page->newest));
	id = sql_query_argument(query, UUIDOID, UUIDPGetDatum(&page->key.id));
	if (page->order == LIST_EVENTS_BY_ID)
		return psprintf(" AND id OPERATOR(pg_catalog.%s) %s AND id " LE " %s", comparison, id, *newest);
	/* The first condition is one that the index has. */
	timestamp = sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(page->key.timestamp));
	return psprintf(" AND event_timestamp OPERATOR(pg_catalog.%s=) %s"
					" AND ROW(event_timestamp, id) OPERATOR(pg_catalog.%s) ROW(%s, %s) AND id " LE " %s",
					comparison, timestamp, comparison, timestamp, id, *newest);
}

static void
begin_page(PageQuery *page_query, const pg_uuid_t *account_id, const EventList *list)
{
	const ListPage *page = &list->page;
	SqlQuery *query = &page_query->query;
	const char *direction = reads_descending(page) ? "DESC" : "ASC";

	begin_query(query, account_id);
	page_query->list = list;
	page_query->listed = conditions(query, list);
	page_query->newest = NULL;
	page_query->beyond = beyond_key(query, page, &page_query->newest);
	page_query->order = page->order == LIST_EVENTS_BY_ID
							? psprintf("ORDER BY id %s", direction)
							: psprintf("ORDER BY event_timestamp %s, id %s", direction, direction);
	page_query->limit = sql_query_argument(query, INT8OID, Int64GetDatum(page_rows(page)));
	sql_query_append(query, "SELECT " EVENT_COLUMNS " FROM ((");
}

/* Ends the statement: with the versions that were current on the first page, and have been superseded since. */
static void
end_page(PageQuery *page_query)
{
	SqlQuery *query = &page_query->query;

	sql_query_append(query, ")");
	/* OFFSET 0 has a statement planned by itself. */
	if (page_query->newest != NULL)
		sql_query_append(query,
						 " UNION ALL (SELECT " EVENT_COLUMNS " FROM (SELECT * FROM usage_events.superseded_event"
						 " WHERE account_id " EQ " $1"
						 " AND superseded_by " GT " %s OFFSET 0) AS event"
						 " WHERE %s%s %s LIMIT %s)",
						 page_query->newest, page_query->listed, page_query->beyond, page_query->order,
						 page_query->limit);
	sql_query_append(query, ") AS page %s LIMIT %s OFFSET %s", page_query->order, page_query->limit,
					 sql_query_argument(query, INT8OID, Int64GetDatum((int64) page_query->list->page.offset)));
}

/* All of the account along its ids; or those of an id, whatever the order. */
static void
read_plain(const pg_uuid_t *account_id, const EventList *list)
{
	PageQuery page;

	begin_page(&page, account_id, list);
	sql_query_append(&page.query, "SELECT " EVENT_COLUMNS " FROM usage_events.event WHERE %s%s %s LIMIT %s",
					 page.listed, page.beyond, page.order, page.limit);
	end_page(&page);
	if (list->event_id != NULL)
		execute(&page.query, list);
	else
		execute_in_order(&page.query, list);
}

/* Along the ids, through so many events at most. */
static void
read_walking(const pg_uuid_t *account_id, const EventList *list, int64 events)
{
	PageQuery page;

	begin_page(&page, account_id, list);
	sql_query_append(&page.query,
					 "SELECT " EVENT_COLUMNS " FROM (SELECT * FROM usage_events.event WHERE account_id " EQ
					 " $1%s %s LIMIT %s) AS event WHERE %s %s LIMIT %s",
					 page.beyond, page.order, sql_query_argument(&page.query, INT8OID, Int64GetDatum(events)),
					 page.listed, page.order, page.limit);
	end_page(&page);
	execute_in_order(&page.query, list);
}

/*
 * Whether the page that was read by walking through so many events is what a longer way would find: as many do not lie
 * before its end, or all that there are.  A version that was superseded since may be beyond the end of the walk, where
 * nothing is known of what is current.
 */
static bool
is_walked_enough(const pg_uuid_t *account_id, const EventList *list, int64 events)
{
	bool is_full = SPI_processed > (uint64) list->page.limit;
	bool descending = reads_descending(&list->page);
	SqlQuery query;
	const char *newest;
	const char *beyond;

	if (is_full && !list->page.has_key)
		return true;
	begin_query(&query, account_id);
	beyond = beyond_key(&query, &list->page, &newest);
	if (is_full)
		beyond = psprintf("%s AND id OPERATOR(pg_catalog.%s) %s", beyond, descending ? ">=" : "<=",
						  sql_query_argument(&query, UUIDOID, row_value_there(list->page.limit, 1)));
	sql_query_append(&query,
					 "SELECT FROM usage_events.event WHERE account_id " EQ " $1%s ORDER BY id %s OFFSET %s LIMIT 1",
					 beyond, descending ? "DESC" : "ASC", sql_query_argument(&query, INT8OID, Int64GetDatum(events)));
	execute_in_order(&query, list);
	return SPI_processed == 0;
}

/* All events of the runs are looked at, and sorted by id. */
static void
read_gathered(const pg_uuid_t *account_id, const EventList *list, const EventRuns *runs)
{
	PageQuery page;
	const char *unnested;
	const char *asked_for;

	begin_page(&page, account_id, list);
	unnested = event_runs_unnested(&page.query, runs);
	asked_for = period(&page.query, list);
	sql_query_append(&page.query,
					 "SELECT event.* FROM %s CROSS JOIN LATERAL (SELECT " EVENT_COLUMNS
					 " FROM usage_events.event WHERE account_id " EQ " $1 AND " EVENT_OF_RUN
					 "%s%s OFFSET 0) AS event %s LIMIT %s",
					 unnested, asked_for, page.beyond, page.order, page.limit);
	end_page(&page);
	execute(&page.query, list);
}

/* What is first of each run, in the order of time.  Where there are runs enough, nothing after the first of the last. */
static void
read_merged(const pg_uuid_t *account_id, const EventList *list, EventRuns *runs)
{
	PageQuery page;
	bool descending = reads_descending(&list->page);
	const char *bound = "";
	const char *unnested;
	const char *asked_for;
	bool is_bounded = runs->count >= page_rows(&list->page);

	event_runs_keep_first(runs, descending, (int) page_rows(&list->page));
	begin_page(&page, account_id, list);
	unnested = event_runs_unnested(&page.query, runs);
	asked_for = period(&page.query, list);
	if (is_bounded)
		bound = psprintf(" AND event_timestamp OPERATOR(pg_catalog.%s) %s", descending ? ">=" : "<=",
						 sql_query_argument(&page.query, TIMESTAMPTZOID,
											TimestampTzGetDatum(runs->items[runs->count - 1].first)));
	sql_query_append(&page.query,
					 "SELECT event.* FROM %s CROSS JOIN LATERAL (SELECT " EVENT_COLUMNS
					 " FROM usage_events.event WHERE account_id " EQ " $1 AND " EVENT_OF_RUN
					 "%s%s%s %s LIMIT %s) AS event %s LIMIT %s",
					 unnested, asked_for, bound, page.beyond, page.order, page.limit, page.order, page.limit);
	end_page(&page);
	execute_merging(&page.query, list);
}

/* Which way a page is read -------------------------------------------------------- */

/* So many are gathered, or walked through, before another way is tried: some milliseconds. */
#define FEW_EVENTS 2000
#define FEW_STEPS 10000

/* Finds the runs of a list, and in the order of time what of each comes first on the page. */
static bool
find_runs(const pg_uuid_t *account_id, const EventList *list, EventRuns *runs)
{
	SqlQuery query;
	const char *newest;
	const char *asked_for;
	int nest_level = begin_settings(list);
	bool are_all;

	begin_query(&query, account_id);
	asked_for = period(&query, list);
	if (list->page.order == LIST_EVENTS_BY_TIMESTAMP)
		asked_for = psprintf("%s%s", asked_for, beyond_key(&query, &list->page, &newest));
	are_all = event_runs_find(&query, list, asked_for, reads_descending(&list->page), runs);
	AtEOXact_GUC(true, nest_level);
	return are_all;
}

static bool
is_filtered(const EventList *list)
{
	return list->has_customer_aliases || list->event_type != NULL || list->has_timestamp_before ||
		   list->has_timestamp_after;
}

/* Lists without a filter, or of an id. */
static void
read_unfiltered(const pg_uuid_t *account_id, EventList *list)
{
	if (!list->page.has_key)
		list->page.total = count_plain(account_id, list, list_page_total_limit());
	read_plain(account_id, list);
}

static void
read_by_timestamp(const pg_uuid_t *account_id, EventList *list)
{
	EventRuns runs;

	if (!find_runs(account_id, list, &runs))
		refuse_lookup("too many customers and types to put their events in the order of time",
					  "The list has events of many customers and types",
					  "Name aliases in \"customerAlias\" or a type in \"eventType\", or sort by \"createdAt\".");
	if (!list->page.has_key && is_filtered(list))
		list->page.total = count_of_runs(account_id, list, &runs, list_page_total_limit());
	else if (!list->page.has_key)
		list->page.total = count_plain(account_id, list, list_page_total_limit());
	read_merged(account_id, list, &runs);
}

/* The total of a list whose page has been read, which stays the last statement's. */
static void
count_after_page(const pg_uuid_t *account_id, EventList *list, const EventRuns *runs)
{
	SPITupleTable *rows = SPI_tuptable;
	uint64 count = SPI_processed;

	if (!list->page.has_key && runs != NULL)
		list->page.total = count_of_runs(account_id, list, runs, list_page_total_limit());
	else if (!list->page.has_key)
		list->page.total = count_while_found(account_id, list, list_page_total_limit());
	SPI_tuptable = rows;
	SPI_processed = count;
}

/* Reads the page along the ids, if it is found in so many events. */
static bool
walk(const pg_uuid_t *account_id, EventList *list, int64 events)
{
	SPITupleTable *rows;
	uint64 count;
	bool is_enough;

	read_walking(account_id, list, events);
	rows = SPI_tuptable;
	count = SPI_processed;
	is_enough = is_walked_enough(account_id, list, events);
	SPI_tuptable = rows;
	SPI_processed = count;
	return is_enough;
}

/* So many events are gathered at most. */
static int64
gathered_at_most(void)
{
	return (int64) list_page_lookup_limit() * EVENTS_FOR_A_LOOKUP;
}

/*
 * A customer's key is answered from the customer's events alone: it could tell how many events others have from how long
 * the walk takes, and from whether it is refused.
 */
static void
read_by_id_of_customer(const pg_uuid_t *account_id, EventList *list)
{
	EventRuns runs;
	int64 count = TOTAL_UNKNOWN;

	if (find_runs(account_id, list, &runs))
		count = count_of_runs(account_id, list, &runs, gathered_at_most());
	if (count == TOTAL_UNKNOWN)
		refuse_events();
	if (!list->page.has_key)
		list->page.total = count <= list_page_total_limit() ? count : TOTAL_UNKNOWN;
	read_gathered(account_id, list, &runs);
}

/*
 * No index has the events of a list with filters in the order of their ids.  A few are gathered
 * and sorted.  Of others enough are found soon along all of the account's ids; unless they are rare, or
 * all at the far end of the order: then they are gathered as well, as long as that is not too much.
 */
static void
read_by_id(const pg_uuid_t *account_id, EventList *list)
{
	int64 most = gathered_at_most();
	int64 count = TOTAL_UNKNOWN;
	EventRuns runs;
	bool has_runs = list->has_customer_aliases && find_runs(account_id, list, &runs);

	if (has_runs)
		count = count_of_runs(account_id, list, &runs, Min(FEW_EVENTS, list_page_total_limit()));
	if (count == TOTAL_UNKNOWN && walk(account_id, list, FEW_STEPS))
	{
		count_after_page(account_id, list, has_runs ? &runs : NULL);
		return;
	}
	if (count == TOTAL_UNKNOWN && (has_runs || (!list->has_customer_aliases && find_runs(account_id, list, &runs))))
		count = count_of_runs(account_id, list, &runs, most);
	if (count != TOTAL_UNKNOWN)
	{
		if (!list->page.has_key)
			list->page.total = count <= list_page_total_limit() ? count : TOTAL_UNKNOWN;
		read_gathered(account_id, list, &runs);
	}
	else if (walk(account_id, list, most))
		list->page.total = list->page.has_key ? list->page.total : TOTAL_UNKNOWN;
	else
		refuse_events();
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
	if (!page->has_key && key_scope_customer() == NULL)
		read_newest(account_id, list);
	if (list->event_id != NULL || (page->order == LIST_EVENTS_BY_ID && !is_filtered(list)))
		read_unfiltered(account_id, list);
	else if (page->order == LIST_EVENTS_BY_TIMESTAMP)
		read_by_timestamp(account_id, list);
	else if (key_scope_customer() != NULL)
		read_by_id_of_customer(account_id, list);
	else
		read_by_id(account_id, list);
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
