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
#include "catalog/pg_type.h"
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

/* The limits of a metric that hold for a customer, in memory that outlives SPI. */
List *
limit_find_for_customer(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const LimitCustomer *customer)
{
	MemoryContext context = CurrentMemoryContext;
	List *limits = NIL;

	SPI_connect();
	statement_execute(&find_for_customer,
					  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(metric_id),
								statement_varlena_array(customer->aliases, customer->alias_count, TEXTOID)},
					  NULL);
	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		UsageLimit *limit;

		memory_budget_grow(sizeof(UsageLimit));
		limit = palloc(sizeof(UsageLimit));
		limit_read_row(row, account_id, limit);
		if (!is_replaced(limit, limits))
			limits = lappend(limits, limit);
	}
	SPI_finish();
	return limits;
}
