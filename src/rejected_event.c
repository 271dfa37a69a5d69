/*
 * rejected_event.c
 *		Events that were refused, kept to be looked at and sent again.
 */
#include "postgres.h"

#include "rejected_event.h"

#include "account.h"
#include "catalog/pg_type.h"
#include "event_id.h"
#include "event_json.h"
#include "json_read.h"
#include "statement.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static Statement insert_rejected = {
	.sql = "INSERT INTO usage_events.rejected_event (account_id, id, body, faults)"
		   " SELECT $1, pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDARRAYOID, TEXTARRAYOID, JSONBARRAYOID},
};

/*
 * Oldest first: sent again, they come in the order in which they came.  Whoever sends
 * may not delete, or he could lock the table against all accounts: a refresh does.
 */
static Statement take_rejected = {
	.sql = "WITH taken AS (UPDATE usage_events.rejected_event SET taken_at = $3"
		   " WHERE account_id OPERATOR(pg_catalog.=) $1 AND taken_at IS NULL"
		   " AND ($2 IS NULL OR id OPERATOR(pg_catalog.=) ANY ($2))"
		   " RETURNING id, body)"
		   " SELECT body FROM taken ORDER BY id",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDARRAYOID, TIMESTAMPTZOID},
};

static Statement delete_taken = {
	.sql = "DELETE FROM usage_events.rejected_event WHERE account_id OPERATOR(pg_catalog.=) $1"
		   " AND id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT id FROM usage_events.rejected_event"
		   " WHERE account_id OPERATOR(pg_catalog.=) $1 AND taken_at IS NOT NULL"
		   " LIMIT 1000 FOR UPDATE SKIP LOCKED))",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Larger bodies are not kept: nobody sends such an event, and it may be one in a million. */
#define MAX_BODY_BYTES (1024 * 1024)

static EventText
body_text(const BatchElement *element)
{
	Jsonb *json;
	char *text;
	EventText copy;

	if (element->body != NULL)
		return (EventText){VARDATA_ANY(element->body), VARSIZE_ANY_EXHDR(element->body)};

	json = JsonbValueToJsonb(unconstify(JsonbValue *, &element->json));
	if (json_written_size(&json->root, VARSIZE(json), MAX_BODY_BYTES) > MAX_BODY_BYTES)
		return EVENT_TEXT("\"too large to be kept\"");
	text = JsonbToCString(NULL, &json->root, VARSIZE(json));
	copy.length = (int) strlen(text);
	copy.data = pnstrdup(text, copy.length);
	pfree(text);
	pfree(json);
	return copy;
}

/* Keeps the refused events of a batch. */
void
rejected_event_store(const pg_uuid_t *account_id, EventBatch *batch)
{
	Datum *ids = palloc(sizeof(Datum) * Max(batch->count, 1));
	EventText *bodies = palloc(sizeof(EventText) * Max(batch->count, 1));
	EventText *faults = palloc(sizeof(EventText) * Max(batch->count, 1));
	int count = 0;

	for (int i = 0; i < batch->count; i++)
	{
		pg_uuid_t *id;
		Jsonb *json;

		if (batch->elements[i].faults == NIL)
			continue;
		id = palloc(sizeof(pg_uuid_t));
		event_id_generate(id);
		ids[count] = UUIDPGetDatum(id);
		bodies[count] = body_text(&batch->elements[i]);
		json = faults_to_json(batch->elements[i].faults);
		faults[count] = (EventText){(const char *) &json->root, VARSIZE(json) - VARHDRSZ};
		count++;
	}
	if (count == 0)
		return;

	account_require(account_id);
	SPI_connect();
	statement_execute(&insert_rejected,
					  (Datum[]){UUIDPGetDatum(account_id), statement_uuid_array(ids, count),
								statement_varlena_array(bodies, count, TEXTOID),
								statement_varlena_array(faults, count, JSONBOID)},
					  NULL);
	SPI_finish();
}

/* Takes the account's rejected events, all or those of the ids, as they came: from now on they count as gone. */
text **
rejected_event_take(const pg_uuid_t *account_id, ArrayType *ids, int *count)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	text **bodies;

	SPI_connect();
	statement_execute(&take_rejected,
					  (Datum[]){UUIDPGetDatum(account_id), PointerGetDatum(ids),
								TimestampTzGetDatum(GetCurrentTimestamp())},
					  ids == NULL ? " n " : NULL);
	*count = (int) SPI_processed;

	spi_context = MemoryContextSwitchTo(context);
	bodies = palloc(sizeof(text *) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		bool isnull;

		bodies[i] = DatumGetTextPCopy(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	}
	MemoryContextSwitchTo(spi_context);
	SPI_finish();
	return bodies;
}

/* Deletes some of those that were taken; the caller is connected to SPI.  Returns how many steps that was: 1, or 0. */
int
rejected_event_delete_taken(const pg_uuid_t *account_id)
{
	statement_execute(&delete_taken, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	return SPI_processed > 0 ? 1 : 0;
}
