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

static Statement insert_rejected = {
	.sql = "INSERT INTO usage_events.rejected_event (account_id, id, body, faults)"
		   " SELECT $1, pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDARRAYOID, TEXTARRAYOID, JSONBARRAYOID},
};

/* Oldest first: sent again, they come in the order in which they came. */
static Statement take_rejected = {
	.sql = "WITH taken AS (DELETE FROM usage_events.rejected_event"
		   " WHERE account_id OPERATOR(pg_catalog.=) $1 AND ($2 IS NULL OR id OPERATOR(pg_catalog.=) ANY ($2))"
		   " RETURNING id, body)"
		   " SELECT body FROM taken ORDER BY id",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDARRAYOID},
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

/* Takes the account's rejected events out of the table, all or those of the ids, as they came. */
text **
rejected_event_take(const pg_uuid_t *account_id, ArrayType *ids, int *count)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	text **bodies;

	SPI_connect();
	statement_execute(&take_rejected, (Datum[]){UUIDPGetDatum(account_id), PointerGetDatum(ids)},
					  ids == NULL ? " n" : NULL);
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
