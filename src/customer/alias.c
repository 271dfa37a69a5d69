/*
 * customer/alias.c
 *		Aliases: names under which events come in, and the customers they belong to.
 *
 * Events name a customer by an alias, and may do so before anybody knows whose
 * alias it is.  A value belongs to one customer at a time; a deleted alias stays
 * in the table, and its value may be given away again.
 */
#include "postgres.h"

#include "customer/alias.h"

#include "account/account.h"
#include "base/argument.h"
#include "base/json_build.h"
#include "base/json_read.h"
#include "base/text_check.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "endpoint/response.h"
#include "fmgr.h"
#include "sql/query.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define ALIAS_HINT \
	"A customer alias is an object with the strings \"customerId\" and \"value\", and optionally \"label\" (string)."
#define CHANGE_HINT "An alias is changed by an object with its new \"label\", a string or null."

/* How often a value may turn out taken and then free again before we give up. */
#define MAX_ATTEMPTS 100

/* An alias on its way in.  No label: data is NULL. */
typedef struct CustomerAlias
{
	Slice customer_id;
	Slice value;
	Slice label;
} CustomerAlias;

#define ALIAS_COLUMNS "id, customer_id, value, label, created_at, deleted_at"
enum
{
	COLUMN_ID = 1,
	COLUMN_CUSTOMER_ID,
	COLUMN_VALUE,
	COLUMN_LABEL,
	COLUMN_CREATED_AT,
	COLUMN_DELETED_AT
};

static Statement insert_alias = {
	.sql = "INSERT INTO usage_events.customer_alias (account_id, id, customer_id, value, label, created_at)"
		   " VALUES ($1, $2, $3, $4, $5, $6)"
		   " ON CONFLICT (account_id, value) WHERE deleted_at IS NULL DO NOTHING"
		   " RETURNING " ALIAS_COLUMNS,
	.argument_count = 6,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
};

static Statement find_alias = {
	.sql = "SELECT " ALIAS_COLUMNS " FROM usage_events.customer_alias"
		   " WHERE account_id " EQ " $1 AND value " EQ " $2 AND deleted_at IS NULL",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static Statement set_label = {
	.sql = "UPDATE usage_events.customer_alias SET label = $3"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2 AND deleted_at IS NULL"
		   " RETURNING " ALIAS_COLUMNS,
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID},
};

static Statement set_deleted = {
	.sql = "UPDATE usage_events.customer_alias SET deleted_at = $3"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2 AND deleted_at IS NULL"
		   " RETURNING " ALIAS_COLUMNS,
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, TIMESTAMPTZOID},
};

/* Who is told ------------------------------------------------------------- */

/* Rooms above whose work depends on whose an alias is: limits and alerts. */
#define MAX_WATCHERS 2

static CustomerAliasWatch watches[MAX_WATCHERS];
static int watch_count = 0;

/* To be called as the module is loaded. */
void
customer_alias_watch(CustomerAliasWatch watch)
{
	Assert(watch_count < MAX_WATCHERS);
	watches[watch_count++] = watch;
}

/* Rows -------------------------------------------------------------------- */

static Jsonb *
alias_to_json(uint64 row, const pg_uuid_t *account_id)
{
	JsonObject object = {0};
	bool isnull;
	Datum deleted_at;

	json_add_uuid(&object, SLICE("id"), DatumGetUUIDP(row_value(row, COLUMN_ID, &isnull)));
	json_add_uuid(&object, SLICE("sequenceAccountId"), account_id);
	json_add_text(&object, SLICE("customerId"), row_text_copy(row, COLUMN_CUSTOMER_ID));
	json_add_text(&object, SLICE("value"), row_text_copy(row, COLUMN_VALUE));
	json_add_text_or_null(&object, SLICE("label"), row_text_copy(row, COLUMN_LABEL));
	json_add_timestamp(&object, SLICE("createdAt"), DatumGetTimestampTz(row_value(row, COLUMN_CREATED_AT, &isnull)));
	deleted_at = row_value(row, COLUMN_DELETED_AT, &isnull);
	if (isnull)
		json_add_null(&object, SLICE("deletedAt"));
	else
		json_add_timestamp(&object, SLICE("deletedAt"), DatumGetTimestampTz(deleted_at));
	json_add_null(&object, SLICE("archivedAt"));
	return json_make_object(&object);
}

/* Checks ------------------------------------------------------------------ */

static void
report_faults(const List *faults, const char *hint)
{
	StringInfoData detail;

	if (faults == NIL)
		return;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The alias", faults);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid customer alias"),
					errdetail_internal("%s", detail.data), errhint("%s", hint)));
}

static void
require_object(Jsonb *body, const char *hint)
{
	if (!json_is_object(body))
		report_faults(fault_add(NIL, NULL, psprintf("must be a JSON object, not %s", json_document_kind(body))), hint);
}

/*
 * The value is taken: fine if by the same customer, which is a retry then.  The
 * label may have been changed since the first time.
 */
static void
require_same(const CustomerAlias *alias)
{
	Slice customer_id = row_text_copy(0, COLUMN_CUSTOMER_ID);

	if (!slice_equal(customer_id, alias->customer_id))
		report_faults(fault_add(NIL, "value", psprintf("is an alias of customer %s already", fault_quote(customer_id))),
					  ALIAS_HINT);
}

static void
tell(const pg_uuid_t *account_id, Slice customer_id, Slice value)
{
	for (int i = 0; i < watch_count; i++)
		watches[i](account_id, customer_id, value);
}

/* What can be done with aliases -------------------------------------------- */

Jsonb *
customer_alias_create(const pg_uuid_t *account_id, Jsonb *body)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	CustomerAlias alias;
	List *faults = NIL;
	bool is_new = false;
	pg_uuid_t id;
	Jsonb *json;

	require_object(body, ALIAS_HINT);
	faults = text_check_key_member(faults, body, "customerId", &alias.customer_id);
	faults = text_check_key_member(faults, body, "value", &alias.value);
	faults = text_check_member(faults, body, "label", false, &alias.label);
	if (slice_equal(alias.customer_id, SLICE(VOID_ALIAS)))
		faults = fault_add(faults, "customerId", "is reserved: events with that alias are taken back");
	if (slice_equal(alias.value, SLICE(VOID_ALIAS)))
		faults = fault_add(faults, "value", "is reserved: events with that alias are taken back");
	report_faults(faults, ALIAS_HINT);
	account_require(account_id);

	uuid_v7_generate(&id);
	SPI_connect();
	for (int attempt = 0;; attempt++)
	{
		statement_execute(&insert_alias,
						  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(&id), slice_to_datum(alias.customer_id),
									slice_to_datum(alias.value),
									alias.label.data != NULL ? slice_to_datum(alias.label) : 0,
									TimestampTzGetDatum(GetCurrentTimestamp())},
						  statement_null_at(5, alias.label.data == NULL));
		is_new = SPI_processed > 0;
		if (is_new)
			break;
		statement_execute(&find_alias, (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(alias.value)}, NULL);
		if (SPI_processed > 0)
		{
			require_same(&alias);
			break;
		}
		if (attempt == MAX_ATTEMPTS)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("could not store customer alias"),
							errdetail("Its \"value\" is taken by an alias that cannot be read.")));
	}
	spi_context = MemoryContextSwitchTo(context);
	json = alias_to_json(0, account_id);
	MemoryContextSwitchTo(spi_context);
	if (is_new)
		tell(account_id, alias.customer_id, alias.value);
	SPI_finish();
	return json;
}

/* Runs a statement that changes the alias of an id. */
static Jsonb *
change(Statement *statement, const pg_uuid_t *account_id, const pg_uuid_t *id, Datum value, bool isnull)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb *json = NULL;

	SPI_connect();
	statement_execute(statement, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id), value},
					  statement_null_at(3, isnull));
	if (SPI_processed > 0)
	{
		MemoryContext spi_context = MemoryContextSwitchTo(context);

		json = alias_to_json(0, account_id);
		MemoryContextSwitchTo(spi_context);
		if (statement == &set_deleted)
			tell(account_id, row_text_copy(0, COLUMN_CUSTOMER_ID), row_text_copy(0, COLUMN_VALUE));
	}
	SPI_finish();
	return json;
}

/* Changes the label; all else of an alias stays as it is. */
Jsonb *
customer_alias_update(const pg_uuid_t *account_id, const pg_uuid_t *id, Jsonb *body)
{
	Slice label;
	JsonbValue value;
	List *faults;

	require_object(body, CHANGE_HINT);
	faults = text_check_member(NIL, body, "label", false, &label);
	if (!json_member(body, "label", &value))
		faults = fault_add(faults, "label", "is missing");
	report_faults(faults, CHANGE_HINT);

	return change(&set_label, account_id, id, label.data != NULL ? slice_to_datum(label) : 0, label.data == NULL);
}

Jsonb *
customer_alias_delete(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	return change(&set_deleted, account_id, id, TimestampTzGetDatum(GetCurrentTimestamp()), false);
}

/* Conditions of a list: what index and value pick, whatever the page. */
static const char *
list_conditions(SqlQuery *query, const pg_uuid_t *account_id, const char *value)
{
	const char *conditions = psprintf("account_id " EQ " %s AND deleted_at IS NULL",
									  sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id)));

	if (value == NULL)
		return conditions;
	return psprintf("%s AND value " EQ " %s", conditions,
					sql_query_argument(query, TEXTOID, CStringGetTextDatum(value)));
}

static Jsonb *
read_item(uint64 row, const pg_uuid_t *account_id, ListKey *key)
{
	key->id = *DatumGetUUIDP(row_value_there(row, COLUMN_ID));
	return alias_to_json(row, account_id);
}

/* The newest first. */
Jsonb *
customer_alias_list(const pg_uuid_t *account_id, ListPage *page, const char *value, List *faults)
{
	MemoryContext context = CurrentMemoryContext;
	SqlQuery query;
	Jsonb *json;

	page->order = LIST_ALIASES_BY_ID;
	page->filters = value != NULL ? hash_bytes((const unsigned char *) value, (int) strlen(value)) : 0;
	list_page_faults_report(list_page_check(faults, page));

	SPI_connect();
	sql_query_init(&query);
	sql_query_append(&query, "SELECT FROM usage_events.customer_alias WHERE %s",
					 list_conditions(&query, account_id, value));
	list_page_count(page, &query);

	sql_query_init(&query);
	sql_query_append(&query, "SELECT " ALIAS_COLUMNS " FROM usage_events.customer_alias WHERE %s",
					 list_conditions(&query, account_id, value));
	list_page_append_order(page, &query);
	sql_query_execute(&query);
	json = list_page_answer(page, account_id, read_item, context);
	SPI_finish();
	return json;
}

/* The doors for SQL -------------------------------------------------------- */

static Datum
create_alias(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(customer_alias_create(account_current(), argument_jsonb(fcinfo, 0, "customer alias")));
}

/* create_customer_alias(jsonb) */
PG_FUNCTION_INFO_V1(create_customer_alias);
Datum
create_customer_alias(PG_FUNCTION_ARGS)
{
	return http_endpoint(create_alias, fcinfo, "create_customer_alias", 201);
}

static Datum
update_alias(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return http_answer_or_null(fcinfo, customer_alias_update(account_current(), PG_GETARG_UUID_P(0),
															 argument_jsonb(fcinfo, 1, "customer alias")));
}

/* update_customer_alias(id uuid, alias jsonb) */
PG_FUNCTION_INFO_V1(update_customer_alias);
Datum
update_customer_alias(PG_FUNCTION_ARGS)
{
	return http_endpoint(update_alias, fcinfo, "update_customer_alias", 200);
}

static Datum
delete_alias(PG_FUNCTION_ARGS)
{
	return http_answer_or_null(fcinfo, customer_alias_delete(account_current(), PG_GETARG_UUID_P(0)));
}

/* delete_customer_alias(id uuid) */
PG_FUNCTION_INFO_V1(delete_customer_alias);
Datum
delete_customer_alias(PG_FUNCTION_ARGS)
{
	return http_endpoint(delete_alias, fcinfo, "delete_customer_alias", 200);
}

static Datum
list_aliases(PG_FUNCTION_ARGS)
{
	ListPage page = LIST_PAGE_DEFAULTS;

	if (!PG_ARGISNULL(0))
		page.limit = PG_GETARG_INT32(0);
	page.after = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	page.before = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	PG_RETURN_JSONB_P(customer_alias_list(account_current(), &page,
										  PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)), NIL));
}

/* list_customer_aliases(page_limit integer, after text, before text, value text) */
PG_FUNCTION_INFO_V1(list_customer_aliases);
Datum
list_customer_aliases(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_aliases, fcinfo, "list_customer_aliases", 200);
}
