/*
 * event/list_ways.c
 *		The ways in which a page is read: along ids, gathered, or put together from runs.
 */
#include "postgres.h"

#include "event/list_ways.h"

#include "catalog/pg_type.h"
#include "event/columns.h"
#include "event/list_query.h"
#include "executor/spi.h"
#include "sql/row.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* A statement that reads a page, and one item more; its parts are names of its parameters, and conditions with these. */
typedef struct PageQuery
{
	SqlQuery query;
	const EventList *list;
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

static void
begin_page(PageQuery *page_query, const pg_uuid_t *account_id, const EventList *list)
{
	const ListPage *page = &list->page;
	SqlQuery *query = &page_query->query;
	const char *direction = event_list_descends(page) ? "DESC" : "ASC";

	event_list_begin_query(query, account_id);
	page_query->list = list;
	page_query->listed = event_list_conditions(query, list);
	page_query->newest = NULL;
	page_query->beyond = event_list_beyond_key(query, page, &page_query->newest);
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
void
event_list_read_plain(const pg_uuid_t *account_id, const EventList *list)
{
	PageQuery page;

	begin_page(&page, account_id, list);
	sql_query_append(&page.query, "SELECT " EVENT_COLUMNS " FROM usage_events.event WHERE %s%s %s LIMIT %s",
					 page.listed, page.beyond, page.order, page.limit);
	end_page(&page);
	if (list->event_id != NULL)
		event_list_execute(&page.query, list);
	else
		event_list_execute_in_order(&page.query, list);
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
	event_list_execute_in_order(&page.query, list);
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
	bool descending = event_list_descends(&list->page);
	SqlQuery query;
	const char *newest;
	const char *beyond;

	if (is_full && !list->page.has_key)
		return true;
	event_list_begin_query(&query, account_id);
	beyond = event_list_beyond_key(&query, &list->page, &newest);
	if (is_full)
		beyond = psprintf("%s AND id OPERATOR(pg_catalog.%s) %s", beyond, descending ? ">=" : "<=",
						  sql_query_argument(&query, UUIDOID, row_value_there(list->page.limit, 1)));
	sql_query_append(&query,
					 "SELECT FROM usage_events.event WHERE account_id " EQ " $1%s ORDER BY id %s OFFSET %s LIMIT 1",
					 beyond, descending ? "DESC" : "ASC", sql_query_argument(&query, INT8OID, Int64GetDatum(events)));
	event_list_execute_in_order(&query, list);
	return SPI_processed == 0;
}

/* All events of the runs are looked at, and sorted by id. */
void
event_list_read_gathered(const pg_uuid_t *account_id, const EventList *list, const EventRuns *runs)
{
	PageQuery page;
	const char *unnested;
	const char *asked_for;

	begin_page(&page, account_id, list);
	unnested = event_runs_unnested(&page.query, runs);
	asked_for = event_list_period(&page.query, list);
	sql_query_append(&page.query,
					 "SELECT event.* FROM %s CROSS JOIN LATERAL (SELECT " EVENT_COLUMNS
					 " FROM usage_events.event WHERE account_id " EQ " $1 AND " EVENT_OF_RUN
					 "%s%s OFFSET 0) AS event %s LIMIT %s",
					 unnested, asked_for, page.beyond, page.order, page.limit);
	end_page(&page);
	event_list_execute(&page.query, list);
}

/* What is first of each run, in the order of time.  Where there are runs enough, nothing after the first of the last. */
void
event_list_read_merged(const pg_uuid_t *account_id, const EventList *list, EventRuns *runs)
{
	PageQuery page;
	bool descending = event_list_descends(&list->page);
	const char *bound = "";
	const char *unnested;
	const char *asked_for;
	bool is_bounded = runs->count >= page_rows(&list->page);

	event_runs_keep_first(runs, descending, (int) page_rows(&list->page));
	begin_page(&page, account_id, list);
	unnested = event_runs_unnested(&page.query, runs);
	asked_for = event_list_period(&page.query, list);
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
	event_list_execute_merging(&page.query, list);
}

/* Reads the page along the ids, if it is found in so many events. */
bool
event_list_walk(const pg_uuid_t *account_id, EventList *list, int64 events)
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
