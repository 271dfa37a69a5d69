/*
 * account/api_key.c
 *		Keys by which clients of the HTTP API show whose account they act for.
 *
 * A key is a client id, which begins with the account's id, and a client secret
 * of 256 random bits.  Only the secret's SHA-256 is stored: of so many random
 * bits nobody can find others with the same hash, so a slow hash would add
 * nothing but time to each request.
 *
 * Because the account stands in the client id, a key is looked up as its own
 * account, by the table's primary key, with row-level security in force: nobody
 * needs a right to read the keys of all accounts.
 */
#include "postgres.h"

#include "account/api_key.h"

#include "account/account.h"
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

#define SECRET_BYTES 32
#define HASH_BYTES 32 /* of SHA-256 */

/* What follows the account in a client id: tells an account's keys apart. */
#define KEY_NUMBER_BYTES 8

#define CLIENT_ID_LENGTH (UUID_TEXT_LENGTH + 1 + 2 * KEY_NUMBER_BYTES)

static Statement read_key = {
	.sql = "SELECT key.secret_hash, key.expires_at"
		   " FROM usage_events.api_key AS key"
		   " JOIN usage_events.account AS account ON account.account_id " EQ " key.account_id"
		   " WHERE key.account_id " EQ " $1 AND key.client_id " EQ " $2",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static Statement insert_key = {
	.sql = "INSERT INTO usage_events.api_key (account_id, client_id, secret_hash, label, created_at)"
		   " VALUES ($1, $2, $3, $4, $5)",
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, BYTEAOID, TEXTOID, TIMESTAMPTZOID},
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
		   " RETURNING label",
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
};

static Statement list_keys = {
	.sql = "SELECT client_id, label, created_at, expires_at FROM usage_events.api_key"
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

static bytea *
hash_secret(Slice client_secret)
{
	bytea *secret = (bytea *) cstring_to_text_with_len(client_secret.data, client_secret.length);

	return DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(secret)));
}

/*
 * Whether there is a key of that id and secret.  The key's account becomes the
 * transaction's account; the caller raises an error if the key is not valid,
 * which takes that back.
 */
ApiKeyState
api_key_verify(Slice client_id, Slice client_secret)
{
	bytea *hash = hash_secret(client_secret);
	ApiKeyState state = API_KEY_UNKNOWN;
	pg_uuid_t account_id;

	if (!account_of_client_id(client_id, &account_id))
		return API_KEY_UNKNOWN;
	account_set(&account_id);

	SPI_connect();
	statement_execute(&read_key, (Datum[]){UUIDPGetDatum(&account_id), slice_to_datum(client_id)}, NULL);
	if (SPI_processed > 0)
	{
		bool never_stored;
		bool never_expires;
		bytea *stored = DatumGetByteaPP(row_value(0, 1, &never_stored));
		Datum expires_at = row_value(0, 2, &never_expires);

		if (VARSIZE_ANY_EXHDR(stored) == HASH_BYTES && VARSIZE_ANY_EXHDR(hash) == HASH_BYTES &&
			timingsafe_bcmp(VARDATA_ANY(stored), VARDATA_ANY(hash), HASH_BYTES) == 0)
		{
			if (!never_expires && DatumGetTimestampTz(expires_at) <= GetCurrentTimestamp())
				state = API_KEY_EXPIRED;
			else
				state = API_KEY_VALID;
		}
	}
	SPI_finish();

	if (state == API_KEY_VALID)
		account_verified(&account_id);
	return state;
}

/* Administration ---------------------------------------------------------- */

/* So many random bytes, as hexadecimal digits. */
static char *
random_hex(int bytes)
{
	char *random = palloc(bytes);
	char *hex = palloc(2 * bytes + 1);

	if (!pg_strong_random(random, bytes))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random bytes")));
	hex[hex_encode(random, bytes, hex)] = '\0';
	return hex;
}

/* Adds a row to the result of a function that returns a table. */
static void
return_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Stores a new key, and returns it to the caller: the only time that the secret is seen. */
static void
issue_key(FunctionCallInfo fcinfo, const pg_uuid_t *account_id, text *label)
{
	char account[UUID_TEXT_LENGTH + 1];
	char *client_id;
	char *client_secret = random_hex(SECRET_BYTES);

	uuid_v7_to_text(account_id, account);
	client_id = psprintf("%s.%s", account, random_hex(KEY_NUMBER_BYTES));

	statement_execute(&insert_key,
					  (Datum[]){UUIDPGetDatum(account_id), CStringGetTextDatum(client_id),
								PointerGetDatum(hash_secret(slice_from_cstring(client_secret))), PointerGetDatum(label),
								TimestampTzGetDatum(GetCurrentTimestamp())},
					  NULL);
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

/* usage_events.create_api_key(account_id uuid, label text) */
PG_FUNCTION_INFO_V1(create_api_key);
Datum
create_api_key(PG_FUNCTION_ARGS)
{
	pg_uuid_t *account_id = account_argument(fcinfo, 0);
	text *label;
	const char *fault;
	int nest_level;

	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("label of an API key must not be null")));
	label = PG_GETARG_TEXT_PP(1);
	fault = text_check((Slice){VARDATA_ANY(label), VARSIZE_ANY_EXHDR(label)});
	if (fault != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid label of an API key"),
						errdetail("The label %s.", fault)));

	InitMaterializedSRF(fcinfo, 0);
	nest_level = account_enter(account_id);
	account_require(account_id);
	SPI_connect();
	issue_key(fcinfo, account_id, label);
	SPI_finish();
	account_leave(nest_level);
	return (Datum) 0;
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
	issue_key(fcinfo, &account_id, DatumGetTextPP(row_value_there(0, 1)));
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
		Datum values[4];
		bool nulls[4];

		for (int column = 0; column < 4; column++)
			values[column] = row_value(row, column + 1, &nulls[column]);
		return_row(fcinfo, values, nulls);
	}
	SPI_finish();
	account_leave(nest_level);
	return (Datum) 0;
}
