/*
 * event/history.c
 *		All versions of a usage event, found by the id of any of them.
 */
#include "postgres.h"

#include "event/history.h"

#include "account/account.h"
#include "account/key_scope.h"
#include "catalog/pg_type.h"
#include "endpoint/response.h"
#include "event/json.h"
#include "event/store.h"
#include "fmgr.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/timestamp.h"

/* Each version's id is above those that it superseded. */
static Statement read_versions = {
	.sql = "WITH event AS ("
		   "SELECT customer_event_id FROM usage_events.event"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2"
		   " UNION ALL SELECT customer_event_id FROM usage_events.superseded_event"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2)"
		   " SELECT " EVENT_COLUMNS ", NULL AS superseded_at, NULL AS superseded_by FROM usage_events.event"
		   " WHERE account_id " EQ " $1"
		   " AND customer_event_id " EQ " (SELECT customer_event_id FROM event)"
		   " UNION ALL SELECT " EVENT_COLUMNS ", superseded_at, superseded_by FROM usage_events.superseded_event"
		   " WHERE account_id " EQ " $1"
		   " AND customer_event_id " EQ " (SELECT customer_event_id FROM event)"
		   " ORDER BY id",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};
enum
{
	COLUMN_SUPERSEDED_AT = 7,
	COLUMN_SUPERSEDED_BY
};

typedef struct History
{
	const pg_uuid_t *account_id;
	JsonArray versions;
} History;

/* The event's seven fields, and what became of it. */
static Jsonb *
version_to_json(uint64 row, const pg_uuid_t *account_id)
{
	JsonObject object = {0};
	UsageEvent event;
	bool is_current;
	Datum superseded_at = row_value(row, COLUMN_SUPERSEDED_AT, &is_current);

	event_store_read_row(row, account_id, &event, CurrentMemoryContext);
	event_json_add_event(&object, &event);
	if (is_current)
	{
		json_add_null(&object, SLICE("supersededAt"));
		json_add_null(&object, SLICE("supersededBy"));
	}
	else
	{
		json_add_timestamp(&object, SLICE("supersededAt"), DatumGetTimestampTz(superseded_at));
		json_add_uuid(&object, SLICE("supersededBy"), DatumGetUUIDP(row_value_there(row, COLUMN_SUPERSEDED_BY)));
	}
	return json_make_object(&object);
}

static void
add_version(uint64 row, void *argument)
{
	History *history = argument;
	MemoryContext caller = json_array_next(&history->versions);

	json_array_add(&history->versions, version_to_json(row, history->account_id));
	MemoryContextSwitchTo(caller);
}

/* {"items": [...]}, the oldest first, the current one last; NULL where no version has that id. */
Jsonb *
event_history_read(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	History history = {.account_id = account_id};
	JsonObject answer = {0};

	/* Versions may have been other customers'. */
	if (key_scope_customer() != NULL)
		return NULL;
	json_array_begin(&history.versions);
	SPI_connect();
	statement_each_row(&read_versions, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id)}, add_version, &history);
	SPI_finish();

	if (history.versions.count == 0)
		return NULL;
	json_add_json(&answer, SLICE("items"), json_array_end(&history.versions));
	return json_make_object(&answer);
}

static Datum
get_history(PG_FUNCTION_ARGS)
{
	Jsonb *history = event_history_read(account_current(), PG_GETARG_UUID_P(0));

	if (history == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(history);
}

/* get_usage_event_history(id uuid) */
PG_FUNCTION_INFO_V1(get_usage_event_history);
Datum
get_usage_event_history(PG_FUNCTION_ARGS)
{
	return http_endpoint(get_history, fcinfo, "get_usage_event_history", 200);
}
