/*
 * limit/limit.c
 *		Usage limits as they are stored: usage_events.usage_limit, and their earlier
 *		versions in usage_events.superseded_usage_limit; and which hold for a customer.
 *
 * A customer's own limit takes the place of the general one of the same metric and
 * period, whatever the mode: so a customer may have more than others, or be let through.
 */
#include "postgres.h"

#include "limit/limit.h"

#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "sql/distribution.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* Numbers of LIMIT_ROW_COLUMNS. */
enum
{
	COLUMN_ID = 1,
	COLUMN_VERSION_ID,
	COLUMN_SCOPE,
	COLUMN_LIMIT = COLUMN_SCOPE + LIMIT_SCOPE_COLUMN_COUNT,
	COLUMN_MODE,
	COLUMN_CREATED_AT,
	COLUMN_UPDATED_AT,
	COLUMN_DELETED_AT
};

static Statement get_limit = {
	.sql = "SELECT " LIMIT_ROW_COLUMNS " FROM usage_events.usage_limit"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

#define IN_FORCE_OF_METRIC(customer) \
	"(SELECT * FROM usage_events.usage_limit WHERE account_id " EQ " $1 AND metric_id " EQ \
	" $2 AND deleted_at IS NULL" \
	" AND customer " customer " OFFSET 0)"

/* Own limits before general ones.  Each name is searched for in the index, however many customers have limits. */
static Statement find_for_customer = {
	.sql = "SELECT " LIMIT_ROW_COLUMNS " FROM (SELECT own.*"
		   " FROM (SELECT DISTINCT value FROM pg_catalog.unnest($3) AS name (value)) AS name"
		   " CROSS JOIN LATERAL " IN_FORCE_OF_METRIC(
			   EQ " name.value") " AS own"
								 " UNION ALL " IN_FORCE_OF_METRIC("IS NULL") ") AS found ORDER BY customer IS NULL, id",
	.read_only = true,
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, TEXTARRAYOID},
};

/*
 * The same of a single name, in two: of most customers there is one, and the statement above takes twice as
 * long to be made ready as both of these take.
 */
#define OF_METRIC "account_id " EQ " $1 AND metric_id " EQ " $2 AND deleted_at IS NULL"

static Statement find_own = {
	.sql = "SELECT " LIMIT_ROW_COLUMNS " FROM usage_events.usage_limit WHERE " OF_METRIC " AND customer " EQ " $3",
	.read_only = true,
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID},
};

static Statement find_general = {
	.sql = "SELECT " LIMIT_ROW_COLUMNS " FROM usage_events.usage_limit WHERE " OF_METRIC " AND customer IS NULL",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

/* Returns the fault, or NULL. */
const char *
limit_mode_from_text(Slice text, bool *blocks)
{
	*blocks = slice_equal(text, SLICE("BLOCK"));
	if (*blocks || slice_equal(text, SLICE("REPORT")))
		return NULL;
	return "must be \"BLOCK\" or \"REPORT\"";
}

Slice
limit_mode_name(const UsageLimit *limit)
{
	return limit->blocks ? SLICE("BLOCK") : SLICE("REPORT");
}

/* Reads a row of the last statement, in the current memory context. */
void
limit_read_row(uint64 row, const pg_uuid_t *account_id, UsageLimit *limit)
{
	bool isnull;
	Datum deleted_at;

	limit->account_id = *account_id;
	limit->id = *DatumGetUUIDP(row_value_there(row, COLUMN_ID));
	limit->version_id = *DatumGetUUIDP(row_value_there(row, COLUMN_VERSION_ID));
	limit_scope_read_row(row, COLUMN_SCOPE, &limit->scope);
	limit->limit = DatumGetNumericCopy(row_value_there(row, COLUMN_LIMIT));
	if (limit_mode_from_text(row_text(row, COLUMN_MODE), &limit->blocks) != NULL)
		elog(ERROR, "unexpected mode of a usage limit");
	limit->created_at = DatumGetTimestampTz(row_value_there(row, COLUMN_CREATED_AT));
	limit->updated_at = DatumGetTimestampTz(row_value_there(row, COLUMN_UPDATED_AT));
	deleted_at = row_value(row, COLUMN_DELETED_AT, &isnull);
	limit->is_deleted = !isnull;
	limit->deleted_at = isnull ? 0 : DatumGetTimestampTz(deleted_at);
}

/* Reads the account's limit of that id, also a deleted one; false if there is none. */
bool
limit_get(const pg_uuid_t *account_id, const pg_uuid_t *id, UsageLimit *limit)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	bool found;

	SPI_connect();
	statement_execute(&get_limit, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id)}, NULL);
	found = SPI_processed > 0;
	spi_context = MemoryContextSwitchTo(context);
	if (found)
		limit_read_row(0, account_id, limit);
	MemoryContextSwitchTo(spi_context);
	SPI_finish();
	return found;
}

/* Whether one of the customer's own limits, which come first, is for the same period. */
static bool
is_replaced(const UsageLimit *general, const List *limits)
{
	ListCell *cell;

	if (general->scope.customer.data != NULL)
		return false;
	foreach(cell, limits)
	{
		const UsageLimit *own = lfirst(cell);

		if (own->scope.customer.data == NULL)
			return false;
		if (own->scope.period.unit == general->scope.period.unit)
			return true;
	}
	return false;
}

/* Runs a statement that finds limits; returns them in memory that outlives SPI. */
static List *
find(Statement *statement, Datum *arguments, MemoryContext context)
{
	const pg_uuid_t *account_id = DatumGetUUIDP(arguments[0]);
	MemoryContext spi_context;
	List *limits = NIL;

	statement_execute(statement, arguments, NULL);
	spi_context = MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		UsageLimit *limit;

		memory_budget_grow(sizeof(UsageLimit));
		limit = palloc(sizeof(UsageLimit));
		limit_read_row(row, account_id, limit);
		limits = lappend(limits, limit);
	}
	MemoryContextSwitchTo(spi_context);
	return limits;
}

static int
compare_limits(const ListCell *a, const ListCell *b)
{
	return uuid_v7_compare(&((const UsageLimit *) lfirst(a))->id, &((const UsageLimit *) lfirst(b))->id);
}

static List *
find_of_name(Datum account, Datum metric, Slice name, MemoryContext context)
{
	List *own = find(&find_own, (Datum[]){account, metric, slice_to_datum(name)}, context);
	List *general = find(&find_general, (Datum[]){account, metric}, context);
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	list_sort(own, compare_limits);
	list_sort(general, compare_limits);
	own = list_concat(own, general);
	MemoryContextSwitchTo(spi_context);
	return own;
}

/* The limits of a metric that hold for a customer, in memory that outlives SPI: own ones first, of each kind in the order of their ids. */
List *
limit_find_for_customer(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const LimitCustomer *customer)
{
	MemoryContext context = CurrentMemoryContext;
	Datum account = UUIDPGetDatum(account_id);
	Datum metric = UUIDPGetDatum(metric_id);
	List *found;
	List *limits = NIL;
	ListCell *cell;

	SPI_connect();
	/* Elsewhere on a Citus cluster two statements do not see the same. */
	if (customer->alias_count == 1 && !distribution_is_on())
		found = find_of_name(account, metric, customer->aliases[0], context);
	else
		found =
			find(&find_for_customer,
				 (Datum[]){account, metric, statement_varlena_array(customer->aliases, customer->alias_count, TEXTOID)},
				 context);
	SPI_finish();
	foreach(cell, found)
	{
		if (!is_replaced(lfirst(cell), limits))
			limits = lappend(limits, lfirst(cell));
	}
	return limits;
}
