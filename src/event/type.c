/*
 * event/type.c
 *		The type usage_event: an event that has been checked, in a table of the
 *		user's or on its way through COPY.
 *
 * Its text is the API's JSON, in either of the two forms that the API knows: as
 * a client sends an event, or as it is answered, with "id" and
 * "sequenceAccountId".  What is absent stays absent: a value does not change
 * with the moment at which it is read.
 *
 * The stored form begins with a version, so that a later one can be told from
 * this.  The binary form is a version and the text, as jsonb's is, so that it
 * comes through the same reader and the same checks.
 */
#include "postgres.h"

#include "base/compat.h"
#include "event/json.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#define STORED_VERSION 1
#define BINARY_VERSION 1

#define STORED_HAS_ID 0x01
#define STORED_HAS_ACCOUNT_ID 0x02
#define STORED_HAS_TIMESTAMP 0x04
#define STORED_HAS_CUSTOMER_EVENT_ID 0x08

/* Behind the header stand account, id, timestamp, the texts, and the properties. */
typedef struct StoredEvent
{
	int32 vl_len_; /* varlena header (do not touch directly!) */
	uint8 version;
	uint8 flags;
	uint16 customer_event_id_length; /* in bytes, as the next two */
	uint16 customer_alias_length;
	uint16 event_type_length;
	char data[FLEXIBLE_ARRAY_MEMBER];
} StoredEvent;

/*
 * The layout of data[] in one place: `transfer` copies between the event and the
 * stored form, in the direction that it is told.
 */
typedef enum Direction
{
	TO_STORED,
	FROM_STORED
} Direction;

static void
transfer(Direction direction, char **at, void *field, size_t size)
{
	if (direction == TO_STORED)
		memcpy(*at, field, size);
	else
		memcpy(field, *at, size);
	*at += size;
}

static void
transfer_text(Direction direction, char **at, Slice *text)
{
	if (direction == TO_STORED && text->data != NULL)
		memcpy(*at, text->data, text->length);
	else if (direction == FROM_STORED)
		text->data = *at;
	*at += text->length;
}

/* Copies all that stands before the properties; returns where it ends. */
static char *
transfer_fields(Direction direction, StoredEvent *stored, UsageEvent *event)
{
	char *at = stored->data;

	if (event->has_account_id)
		transfer(direction, &at, &event->account_id, sizeof(event->account_id));
	if (event->has_id)
		transfer(direction, &at, &event->id, sizeof(event->id));
	if (event->has_timestamp)
		transfer(direction, &at, &event->timestamp, sizeof(event->timestamp));
	transfer_text(direction, &at, &event->customer_event_id);
	transfer_text(direction, &at, &event->customer_alias);
	transfer_text(direction, &at, &event->event_type);
	return (char *) INTALIGN(at);
}

static StoredEvent *
event_to_stored(UsageEvent *event)
{
	Size fields_size = offsetof(StoredEvent, data) + sizeof(event->account_id) + sizeof(event->id) +
					   sizeof(event->timestamp) + event->customer_event_id.length + event->customer_alias.length +
					   event->event_type.length;
	StoredEvent *stored = palloc0(INTALIGN(fields_size) + event->properties.length);
	char *properties;

	stored->version = STORED_VERSION;
	stored->flags = (event->has_id ? STORED_HAS_ID : 0) | (event->has_account_id ? STORED_HAS_ACCOUNT_ID : 0) |
					(event->has_timestamp ? STORED_HAS_TIMESTAMP : 0) |
					(event->customer_event_id.data != NULL ? STORED_HAS_CUSTOMER_EVENT_ID : 0);
	stored->customer_event_id_length = event->customer_event_id.length;
	stored->customer_alias_length = event->customer_alias.length;
	stored->event_type_length = event->event_type.length;

	properties = transfer_fields(TO_STORED, stored, event);
	memcpy(properties, event->properties.data, event->properties.length);
	SET_VARSIZE(stored, properties - (char *) stored + event->properties.length);
	return stored;
}

static void
event_from_stored(StoredEvent *stored, UsageEvent *event)
{
	char *properties;

	if (stored->version != STORED_VERSION)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("unsupported version of a stored usage_event: %d", stored->version)));

	memset(event, 0, sizeof(UsageEvent));
	event->has_id = (stored->flags & STORED_HAS_ID) != 0;
	event->has_account_id = (stored->flags & STORED_HAS_ACCOUNT_ID) != 0;
	event->has_timestamp = (stored->flags & STORED_HAS_TIMESTAMP) != 0;
	event->customer_event_id.length = stored->customer_event_id_length;
	event->customer_alias.length = stored->customer_alias_length;
	event->event_type.length = stored->event_type_length;

	properties = transfer_fields(FROM_STORED, stored, event);
	event->properties = (Slice){properties, (char *) stored + VARSIZE(stored) - properties};
	if (!(stored->flags & STORED_HAS_CUSTOMER_EVENT_ID))
		event->customer_event_id.data = NULL;
}

/* Reads and checks JSON; NULL after a soft error. */
static StoredEvent *
json_to_stored(Jsonb *json, Node *escontext)
{
	UsageEvent event;
	List *faults = event_json_read(json, &event);

	if (faults != NIL)
	{
		event_faults_report(faults, escontext);
		return NULL;
	}
	return event_to_stored(&event);
}

static StoredEvent *
text_to_stored(char *text, Node *escontext)
{
	Datum json;

	if (!DirectInputFunctionCallSafe(jsonb_in, text, InvalidOid, -1, escontext, &json))
		return NULL;
	return json_to_stored(DatumGetJsonbP(json), escontext);
}

static Jsonb *
stored_to_json(Datum stored)
{
	UsageEvent event;

	event_from_stored((StoredEvent *) PG_DETOAST_DATUM(stored), &event);
	return event_json_write(&event);
}

static char *
stored_to_text(Datum stored)
{
	Jsonb *json = stored_to_json(stored);

	return JsonbToCString(NULL, &json->root, VARSIZE(json));
}

PG_FUNCTION_INFO_V1(usage_event_in);
Datum
usage_event_in(PG_FUNCTION_ARGS)
{
	StoredEvent *stored = text_to_stored(PG_GETARG_CSTRING(0), fcinfo->context);

	if (stored == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(stored);
}

PG_FUNCTION_INFO_V1(usage_event_out);
Datum
usage_event_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(stored_to_text(PG_GETARG_DATUM(0)));
}

PG_FUNCTION_INFO_V1(usage_event_recv);
Datum
usage_event_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	int version = pq_getmsgint(message, 1);
	char *text;
	int length;

	if (version != BINARY_VERSION)
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("unsupported version of a binary usage_event: %d", version)));
	text = pq_getmsgtext(message, message->len - message->cursor, &length);
	PG_RETURN_POINTER(text_to_stored(text, NULL));
}

PG_FUNCTION_INFO_V1(usage_event_send);
Datum
usage_event_send(PG_FUNCTION_ARGS)
{
	char *text = stored_to_text(PG_GETARG_DATUM(0));
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendint8(&message, BINARY_VERSION);
	pq_sendtext(&message, text, strlen(text));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

PG_FUNCTION_INFO_V1(usage_event_from_jsonb);
Datum
usage_event_from_jsonb(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(json_to_stored(PG_GETARG_JSONB_P(0), NULL));
}

PG_FUNCTION_INFO_V1(usage_event_to_jsonb);
Datum
usage_event_to_jsonb(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(stored_to_json(PG_GETARG_DATUM(0)));
}

/* Comparing ----------------------------------------------------------------- */

/*
 * Events compare as their JSON does, by what is in them and not by how it was written.
 * The JSON is made in memory of its own: sorts compare very many.
 */
static MemoryContext
enter_scratch(void)
{
	static MemoryContext scratch = NULL;

	if (scratch == NULL)
		scratch = AllocSetContextCreate(TopMemoryContext, "usage event comparison", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(scratch);
	return MemoryContextSwitchTo(scratch);
}

static int
compare(FunctionCallInfo fcinfo)
{
	MemoryContext caller = enter_scratch();
	Datum result = DirectFunctionCall2(jsonb_cmp, JsonbPGetDatum(stored_to_json(PG_GETARG_DATUM(0))),
									   JsonbPGetDatum(stored_to_json(PG_GETARG_DATUM(1))));

	MemoryContextSwitchTo(caller);
	return DatumGetInt32(result);
}

PG_FUNCTION_INFO_V1(usage_event_cmp);
Datum
usage_event_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

PG_FUNCTION_INFO_V1(usage_event_eq);
Datum
usage_event_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(usage_event_ne);
Datum
usage_event_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(usage_event_lt);
Datum
usage_event_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(usage_event_le);
Datum
usage_event_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(usage_event_gt);
Datum
usage_event_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(usage_event_ge);
Datum
usage_event_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(usage_event_hash);
Datum
usage_event_hash(PG_FUNCTION_ARGS)
{
	MemoryContext caller = enter_scratch();
	Datum result = DirectFunctionCall1(jsonb_hash, JsonbPGetDatum(stored_to_json(PG_GETARG_DATUM(0))));

	MemoryContextSwitchTo(caller);
	return result;
}

PG_FUNCTION_INFO_V1(usage_event_hash_extended);
Datum
usage_event_hash_extended(PG_FUNCTION_ARGS)
{
	MemoryContext caller = enter_scratch();
	uint64 hash =
		DatumGetUInt64(DirectFunctionCall2(jsonb_hash_extended, JsonbPGetDatum(stored_to_json(PG_GETARG_DATUM(0))),
										   PG_GETARG_DATUM(1)));

	MemoryContextSwitchTo(caller);
	PG_RETURN_UINT64(hash);
}
