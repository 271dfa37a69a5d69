/*
 * alert/definition.c
 *		Usage alerts: made, updated, deleted, and what is answered of them.
 *
 * An alert has versions, as a metric has: an update and a deletion move the row to
 * usage_events.superseded_usage_alert and write another version in its place.
 */
#include "postgres.h"

#include "alert/definition.h"

#include <limits.h>

#include "account/account.h"
#include "alert/check.h"
#include "alert/known.h"
#include "base/argument.h"
#include "base/json_build.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "endpoint/response.h"
#include "fmgr.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define BY_ID " WHERE account_id " EQ " $1 AND id " EQ " $2"
#define RETURNING " RETURNING " ALERT_ROW_COLUMNS

static Statement insert_alert = {
	.sql = "INSERT INTO usage_events.usage_alert (account_id, id, version_id, thresholds, direction, created_at,"
		   " updated_at, " LIMIT_SCOPE_COLUMNS
		   ") VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11, $12)" RETURNING,
	.argument_count = 6 + LIMIT_SCOPE_COLUMN_COUNT,
	.argument_types = {UUIDOID, UUIDOID, UUIDOID, NUMERICARRAYOID, TEXTOID, TIMESTAMPTZOID, LIMIT_SCOPE_TYPES},
};

static Statement update_alert = {
	.sql = "UPDATE usage_events.usage_alert SET version_id = $3, name = $4, timezone = $5, thresholds = $6,"
		   " updated_at = $7" BY_ID RETURNING,
	.argument_count = 7,
	.argument_types = {UUIDOID, UUIDOID, UUIDOID, TEXTOID, TEXTOID, NUMERICARRAYOID, TIMESTAMPTZOID},
};

static Statement set_deleted = {
	.sql = "UPDATE usage_events.usage_alert SET version_id = $3, updated_at = $4, deleted_at = $4" BY_ID RETURNING,
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID},
};

static Statement lock_alert = {
	.sql = "SELECT " ALERT_ROW_COLUMNS " FROM usage_events.usage_alert" BY_ID " AND deleted_at IS NULL FOR UPDATE",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement archive_alert = {
	.sql = "INSERT INTO usage_events.superseded_usage_alert (account_id, " ALERT_ROW_COLUMNS ")"
		   " SELECT account_id, " ALERT_ROW_COLUMNS " FROM usage_events.usage_alert" BY_ID,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement count_alerts = {
	.sql = "SELECT pg_catalog.count(*) FROM (SELECT FROM usage_events.usage_alert"
		   " WHERE account_id " EQ " $1 AND deleted_at IS NULL LIMIT $2) AS alert",
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

static Statement count_versions = {
	.sql = "SELECT pg_catalog.count(*) FROM ("
		   "SELECT id FROM usage_events.usage_alert WHERE account_id " EQ " $1"
		   " UNION ALL SELECT id FROM usage_events.superseded_usage_alert WHERE account_id " EQ " $1"
		   " LIMIT $2) AS version",
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

/* Limits ------------------------------------------------------------------ */

static int max_alerts = 100;
static int max_versions = 10000;

void
alert_definition_init(void)
{
	DefineCustomIntVariable("usage_events.max_usage_alerts", "How many usage alerts an account may have in force.",
							"Each is looked at for every customer whose events have changed.", &max_alerts, 100, 0,
							INT_MAX / 2, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("usage_events.max_usage_alert_versions",
							"How many versions of usage alerts an account may have, deleted alerts included.", NULL,
							&max_versions, 10000, 0, INT_MAX / 2, PGC_SUSET, 0, NULL, NULL, NULL);
}

static bool
has_room(Statement *count, const pg_uuid_t *account_id, int limit)
{
	statement_execute(count, (Datum[]){UUIDPGetDatum(account_id), Int64GetDatum(limit)}, NULL);
	return DatumGetInt64(row_value_there(0, 1)) < limit;
}

/* Those that are made at the same time do not see each other, and may all get the last place. */
static void
require_room_for_alert(const pg_uuid_t *account_id)
{
	if (!has_room(&count_alerts, account_id, max_alerts))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("account has as many usage alerts as it may"),
						errdetail("It may have %d in force (usage_events.max_usage_alerts).", max_alerts),
						errhint("Delete an alert, or have usage_events.max_usage_alerts raised.")));
}

/* A deletion is always possible: there are no more than were made. */
static void
require_room_for_version(const pg_uuid_t *account_id)
{
	if (!has_room(&count_versions, account_id, max_versions))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("account has as many versions of usage alerts as it may"),
						errdetail("Earlier versions are kept, also of deleted alerts; it may have %d in all "
								  "(usage_events.max_usage_alert_versions).",
								  max_versions),
						errhint("Have usage_events.max_usage_alert_versions raised.")));
}

/* JSON -------------------------------------------------------------------- */

static Jsonb *
thresholds_to_json(const UsageAlert *alert)
{
	JsonbValue *thresholds = palloc(sizeof(JsonbValue) * alert->threshold_count);

	for (int i = 0; i < alert->threshold_count; i++)
		thresholds[i] = (JsonbValue){.type = jbvNumeric, .val.numeric = alert->thresholds[i]};
	return json_make_array_of_scalars(thresholds, alert->threshold_count);
}

/* The alert as it is answered. */
Jsonb *
alert_definition_to_json(const UsageAlert *alert)
{
	JsonObject object = {0};

	json_add_uuid(&object, SLICE("id"), &alert->id);
	json_add_uuid(&object, SLICE("sequenceAccountId"), &alert->account_id);
	limit_scope_to_json(&object, &alert->scope);
	json_add_json(&object, SLICE("thresholds"), thresholds_to_json(alert));
	json_add_text(&object, SLICE("direction"), alert_direction_name(alert));
	if (alert->is_deleted)
		json_add_timestamp(&object, SLICE("deletedAt"), alert->deleted_at);
	else
		json_add_null(&object, SLICE("deletedAt"));
	json_add_timestamp(&object, SLICE("createdAt"), alert->created_at);
	return json_make_object(&object);
}

/* Versions ---------------------------------------------------------------- */

/* Reads what the last statement has written. */
static void
read_written(UsageAlert *alert, MemoryContext context)
{
	pg_uuid_t account_id = alert->account_id;

	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("could not store usage alert"),
						errdetail("A trigger on the table usage_events.usage_alert left it out.")));
	alert_read_row(0, &account_id, alert, context);
}

/* Stores a new alert; it is then as it is stored. */
static void
insert(UsageAlert *alert, MemoryContext context)
{
	pg_uuid_t account_id = alert->account_id;
	Datum arguments[6 + LIMIT_SCOPE_COLUMN_COUNT];
	char nulls[6 + LIMIT_SCOPE_COLUMN_COUNT + 1];

	memset(nulls, ' ', sizeof(nulls) - 1);
	nulls[sizeof(nulls) - 1] = '\0';
	arguments[0] = UUIDPGetDatum(&account_id);
	arguments[1] = UUIDPGetDatum(&alert->id);
	arguments[2] = UUIDPGetDatum(&alert->version_id);
	arguments[3] = alert_thresholds_datum(alert);
	arguments[4] = slice_to_datum(alert_direction_name(alert));
	arguments[5] = TimestampTzGetDatum(GetCurrentTimestamp());
	limit_scope_set_arguments(arguments, nulls, 6, &alert->scope);
	statement_execute(&insert_alert, arguments, nulls);
	read_written(alert, context);
}

/* Locks the alert of that id and reads it; false if there is none, or it was deleted. */
static bool
lock(const pg_uuid_t *account_id, const pg_uuid_t *id, UsageAlert *alert)
{
	statement_execute(&lock_alert, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id)}, NULL);
	if (SPI_processed == 0)
		return false;
	alert_read_row(0, account_id, alert, CurrentMemoryContext);
	return true;
}

/* Moves a version that is locked to those of the past. */
static void
archive(const UsageAlert *alert)
{
	statement_execute(&archive_alert, (Datum[]){UUIDPGetDatum(&alert->account_id), UUIDPGetDatum(&alert->id)}, NULL);
}

static bool
same_thresholds(const UsageAlert *a, const UsageAlert *b)
{
	if (a->threshold_count != b->threshold_count)
		return false;
	for (int i = 0; i < a->threshold_count; i++)
	{
		if (alert_compare(a->thresholds[i], b->thresholds[i]) != 0)
			return false;
	}
	return true;
}

/* Writes another version over one that is locked, unless that says the same already. */
static void
replace_version(UsageAlert *alert, const UsageAlert *stored, MemoryContext context)
{
	pg_uuid_t version_id;

	if (limit_scope_equal(&alert->scope, &stored->scope) && same_thresholds(alert, stored))
	{
		alert_read_row(0, &stored->account_id, alert, context);
		return;
	}
	require_room_for_version(&stored->account_id);
	archive(stored);
	uuid_v7_generate_after(&version_id, &stored->version_id);
	statement_execute(&update_alert,
					  (Datum[]){UUIDPGetDatum(&stored->account_id), UUIDPGetDatum(&stored->id),
								UUIDPGetDatum(&version_id), slice_to_datum(alert->scope.name),
								slice_to_datum(alert->scope.zone_name), alert_thresholds_datum(alert),
								TimestampTzGetDatum(GetCurrentTimestamp())},
					  NULL);
	read_written(alert, context);
}

/* What can be done with alerts --------------------------------------------- */

Jsonb *
alert_definition_create(const pg_uuid_t *account_id, Jsonb *body)
{
	MemoryContext context = CurrentMemoryContext;
	UsageAlert alert;

	alert_check(account_id, body, &alert);
	account_require(account_id);
	uuid_v7_generate(&alert.id);
	uuid_v7_generate(&alert.version_id);
	SPI_connect();
	require_room_for_alert(account_id);
	require_room_for_version(account_id);
	insert(&alert, context);
	alert_known_changed(account_id);
	SPI_finish();
	return alert_definition_to_json(&alert);
}

/* Also one that was deleted. */
Jsonb *
alert_definition_get(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	UsageAlert alert;

	return alert_get(account_id, id, &alert) ? alert_definition_to_json(&alert) : NULL;
}

/* Replaces all that a client may change of an alert. */
Jsonb *
alert_definition_update(const pg_uuid_t *account_id, const pg_uuid_t *id, Jsonb *body)
{
	MemoryContext context = CurrentMemoryContext;
	UsageAlert alert;
	UsageAlert stored;
	bool found;

	alert_check(account_id, body, &alert);
	SPI_connect();
	found = lock(account_id, id, &stored);
	if (found)
	{
		alert_check_update(&alert, &stored);
		replace_version(&alert, &stored, context);
	}
	SPI_finish();
	return found ? alert_definition_to_json(&alert) : NULL;
}

/* The alert stays in the table, as a version that says when it was deleted. */
Jsonb *
alert_definition_delete(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	MemoryContext context = CurrentMemoryContext;
	UsageAlert alert;
	pg_uuid_t version_id;
	bool found;

	SPI_connect();
	found = lock(account_id, id, &alert);
	if (found)
	{
		archive(&alert);
		uuid_v7_generate_after(&version_id, &alert.version_id);
		statement_execute(&set_deleted,
						  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id), UUIDPGetDatum(&version_id),
									TimestampTzGetDatum(GetCurrentTimestamp())},
						  NULL);
		read_written(&alert, context);
	}
	SPI_finish();
	return found ? alert_definition_to_json(&alert) : NULL;
}

/* The doors for SQL -------------------------------------------------------- */

static Datum
create_alert(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(alert_definition_create(account_current(), argument_jsonb(fcinfo, 0, "usage alert")));
}

/* create_usage_alert(jsonb) */
PG_FUNCTION_INFO_V1(create_usage_alert);
Datum
create_usage_alert(PG_FUNCTION_ARGS)
{
	return http_endpoint(create_alert, fcinfo, "create_usage_alert", 201);
}

static Datum
read_alert(PG_FUNCTION_ARGS)
{
	return http_answer_or_null(fcinfo, alert_definition_get(account_current(), PG_GETARG_UUID_P(0)));
}

/* get_usage_alert(id uuid) */
PG_FUNCTION_INFO_V1(get_usage_alert);
Datum
get_usage_alert(PG_FUNCTION_ARGS)
{
	return http_endpoint(read_alert, fcinfo, "get_usage_alert", 200);
}

static Datum
replace_alert(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return http_answer_or_null(fcinfo, alert_definition_update(account_current(), PG_GETARG_UUID_P(0),
															   argument_jsonb(fcinfo, 1, "usage alert")));
}

/* update_usage_alert(id uuid, alert jsonb) */
PG_FUNCTION_INFO_V1(update_usage_alert);
Datum
update_usage_alert(PG_FUNCTION_ARGS)
{
	return http_endpoint(replace_alert, fcinfo, "update_usage_alert", 200);
}

static Datum
delete_alert(PG_FUNCTION_ARGS)
{
	return http_answer_or_null(fcinfo, alert_definition_delete(account_current(), PG_GETARG_UUID_P(0)));
}

/* delete_usage_alert(id uuid) */
PG_FUNCTION_INFO_V1(delete_usage_alert);
Datum
delete_usage_alert(PG_FUNCTION_ARGS)
{
	return http_endpoint(delete_alert, fcinfo, "delete_usage_alert", 200);
}
