/*
 * account/api_key.c
 *		Keys by which clients of the HTTP API show whose account they act for.
 *
 * A key is a client id, which begins with the account's id, and a client secret, of
 * which a hash is stored.
 *
 * Because the account stands in the client id, a key is looked up as its own
 * account, by the table's primary key, with row-level security in force: nobody
 * needs a right to read the keys of all accounts.
 */
#include "postgres.h"

#include "account/api_key.h"

#include "account/account.h"
#include "account/customer_keys.h"
#include "account/key_scope.h"
#include "account/secret.h"
#include "base/fault.h"
#include "base/text_check.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* What follows the account in a client id: tells an account's keys apart. */
#define KEY_NUMBER_BYTES 8

#define CLIENT_ID_LENGTH (UUID_TEXT_LENGTH + 1 + 2 * KEY_NUMBER_BYTES)

/* A portal token is told by its own id instead. */
#define TOKEN_CLIENT_ID_LENGTH (UUID_TEXT_LENGTH + 1 + UUID_TEXT_LENGTH)

static Statement read_key = {
	.sql = "SELECT key.secret_hash, key.expires_at, key.access, key.customer, key.metric_ids"
		   " FROM usage_events.api_key AS key"
		   " JOIN usage_events.account AS account ON account.account_id " EQ " key.account_id"
		   " WHERE key.account_id " EQ " $1 AND key.client_id " EQ " $2",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static Statement read_token = {
	.sql = "SELECT token.secret_hash, token.expires_at, 'read'::pg_catalog.text, token.customer, token.metric_ids"
		   " FROM usage_events.portal_token AS token"
		   " JOIN usage_events.account AS account ON account.account_id " EQ " token.account_id"
		   " WHERE token.account_id " EQ " $1 AND token.id " EQ " $2",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

/* Columns of both. */
enum
{
	COLUMN_SECRET_HASH = 1,
	COLUMN_EXPIRES_AT,
	COLUMN_ACCESS,
	COLUMN_CUSTOMER,
	COLUMN_METRIC_IDS
};

static Statement insert_key = {
	.sql = "INSERT INTO usage_events.api_key"
		   " (account_id, client_id, secret_hash, label, created_at, access, customer, metric_ids, expires_at)"
		   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	.argument_count = 9,
	.argument_types = {UUIDOID, TEXTOID, BYTEAOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, UUIDARRAYOID,
					   TIMESTAMPTZOID},
};

static Statement set_expiry = {
	.sql = "UPDATE usage_events.api_key SET expires_at = $3"
		   " WHERE account_id " EQ " $1 AND client_id " EQ " $2",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID},
};

/* Never later than the key would have expired anyway; and one that has expired brings forth no other. */
static Statement advance_expiry = {
	.sql = "UPDATE usage_events.api_key SET expires_at = LEAST(expires_at, $3)"
		   " WHERE account_id " EQ " $1 AND client_id " EQ " $2"
		   " AND (expires_at IS NULL OR expires_at " GT " $4)"
		   " RETURNING label, access, customer, metric_ids",
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

#define LISTED_COLUMNS 7

static Statement list_keys = {
	.sql = "SELECT client_id, label, created_at, expires_at, access, customer, metric_ids FROM usage_events.api_key"
		   " WHERE account_id " EQ " $1 ORDER BY created_at, client_id",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* The account that a client id begins with; false if the text cannot be a client id. */
static bool
account_of_client_id(Slice client_id, pg_uuid_t *account_id)
{
	return client_id.length == CLIENT_ID_LENGTH && client_id.data[UUID_TEXT_LENGTH] == '.' &&
		   uuid_v7_from_text((Slice){client_id.data, UUID_TEXT_LENGTH}, account_id);
}

/* The same of a portal token, and its own id. */
static bool
ids_of_token(Slice client_id, pg_uuid_t *account_id, pg_uuid_t *token_id)
{
	return client_id.length == TOKEN_CLIENT_ID_LENGTH && client_id.data[UUID_TEXT_LENGTH] == '.' &&
		   uuid_v7_from_text((Slice){client_id.data, UUID_TEXT_LENGTH}, account_id) &&
		   uuid_v7_from_text((Slice){client_id.data + UUID_TEXT_LENGTH + 1, UUID_TEXT_LENGTH}, token_id);
}

/* What is stored of a key, in the row of the last statement; of an access that is none it would be good for nothing. */
static bool
read_scope(KeyScope *scope)
{
	bool all_metrics;
	Datum metric_ids = row_value(0, COLUMN_METRIC_IDS, &all_metrics);

	scope->customer = row_text_copy(0, COLUMN_CUSTOMER);
	scope->metric_ids = NULL;
	scope->metric_count = 0;
	if (!all_metrics)
		key_scope_set_metrics(scope, DatumGetArrayTypePCopy(metric_ids));
	return key_access_from_name(row_text(0, COLUMN_ACCESS), &scope->access);
}

/* Whether the row of the last statement is of a key of that secret. */
static ApiKeyState
state_of_row(const bytea *hash, KeyScope *scope)
{
	bool never_stored;
	bool never_expires;
	bytea *stored = DatumGetByteaPP(row_value(0, COLUMN_SECRET_HASH, &never_stored));
	Datum expires_at = row_value(0, COLUMN_EXPIRES_AT, &never_expires);

	if (!secret_hashes_equal(stored, hash))
		return API_KEY_UNKNOWN;
	if (!never_expires && DatumGetTimestampTz(expires_at) <= GetCurrentTimestamp())
		return API_KEY_EXPIRED;
	return read_scope(scope) ? API_KEY_VALID : API_KEY_UNKNOWN;
}

/*
 * Whether there is a key of that id and secret.  The key's account becomes the
 * transaction's account, within the key's scope; the caller raises an error if the
 * key is not valid, which takes that back.
 */
ApiKeyState
api_key_verify(Slice client_id, Slice client_secret)
{
	bytea *hash = secret_hash(client_secret);
	ApiKeyState state = API_KEY_UNKNOWN;
	KeyScope scope;
	pg_uuid_t token_id;
	bool is_token = ids_of_token(client_id, &scope.account_id, &token_id);

	if (!is_token && !account_of_client_id(client_id, &scope.account_id))
		return API_KEY_UNKNOWN;
	key_scope_end();
	account_set(&scope.account_id);

	SPI_connect();
	statement_execute(is_token ? &read_token : &read_key,
					  (Datum[]){UUIDPGetDatum(&scope.account_id),
								is_token ? UUIDPGetDatum(&token_id) : slice_to_datum(client_id)},
					  NULL);
	if (SPI_processed > 0)
		state = state_of_row(hash, &scope);
	if (state == API_KEY_VALID)
		key_scope_begin(&scope);
	SPI_finish();

	if (state == API_KEY_VALID)
		account_verified(&scope.account_id);
	return state;
}

/* Administration ---------------------------------------------------------- */

/* Adds a row to the result of a function that returns a table. */
static void
return_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* What a new key is to be, as values of its columns. */
typedef struct NewKey
{
	Datum label;
	Datum access;
	NullableDatum customer;
	NullableDatum metric_ids;
	NullableDatum expires_at;
} NewKey;

/* Stores a new key, and returns it to the caller: the only time that the secret is seen. */
static void
issue_key(FunctionCallInfo fcinfo, const pg_uuid_t *account_id, const NewKey *key)
{
	char account[UUID_TEXT_LENGTH + 1];
	char nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', '\0'};
	char *client_id;
	char *client_secret = secret_make();

	uuid_v7_to_text(account_id, account);
	client_id = psprintf("%s.%s", account, secret_random_hex(KEY_NUMBER_BYTES));

	nulls[6] = key->customer.isnull ? 'n' : ' ';
	nulls[7] = key->metric_ids.isnull ? 'n' : ' ';
	nulls[8] = key->expires_at.isnull ? 'n' : ' ';
	if (!key->customer.isnull)
		customer_keys_come(account_id);
	statement_execute(&insert_key,
					  (Datum[]){UUIDPGetDatum(account_id), CStringGetTextDatum(client_id),
								PointerGetDatum(secret_hash(slice_from_cstring(client_secret))), key->label,
								TimestampTzGetDatum(GetCurrentTimestamp()), key->access, key->customer.value,
								key->metric_ids.value, key->expires_at.value},
					  nulls);
	return_row(fcinfo, (Datum[]){CStringGetTextDatum(client_id), CStringGetTextDatum(client_secret)},
			   (bool[]){false, false});
}

static void
refuse_unknown_key(text *client_id)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("API key \"%s\" does not exist", text_to_cstring(client_id)),
					errhint("usage_events.list_api_keys(account_id) lists the client ids of an account.")));
}

/* The argument that is a client id, and the account in it. */
static text *
client_id_argument(FunctionCallInfo fcinfo, int number, pg_uuid_t *account_id)
{
	text *client_id;

	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("client id must not be null")));
	client_id = PG_GETARG_TEXT_PP(number);
	if (!account_of_client_id((Slice){VARDATA_ANY(client_id), VARSIZE_ANY_EXHDR(client_id)}, account_id))
		refuse_unknown_key(client_id);
	return client_id;
}

static void
check_label(FunctionCallInfo fcinfo, int number)
{
	const char *fault;

	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("label of an API key must not be null")));
	fault = text_check(slice_from_datum(PG_GETARG_DATUM(number)));
	if (fault != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid label of an API key"),
						errdetail("The label %s.", fault)));
}

/* What is wrong with the access, and with what goes with it. */
static List *
access_faults(const NewKey *key)
{
	KeyAccess access;
	List *faults = NIL;

	if (!key_access_from_name(slice_from_datum(key->access), &access))
		return fault_add(NIL, "access", "must be \"full\", \"ingest\" or \"read\"");
	if (access != KEY_READ && !key->customer.isnull)
		faults = fault_add(faults, "customer", "is for keys whose access is \"read\"");
	if (access != KEY_READ && !key->metric_ids.isnull)
		faults = fault_add(faults, "metric_ids", "is for keys whose access is \"read\"");
	return faults;
}

static void
check_scope(const NewKey *key)
{
	List *faults = access_faults(key);
	StringInfoData detail;

	if (!key->customer.isnull)
		faults = text_check_key(faults, "customer", slice_from_datum(key->customer.value));
	if (!key->metric_ids.isnull)
		faults = key_scope_check_metrics(faults, "metric_ids", DatumGetArrayTypeP(key->metric_ids.value));
	if (!key->expires_at.isnull && DatumGetTimestampTz(key->expires_at.value) <= GetCurrentTimestamp())
		faults = fault_add(faults, "expires_at", "must be in the future");
	if (faults == NIL)
		return;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The key", faults);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid API key"),
					errdetail_internal("%s", detail.data)));
}

/* usage_events.create_api_key(account_id uuid, label text, access text, customer text, metric_ids uuid[], expires_at timestamptz) */
PG_FUNCTION_INFO_V1(create_api_key);
Datum
create_api_key(PG_FUNCTION_ARGS)
{
	pg_uuid_t *account_id = account_argument(fcinfo, 0);
	NewKey key;
	int nest_level;

	check_label(fcinfo, 1);
	if (PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("access of an API key must not be null")));
	key = (NewKey){.label = PG_GETARG_DATUM(1),
				   .access = PG_GETARG_DATUM(2),
				   .customer = fcinfo->args[3],
				   .metric_ids = fcinfo->args[4],
				   .expires_at = fcinfo->args[5]};
	check_scope(&key);

	InitMaterializedSRF(fcinfo, 0);
	nest_level = account_enter(account_id);
	account_require(account_id);
	SPI_connect();
	issue_key(fcinfo, account_id, &key);
	SPI_finish();
	account_leave(nest_level);
	return (Datum) 0;
}

/* What the row of advance_expiry tells of the key that is replaced; the new one does not expire. */
static NewKey
key_of_row(void)
{
	NewKey key = {.label = row_value_there(0, 1), .access = row_value_there(0, 2), .expires_at = {.isnull = true}};

	key.customer.value = row_value(0, 3, &key.customer.isnull);
	key.metric_ids.value = row_value(0, 4, &key.metric_ids.isnull);
	return key;
}

/* usage_events.rotate_api_key(client_id text, grace interval) */
PG_FUNCTION_INFO_V1(rotate_api_key);
Datum
rotate_api_key(PG_FUNCTION_ARGS)
{
	pg_uuid_t account_id;
	text *client_id = client_id_argument(fcinfo, 0, &account_id);
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz end;
	NewKey key;
	int nest_level;

	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("grace must not be null")));
	end =
		DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now), PG_GETARG_DATUM(1)));
	if (end < now)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("grace must not be negative")));

	InitMaterializedSRF(fcinfo, 0);
	nest_level = account_enter(&account_id);
	SPI_connect();
	statement_execute(&advance_expiry,
					  (Datum[]){UUIDPGetDatum(&account_id), PointerGetDatum(client_id), TimestampTzGetDatum(end),
								TimestampTzGetDatum(now)},
					  NULL);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("API key \"%s\" does not exist, or has expired", text_to_cstring(client_id)),
						errhint("usage_events.create_api_key(account_id, label) makes a new one.")));
	key = key_of_row();
	issue_key(fcinfo, &account_id, &key);
	SPI_finish();
	account_leave(nest_level);
	return (Datum) 0;
}

static void
expire_key(FunctionCallInfo fcinfo, Datum expires_at, bool never)
{
	pg_uuid_t account_id;
	text *client_id = client_id_argument(fcinfo, 0, &account_id);
	int nest_level = account_enter(&account_id);

	SPI_connect();
	statement_execute(&set_expiry, (Datum[]){UUIDPGetDatum(&account_id), PointerGetDatum(client_id), expires_at},
					  statement_null_at(3, never));
	if (SPI_processed == 0)
		refuse_unknown_key(client_id);
	SPI_finish();
	account_leave(nest_level);
}

/* usage_events.expire_api_key(client_id text, expires_at timestamptz) */
PG_FUNCTION_INFO_V1(expire_api_key);
Datum
expire_api_key(PG_FUNCTION_ARGS)
{
	expire_key(fcinfo, PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1), PG_ARGISNULL(1));
	PG_RETURN_VOID();
}

/* usage_events.revoke_api_key(client_id text) */
PG_FUNCTION_INFO_V1(revoke_api_key);
Datum
revoke_api_key(PG_FUNCTION_ARGS)
{
	expire_key(fcinfo, TimestampTzGetDatum(GetCurrentTimestamp()), false);
	PG_RETURN_VOID();
}

/* usage_events.list_api_keys(account_id uuid) */
PG_FUNCTION_INFO_V1(list_api_keys);
Datum
list_api_keys(PG_FUNCTION_ARGS)
{
	pg_uuid_t *account_id = account_argument(fcinfo, 0);
	int nest_level;

	InitMaterializedSRF(fcinfo, 0);
	nest_level = account_enter(account_id);
	SPI_connect();
	statement_execute(&list_keys, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum values[LISTED_COLUMNS];
		bool nulls[LISTED_COLUMNS];

		for (int column = 0; column < LISTED_COLUMNS; column++)
			values[column] = row_value(row, column + 1, &nulls[column]);
		return_row(fcinfo, values, nulls);
	}
	SPI_finish();
	account_leave(nest_level);
	return (Datum) 0;
}
