/*
 * account/portal_token.c
 *		Tokens by which a page shows a customer its own usage, for a while.
 *
 * A token is a read key of one customer, and perhaps of some metrics.  A full key
 * makes it for each visit; it ends by itself, within a day.  Its client id is the
 * account's id and the token's, so that it is looked up as an API key is, and its
 * "token" is both halves as "Authorization: Basic" takes them, in letters that a
 * URL's fragment holds as they are.
 *
 * Those that have ended are in nobody's way: a new one takes the row of one.  So an
 * account has as many rows as it may have tokens at a time, and nobody has to
 * delete, which would take the right to lock the table.
 */
#include "postgres.h"

#include "account/portal_token.h"

#include <limits.h>

#include "account/account.h"
#include "account/customer_keys.h"
#include "account/key_scope.h"
#include "account/secret.h"
#include "base/base64.h"
#include "base/json_build.h"
#include "base/json_read.h"
#include "base/text_check.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define DEFAULT_SECONDS 3600
#define MAX_SECONDS 86400

#define TOKEN_HINT \
	"A portal token is an object with the string \"customer\", and optionally \"usageMetricIds\" (array of UUIDs)" \
	" and \"expiresIn\" (seconds)."

/* usage_events.max_portal_tokens */
static int max_tokens = 10000;

/* A token on its way in. */
typedef struct PortalToken
{
	pg_uuid_t id;
	Slice customer;
	ArrayType *metric_ids; /* NULL: all */
	int seconds;
	TimestampTz created_at;
	TimestampTz expires_at;
	const char *secret;
} PortalToken;

#define TOKEN_COLUMNS "id, customer, metric_ids, created_at, expires_at"
enum
{
	COLUMN_ID = 1,
	COLUMN_CUSTOMER,
	COLUMN_METRIC_IDS,
	COLUMN_CREATED_AT,
	COLUMN_EXPIRES_AT
};

/* One that nobody else is about to take. */
static Statement find_ended = {
	.sql = "SELECT id FROM usage_events.portal_token WHERE account_id " EQ " $1 AND expires_at " LE " $2"
		   " ORDER BY expires_at LIMIT 1 FOR UPDATE SKIP LOCKED",
	.argument_count = 2,
	.argument_types = {UUIDOID, TIMESTAMPTZOID},
};

static Statement count_tokens = {
	.sql = "SELECT FROM usage_events.portal_token WHERE account_id " EQ " $1 LIMIT $2",
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

static Statement insert_token = {
	.sql = "INSERT INTO usage_events.portal_token"
		   " (account_id, id, secret_hash, created_at, expires_at, customer, metric_ids)"
		   " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING " TOKEN_COLUMNS,
	.argument_count = 7,
	.argument_types = {UUIDOID, UUIDOID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, UUIDARRAYOID},
};

static Statement replace_token = {
	.sql = "UPDATE usage_events.portal_token"
		   " SET id = $2, secret_hash = $3, created_at = $4, expires_at = $5, customer = $6, metric_ids = $7"
		   " WHERE account_id " EQ " $1 AND id " EQ " $8 RETURNING " TOKEN_COLUMNS,
	.argument_count = 8,
	.argument_types = {UUIDOID, UUIDOID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, UUIDARRAYOID, UUIDOID},
};

static Statement end_token = {
	.sql = "UPDATE usage_events.portal_token SET expires_at = $3"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2 AND expires_at " GT " $3 RETURNING " TOKEN_COLUMNS,
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, TIMESTAMPTZOID},
};

void
portal_token_init(void)
{
	DefineCustomIntVariable("usage_events.max_portal_tokens", "How many portal tokens an account may have at a time.",
							"More are refused until some have ended.", &max_tokens, 10000, 0, INT_MAX / 2, PGC_SUSET, 0,
							NULL, NULL, NULL);
}

/* Rows -------------------------------------------------------------------- */

/* {"a": ["..."]} has the array inside; NULL where there is none. */
static Jsonb *
ids_to_json(ArrayType *ids)
{
	JsonbValue *texts;
	Datum *elements;
	int count;

	deconstruct_array(ids, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &elements, NULL, &count);
	texts = palloc(sizeof(JsonbValue) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		char *id = palloc(UUID_TEXT_LENGTH + 1);

		uuid_v7_to_text(DatumGetUUIDP(elements[i]), id);
		texts[i] = (JsonbValue){.type = jbvString, .val.string = {.val = id, .len = UUID_TEXT_LENGTH}};
	}
	return json_make_array_of_scalars(texts, count);
}

/* The columns of a row; of a token that is being made its secret as well, which is seen this once. */
static Jsonb *
token_to_json(uint64 row, const pg_uuid_t *account_id, const char *secret)
{
	JsonObject object = {0};
	pg_uuid_t *id = DatumGetUUIDP(row_value_there(row, COLUMN_ID));
	bool all_metrics;
	Datum metric_ids = row_value(row, COLUMN_METRIC_IDS, &all_metrics);

	json_add_uuid(&object, SLICE("id"), id);
	json_add_uuid(&object, SLICE("sequenceAccountId"), account_id);
	json_add_text(&object, SLICE("customer"), row_text_copy(row, COLUMN_CUSTOMER));
	if (all_metrics)
		json_add_null(&object, SLICE("usageMetricIds"));
	else
		json_add_json(&object, SLICE("usageMetricIds"), ids_to_json(DatumGetArrayTypeP(metric_ids)));
	json_add_timestamp(&object, SLICE("createdAt"), DatumGetTimestampTz(row_value_there(row, COLUMN_CREATED_AT)));
	json_add_timestamp(&object, SLICE("expiresAt"), DatumGetTimestampTz(row_value_there(row, COLUMN_EXPIRES_AT)));
	if (secret != NULL)
	{
		char account[UUID_TEXT_LENGTH + 1];
		char token[UUID_TEXT_LENGTH + 1];
		const char *client_id;
		const char *pair;

		uuid_v7_to_text(account_id, account);
		uuid_v7_to_text(id, token);
		client_id = psprintf("%s.%s", account, token);
		pair = psprintf("%s:%s", client_id, secret);
		json_add_text(&object, SLICE("clientId"), slice_from_cstring(client_id));
		json_add_text(&object, SLICE("clientSecret"), slice_from_cstring(secret));
		json_add_text(&object, SLICE("token"), slice_from_cstring(base64_encode_for_url(pair, (int) strlen(pair))));
	}
	return json_make_object(&object);
}

/* Checks ------------------------------------------------------------------ */

/* A UUID from JSON; false for what is none. */
static bool
read_id(const JsonbValue *value, Datum *id)
{
	pg_uuid_t *uuid = palloc(sizeof(pg_uuid_t));

	*id = UUIDPGetDatum(uuid);
	return value->type == jbvString && uuid_v7_from_text(json_string(value), uuid);
}

static List *
read_metric_ids(List *faults, Jsonb *body, PortalToken *token)
{
	static const char name[] = "usageMetricIds";
	JsonbValue value;
	Datum *ids;
	int count;

	if (!json_member(body, name, &value) || value.type == jbvNull)
		return faults;
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		return fault_add(faults, name, psprintf("must be an array, not %s", json_kind(&value)));
	count = JsonContainerSize(value.val.binary.data);
	if (count < 1 || count > KEY_SCOPE_MAX_METRICS)
		return fault_add(faults, name, key_scope_count_fault(count));

	ids = palloc(sizeof(Datum) * count);
	for (int i = 0; i < count; i++)
		if (!read_id(getIthJsonbValueFromContainer(value.val.binary.data, i), &ids[i]))
			return fault_add(faults, name, "must have UUIDs alone");
	token->metric_ids = construct_array(ids, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
	return faults;
}

static List *
read_seconds(List *faults, Jsonb *body, PortalToken *token)
{
	JsonbValue value;
	const char *digits;

	token->seconds = DEFAULT_SECONDS;
	if (!json_member(body, "expiresIn", &value) || value.type == jbvNull)
		return faults;
	if (value.type == jbvNumeric && json_number_length(value.val.numeric) <= 9)
	{
		digits = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
		token->seconds = strspn(digits, "0123456789") == strlen(digits) ? atoi(digits) : 0;
	}
	else
		token->seconds = 0;
	if (token->seconds < 1 || token->seconds > MAX_SECONDS)
		return fault_add(faults, "expiresIn", psprintf("must be an integer from 1 to %d", MAX_SECONDS));
	return faults;
}

static void
report_faults(const List *faults)
{
	StringInfoData detail;

	if (faults == NIL)
		return;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The token", faults);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid portal token"),
					errdetail_internal("%s", detail.data), errhint(TOKEN_HINT)));
}

static void
read_token(Jsonb *body, PortalToken *token)
{
	List *faults;

	if (!json_is_object(body))
		report_faults(fault_add(NIL, NULL, psprintf("must be a JSON object, not %s", json_document_kind(body))));
	faults = text_check_key_member(NIL, body, "customer", &token->customer);
	faults = read_metric_ids(faults, body, token);
	faults = read_seconds(faults, body, token);
	report_faults(faults);
}

/* What can be done with tokens -------------------------------------------- */

static void
require_room(const pg_uuid_t *account_id)
{
	statement_execute(&count_tokens, (Datum[]){UUIDPGetDatum(account_id), Int64GetDatum(max_tokens)}, NULL);
	if (SPI_processed >= (uint64) max_tokens)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many portal tokens"),
						errdetail("The account has as many as usage_events.max_portal_tokens allows: %d.", max_tokens),
						errhint("Let them end sooner, by a smaller \"expiresIn\", or end some.")));
}

/* Stores the token, in the place of one that has ended where there is one. */
static void
store(const pg_uuid_t *account_id, const PortalToken *token)
{
	Datum values[] = {UUIDPGetDatum(account_id),
					  UUIDPGetDatum(&token->id),
					  PointerGetDatum(secret_hash(slice_from_cstring(token->secret))),
					  TimestampTzGetDatum(token->created_at),
					  TimestampTzGetDatum(token->expires_at),
					  slice_to_datum(token->customer),
					  PointerGetDatum(token->metric_ids),
					  (Datum) 0};
	const char *nulls = statement_null_at(7, token->metric_ids == NULL);

	statement_execute(&find_ended, (Datum[]){UUIDPGetDatum(account_id), TimestampTzGetDatum(token->created_at)}, NULL);
	if (SPI_processed > 0)
	{
		values[7] = row_value_there(0, 1);
		statement_execute(&replace_token, values, nulls);
		return;
	}
	require_room(account_id);
	customer_keys_come(account_id);
	statement_execute(&insert_token, values, nulls);
}

Jsonb *
portal_token_create(const pg_uuid_t *account_id, Jsonb *body)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	PortalToken token = {.metric_ids = NULL};
	Jsonb *json;

	read_token(body, &token);
	account_require(account_id);
	uuid_v7_generate(&token.id);
	token.secret = secret_make();
	token.created_at = GetCurrentTimestamp();
	token.expires_at = token.created_at + token.seconds * USECS_PER_SEC;

	SPI_connect();
	store(account_id, &token);
	spi_context = MemoryContextSwitchTo(context);
	json = token_to_json(0, account_id, token.secret);
	MemoryContextSwitchTo(spi_context);
	SPI_finish();
	return json;
}

Jsonb *
portal_token_end(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb *json = NULL;

	SPI_connect();
	statement_execute(&end_token,
					  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id),
								TimestampTzGetDatum(GetCurrentTimestamp())},
					  NULL);
	if (SPI_processed > 0)
	{
		MemoryContext spi_context = MemoryContextSwitchTo(context);

		json = token_to_json(0, account_id, NULL);
		MemoryContextSwitchTo(spi_context);
	}
	SPI_finish();
	return json;
}

/* Conditions of a list: those that are good at the moment. */
static const char *
list_conditions(SqlQuery *query, const pg_uuid_t *account_id, const char *customer)
{
	const char *conditions =
		psprintf("account_id " EQ " %s AND expires_at " GT " %s",
				 sql_query_argument(query, UUIDOID, UUIDPGetDatum(account_id)),
				 sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentTimestamp())));

	if (customer == NULL)
		return conditions;
	return psprintf("%s AND customer " EQ " %s", conditions,
					sql_query_argument(query, TEXTOID, CStringGetTextDatum(customer)));
}

static Jsonb *
read_item(uint64 row, const pg_uuid_t *account_id, ListKey *key)
{
	key->id = *DatumGetUUIDP(row_value_there(row, COLUMN_ID));
	return token_to_json(row, account_id, NULL);
}

/* The newest first. */
Jsonb *
portal_token_list(const pg_uuid_t *account_id, ListPage *page, const char *customer, List *faults)
{
	MemoryContext context = CurrentMemoryContext;
	SqlQuery query;
	Jsonb *json;

	page->order = LIST_PORTAL_TOKENS_BY_ID;
	page->filters = customer != NULL ? hash_bytes((const unsigned char *) customer, (int) strlen(customer)) : 0;
	list_page_faults_report(list_page_check(faults, page));

	SPI_connect();
	sql_query_init(&query);
	sql_query_append(&query, "SELECT FROM usage_events.portal_token WHERE %s",
					 list_conditions(&query, account_id, customer));
	list_page_count(page, &query);

	sql_query_init(&query);
	sql_query_append(&query, "SELECT " TOKEN_COLUMNS " FROM usage_events.portal_token WHERE %s",
					 list_conditions(&query, account_id, customer));
	list_page_append_order(page, &query);
	sql_query_execute(&query);
	json = list_page_answer(page, account_id, read_item, context);
	SPI_finish();
	return json;
}
