/*
 * limit/customer.c
 *		Whose use is meant: a customer by any name, and all names that events come with.
 *
 * A limit is of a customer, not of a name: whoever is known by several must not get several
 * times as much.  An alias stands for the customer whose it is, and so for all of the
 * customer's aliases.  A text that is nobody's alias is a customer's id, and may be the
 * alias of events as well, as long as nobody has said whose it is: usage_metric_by_customer()
 * has the same customers.
 */
#include "postgres.h"

#include "limit/customer.h"

#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "sql/row.h"
#include "sql/statement.h"

static Statement find_owner = {
	.sql = "SELECT customer_id FROM usage_events.customer_alias"
		   " WHERE account_id " EQ " $1 AND value " EQ " $2 AND deleted_at IS NULL",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

/* Those of the customer, and the id itself unless it is the alias of another. */
static Statement find_aliases = {
	.sql = "SELECT own.value FROM usage_events.customer_alias AS own"
		   " WHERE own.account_id " EQ " $1 AND own.customer_id " EQ " $2 AND own.deleted_at IS NULL"
		   " UNION ALL SELECT $2 WHERE NOT EXISTS (SELECT FROM usage_events.customer_alias AS taken"
		   " WHERE taken.account_id " EQ " $1 AND taken.value " EQ " $2 AND taken.deleted_at IS NULL)",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

typedef struct AliasWork
{
	LimitCustomer *customer;
	int capacity;
	MemoryContext context;
} AliasWork;

static void
take_alias(uint64 row, void *argument)
{
	AliasWork *work = argument;
	LimitCustomer *customer = work->customer;
	MemoryContext spi_context = MemoryContextSwitchTo(work->context);
	Slice alias = row_text_copy(row, 1);

	memory_budget_grow(alias.length);
	if (!slice_equal(alias, SLICE(VOID_ALIAS)))
	{
		customer->aliases =
			memory_budget_room(customer->aliases, customer->alias_count, &work->capacity, sizeof(Slice));
		customer->aliases[customer->alias_count++] = alias;
	}
	MemoryContextSwitchTo(spi_context);
}

/* Finds the customer that is known by that name, in memory that outlives SPI. */
void
limit_customer_find(const pg_uuid_t *account_id, Slice name, LimitCustomer *customer)
{
	AliasWork work = {.customer = customer, .context = CurrentMemoryContext};
	MemoryContext spi_context;

	memset(customer, 0, sizeof(LimitCustomer));
	customer->id = name;
	SPI_connect();
	statement_execute(&find_owner, (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(name)}, NULL);
	spi_context = MemoryContextSwitchTo(work.context);
	if (SPI_processed > 0)
		customer->id = row_text_copy(0, 1);
	MemoryContextSwitchTo(spi_context);
	statement_each_row(&find_aliases, (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(customer->id)}, take_alias,
					   &work);
	SPI_finish();
}
