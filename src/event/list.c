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
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "customer/scope.h"
#include "endpoint/response.h"
#include "event/json.h"
#include "event/list_count.h"
#include "event/list_query.h"
#include "event/list_unmapped.h"
#include "event/list_ways.h"
#include "event/store.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "sql/row.h"
#include "utils/guc.h"

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

static Datum
first_value(bool *isnull)
{
	return row_value(0, 1, isnull);
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
	event_list_execute(&query, list);
	if (SPI_processed > 0)
		event_list_refuse_lookup("cursor is too old", "Events were corrected since the first page of its list",
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
	event_list_execute(&query, list);
	if (SPI_processed > 0)
		list->page.newest = *DatumGetUUIDP(first_value(&isnull));
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
	int nest_level = event_list_begin_settings(list);
	bool are_all;

	event_list_begin_query(&query, account_id);
	asked_for = event_list_period(&query, list);
	if (list->page.order == LIST_EVENTS_BY_TIMESTAMP)
		asked_for = psprintf("%s%s", asked_for, event_list_beyond_key(&query, &list->page, &newest));
	are_all = event_runs_find(&query, list, asked_for, event_list_descends(&list->page), runs);
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
		list->page.total = event_list_count_plain(account_id, list, list_page_total_limit());
	event_list_read_plain(account_id, list);
}

static void
read_by_timestamp(const pg_uuid_t *account_id, EventList *list)
{
	EventRuns runs;

	if (!find_runs(account_id, list, &runs))
		event_list_refuse_lookup(
			"too many customers and types to put their events in the order of time",
			"The list has events of many customers and types",
			"Name aliases in \"customerAlias\" or a type in \"eventType\", or sort by \"createdAt\".");
	if (!list->page.has_key && is_filtered(list))
		list->page.total = event_list_count_of_runs(account_id, list, &runs, list_page_total_limit());
	else if (!list->page.has_key)
		list->page.total = event_list_count_plain(account_id, list, list_page_total_limit());
	event_list_read_merged(account_id, list, &runs);
}

/* The total of a list whose page has been read, which stays the last statement's. */
static void
count_after_page(const pg_uuid_t *account_id, EventList *list, const EventRuns *runs)
{
	SPITupleTable *rows = SPI_tuptable;
	uint64 count = SPI_processed;

	if (!list->page.has_key && runs != NULL)
		list->page.total = event_list_count_of_runs(account_id, list, runs, list_page_total_limit());
	else if (!list->page.has_key)
		list->page.total = event_list_count_while_found(account_id, list, list_page_total_limit());
	SPI_tuptable = rows;
	SPI_processed = count;
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
		count = event_list_count_of_runs(account_id, list, &runs, gathered_at_most());
	if (count == TOTAL_UNKNOWN)
		refuse_events();
	if (!list->page.has_key)
		list->page.total = count <= list_page_total_limit() ? count : TOTAL_UNKNOWN;
	event_list_read_gathered(account_id, list, &runs);
}

/* Along the ids so many events are passed by in the time in which one is gathered: they lie side by side. */
#define STEPS_FOR_A_GATHERED_EVENT 5

/* More of them are in vain where a customer has been silent for long. */
#define MOST_STEPS 100000

/* Whether the page is found by walking on for as long as it would take to gather so many events. */
static bool
walks_rather_than_gathers(const pg_uuid_t *account_id, EventList *list, int64 count)
{
	int64 steps = Min(count * STEPS_FOR_A_GATHERED_EVENT, MOST_STEPS);

	return steps > FEW_STEPS && event_list_walk(account_id, list, steps);
}

/*
 * No index has the events of a list with filters in the order of their ids.  A few are gathered
 * and sorted.  Of others enough are found soon along all of the account's ids; unless they are rare, or
 * all at the far end of the order: then they are gathered as well, as long as that is not too much, and would not take longer
 * than to walk on.
 */
static void
read_by_id(const pg_uuid_t *account_id, EventList *list)
{
	int64 most = gathered_at_most();
	int64 count = TOTAL_UNKNOWN;
	EventRuns runs;
	bool has_runs = list->has_customer_aliases && find_runs(account_id, list, &runs);

	if (has_runs)
		count = event_list_count_of_runs(account_id, list, &runs, Min(FEW_EVENTS, list_page_total_limit()));
	if (count == TOTAL_UNKNOWN && event_list_walk(account_id, list, FEW_STEPS))
	{
		count_after_page(account_id, list, has_runs ? &runs : NULL);
		return;
	}
	if (count == TOTAL_UNKNOWN && (has_runs || (!list->has_customer_aliases && find_runs(account_id, list, &runs))))
		count = event_list_count_of_runs(account_id, list, &runs, most);
	if (count != TOTAL_UNKNOWN)
	{
		if (!list->page.has_key)
			list->page.total = count <= list_page_total_limit() ? count : TOTAL_UNKNOWN;
		if (!walks_rather_than_gathers(account_id, list, count))
			event_list_read_gathered(account_id, list, &runs);
	}
	else if (event_list_walk(account_id, list, most))
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
		event_list_resolve_unmapped(account_id, list, context);
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
