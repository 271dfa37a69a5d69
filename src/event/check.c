/*
 * event/check.c
 *		The rules of a usage event, and the faults of one that breaks them.
 *
 * Every door (functions, type input, binary input, casts) comes through
 * event_check(): one function a rule, each adding its fault to the list, so that
 * a refusal names all that is wrong at once.
 */
#include "postgres.h"

#include "event/check.h"

#include "base/compat.h"
#include "base/json_read.h"
#include "base/text_check.h"
#include "base/timestamp.h"
#include "base/uuid_v7.h"
#include "utils/guc.h"

/* How many unknown fields are named in a refusal. */
#define MAX_UNKNOWN_FIELDS 20

const Slice event_field_names[FIELD_COUNT] = {
	[FIELD_ID] = SLICE("id"),
	[FIELD_EVENT_TYPE] = SLICE("eventType"),
	[FIELD_CUSTOMER_ALIAS] = SLICE("customerAlias"),
	[FIELD_EVENT_TIMESTAMP] = SLICE("eventTimestamp"),
	[FIELD_CUSTOMER_EVENT_ID] = SLICE("customerEventId"),
	[FIELD_EVENT_PROPERTIES] = SLICE("eventProperties"),
	[FIELD_SEQUENCE_ACCOUNT_ID] = SLICE("sequenceAccountId"),
};

static bool reject_unknown_fields = false;
static int max_properties_bytes = 64 * 1024;

void
event_check_init(void)
{
	DefineCustomBoolVariable("usage_events.reject_unknown_fields",
							 "Refuses events, metrics, limits and alerts with fields that the API does not know.",
							 "Off, such fields are ignored.", &reject_unknown_fields, false, PGC_USERSET, 0, NULL, NULL,
							 NULL);
	DefineCustomIntVariable("usage_events.max_properties_bytes",
							"Largest size of an event's properties, as stored (jsonb).", NULL, &max_properties_bytes,
							64 * 1024, 16, 128 * 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, NULL, NULL, NULL);
}

/* Whether a field that the API does not know is a fault. */
bool
event_check_rejects_unknown_fields(void)
{
	return reject_unknown_fields;
}

static bool
is_known(Slice name, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (slice_equal(name, slice_from_cstring(names[i])))
			return true;
	}
	return false;
}

/* Rule of fields that are none of these: ignored, unless the setting says otherwise. */
List *
event_check_unknown_fields(List *faults, Jsonb *body, const char *const *names, int count, const char *fault)
{
	JsonbIterator *iterator = JsonbIteratorInit(&body->root);
	JsonbIteratorToken token;
	JsonbValue key;
	int unknown = 0;

	if (!reject_unknown_fields)
		return faults;
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE && unknown < MAX_UNKNOWN_FIELDS)
	{
		if (token != WJB_KEY || is_known(json_string(&key), names, count))
			continue;
		faults = fault_add(faults, fault_field(json_string(&key)), fault);
		unknown++;
	}
	return faults;
}

static bool
is_absent_or_null(const EventFields *fields, EventField field)
{
	return !fields->given[field] || fields->value[field].type == jbvNull;
}

/* Rule of a field that holds a key: a string, and what text_check_key() says. */
static List *
check_string(List *faults, const EventFields *fields, EventField field, Slice *key)
{
	const JsonbValue *value = &fields->value[field];
	const char *name = event_field_names[field].data;

	if (value->type != jbvString)
		return fault_add(faults, name, psprintf("must be a string, not %s", json_kind(value)));
	*key = json_string(value);
	return text_check_key(faults, name, *key);
}

/* Rule of customerAlias and eventType: there, and a key. */
static List *
check_required_string(List *faults, const EventFields *fields, EventField field, Slice *text)
{
	if (!fields->given[field])
		return fault_add(faults, event_field_names[field].data, "is missing");
	return check_string(faults, fields, field, text);
}

/* Rule of customerEventId: absent, null, or a key. */
static List *
check_optional_string(List *faults, const EventFields *fields, EventField field, Slice *text)
{
	if (is_absent_or_null(fields, field))
		return faults;
	return check_string(faults, fields, field, text);
}

/* What is wrong with a timestamp that is no string; what a number means is told. */
static const char *
not_a_string(const JsonbValue *value)
{
	if (value->type == jbvNumeric)
		return "must be a string, not a number: seconds or milliseconds since 1970 are written as date and time, such "
			   "as \"2022-10-01T00:00:00Z\"";
	return psprintf("must be a string, not %s", json_kind(value));
}

/* Rule of eventTimestamp: absent, null, or ISO 8601 with an offset. */
static List *
check_event_timestamp(List *faults, const EventFields *fields, UsageEvent *event)
{
	const JsonbValue *value = &fields->value[FIELD_EVENT_TIMESTAMP];
	const char *name = event_field_names[FIELD_EVENT_TIMESTAMP].data;
	const char *fault;

	if (is_absent_or_null(fields, FIELD_EVENT_TIMESTAMP))
		return faults;
	if (value->type != jbvString)
		return fault_add(faults, name, not_a_string(value));

	fault = timestamp_from_text(json_string(value), &event->timestamp);
	if (fault != NULL)
		return fault_add(faults, name, psprintf("%s: %s", fault, fault_quote(json_string(value))));
	event->has_timestamp = true;
	return faults;
}

/* Rule of eventProperties: absent, null, or an object that is not too large. */
static List *
check_event_properties(List *faults, const EventFields *fields, UsageEvent *event)
{
	const JsonbValue *value = &fields->value[FIELD_EVENT_PROPERTIES];
	const char *name = event_field_names[FIELD_EVENT_PROPERTIES].data;
	static const JsonbContainer empty_object = {.header = JB_FOBJECT};

	if (is_absent_or_null(fields, FIELD_EVENT_PROPERTIES))
	{
		event->properties = (Slice){(const char *) &empty_object, sizeof(empty_object)};
		return faults;
	}
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return fault_add(faults, name, psprintf("must be an object, not %s", json_kind(value)));
	if (value->val.binary.len > max_properties_bytes)
		return fault_add(faults, name,
						 psprintf("must take at most %d bytes (usage_events.max_properties_bytes), not %d",
								  max_properties_bytes, value->val.binary.len));
	if (json_written_size(value->val.binary.data, value->val.binary.len, max_properties_bytes) >
		(Size) max_properties_bytes)
		return fault_add(faults, name,
						 psprintf("must take at most %d bytes (usage_events.max_properties_bytes) with its numbers "
								  "written out",
								  max_properties_bytes));

	event->properties = (Slice){(const char *) value->val.binary.data, value->val.binary.len};
	return faults;
}

/* Rule of fields that the API does not know: ignored, unless the setting says otherwise. */
static List *
check_unknown_fields(List *faults, const EventFields *fields)
{
	ListCell *cell;

	if (!reject_unknown_fields)
		return faults;
	foreach(cell, fields->unknown)
		faults = fault_add(faults, lfirst(cell), "is not a field of a usage event");
	return faults;
}

/*
 * The server's own fields, which a client may send back as it got them.  They
 * decide nothing: whatever is no UUID is ignored as an unknown field is.
 */
static bool
read_uuid(const EventFields *fields, EventField field, pg_uuid_t *uuid)
{
	const JsonbValue *value = &fields->value[field];

	return fields->given[field] && value->type == jbvString && uuid_v7_from_text(json_string(value), uuid);
}

/* Checks every rule and fills the event.  Returns the faults, NIL if there is none. */
List *
event_check(const EventFields *fields, UsageEvent *event)
{
	List *faults = NIL;

	memset(event, 0, sizeof(UsageEvent));
	faults = check_required_string(faults, fields, FIELD_CUSTOMER_ALIAS, &event->customer_alias);
	faults = check_required_string(faults, fields, FIELD_EVENT_TYPE, &event->event_type);
	faults = check_optional_string(faults, fields, FIELD_CUSTOMER_EVENT_ID, &event->customer_event_id);
	faults = check_event_timestamp(faults, fields, event);
	faults = check_event_properties(faults, fields, event);
	faults = check_unknown_fields(faults, fields);
	event->has_id = read_uuid(fields, FIELD_ID, &event->id);
	event->has_account_id = read_uuid(fields, FIELD_SEQUENCE_ACCOUNT_ID, &event->account_id);
	return faults;
}

/* Adds the faults as lines of an error's detail; index is that of the event in a batch, or -1. */
void
event_faults_describe(StringInfo detail, int64 index, const List *faults)
{
	faults_describe(detail, index < 0 ? "" : psprintf("Event " INT64_FORMAT ": ", index), "The event", faults);
}

/* Refuses an event: one error for all its faults, soft where the caller takes it so. */
void
event_faults_report(const List *faults, Node *escontext)
{
	StringInfoData detail;

	initStringInfo(&detail);
	event_faults_describe(&detail, -1, faults);
	errsave(escontext, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid usage event"),
						errdetail_internal("%s", detail.data), errhint(EVENT_HINT)));
}
