/*
 * usage/by_customer.c
 *		What a metric says of each customer: usage_metric_by_customer().
 */
#include "postgres.h"

#include "usage/by_customer.h"

#include "account/account.h"
#include "account/horizon.h"
#include "base/calendar.h"
#include "base/fault.h"
#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "customer/alias.h"
#include "fmgr.h"
#include "funcapi.h"
#include "rollup/scan.h"
#include "sql/query.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "usage/answer.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Whose an alias is. */
typedef struct MappedAlias
{
	Slice alias;
	Slice customer;
	MetricTotal *total; /* of the customer */
} MappedAlias;

static int
compare_by_alias(const void *a, const void *b)
{
	return slice_compare(((const MappedAlias *) a)->alias, ((const MappedAlias *) b)->alias);
}

static int
compare_by_customer(const void *a, const void *b)
{
	return slice_compare(((const MappedAlias *) a)->customer, ((const MappedAlias *) b)->customer);
}

typedef struct MappedWork
{
	MappedAlias *mapped; /* sorted by alias */
	int count;
	MemoryContext context;
} MappedWork;

static void
take_mapped(uint64 row, void *argument)
{
	MappedWork *work = argument;
	text *alias = DatumGetTextPP(row_value_there(row, 1));
	MappedAlias wanted = {.alias = {VARDATA_ANY(alias), VARSIZE_ANY_EXHDR(alias)}};
	MappedAlias *found = bsearch(&wanted, work->mapped, work->count, sizeof(MappedAlias), compare_by_alias);

	if (found != NULL)
		found->customer = usage_copied_text(row, 2, work->context);
}

/* Names the customer of each alias: the alias itself where it is mapped to nobody. */
static MappedAlias *
map_aliases(const UsageQuestion *question, const Slice *aliases, int count)
{
	MappedWork work = {NULL, count, CurrentMemoryContext};
	SqlQuery query;
	const char *account;

	memory_budget_grow(sizeof(MappedAlias) * count);
	work.mapped = palloc_extended(sizeof(MappedAlias) * Max(count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < count; i++)
		work.mapped[i] = (MappedAlias){aliases[i], aliases[i], NULL};

	sql_query_init(&query);
	account = sql_query_argument(&query, UUIDOID, UUIDPGetDatum(&question->metric.account_id));
	sql_query_append(&query,
					 "SELECT mapped.value, mapped.customer_id FROM usage_events.customer_alias AS mapped"
					 " WHERE mapped.account_id " EQ " %s AND %s",
					 account, usage_in_force(&query, question, "mapped"));
	SPI_connect();
	sql_query_each_row(&query, take_mapped, &work);
	SPI_finish();
	return work.mapped;
}

/* Gives each customer a total, which the customer's aliases share; returns the number of customers. */
static int
share_totals(const Metric *metric, MappedAlias *mapped, int count, MetricTotal *totals, Slice *customers)
{
	int customer_count = 0;

	qsort(mapped, count, sizeof(MappedAlias), compare_by_customer);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || slice_compare(mapped[i - 1].customer, mapped[i].customer) != 0)
		{
			customers[customer_count] = mapped[i].customer;
			metric_total_init(&totals[customer_count++], metric, CurrentMemoryContext);
		}
		mapped[i].total = &totals[customer_count - 1];
	}
	qsort(mapped, count, sizeof(MappedAlias), compare_by_alias);
	return customer_count;
}

static void
require_totals_of_all(const Metric *metric)
{
	if (metric->kind->is_expression)
		ereport(ERROR,
				(usage_custom_errcode(), errmsg("a CUSTOM metric cannot be calculated for all customers at once"),
				 errhint("Call calculate_usage_metric() for each.")));
}

/* Asks for the events of all aliases but VOID, each for its customer's total. */
static void
set_intervals(RollupScan *scan, const MappedAlias *mapped, TimestampTz start, TimestampTz end)
{
	memory_budget_grow(sizeof(MetricInterval) * scan->alias_count);
	scan->intervals = palloc_extended(sizeof(MetricInterval) * Max(scan->alias_count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < scan->alias_count && start < end; i++)
	{
		if (slice_compare(scan->aliases[i], SLICE(VOID_ALIAS)) != 0)
			scan->intervals[scan->interval_count++] =
				(MetricInterval){.alias = i, .start = start, .end = end, .total = mapped[i].total};
	}
}

/* What each customer has used from start to end, exclusive; also of those that have had events at other times. */
void
usage_by_customer(const UsageQuestion *question, TimestampTz start, TimestampTz end, CustomerTotals *result)
{
	RollupScan scan = {
		.metric = &question->metric,
		.as_of = question->has_as_of ? &question->as_of : NULL,
	};
	MappedAlias *mapped;

	rollup_scan_find_aliases(&scan, start, end);
	mapped = map_aliases(question, scan.aliases, scan.alias_count);
	memory_budget_grow((sizeof(MetricTotal) + sizeof(Slice)) * scan.alias_count);
	result->totals = palloc_extended(sizeof(MetricTotal) * Max(scan.alias_count, 1), MCXT_ALLOC_HUGE);
	result->customers = palloc_extended(sizeof(Slice) * Max(scan.alias_count, 1), MCXT_ALLOC_HUGE);
	result->count = share_totals(&question->metric, mapped, scan.alias_count, result->totals, result->customers);
	set_intervals(&scan, mapped, start, end);
	rollup_scan(&scan);
}

/* Pages -------------------------------------------------------------------- */

/* A customer in the order of a list, and the value by which it is sorted there. */
typedef struct Ranked
{
	Slice customer;
	const MetricTotal *total;
	bool by_value;
	bool descending;
	Numeric value; /* NULL: there is none; the last ones, whatever the direction */
} Ranked;

/* By value, and where these are equal, by name. */
static int
compare_ranked(const void *first, const void *second)
{
	const Ranked *a = first;
	const Ranked *b = second;
	int result = 0;

	if (a->by_value && (a->value == NULL || b->value == NULL))
	{
		if ((a->value == NULL) != (b->value == NULL))
			return a->value == NULL ? 1 : -1;
	}
	else if (a->by_value)
		result = metric_number_compare(a->value, b->value);
	if (result == 0)
		result = slice_compare(a->customer, b->customer);
	return a->descending ? -result : result;
}

/* Values of so many characters stand in a cursor; of longer ones, it is looked up what the customer has now. */
#define MAX_VALUE_LENGTH 200

/* A place is the value's text and the customer's name; the text is "null" where there is none, "long" where it is too long. */
static Slice
ranked_place(const Ranked *ranked)
{
	Slice text = {"", 0};
	StringInfoData place;

	if (ranked->by_value)
		text = ranked->value == NULL ? SLICE("null") : metric_number_text(ranked->value);
	if (text.length > MAX_VALUE_LENGTH)
		text = SLICE("long");
	initStringInfo(&place);
	appendBinaryStringInfo(&place, text.data, text.length);
	appendStringInfoChar(&place, '\0');
	appendBinaryStringInfo(&place, ranked->customer.data, ranked->customer.length);
	return (Slice){place.data, place.len};
}

/* The place of the page's cursor.  One that was made up is refused, or leads to some place. */
static Ranked
cursor_place(const UsageCustomerPage *page, const Ranked *ranked, int count)
{
	Slice place = page->page.place;
	const char *end = memchr(place.data, '\0', place.length);
	Ranked found = {.by_value = page->by_value, .descending = page->descending};
	Slice text;

	if (end != NULL)
	{
		text = (Slice){place.data, (int) (end - place.data)};
		found.customer = (Slice){end + 1, place.length - text.length - 1};
		if (!page->by_value || slice_equal(text, SLICE("null")))
			return found;
		if (!slice_equal(text, SLICE("long")))
		{
			found.value = metric_number_from_text(text);
			if (found.value != NULL)
				return found;
		}
		for (int i = 0; i < count; i++)
		{
			if (slice_equal(ranked[i].customer, found.customer))
				return ranked[i];
		}
	}
	faults_report_request(fault_add(NIL, page->page.backward ? "before" : "after", "is not a cursor of this list"),
						  "invalid parameters of a list");
	pg_unreachable();
}

/* The customers who have events, sorted. */
static Ranked *
rank(const CustomerTotals *all, const UsageCustomerPage *page, int *count)
{
	Ranked *ranked;
	MetricResult result;
	MemoryContext context = CurrentMemoryContext;
	MemoryContext result_context = AllocSetContextCreate(context, "usage metric result", ALLOCSET_DEFAULT_SIZES);

	memory_budget_grow(sizeof(Ranked) * all->count);
	ranked = palloc_extended(sizeof(Ranked) * Max(all->count, 1), MCXT_ALLOC_HUGE);
	*count = 0;
	for (int i = 0; i < all->count; i++)
	{
		Ranked *next = &ranked[*count];

		if (all->totals[i].event_count == 0)
			continue;
		*next = (Ranked){all->customers[i], &all->totals[i], page->by_value, page->descending, NULL};
		(*count)++;
		if (!page->by_value)
			continue;
		MemoryContextReset(result_context);
		MemoryContextSwitchTo(result_context);
		metric_total_result(&all->totals[i], &result);
		MemoryContextSwitchTo(context);
		if (result.value != NULL)
		{
			memory_budget_grow(VARSIZE(result.value));
			next->value = DatumGetNumericCopy(NumericGetDatum(result.value));
		}
	}
	MemoryContextDelete(result_context);
	qsort(ranked, *count, sizeof(Ranked), compare_ranked);
	return ranked;
}

static Jsonb *
customer_to_json(const Metric *metric, const Ranked *ranked)
{
	JsonObject object = {0};
	MetricResult result;

	metric_total_result(ranked->total, &result);
	json_add_text(&object, SLICE("customer"), ranked->customer);
	usage_add_result(&object, metric, &result);
	return json_make_object(&object);
}

/* Adds those of the page: one more than it holds, so that it is known whether there are. */
static void
add_page(UsageCustomerPage *page, const Metric *metric, const Ranked *ranked, int count)
{
	int first = 0;
	int end = count;

	if (page->page.has_place)
	{
		Ranked place = cursor_place(page, ranked, count);

		while (first < count && compare_ranked(&ranked[first], &place) < (page->page.backward ? 0 : 1))
			first++;
		if (page->page.backward)
		{
			end = first;
			first = Max(0, end - page->page.limit - 1);
		}
	}
	place_page_begin(&page->page);
	for (int i = first; i < end && !place_page_is_full(&page->page); i++)
		place_page_add(&page->page, ranked_place(&ranked[i]), customer_to_json(metric, &ranked[i]));
}

static void
append_breakdown(StringInfo list, const MetricBreakdown *breakdown)
{
	if (breakdown->filters != NULL)
		appendBinaryStringInfo(list, VARDATA(breakdown->filters), (int) VARSIZE(breakdown->filters) - VARHDRSZ);
	for (int i = 0; i < breakdown->group_by_count; i++)
		appendBinaryStringInfo(list, breakdown->group_by[i].data, breakdown->group_by[i].length + 1);
}

/* Tells lists of other questions and orders apart. */
static uint32
list_hash(const pg_uuid_t *metric_id, TimestampTz start, TimestampTz end, const TimestampTz *as_of,
		  const MetricBreakdown *breakdown, const UsageCustomerPage *page)
{
	StringInfoData list;

	initStringInfo(&list);
	appendStringInfo(&list, "by customer %d %d " INT64_FORMAT " " INT64_FORMAT " %d " INT64_FORMAT " ", page->by_value,
					 page->descending, start, end, as_of != NULL, as_of != NULL ? *as_of : 0);
	appendBinaryStringInfo(&list, (const char *) metric_id->data, UUID_LEN);
	if (breakdown != NULL)
		append_breakdown(&list, breakdown);
	return hash_bytes((unsigned char *) list.data, list.len);
}

/*
 * {"name", ..., "items": [a customer each], "pagination"}; NULL if there is no such
 * metric.  Refuses with the faults that were found before, and its own.
 */
Jsonb *
usage_by_customer_page(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, TimestampTz start, TimestampTz end,
					   const TimestampTz *as_of, const MetricBreakdown *breakdown, UsageCustomerPage *page,
					   List *faults)
{
	UsageQuestion question;
	CustomerTotals all;
	Ranked *ranked;
	int count;
	JsonObject answer = {0};

	page->page.list = list_hash(metric_id, start, end, as_of, breakdown, page);
	faults = place_page_check(faults, &page->page);
	faults_report_request(faults, "invalid parameters of a list");
	if (!usage_question_ask(account_id, metric_id, as_of, &question))
		return NULL;
	require_totals_of_all(&question.metric);
	usage_question_break_down(&question, breakdown);
	start = Max(start, CALENDAR_START);
	horizon_check_period(account_id, start);
	usage_by_customer(&question, start, Min(end, CALENDAR_END), &all);
	ranked = rank(&all, page, &count);
	add_page(page, &question.metric, ranked, count);
	usage_add_metric(&answer, &question.metric);
	place_page_end(&page->page, &answer, count);
	return json_make_object(&answer);
}

/* The door for SQL --------------------------------------------------------- */

static void
put_customers(FunctionCallInfo fcinfo, const UsageQuestion *question, const CustomerTotals *totals)
{
	MemoryContext row_context;
	MemoryContext context;
	MetricResult result;

	InitMaterializedSRF(fcinfo, 0);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	context = MemoryContextSwitchTo(row_context);
	for (int i = 0; i < totals->count; i++)
	{
		Datum values[5];
		bool nulls[5] = {0};

		MemoryContextReset(row_context);
		if (totals->totals[i].event_count == 0)
			continue;
		values[0] = slice_to_datum(totals->customers[i]);
		metric_total_result(&totals->totals[i], &result);
		usage_put_result((ReturnSetInfo *) fcinfo->resultinfo, values, nulls, 1, &question->metric, &result);
	}
	MemoryContextSwitchTo(context);
}

/* usage_metric_by_customer(metric_id uuid, period tstzrange, as_of timestamptz, filters jsonb, group_by text[]) */
PG_FUNCTION_INFO_V1(usage_metric_by_customer);
Datum
usage_metric_by_customer(PG_FUNCTION_ARGS)
{
	UsageQuestion question;
	CustomerTotals totals;
	TimestampTz start;
	TimestampTz end;

	memory_budget_begin();
	(void) usage_ask(fcinfo, account_current(), 0, 2, &question);
	usage_period_argument(fcinfo, 1, &start, &end);
	require_totals_of_all(&question.metric);
	usage_question_break_down(&question, usage_breakdown_argument(fcinfo, 3));
	horizon_check_period(account_current(), start);
	usage_by_customer(&question, start, end, &totals);
	put_customers(fcinfo, &question, &totals);
	return (Datum) 0;
}
