/*
 * event/customers.c
 *		Customers that have events: the aliases that events came with.
 *
 * The index leads from alias to alias, from type to type of each, and from each of these to its last event,
 * so that a page costs a search or two for each type of its customers, however many events there are.
 */
#include "postgres.h"

#include "event/customers.h"

#include "account/account.h"
#include "base/argument.h"
#include "base/fault.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "endpoint/response.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "sql/list_page.h"
#include "sql/planner.h"
#include "sql/query.h"
#include "sql/row.h"
#include "utils/builtins.h"

enum
{
	COLUMN_ALIAS = 1,
	COLUMN_CUSTOMER_ID,
	COLUMN_LAST_TIMESTAMP,
	COLUMN_TYPES
};

/*
 * Events that were taken back are nobody's.  Their alias is walked over rather than
 * left out where the index is searched, which would look at each of them.
 */
static void
find_customers(SqlQuery *query, const pg_uuid_t *account_id, const PlacePage *page)
{
	const char *account;
	const char *from = "";
	const char *aliases;
	const char *next = page->backward ? LT : GT;
	const char *order = page->backward ? "customer_alias DESC, event_type DESC" : "customer_alias, event_type";

	sql_query_init(query);
	account = sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id));
	if (page->has_place)
		from = psprintf(" AND customer_alias %s %s", next,
						sql_query_argument(query, TEXTOID, slice_to_datum(page->place)));
	/* one more than the page holds, and VOID */
	aliases = sql_query_argument(query, INT4OID, Int32GetDatum(page->limit + 2));
	sql_query_append(query,
					 "WITH RECURSIVE run (customer_alias, event_type, number) AS ("
					 " (SELECT customer_alias, event_type, 1 FROM usage_events.event WHERE account_id " EQ " %s%s"
					 " ORDER BY %s LIMIT 1)"
					 " UNION ALL"
					 " SELECT next.customer_alias, next.event_type,"
					 " run.number " PLUS " CASE WHEN next.customer_alias " EQ " run.customer_alias THEN 0 ELSE 1 END"
					 " FROM run CROSS JOIN LATERAL (SELECT customer_alias, event_type FROM usage_events.event"
					 " WHERE account_id " EQ " %s AND ROW(customer_alias, event_type) %s"
					 " ROW(run.customer_alias, run.event_type) ORDER BY %s LIMIT 1) AS next"
					 " WHERE run.number " LE " %s),",
					 account, from, order, account, next, order, aliases);
	sql_query_append(query,
					 " alias (value, last_timestamp, types) AS (SELECT customer_alias,"
					 " pg_catalog.max((SELECT event_timestamp FROM usage_events.event WHERE account_id " EQ " %s"
					 " AND customer_alias " EQ " run.customer_alias AND event_type " EQ " run.event_type"
					 " ORDER BY event_timestamp DESC LIMIT 1)), pg_catalog.count(*)"
					 " FROM (SELECT customer_alias, event_type FROM run WHERE number " LE " %s LIMIT %s) AS run"
					 " GROUP BY customer_alias)",
					 account, aliases,
					 sql_query_argument(query, INT8OID, Int64GetDatum((int64) list_page_lookup_limit() + 1)));
	sql_query_append(query,
					 " SELECT alias.value, (SELECT mapped.customer_id FROM usage_events.customer_alias AS mapped"
					 " WHERE mapped.account_id " EQ " %s AND mapped.value " EQ
					 " alias.value AND mapped.deleted_at IS NULL), alias.last_timestamp, alias.types"
					 " FROM alias ORDER BY alias.value COLLATE pg_catalog.\"C\"",
					 account);
}

static void
require_few_types(void)
{
	int64 types = 0;

	for (uint64 row = 0; row < SPI_processed; row++)
		types += DatumGetInt64(row_value_there(row, COLUMN_TYPES));
	if (types > list_page_lookup_limit())
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("too many event types to look for the last event of each customer"),
			 errdetail(
				 "The customers of the page have events of more than %d types, the limit of usage_events.list_lookup_limit.",
				 list_page_lookup_limit()),
			 errhint("Ask for a smaller page.")));
}

static Jsonb *
read_item(uint64 row)
{
	JsonObject object = {0};

	json_add_text(&object, SLICE("customerAlias"), row_text(row, COLUMN_ALIAS));
	json_add_text_or_null(&object, SLICE("customerId"), row_text(row, COLUMN_CUSTOMER_ID));
	json_add_timestamp(&object, SLICE("lastEventTimestamp"),
					   DatumGetTimestampTz(row_value_there(row, COLUMN_LAST_TIMESTAMP)));
	return json_make_object(&object);
}

static void
execute_query(void *query)
{
	sql_query_execute(query);
}

/* {"items": [{"customerAlias", "customerId", "lastEventTimestamp"}], "pagination"}, in the order of "C".  Refuses with the faults that were found before, and its own. */
Jsonb *
event_customers_list(const pg_uuid_t *account_id, PlacePage *page, List *faults)
{
	JsonObject answer = {0};
	SqlQuery query;

	list_page_faults_report(place_page_check(faults, page));
	place_page_begin(page);
	SPI_connect();
	find_customers(&query, account_id, page);
	planner_along_indexes(execute_query, &query);
	require_few_types();
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		if (!slice_equal(row_text(row, COLUMN_ALIAS), SLICE(VOID_ALIAS)))
			place_page_add(page, row_text(row, COLUMN_ALIAS), read_item(row));
	}
	SPI_finish();
	place_page_end(page, &answer, TOTAL_UNKNOWN);
	return json_make_object(&answer);
}

static Datum
list_customers(PG_FUNCTION_ARGS)
{
	PlacePage page = {.limit = PG_ARGISNULL(0) ? LIST_DEFAULT_LIMIT : PG_GETARG_INT32(0)};

	page.after = argument_text(fcinfo, 1);
	page.before = argument_text(fcinfo, 2);
	PG_RETURN_JSONB_P(event_customers_list(account_current(), &page, NIL));
}

/* list_usage_customers(page_limit integer, after text, before text) */
PG_FUNCTION_INFO_V1(list_usage_customers);
Datum
list_usage_customers(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_customers, fcinfo, "list_usage_customers", 200);
}
