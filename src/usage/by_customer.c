/*
 * usage/by_customer.c
 *		What a metric says of each customer: usage_metric_by_customer().
 */
#include "postgres.h"

#include "usage/by_customer.h"

#include "account/account.h"
#include "account/horizon.h"
#include "base/memory_budget.h"
#include "catalog/pg_type.h"
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

	memory_budget_require(sizeof(MappedAlias) * count);
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

/* Asks for the events of all aliases but VOID, each for its customer's total. */
static void
set_intervals(RollupScan *scan, const MappedAlias *mapped, TimestampTz start, TimestampTz end)
{
	memory_budget_require(sizeof(MetricInterval) * scan->alias_count);
	scan->intervals = palloc_extended(sizeof(MetricInterval) * Max(scan->alias_count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < scan->alias_count && start < end; i++)
	{
		if (slice_compare(scan->aliases[i], SLICE(VOID_ALIAS)) != 0)
			scan->intervals[scan->interval_count++] = (MetricInterval){i, start, end, mapped[i].total};
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
	memory_budget_require((sizeof(MetricTotal) + sizeof(Slice)) * scan.alias_count);
	result->totals = palloc_extended(sizeof(MetricTotal) * Max(scan.alias_count, 1), MCXT_ALLOC_HUGE);
	result->customers = palloc_extended(sizeof(Slice) * Max(scan.alias_count, 1), MCXT_ALLOC_HUGE);
	result->count = share_totals(&question->metric, mapped, scan.alias_count, result->totals, result->customers);
	set_intervals(&scan, mapped, start, end);
	rollup_scan(&scan);
}

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

/* usage_metric_by_customer(metric_id uuid, period tstzrange, as_of timestamptz) */
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
	if (question.metric.kind->is_expression)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a CUSTOM metric cannot be calculated for all customers at once"),
						errhint("Call calculate_usage_metric() for each.")));
	horizon_check_period(account_current(), start);
	usage_by_customer(&question, start, end, &totals);
	put_customers(fcinfo, &question, &totals);
	return (Datum) 0;
}
