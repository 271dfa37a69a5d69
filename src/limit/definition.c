/*
 * limit/definition.c
 *		Usage limits: made, updated, deleted, and what is answered of them.
 *
 * A limit has versions, as a metric has: an update and a deletion move the row to
 * usage_events.superseded_usage_limit and write another version in its place, so that it can
 * be said why an event was refused.  Its row is locked first.
 */
#include "postgres.h"

#include "limit/definition.h"

#include <limits.h>

#include "account/account.h"
#include "base/argument.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "endpoint/response.h"
#include "fmgr.h"
#include "limit/check.h"
#include "limit/in_force.h"
#include "metric/value.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* What a version says, as the first parameters of the statements that write one. */
enum
{
	ARGUMENT_ACCOUNT_ID,
	ARGUMENT_ID,
	ARGUMENT_VERSION_ID,
	ARGUMENT_UPDATED_AT,
	ARGUMENT_SCOPE,
	ARGUMENT_LIMIT = ARGUMENT_SCOPE + LIMIT_SCOPE_COLUMN_COUNT,
	ARGUMENT_MODE,
	ARGUMENT_COUNT
};

#define VERSION_ARGUMENTS \
	.argument_count = ARGUMENT_COUNT, \
	.argument_types = {UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, LIMIT_SCOPE_TYPES, NUMERICOID, TEXTOID}

#define BY_ID " WHERE account_id " EQ " $1 AND id " EQ " $2"
#define RETURNING " RETURNING " LIMIT_ROW_COLUMNS

static Statement insert_limit = {
	.sql = "INSERT INTO usage_events.usage_limit"
		   " (account_id, id, version_id, created_at, updated_at, " LIMIT_SCOPE_COLUMNS ", limit_value, mode)"
		   " VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12)" RETURNING,
	VERSION_ARGUMENTS,
};

static Statement update_limit = {
	.sql = "UPDATE usage_events.usage_limit SET version_id = $3, updated_at = $4, name = $5, metric_id = $6,"
		   " customer = $7, period = $8, timezone = $9, anchor = $10, limit_value = $11, mode = $12" BY_ID RETURNING,
	VERSION_ARGUMENTS,
};

static Statement set_deleted = {
	.sql = "UPDATE usage_events.usage_limit SET version_id = $3, updated_at = $4, deleted_at = $4" BY_ID RETURNING,
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID},
};

static Statement lock_limit = {
	.sql = "SELECT " LIMIT_ROW_COLUMNS " FROM usage_events.usage_limit" BY_ID " AND deleted_at IS NULL FOR UPDATE",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement archive_limit = {
	.sql = "INSERT INTO usage_events.superseded_usage_limit (account_id, " LIMIT_ROW_COLUMNS ")"
		   " SELECT account_id, " LIMIT_ROW_COLUMNS " FROM usage_events.usage_limit" BY_ID,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement count_limits = {
	.sql = "SELECT pg_catalog.count(*) FROM (SELECT FROM usage_events.usage_limit"
		   " WHERE account_id " EQ " $1 AND deleted_at IS NULL LIMIT $2) AS usage_limit",
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

static Statement count_versions = {
	.sql = "SELECT pg_catalog.count(*) FROM ("
		   "SELECT id FROM usage_events.usage_limit WHERE account_id " EQ " $1"
		   " UNION ALL SELECT id FROM usage_events.superseded_usage_limit WHERE account_id " EQ " $1"
		   " LIMIT $2) AS version",
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

/* How many ------------------------------------------------------------------ */

static int max_limits = 10000;
static int max_limit_versions = 100000;

void
limit_definition_init(void)
{
	DefineCustomIntVariable("usage_events.max_limits", "How many usage limits an account may have in force.", NULL,
							&max_limits, 10000, 0, INT_MAX / 2, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("usage_events.max_limit_versions",
							"How many versions of usage limits an account may have, deleted limits included.",
							"Versions are kept for ever.", &max_limit_versions, 100000, 0, INT_MAX / 2, PGC_SUSET, 0,
							NULL, NULL, NULL);
}

static bool
has_room(Statement *count, const pg_uuid_t *account_id, int limit)
{
	statement_execute(count, (Datum[]){UUIDPGetDatum(account_id), Int64GetDatum(limit)}, NULL);
	return DatumGetInt64(row_value_there(0, 1)) < limit;
}

/* Those that are made at the same time do not see each other, and may all get the last place. */
static void
require_room_for_limit(const pg_uuid_t *account_id)
{
	if (!has_room(&count_limits, account_id, max_limits))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("account has as many usage limits as it may"),
						errdetail("It may have %d in force (usage_events.max_limits).", max_limits),
						errhint("Delete a usage limit, or have usage_events.max_limits raised.")));
}

/* A deletion is always possible: there are no more than were made. */
static void
require_room_for_version(const pg_uuid_t *account_id)
{
	if (!has_room(&count_versions, account_id, max_limit_versions))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("account has as many versions of usage limits as it may"),
						errdetail("Earlier versions are kept, also of deleted limits; it may have %d in all "
								  "(usage_events.max_limit_versions).",
								  max_limit_versions),
						errhint("Have usage_events.max_limit_versions raised.")));
}

/* JSON -------------------------------------------------------------------- */

/* The limit as it is answered. */
Jsonb *
limit_definition_to_json(const UsageLimit *limit)
{
	JsonObject object = {0};

	json_add_uuid(&object, SLICE("id"), &limit->id);
	json_add_uuid(&object, SLICE("sequenceAccountId"), &limit->account_id);
	limit_scope_to_json(&object, &limit->scope);
	json_add_numeric(&object, SLICE("limit"), limit->limit);
	json_add_text(&object, SLICE("mode"), limit_mode_name(limit));
	json_add_timestamp(&object, SLICE("createdAt"), limit->created_at);
	json_add_timestamp(&object, SLICE("updatedAt"), limit->updated_at);
	if (limit->is_deleted)
		json_add_timestamp(&object, SLICE("deletedAt"), limit->deleted_at);
	else
		json_add_null(&object, SLICE("deletedAt"));
	return json_make_object(&object);
}

/* Versions ---------------------------------------------------------------- */

/* Reads what the last statement has written, in memory that outlives SPI. */
static void
read_written(UsageLimit *limit, MemoryContext context)
{
	pg_uuid_t account_id = limit->account_id;
	MemoryContext spi_context;

	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("could not store usage limit"),
						errdetail("A trigger on the table usage_events.usage_limit left it out.")));
	spi_context = MemoryContextSwitchTo(context);
	limit_read_row(0, &account_id, limit);
	MemoryContextSwitchTo(spi_context);
}

/* Writes a version by that statement; the limit is then as it is stored. */
static void
write_version(Statement *statement, UsageLimit *limit, MemoryContext context)
{
	Datum arguments[ARGUMENT_COUNT];
	char nulls[ARGUMENT_COUNT + 1];

	memset(nulls, ' ', ARGUMENT_COUNT);
	nulls[ARGUMENT_COUNT] = '\0';
	arguments[ARGUMENT_ACCOUNT_ID] = UUIDPGetDatum(&limit->account_id);
	arguments[ARGUMENT_ID] = UUIDPGetDatum(&limit->id);
	arguments[ARGUMENT_VERSION_ID] = UUIDPGetDatum(&limit->version_id);
	arguments[ARGUMENT_UPDATED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	limit_scope_set_arguments(arguments, nulls, ARGUMENT_SCOPE, &limit->scope);
	arguments[ARGUMENT_LIMIT] = NumericGetDatum(limit->limit);
	arguments[ARGUMENT_MODE] = slice_to_datum(limit_mode_name(limit));
	statement_execute(statement, arguments, nulls);
	read_written(limit, context);
	limit_in_force_changed();
}

/* Locks the limit of that id and reads it; false if there is none, or it was deleted. */
static bool
lock(const pg_uuid_t *account_id, const pg_uuid_t *id, UsageLimit *limit)
{
	statement_execute(&lock_limit, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id)}, NULL);
	if (SPI_processed == 0)
		return false;
	limit_read_row(0, account_id, limit);
	return true;
}

/* Moves a version that is locked to those of the past, and gives the next one its id. */
static void
archive(const UsageLimit *stored, pg_uuid_t *version_id)
{
	statement_execute(&archive_limit, (Datum[]){UUIDPGetDatum(&stored->account_id), UUIDPGetDatum(&stored->id)}, NULL);
	uuid_v7_generate_after(version_id, &stored->version_id);
}

/* Whether an update would change nothing: the same number may be written in different ways. */
static bool
is_unchanged(const UsageLimit *limit, const UsageLimit *stored)
{
	return limit_scope_equal(&limit->scope, &stored->scope) && metric_number_equal(limit->limit, stored->limit) &&
		   limit->blocks == stored->blocks;
}

/* Writes another version over one that is locked, unless it says the same. */
static void
replace(UsageLimit *limit, const UsageLimit *stored, MemoryContext context)
{
	if (is_unchanged(limit, stored))
	{
		read_written(limit, context);
		return;
	}
	require_room_for_version(&limit->account_id);
	archive(stored, &limit->version_id);
	write_version(&update_limit, limit, context);
}

/* What can be done with limits ---------------------------------------------- */

Jsonb *
limit_definition_create(const pg_uuid_t *account_id, Jsonb *body)
{
	MemoryContext context = CurrentMemoryContext;
	UsageLimit limit;

	limit_check(account_id, body, &limit);
	account_require(account_id);
	uuid_v7_generate(&limit.id);
	uuid_v7_generate(&limit.version_id);
	SPI_connect();
	require_room_for_limit(account_id);
	require_room_for_version(account_id);
	write_version(&insert_limit, &limit, context);
	SPI_finish();
	return limit_definition_to_json(&limit);
}

/* Also one that was deleted. */
Jsonb *
limit_definition_get(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	UsageLimit limit;

	return limit_get(account_id, id, &limit) ? limit_definition_to_json(&limit) : NULL;
}

/* Replaces all that a client says of a limit. */
Jsonb *
limit_definition_update(const pg_uuid_t *account_id, const pg_uuid_t *id, Jsonb *body)
{
	MemoryContext context = CurrentMemoryContext;
	UsageLimit limit;
	UsageLimit stored;
	bool found;

	limit_check(account_id, body, &limit);
	limit.id = *id;
	SPI_connect();
	found = lock(account_id, id, &stored);
	if (found)
		replace(&limit, &stored, context);
	SPI_finish();
	return found ? limit_definition_to_json(&limit) : NULL;
}

/* The limit stays in the table, as a version that says when it was deleted. */
Jsonb *
limit_definition_delete(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	MemoryContext context = CurrentMemoryContext;
	UsageLimit limit;
	pg_uuid_t version_id;
	bool found;

	SPI_connect();
	found = lock(account_id, id, &limit);
	if (found)
	{
		archive(&limit, &version_id);
		statement_execute(&set_deleted,
						  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id), UUIDPGetDatum(&version_id),
									TimestampTzGetDatum(GetCurrentTimestamp())},
						  NULL);
		read_written(&limit, context);
		limit_in_force_changed();
	}
	SPI_finish();
	return found ? limit_definition_to_json(&limit) : NULL;
}

/* The doors for SQL -------------------------------------------------------- */

static Datum
create_limit(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(limit_definition_create(account_current(), argument_jsonb(fcinfo, 0, "usage limit")));
}

/* create_usage_limit(jsonb) */
PG_FUNCTION_INFO_V1(create_usage_limit);
Datum
create_usage_limit(PG_FUNCTION_ARGS)
{
	return http_endpoint(create_limit, fcinfo, "create_usage_limit", 201);
}

static Datum
get_one(PG_FUNCTION_ARGS)
{
	return http_answer_or_null(fcinfo, limit_definition_get(account_current(), PG_GETARG_UUID_P(0)));
}

/* get_usage_limit(id uuid) */
PG_FUNCTION_INFO_V1(get_usage_limit);
Datum
get_usage_limit(PG_FUNCTION_ARGS)
{
	return http_endpoint(get_one, fcinfo, "get_usage_limit", 200);
}

static Datum
replace_limit(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return http_answer_or_null(fcinfo, limit_definition_update(account_current(), PG_GETARG_UUID_P(0),
															   argument_jsonb(fcinfo, 1, "usage limit")));
}

/* update_usage_limit(id uuid, usage_limit jsonb) */
PG_FUNCTION_INFO_V1(update_usage_limit);
Datum
update_usage_limit(PG_FUNCTION_ARGS)
{
	return http_endpoint(replace_limit, fcinfo, "update_usage_limit", 200);
}

static Datum
delete_limit(PG_FUNCTION_ARGS)
{
	return http_answer_or_null(fcinfo, limit_definition_delete(account_current(), PG_GETARG_UUID_P(0)));
}

/* delete_usage_limit(id uuid) */
PG_FUNCTION_INFO_V1(delete_usage_limit);
Datum
delete_usage_limit(PG_FUNCTION_ARGS)
{
	return http_endpoint(delete_limit, fcinfo, "delete_usage_limit", 200);
}
