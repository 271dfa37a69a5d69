/*
 * event/list_runs.c
 *		Runs: the events of one alias and one type, in the order of time.
 *
 * The index on customers has the events of all, run after run.  So a list of more than one run is
 * put together from theirs: what comes first of a run is one search in the index, and so is the next run.
 */
#include "postgres.h"

#include "event/list_runs.h"

#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define NAMED_ALIASES "(SELECT DISTINCT value FROM pg_catalog.unnest(%s) AS named (value)) AS named"

/* From alias to alias in the index, with the type that is asked for. */
#define RUNS_OF_TYPE \
	"WITH RECURSIVE alias (value) AS (" \
	"(SELECT customer_alias FROM usage_events.event WHERE account_id " EQ " $1 ORDER BY customer_alias LIMIT 1)" \
	" UNION ALL SELECT (SELECT customer_alias FROM usage_events.event WHERE account_id " EQ " $1" \
	" AND customer_alias " GT " alias.value ORDER BY customer_alias LIMIT 1)" \
	" FROM alias WHERE alias.value IS NOT NULL)," \
	" run (customer_alias, event_type) AS (SELECT value, %s FROM alias WHERE value IS NOT NULL)"

/* From type to type of each alias. */
#define RUNS_OF_ALIASES \
	"WITH RECURSIVE run (customer_alias, event_type) AS (" \
	"SELECT named.value, (SELECT event_type FROM usage_events.event WHERE account_id " EQ " $1" \
	" AND customer_alias " EQ " named.value ORDER BY event_type LIMIT 1) FROM " NAMED_ALIASES \
	" UNION ALL SELECT run.customer_alias, (SELECT event_type FROM usage_events.event WHERE account_id " EQ " $1" \
	" AND customer_alias " EQ " run.customer_alias AND event_type " GT " run.event_type ORDER BY event_type LIMIT 1)" \
	" FROM run WHERE run.event_type IS NOT NULL)"

/* From each run to the next, in either direction, with what comes first of it. */
#define ALL_RUNS(after, direction) \
	"WITH RECURSIVE run (customer_alias, event_type, first) AS (" \
	"(SELECT customer_alias, event_type, event_timestamp FROM usage_events.event WHERE account_id " EQ " $1" \
	" ORDER BY customer_alias " direction ", event_type " direction ", event_timestamp " direction " LIMIT 1)" \
	" UNION ALL SELECT next.customer_alias, next.event_type, next.event_timestamp FROM run" \
	" CROSS JOIN LATERAL (SELECT customer_alias, event_type, event_timestamp FROM usage_events.event" \
	" WHERE account_id " EQ " $1" \
	" AND ROW(customer_alias, event_type) " after " ROW(run.customer_alias, run.event_type)" \
	" ORDER BY customer_alias " direction ", event_type " direction ", event_timestamp " direction \
	" LIMIT 1) AS next)"

/*
 * Begins a statement, whose first parameter is the account, with the runs of the list, as run:
 * they may have no events, and of an alias the last may have no type.
 */
void
event_runs_append(SqlQuery *query, const EventList *list, bool descending)
{
	const char *aliases = NULL;
	const char *type = NULL;

	if (list->has_customer_aliases)
		aliases = sql_query_argument(query, TEXTARRAYOID, statement_text_array(list->customer_aliases));
	if (list->event_type != NULL)
		type = sql_query_argument(query, TEXTOID, CStringGetTextDatum(list->event_type));

	if (aliases != NULL && type != NULL)
		sql_query_append(query,
						 "WITH run (customer_alias, event_type) AS (SELECT named.value, %s FROM " NAMED_ALIASES ")",
						 type, aliases);
	else if (aliases != NULL)
		sql_query_append(query, RUNS_OF_ALIASES, aliases);
	else if (type != NULL)
		sql_query_append(query, RUNS_OF_TYPE, type);
	else
		sql_query_append(query, "%s", descending ? ALL_RUNS(LT, "DESC") : ALL_RUNS(GT, "ASC"));
}

typedef struct RunsWork
{
	EventRuns *runs;
	MemoryContext context;
} RunsWork;

static void
take_run(uint64 row, void *argument)
{
	RunsWork *work = argument;
	EventRuns *runs = work->runs;
	MemoryContext context;
	EventRun *run;
	bool isnull;
	Datum first = row_value(row, 3, &isnull);

	runs->looked_at++;
	if (isnull)
		return;
	context = MemoryContextSwitchTo(work->context);
	runs->items = memory_budget_room(runs->items, runs->count, &runs->capacity, sizeof(EventRun));
	run = &runs->items[runs->count++];
	run->customer_alias = row_text_copy(row, 1);
	run->event_type = row_text_copy(row, 2);
	run->first = DatumGetTimestampTz(first);
	memory_budget_grow(run->customer_alias.length + run->event_type.length);
	MemoryContextSwitchTo(context);
}

#define FIRST_OF_RUN \
	"(SELECT event_timestamp FROM usage_events.event WHERE account_id " EQ " $1 AND " EVENT_OF_RUN \
	"%s ORDER BY event_timestamp %s LIMIT 1)"

/*
 * Finds the runs that have events as they are asked for, in the words of a statement whose first parameter
 * is the account.  False if there are more runs than a list looks through.
 */
bool
event_runs_find(SqlQuery *query, const EventList *list, const char *asked_for, bool descending, EventRuns *runs)
{
	RunsWork work = {runs, CurrentMemoryContext};
	int limit = list_page_lookup_limit();
	bool is_all = !list->has_customer_aliases && list->event_type == NULL;
	const char *columns = is_all ? "customer_alias, event_type, first" : "customer_alias, event_type";
	const char *first = "run.first";

	memset(runs, 0, sizeof(EventRuns));
	event_runs_append(query, list, descending);
	if (!is_all || asked_for[0] != '\0')
		first = psprintf(FIRST_OF_RUN, asked_for, descending ? "DESC" : "ASC");
	sql_query_append(query,
					 " SELECT run.customer_alias, run.event_type, %s"
					 " FROM (SELECT %s FROM run WHERE event_type IS NOT NULL LIMIT %s) AS run",
					 first, columns, sql_query_argument(query, INT8OID, Int64GetDatum((int64) limit + 1)));
	sql_query_each_row(query, take_run, &work);
	return runs->looked_at <= limit;
}

static int
compare_first(const void *a, const void *b)
{
	const EventRun *first = a;
	const EventRun *second = b;

	return (first->first > second->first) - (first->first < second->first);
}

static int
compare_first_descending(const void *a, const void *b)
{
	return compare_first(b, a);
}

/*
 * Leaves those runs that may have something of the first `count` events, in the order of their firsts: as many,
 * and whichever begin at the same moment as the last of them.
 */
void
event_runs_keep_first(EventRuns *runs, bool descending, int count)
{
	int kept = count;

	if (runs->count < count)
		return;
	qsort(runs->items, runs->count, sizeof(EventRun), descending ? compare_first_descending : compare_first);
	while (kept < runs->count && runs->items[kept].first == runs->items[count - 1].first)
		kept++;
	runs->count = kept;
}

/* The runs as a part of FROM, named run. */
const char *
event_runs_unnested(SqlQuery *query, const EventRuns *runs)
{
	Slice *texts;
	const char *aliases;
	const char *types;

	memory_budget_grow(sizeof(Slice) * runs->count);
	texts = palloc_extended(sizeof(Slice) * Max(runs->count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < runs->count; i++)
		texts[i] = runs->items[i].customer_alias;
	aliases = sql_query_argument(query, TEXTARRAYOID, statement_varlena_array(texts, runs->count, TEXTOID));
	for (int i = 0; i < runs->count; i++)
		texts[i] = runs->items[i].event_type;
	types = sql_query_argument(query, TEXTARRAYOID, statement_varlena_array(texts, runs->count, TEXTOID));
	pfree(texts);
	return psprintf("ROWS FROM (pg_catalog.unnest(%s), pg_catalog.unnest(%s)) AS run(customer_alias, event_type)",
					aliases, types);
}
