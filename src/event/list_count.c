/*
 * event/list_count.c
 *		How many events a list has, up to a limit.
 */
#include "postgres.h"

#include "event/list_count.h"

#include "catalog/pg_type.h"
#include "event/list_query.h"
#include "sql/row.h"

/* Runs a statement that counts at most one more than the limit: what it found, or TOTAL_UNKNOWN. */
static int64
count_up_to(SqlQuery *query, const EventList *list, int64 limit)
{
	int64 looked_at;

	event_list_execute(query, list);
	looked_at = DatumGetInt64(row_value_there(0, 1));
	return looked_at <= limit ? DatumGetInt64(row_value_there(0, 2)) : TOTAL_UNKNOWN;
}

static const char *
count_limit(SqlQuery *query, int64 limit)
{
	return sql_query_argument(query, INT8OID, Int64GetDatum(limit + 1));
}

/* Counts a list that has no filter, or an id. */
int64
event_list_count_plain(const pg_uuid_t *account_id, const EventList *list, int64 limit)
{
	SqlQuery query;
	const char *picked;

	event_list_begin_query(&query, account_id);
	picked = event_list_conditions(&query, list);
	sql_query_append(&query,
					 "SELECT pg_catalog.count(*), pg_catalog.count(*)"
					 " FROM (SELECT FROM usage_events.event WHERE %s LIMIT %s) AS event",
					 picked, count_limit(&query, limit));
	return count_up_to(&query, list, limit);
}

/* Counts the events of runs that were found. */
int64
event_list_count_of_runs(const pg_uuid_t *account_id, const EventList *list, const EventRuns *runs, int64 limit)
{
	SqlQuery query;
	const char *unnested;
	const char *asked_for;

	event_list_begin_query(&query, account_id);
	unnested = event_runs_unnested(&query, runs);
	asked_for = event_list_period(&query, list);
	sql_query_append(&query,
					 "SELECT pg_catalog.count(*), pg_catalog.count(*) FROM (SELECT FROM %s"
					 " CROSS JOIN LATERAL (SELECT FROM usage_events.event WHERE account_id " EQ " $1 AND " EVENT_OF_RUN
					 "%s OFFSET 0) AS event LIMIT %s) AS event",
					 unnested, asked_for, count_limit(&query, limit));
	return count_up_to(&query, list, limit);
}

/* The same while they are being found: a fifth as many of these, since each has to be looked for. */
int64
event_list_count_while_found(const pg_uuid_t *account_id, const EventList *list, int64 limit)
{
	SqlQuery query;
	const char *asked_for;
	int64 most_runs = limit / EVENTS_FOR_A_LOOKUP;
	int64 total;
	bool isnull;

	event_list_begin_query(&query, account_id);
	asked_for = event_list_period(&query, list);
	event_runs_append(&query, list, event_list_descends(&list->page));
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
