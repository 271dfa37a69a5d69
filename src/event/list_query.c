/*
 * event/list_query.c
 *		What statements of lists have in common: conditions, settings, and where a page goes on.
 */
#include "postgres.h"

#include "event/list_query.h"

#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* The period that is asked for, each condition after an AND. */
const char *
event_list_period(SqlQuery *query, const EventList *list)
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
const char *
event_list_conditions(SqlQuery *query, const EventList *list)
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
	appendStringInfoString(&sql, event_list_period(query, list));
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

static void
turn_off(const char *setting)
{
	(void) set_config_option(setting, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* In which direction a page is read. */
bool
event_list_descends(const ListPage *page)
{
	return page->descending != page->backward;
}

/* Every statement here has the account as its first parameter. */
void
event_list_begin_query(SqlQuery *query, const pg_uuid_t *account_id)
{
	sql_query_init(query);
	(void) sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id));
}

/*
 * Along indexes, since the tables are also other accounts'; and without bitmaps, which
 * are built of all rows before the first comes out: no statement here reads more than it
 * says.  Only an id of either kind needs one.
 */
int
event_list_begin_settings(const EventList *list)
{
	int nest_level = NewGUCNestLevel();

	turn_off("enable_seqscan");
	if (list->event_id == NULL)
		turn_off("enable_bitmapscan");
	turn_off("jit");
	return nest_level;
}

void
event_list_execute(SqlQuery *query, const EventList *list)
{
	int nest_level = event_list_begin_settings(list);

	sql_query_execute(query);
	AtEOXact_GUC(true, nest_level);
}

/* Runs the statement of a page of many runs: of each no further than the page, and of one moment all. */
void
event_list_execute_merging(SqlQuery *query, const EventList *list)
{
	int nest_level = event_list_begin_settings(list);

	turn_off("enable_sort");
	sql_query_execute(query);
	AtEOXact_GUC(true, nest_level);
}

/* Runs the statement of a page of many events: along the index that has their order, and no further than the page. */
void
event_list_execute_in_order(SqlQuery *query, const EventList *list)
{
	int nest_level = event_list_begin_settings(list);

	turn_off("enable_sort");
	turn_off("enable_incremental_sort");
	sql_query_execute(query);
	AtEOXact_GUC(true, nest_level);
}

/* The place in the list from which the page goes on, and the newest id of the list; each condition after an AND. */
const char *
event_list_beyond_key(SqlQuery *query, const ListPage *page, const char **newest)
{
	const char *comparison = event_list_descends(page) ? "<" : ">";
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

/* Refuses a list that would have to look through too much. */
void
event_list_refuse_lookup(const char *message, const char *what, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg_internal("%s", message),
					errdetail("%s: more than %d, the limit of usage_events.list_lookup_limit.", what,
							  list_page_lookup_limit()),
					errhint("%s", hint)));
}
