/*
 * event/list_unmapped.c
 *		Lists of events whose aliases belong to no customer.
 */
#include "postgres.h"

#include "event/list_unmapped.h"

#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "event/list_query.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "sql/row.h"
#include "sql/statement.h"

/* So many bytes of aliases: statements have several copies of them. */
#define MAX_ALIAS_BYTES (8 * 1024 * 1024)

static void
refuse_aliases(void)
{
	event_list_refuse_lookup("too many aliases to look for those of no customer",
							 "The account has events of many aliases", "Name aliases in \"customerAlias\".");
}

/* Whether an alias belongs to no customer, as in the view usage_events.unmapped_alias. */
#define IS_UNMAPPED \
	"alias.value " NE " '" VOID_ALIAS "'" \
	" AND ((SELECT mapped.value FROM usage_events.customer_alias AS mapped" \
	" WHERE mapped.account_id " EQ " %s" \
	" AND mapped.deleted_at IS NULL AND mapped.value " GE " alias.value" \
	" ORDER BY mapped.value LIMIT 1) " EQ " alias.value) IS NOT TRUE" \
	" AND ((SELECT mapped.customer_id FROM usage_events.customer_alias AS mapped" \
	" WHERE mapped.account_id " EQ " %s" \
	" AND mapped.deleted_at IS NULL AND mapped.customer_id " GE " alias.value" \
	" ORDER BY mapped.customer_id LIMIT 1) " EQ " alias.value) IS NOT TRUE"

/*
 * Aliases with events, from one to the next in the index, with their numbers: one
 * more than may be looked at shows that there are too many.  The account is a
 * parameter: Citus needs to know it to find the shard.
 */
#define ALIASES_WITH_EVENTS \
	"WITH RECURSIVE alias (value, number) AS (" \
	"(SELECT customer_alias, 1 FROM usage_events.event WHERE account_id " EQ " %s" \
	" ORDER BY customer_alias LIMIT 1)" \
	" UNION ALL SELECT (SELECT customer_alias FROM usage_events.event WHERE account_id " EQ " %s" \
	" AND customer_alias " GT " alias.value ORDER BY customer_alias LIMIT 1)," \
	" alias.number " PLUS " 1" \
	" FROM alias WHERE alias.value IS NOT NULL AND alias.number " LE " %s)"

/* Adds what aliases have events, and on later pages had some when the first page was read. */
static void
append_unmapped_with_events(SqlQuery *query, const char *account, const ListPage *page)
{
	const char *limit = sql_query_argument(query, INT4OID, Int32GetDatum(list_page_lookup_limit()));

	sql_query_append(query,
					 ALIASES_WITH_EVENTS " SELECT value, number " GT " %s FROM alias"
										 " WHERE value IS NOT NULL AND (number " GT " %s OR " IS_UNMAPPED ")",
					 account, account, limit, limit, limit, account, account);
	if (page->has_key)
		sql_query_append(query,
						 " UNION SELECT value, false FROM (SELECT DISTINCT customer_alias AS value"
						 " FROM usage_events.superseded_event WHERE account_id " EQ " %s"
						 " AND superseded_by " GT " %s) AS alias WHERE " IS_UNMAPPED,
						 account, sql_query_argument(query, UUIDOID, UUIDPGetDatum(&page->newest)), account, account);
}

/* Adds those of the aliases that were asked for. */
static void
append_unmapped_of(SqlQuery *query, const char *account, List *aliases)
{
	sql_query_append(query,
					 "SELECT value, false FROM (SELECT DISTINCT value FROM pg_catalog.unnest(%s) AS named (value))"
					 " AS alias WHERE " IS_UNMAPPED,
					 sql_query_argument(query, TEXTARRAYOID, statement_text_array(aliases)), account, account);
}

/* The aliases in the rows of the last statement, in that context. */
static List *
read_aliases(MemoryContext context)
{
	List *aliases = NIL;
	Size size = 0;
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		CHECK_FOR_INTERRUPTS();
		if (DatumGetBool(row_value_there(row, 2)))
			refuse_aliases();
		aliases = lappend(aliases, SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1));
		size += strlen(llast(aliases));
		if (size > MAX_ALIAS_BYTES)
			refuse_aliases();
	}
	MemoryContextSwitchTo(spi_context);
	return aliases;
}

/* Aliases that belong to no customer, of those asked for: from now on the list is of these. */
void
event_list_resolve_unmapped(const pg_uuid_t *account_id, EventList *list, MemoryContext context)
{
	SqlQuery query;
	const char *account;

	sql_query_init(&query);
	account = sql_query_argument(&query, UUIDOID, UUIDPGetDatum(account_id));
	if (list->has_customer_aliases)
		append_unmapped_of(&query, account, list->customer_aliases);
	else
		append_unmapped_with_events(&query, account, &list->page);
	event_list_execute(&query, list);

	list->customer_aliases = read_aliases(context);
	list->has_customer_aliases = true;
	SPI_freetuptable(SPI_tuptable);
}
