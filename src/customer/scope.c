/*
 * customer/scope.c
 *		The aliases of the one customer whom the key of a request sees.
 *
 * They are those that are mapped to the customer's id now, and the id itself, as
 * long as it is no alias of another customer.  What others have is not looked at:
 * an alias of another customer and one that nobody has take the same time.
 */
#include "postgres.h"

#include "customer/scope.h"

#include "account/key_scope.h"
#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define OWN_ALIASES \
	"SELECT mapped.value FROM usage_events.customer_alias AS mapped" \
	" WHERE mapped.account_id " EQ " $1 AND mapped.customer_id " EQ " $2 AND mapped.deleted_at IS NULL" \
	" UNION SELECT $2 WHERE NOT EXISTS (SELECT FROM usage_events.customer_alias AS other" \
	" WHERE other.account_id " EQ " $1 AND other.value " EQ " $2 AND other.deleted_at IS NULL" \
	" AND other.customer_id " NE " $2)"

/* All of them, or those that are asked for: the customer himself is all. */
static Statement read_aliases = {
	.sql = "SELECT alias FROM (" OWN_ALIASES ") AS own (alias) WHERE alias " NE " '" VOID_ALIAS "'"
		   " AND ($2 " EQ " ANY ($3) OR alias " EQ " ANY ($3)) ORDER BY alias COLLATE pg_catalog.\"C\"",
	.read_only = true,
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TEXTARRAYOID},
};

/* Whether an alias is mapped to the customer. */
static Statement find_own = {
	.sql = "SELECT FROM usage_events.customer_alias WHERE account_id " EQ " $1 AND value " EQ " $3"
		   " AND deleted_at IS NULL AND customer_id " EQ " $2",
	.read_only = true,
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID},
};

/* Whether the customer's id is an alias of another. */
static Statement find_other = {
	.sql = "SELECT FROM usage_events.customer_alias WHERE account_id " EQ " $1 AND value " EQ " $3"
		   " AND deleted_at IS NULL AND customer_id " NE " $2",
	.read_only = true,
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TEXTOID},
};

/* Texts in memory that outlives SPI. */
typedef struct AliasList
{
	List *aliases; /* of char * */
	MemoryContext context;
} AliasList;

static void
take_alias(uint64 row, void *argument)
{
	AliasList *list = argument;
	MemoryContext spi_context = MemoryContextSwitchTo(list->context);
	char *alias = TextDatumGetCString(row_value_there(row, 1));

	memory_budget_grow(strlen(alias) + sizeof(ListCell));
	list->aliases = lappend(list->aliases, alias);
	MemoryContextSwitchTo(spi_context);
}

/* The customer's aliases, each once, in the order of "C"; where some are asked for, those of them that are the customer's. */
List *
customer_scope_aliases(const pg_uuid_t *account_id, const List *asked, bool is_asked)
{
	AliasList list = {NIL, CurrentMemoryContext};
	Datum customer = slice_to_datum(*key_scope_customer());
	Datum names = is_asked ? statement_text_array(asked) : statement_varlena_array(key_scope_customer(), 1, TEXTOID);

	SPI_connect();
	statement_each_row(&read_aliases, (Datum[]){UUIDPGetDatum(account_id), customer, names}, take_alias, &list);
	SPI_finish();
	return list.aliases;
}

/* Whether what came with an alias is the customer's. */
bool
customer_scope_has(const pg_uuid_t *account_id, Slice alias)
{
	const Slice *customer = key_scope_customer();
	bool is_id = slice_equal(alias, *customer);
	bool found;

	if (slice_equal(alias, SLICE(VOID_ALIAS)))
		return false;
	SPI_connect();
	statement_execute(is_id ? &find_other : &find_own,
					  (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(*customer), slice_to_datum(alias)}, NULL);
	found = SPI_processed > 0;
	SPI_finish();
	return is_id ? !found : found;
}
