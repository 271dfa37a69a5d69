/*
 * limit/status.c
 *		What each customer has used of each limit: usage_limit_status.
 *
 * Limits of the same metric and the same period are answered from one scan over all
 * customers, whoever they are for: an account has thousands of limits that are a customer's
 * own, and few metrics and periods.
 */
#include "postgres.h"

#include "limit/status.h"

#include <limits.h>

#include "access/xact.h"
#include "account/account.h"
#include "account/horizon.h"
#include "base/calendar.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "limit/use.h"
#include "miscadmin.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "usage/by_customer.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* A limit in its present period. */
typedef struct PresentLimit
{
	UsageLimit limit;
	Slice customer;    /* whose own it is, by the customer's id; absent: it is general */
	TimestampTz start; /* behind all others where nobody knows the period: its time zone is unknown to this server */
	TimestampTz end;
} PresentLimit;

typedef struct PresentLimits
{
	PresentLimit *items;
	int count;
	int capacity;
	const pg_uuid_t *account_id;
	MemoryContext context;
} PresentLimits;

/* The rows that are answered. */
typedef struct Rows
{
	ReturnSetInfo *result_set;
	MemoryContext context; /* of one row */
	int64 count;
} Rows;

enum
{
	COLUMN_USAGE_LIMIT_ID,
	COLUMN_NAME,
	COLUMN_USAGE_METRIC_ID,
	COLUMN_CUSTOMER,
	COLUMN_PERIOD_START,
	COLUMN_PERIOD_END,
	COLUMN_LIMIT,
	COLUMN_USED,
	COLUMN_REMAINING,
	COLUMN_MODE,
	COLUMN_COUNT
};

/* With the customer whose alias the limit names. */
static Statement find_limits = {
	.sql = "SELECT " LIMIT_ROW_COLUMNS ", (SELECT owner.customer_id FROM usage_events.customer_alias AS owner"
		   " WHERE owner.account_id " EQ " $1 AND owner.value " EQ " usage_limit.customer"
		   " AND owner.deleted_at IS NULL) AS owner"
		   " FROM usage_events.usage_limit WHERE account_id " EQ " $1 AND deleted_at IS NULL",
	.read_only = true,
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static int max_rows = 1000000;

void
limit_status_init(void)
{
	DefineCustomIntVariable("usage_events.max_limit_status_rows", "How many rows usage_limit_status may have.",
							"Each limit has one for each customer that it holds for.", &max_rows, 1000000, 0,
							INT_MAX / 2, PGC_SUSET, 0, NULL, NULL, NULL);
}

/* Limits ------------------------------------------------------------------ */

static void
find_period(PresentLimit *present)
{
	const PeriodRule *period = &present->limit.scope.period;

	present->start = present->end = DT_NOEND;
	if (period_is_known(period))
		period_find(period, GetCurrentTransactionStartTimestamp(), &present->start, &present->end);
}

static void
take_limit(uint64 row, void *argument)
{
	PresentLimits *limits = argument;
	MemoryContext spi_context = MemoryContextSwitchTo(limits->context);
	PresentLimit *present;

	limits->items = memory_budget_room(limits->items, limits->count, &limits->capacity, sizeof(PresentLimit));
	present = &limits->items[limits->count++];
	limit_read_row(row, limits->account_id, &present->limit);
	present->customer = row_text_copy(row, LIMIT_ROW_COLUMN_COUNT + 1);
	if (present->customer.data == NULL)
		present->customer = present->limit.scope.customer;
	find_period(present);
	MemoryContextSwitchTo(spi_context);
}

/* Those of one scan lie side by side. */
static int
compare_scans(const PresentLimit *a, const PresentLimit *b)
{
	int result = uuid_v7_compare(&a->limit.scope.metric_id, &b->limit.scope.metric_id);

	if (result == 0)
		result = (a->start > b->start) - (a->start < b->start);
	return result != 0 ? result : (a->end > b->end) - (a->end < b->end);
}

static int
compare_present(const void *a, const void *b)
{
	int result = compare_scans(a, b);

	return result != 0 ? result
					   : uuid_v7_compare(&((const PresentLimit *) a)->limit.id, &((const PresentLimit *) b)->limit.id);
}

static void
read_limits(PresentLimits *limits)
{
	SPI_connect();
	statement_each_row(&find_limits, (Datum[]){UUIDPGetDatum(limits->account_id)}, take_limit, limits);
	SPI_finish();
	qsort(limits->items, limits->count, sizeof(PresentLimit), compare_present);
}

/* Customers with limits of their own, general limits last. */
static int
compare_own(const void *a, const void *b)
{
	const PresentLimit *first = *(const PresentLimit *const *) a;
	const PresentLimit *second = *(const PresentLimit *const *) b;
	int result = uuid_v7_compare(&first->limit.scope.metric_id, &second->limit.scope.metric_id);

	if (result == 0)
		result = (int) first->limit.scope.period.unit - (int) second->limit.scope.period.unit;
	return result != 0 ? result : slice_compare(first->customer, second->customer);
}

typedef struct OwnLimits
{
	const PresentLimit **items; /* sorted */
	int count;
} OwnLimits;

static void
find_own(const PresentLimits *limits, OwnLimits *own)
{
	memory_budget_grow(sizeof(PresentLimit *) * limits->count);
	own->items = palloc(sizeof(PresentLimit *) * Max(limits->count, 1));
	own->count = 0;
	for (int i = 0; i < limits->count; i++)
	{
		if (limits->items[i].customer.data != NULL)
			own->items[own->count++] = &limits->items[i];
	}
	qsort(own->items, own->count, sizeof(PresentLimit *), compare_own);
}

/* Whether the customer has a limit that takes the place of the general one. */
static bool
has_own(const OwnLimits *own, const PresentLimit *general, Slice customer)
{
	PresentLimit wanted = *general;
	const PresentLimit *key = &wanted;

	wanted.customer = customer;
	return bsearch(&key, own->items, own->count, sizeof(PresentLimit *), compare_own) != NULL;
}

/* Rows -------------------------------------------------------------------- */

static void
set_use(const PresentLimit *present, const MetricTotal *total, Datum *values, bool *nulls)
{
	MetricResult result = {0};

	if (total != NULL)
		metric_total_result(total, &result);
	nulls[COLUMN_USED] = result.value == NULL;
	values[COLUMN_USED] = NumericGetDatum(result.value);
	nulls[COLUMN_REMAINING] = total == NULL;
	if (total != NULL)
		values[COLUMN_REMAINING] = NumericGetDatum(limit_remaining(&present->limit, result.value));
}

/* Total: NULL where nobody knows. */
static void
put_row(Rows *rows, const PresentLimit *present, Slice customer, const MetricTotal *total)
{
	const UsageLimit *limit = &present->limit;
	MemoryContext context = MemoryContextSwitchTo(rows->context);
	Datum values[COLUMN_COUNT];
	bool nulls[COLUMN_COUNT] = {0};

	CHECK_FOR_INTERRUPTS();
	if (++rows->count > max_rows)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("usage_limit_status has too many rows"),
						errdetail("It may have %d (usage_events.max_limit_status_rows).", max_rows),
						errhint("Call check_usage_limit() for a customer, or have "
								"usage_events.max_limit_status_rows raised.")));
	values[COLUMN_USAGE_LIMIT_ID] = UUIDPGetDatum(&limit->id);
	values[COLUMN_NAME] = slice_to_datum(limit->scope.name);
	values[COLUMN_USAGE_METRIC_ID] = UUIDPGetDatum(&limit->scope.metric_id);
	values[COLUMN_CUSTOMER] = slice_to_datum(customer);
	values[COLUMN_PERIOD_START] = TimestampTzGetDatum(present->start);
	nulls[COLUMN_PERIOD_START] = TIMESTAMP_NOT_FINITE(present->start);
	values[COLUMN_PERIOD_END] = TimestampTzGetDatum(present->end);
	nulls[COLUMN_PERIOD_END] = TIMESTAMP_NOT_FINITE(present->end);
	values[COLUMN_LIMIT] = NumericGetDatum(limit->limit);
	values[COLUMN_MODE] = slice_to_datum(limit_mode_name(limit));
	set_use(present, total, values, nulls);
	tuplestore_putvalues(rows->result_set->setResult, rows->result_set->setDesc, values, nulls);
	MemoryContextReset(rows->context);
	MemoryContextSwitchTo(context);
}

static int
compare_slices(const void *a, const void *b)
{
	return slice_compare(*(const Slice *) a, *(const Slice *) b);
}

static void
put_own(Rows *rows, const PresentLimit *present, const Metric *metric, const CustomerTotals *totals)
{
	const Slice *found = bsearch(&present->customer, totals->customers, totals->count, sizeof(Slice), compare_slices);
	MetricTotal none;

	metric_total_init(&none, metric, CurrentMemoryContext);
	put_row(rows, present, present->customer, found != NULL ? &totals->totals[found - totals->customers] : &none);
}

/* Each customer with events in the period. */
static void
put_general(Rows *rows, const PresentLimit *present, const OwnLimits *own, const CustomerTotals *totals)
{
	for (int i = 0; i < totals->count; i++)
	{
		if (totals->totals[i].event_count > 0 && !has_own(own, present, totals->customers[i]))
			put_row(rows, present, totals->customers[i], &totals->totals[i]);
	}
}

/* Whether it can be said how much was used in the limit's period. */
static bool
is_told(const PresentLimit *present)
{
	return period_is_known(&present->limit.scope.period) &&
		   Max(present->start, CALENDAR_START) >= horizon_of_question(&present->limit.account_id);
}

/* Limits of the same metric and period; of a metric that was deleted none holds. */
static void
put_scan(Rows *rows, const PresentLimit *limits, int count, const OwnLimits *own)
{
	const pg_uuid_t *account_id = &limits->limit.account_id;
	bool is_told_of = is_told(limits);
	UsageQuestion question;
	CustomerTotals totals = {0};

	if (!usage_question_ask(account_id, &limits->limit.scope.metric_id, NULL, &question))
		return;
	if (is_told_of)
		usage_by_customer(&question, Max(limits->start, CALENDAR_START), Min(limits->end, CALENDAR_END), &totals);
	for (int i = 0; i < count; i++)
	{
		if (limits[i].customer.data == NULL)
			put_general(rows, &limits[i], own, &totals);
		else if (is_told_of)
			put_own(rows, &limits[i], &question.metric, &totals);
		else
			put_row(rows, &limits[i], limits[i].customer, NULL);
	}
}

static void
put_all(Rows *rows, const PresentLimits *limits, const OwnLimits *own)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "usage limit status", ALLOCSET_DEFAULT_SIZES);
	MemoryContext context = MemoryContextSwitchTo(work);
	int count;

	for (int i = 0; i < limits->count; i += count)
	{
		for (count = 1; i + count < limits->count; count++)
		{
			if (compare_scans(&limits->items[i], &limits->items[i + count]) != 0)
				break;
		}
		/* What a scan takes is free again after it. */
		memory_budget_begin();
		put_scan(rows, &limits->items[i], count, own);
		MemoryContextReset(work);
	}
	MemoryContextSwitchTo(context);
}

/* usage_events.limit_status() */
PG_FUNCTION_INFO_V1(limit_status);
Datum
limit_status(PG_FUNCTION_ARGS)
{
	PresentLimits limits = {.account_id = account_current(), .context = CurrentMemoryContext};
	OwnLimits own;
	Rows rows = {.result_set = (ReturnSetInfo *) fcinfo->resultinfo};

	memory_budget_begin();
	read_limits(&limits);
	find_own(&limits, &own);
	InitMaterializedSRF(fcinfo, 0);
	rows.context = AllocSetContextCreate(CurrentMemoryContext, "usage limit row", ALLOCSET_DEFAULT_SIZES);
	put_all(&rows, &limits, &own);
	return (Datum) 0;
}
