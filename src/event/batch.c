/*
 * event/batch.c
 *		Many events at once, each with what became of it.
 *
 * A batch is read, checked and stored by the same pieces as a single event.  It
 * is stored in one of two ways: all or nothing, with one error that names every
 * faulty event by its index, or each that can be, with the others kept in
 * usage_events.rejected_event as they came.
 */
#include "postgres.h"

#include "event/batch.h"

#include "base/json_build.h"
#include "base/json_elements.h"
#include "base/json_read.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "event/check.h"
#include "event/guard.h"
#include "event/read.h"
#include "event/rejected.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "sql/subtransaction.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Makes an empty batch with room for so many events. */
void
event_batch_init(EventBatch *batch, const pg_uuid_t *account_id, int capacity)
{
	if (capacity > (int) (MaxAllocSize / sizeof(EventPut)))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("batch of usage events is too large"),
						errdetail("It has %d events; at most %d are possible.", capacity,
								  (int) (MaxAllocSize / sizeof(EventPut)))));

	memory_budget_grow((sizeof(BatchElement) + sizeof(EventPut)) * capacity);
	batch->elements = palloc0(sizeof(BatchElement) * Max(capacity, 1));
	batch->puts = palloc0(sizeof(EventPut) * Max(capacity, 1));
	batch->account_id = *account_id;
	batch->count = 0;
	batch->first_index = 0;
	batch->put_count = 0;
}

/* Adds an element: reads and checks it. */
static BatchElement *
add_element(EventBatch *batch, BatchElement next)
{
	BatchElement *element = &batch->elements[batch->count++];
	EventPut *put = &batch->puts[batch->put_count];

	*element = next;
	if (element->faults != NIL)
		return element;

	element->faults = event_read_value(&batch->account_id, &element->json, &put->event);
	if (element->faults == NIL)
	{
		element->put = put;
		batch->put_count++;
	}
	return element;
}

/* Reads a document that should be a JSON array. */
static void
read_array(const pg_uuid_t *account_id, const JsonbValue *document, EventBatch *batch)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;

	if (document->type != jbvBinary || !JsonContainerIsArray(document->val.binary.data))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid batch of usage events"),
						errdetail("A batch must be a JSON array, not %s.", json_kind(document)),
						errhint("Put the events into an array, or send one event with create_usage_event().")));

	event_batch_init(batch, account_id, (int) JsonContainerSize(document->val.binary.data));
	iterator = JsonbIteratorInit(document->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		CHECK_FOR_INTERRUPTS();
		add_element(batch, (BatchElement){.json = value});
	}
}

/* Reads a JSON array; refuses what is none. */
void
event_batch_from_json(const pg_uuid_t *account_id, Jsonb *array, EventBatch *batch)
{
	JsonbValue document = json_document(array);

	read_array(account_id, &document, batch);
}

/* Texts ------------------------------------------------------------------- */

static Jsonb *
parse(const text *body)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(body))));
}

/* Of texts from this size on, what their parsing leaves behind is given back: it may be forty times as much. */
#define MIN_TIDY_BYTES 256

static JsonbValue
parse_body(const text *body)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext parse_context;
	Jsonb *json;

	memory_budget_grow(VARSIZE_ANY(body));
	if (VARSIZE_ANY(body) < MIN_TIDY_BYTES)
		return json_document(parse(body));

	/* Of the transaction: it goes as well where an error ends the subtransaction. */
	parse_context = AllocSetContextCreate(CurTransactionContext, "usage event text", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(parse_context);
	json = parse(body);
	MemoryContextSwitchTo(context);
	json = DatumGetJsonbPCopy(JsonbPGetDatum(json));
	MemoryContextDelete(parse_context);
	return json_document(json);
}

/* Adds a text, which must be an event's JSON; an error if it is not. */
void
event_batch_add(EventBatch *batch, text *body)
{
	BatchElement *element = add_element(batch, (BatchElement){.json = parse_body(body)});

	if (element->faults != NIL)
		event_faults_report(element->faults, NULL);
}

typedef struct ParseWork
{
	text **bodies;
	int count;
	JsonbValue *values;
} ParseWork;

static void
parse_work(void *argument)
{
	ParseWork *work = argument;

	for (int i = 0; i < work->count; i++)
		work->values[i] = parse_body(work->bodies[i]);
}

/*
 * Parses texts.  Returns NULL, or the error that stopped it, of those that a
 * client's text can cause.  Below 16 the server's JSON input has no softer errors
 * than those that abort, so it runs in a subtransaction.
 */
static ErrorData *
parse_bodies(text **bodies, int count, JsonbValue *values)
{
	return subtransaction_try_input(parse_work, &(ParseWork){bodies, count, values});
}

/* How much of the server's detail is told, which repeats what it could not read, however long. */
#define MAX_DETAIL_BYTES 200

static List *
not_json(const ErrorData *error)
{
	Slice detail = slice_from_cstring(error->detail != NULL ? error->detail : "");
	int length = pg_mbcliplen(detail.data, detail.length, MAX_DETAIL_BYTES);

	if (length == 0)
		return fault_add(NIL, NULL, psprintf("is not JSON: %s", error->message));
	return fault_add(NIL, NULL,
					 psprintf("is not JSON: %s (%.*s%s)", error->message, length, detail.data,
							  length < detail.length ? "..." : ""));
}

/* Reads texts, each of which should be an event's JSON.  `faults` are of those that are known to be none, or it is NULL. */
void
event_batch_from_texts(const pg_uuid_t *account_id, text **bodies, const char **faults, int count, EventBatch *batch)
{
	JsonbValue *values = palloc(sizeof(JsonbValue) * Max(count, 1));

	/* All at once, since most are JSON; one by one where that fails. */
	bool all_json = faults == NULL && parse_bodies(bodies, count, values) == NULL;

	event_batch_init(batch, account_id, count);
	for (int i = 0; i < count; i++)
	{
		const char *fault = faults == NULL ? NULL : faults[i];
		ErrorData *error = all_json || fault != NULL ? NULL : parse_bodies(&bodies[i], 1, &values[i]);

		CHECK_FOR_INTERRUPTS();
		if (fault != NULL)
			add_element(batch, (BatchElement){.body = bodies[i], .faults = fault_add(NIL, NULL, fault)});
		else if (error == NULL)
			add_element(batch, (BatchElement){.body = bodies[i], .json = values[i]});
		else
			add_element(batch, (BatchElement){.body = bodies[i], .faults = not_json(error)});
	}
}

/* Arrays as text ------------------------------------------------------------ */

typedef struct ConversionWork
{
	Slice bytes;
	int encoding;
	text *converted;
} ConversionWork;

static void
conversion_work(void *argument)
{
	ConversionWork *work = argument;
	char *bytes = pnstrdup(work->bytes.data, work->bytes.length);

	work->converted = cstring_to_text(pg_any_to_server(bytes, work->bytes.length, work->encoding));
}

/* What can be kept of bytes that are no text here. */
static text *
legible(Slice bytes)
{
	text *copy = cstring_to_text_with_len(bytes.data, bytes.length);

	for (int i = 0; i < bytes.length; i++)
	{
		if (VARDATA(copy)[i] == '\0' || IS_HIGHBIT_SET(VARDATA(copy)[i]))
			VARDATA(copy)[i] = '?';
	}
	return copy;
}

/* An element's bytes as text, or what can be kept of it and what is wrong with it. */
static text *
element_text(Slice bytes, int encoding, const char **fault)
{
	ConversionWork work = {bytes, encoding, NULL};

	memory_budget_grow(bytes.length);
	*fault = NULL;
	if (encoding == GetDatabaseEncoding() && pg_verify_mbstr(encoding, bytes.data, bytes.length, true))
		return cstring_to_text_with_len(bytes.data, bytes.length);
	if (!pg_verify_mbstr(encoding, bytes.data, bytes.length, true))
		*fault = psprintf("is not text in %s", encoding == PG_UTF8 ? "UTF-8" : pg_encoding_to_char(encoding));
	else if (subtransaction_try_input(conversion_work, &work) != NULL)
		*fault = "has characters that the database's encoding has not";
	return *fault == NULL ? work.converted : legible(bytes);
}

/* Reads the elements of a JSON array of which some are no JSON that a database can hold, each by itself. */
void
event_batch_from_elements(const pg_uuid_t *account_id, const Slice *elements, int count, int encoding,
						  EventBatch *batch)
{
	text **bodies;
	const char **faults;

	memory_budget_grow((sizeof(text *) + sizeof(char *)) * count);
	bodies = palloc_extended(sizeof(text *) * count, MCXT_ALLOC_HUGE);
	faults = palloc_extended(sizeof(char *) * count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		bodies[i] = element_text(elements[i], encoding, &faults[i]);
	}
	event_batch_from_texts(account_id, bodies, faults, count, batch);
}

/* Reads a JSON array as text: as a whole where the server can, and else element by element. */
void
event_batch_from_array_text(const pg_uuid_t *account_id, text *array, EventBatch *batch)
{
	JsonbValue document;
	ErrorData *error = parse_bodies(&array, 1, &document);
	Slice *elements;
	int count;

	if (error == NULL)
		read_array(account_id, &document, batch);
	else if (json_elements((Slice){VARDATA_ANY(array), VARSIZE_ANY_EXHDR(array)}, &elements, &count))
		event_batch_from_elements(account_id, elements, count, GetDatabaseEncoding(), batch);
	else
		ReThrowError(error);
}

/* Storing ----------------------------------------------------------------- */

/* Refuses the batch: one error for all its faults. */
static void
report_faults(const EventBatch *batch)
{
	int refused = batch->count - batch->put_count;
	int told = 0;
	StringInfoData detail;

	initStringInfo(&detail);
	for (int i = 0; i < batch->count; i++)
	{
		if (batch->elements[i].faults == NIL)
			continue;
		if (!faults_are_told(&detail, told))
			break;
		event_faults_describe(&detail, i, batch->elements[i].faults);
		told++;
	}
	if (told < refused)
		appendStringInfo(&detail, "\nAnd %d more event%s.", refused - told, refused - told == 1 ? "" : "s");
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid usage events: %d of %d", refused, batch->count),
			 errdetail_internal("%s", detail.data), errhint(EVENT_HINT)));
}

/* Stores all events of the batch, or none. */
void
event_batch_store_all(EventBatch *batch)
{
	if (batch->put_count < batch->count)
		report_faults(batch);

	event_guarded_put_all(&batch->account_id, batch->puts, batch->put_count, batch->first_index);
	for (int i = 0; i < batch->count; i++)
	{
		if (batch->puts[i].outcome == EVENT_REFUSED)
			event_conflicts_report(batch->puts, batch->count, batch->first_index);
	}
}

/* Why the store has refused an event. */
static List *
refusal_faults(const EventPut *put)
{
	if (put->refusal != NULL)
		return list_make1(unconstify(Fault *, put->refusal));
	return fault_add(NIL, event_field_names[FIELD_CUSTOMER_EVENT_ID].data, event_conflict_text(put));
}

/* Stores those events of the batch that can be, and keeps the others as rejected. */
void
event_batch_store(EventBatch *batch)
{
	event_guarded_put_each(&batch->account_id, batch->puts, batch->put_count);

	for (int i = 0; i < batch->count; i++)
	{
		BatchElement *element = &batch->elements[i];

		if (element->put != NULL && element->put->outcome == EVENT_REFUSED)
		{
			element->faults = refusal_faults(element->put);
			element->put = NULL;
		}
	}
	rejected_event_store(batch);
}

/* Answers ----------------------------------------------------------------- */

static EventOutcome
element_outcome(const BatchElement *element)
{
	return element->put != NULL ? element->put->outcome : EVENT_REFUSED;
}

/* Adds how many of the batch came out how. */
void
event_batch_count(const EventBatch *batch, int64 totals[EVENT_OUTCOMES])
{
	for (int i = 0; i < batch->count; i++)
		totals[element_outcome(&batch->elements[i])]++;
}

/* {"index": 0, "outcome": "created", "id": "..."} */
static Jsonb *
outcome_to_json(int index, const BatchElement *element, Slice outcome)
{
	JsonObject object = {0};
	char id[UUID_TEXT_LENGTH + 1];

	json_add_integer(&object, SLICE("index"), index);
	json_add_text(&object, SLICE("outcome"), outcome);
	if (element->put != NULL)
	{
		uuid_v7_to_text(&element->put->answer->id, id);
		json_add_text(&object, SLICE("id"), (Slice){id, UUID_TEXT_LENGTH});
	}
	else
		json_add_json(&object, SLICE("faults"), faults_to_json(element->faults));
	return json_make_object(&object);
}

/* What became of each event, in the order given, and the totals on top. */
Jsonb *
event_batch_outcomes(const EventBatch *batch)
{
	static const Slice names[] = {
		[EVENT_CREATED] = SLICE("created"),
		[EVENT_SUPERSEDED] = SLICE("superseded"),
		[EVENT_UNCHANGED] = SLICE("unchanged"),
		[EVENT_REFUSED] = SLICE("refused"),
	};
	int64 totals[EVENT_OUTCOMES] = {0};
	JsonArray outcomes;
	JsonObject object = {0};

	json_array_begin(&outcomes);
	for (int i = 0; i < batch->count; i++)
	{
		const BatchElement *element = &batch->elements[i];

		json_array_next(&outcomes);
		json_array_add(&outcomes, outcome_to_json(i, element, names[element_outcome(element)]));
	}

	event_batch_count(batch, totals);
	for (int i = 0; i < EVENT_OUTCOMES; i++)
		json_add_integer(&object, names[i], totals[i]);
	json_add_json(&object, SLICE("outcomes"), json_array_end(&outcomes));
	return json_make_object(&object);
}
