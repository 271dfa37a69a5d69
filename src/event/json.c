/*
 * event/json.c
 *		Usage events as JSON: the two ends of an event's way.
 */
#include "postgres.h"

#include "event/json.h"

#include "base/json_build.h"
#include "base/json_read.h"

/* How many unknown fields are remembered, to be named in a refusal, where they are one. */
#define MAX_UNKNOWN_FIELDS 20

/* Which field the key names; FIELD_COUNT if none. */
static EventField
field_of_key(const JsonbValue *key)
{
	for (int field = 0; field < FIELD_COUNT; field++)
	{
		if (key->val.string.len == event_field_names[field].length &&
			memcmp(key->val.string.val, event_field_names[field].data, key->val.string.len) == 0)
			return (EventField) field;
	}
	return FIELD_COUNT;
}

/* Takes an object apart in one pass. */
static void
read_fields(JsonbContainer *object, EventFields *fields)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue key;
	JsonbValue value;

	memset(fields->given, false, sizeof(fields->given));
	fields->unknown = NIL;

	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		EventField field;

		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &value, true);

		field = field_of_key(&key);
		if (field == FIELD_COUNT && event_check_rejects_unknown_fields() &&
			list_length(fields->unknown) < MAX_UNKNOWN_FIELDS)
			fields->unknown = lappend(fields->unknown, fault_field(json_string(&key)));
		else if (field != FIELD_COUNT)
		{
			fields->given[field] = true;
			fields->value[field] = value;
		}
	}
}

/*
 * Reads and checks an event that stands in other JSON.  Returns its faults, NIL
 * if there is none.  The event's texts point into the JSON.
 */
List *
event_json_read_value(const JsonbValue *value, UsageEvent *event)
{
	EventFields fields;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
	{
		memset(event, 0, sizeof(UsageEvent));
		return fault_add(NIL, NULL, psprintf("must be a JSON object, not %s", json_kind(value)));
	}
	read_fields(value->val.binary.data, &fields);
	return event_check(&fields, event);
}

/* The same for an event that is a JSON document of its own. */
List *
event_json_read(Jsonb *json, UsageEvent *event)
{
	JsonbValue value = json_document(json);

	return event_json_read_value(&value, event);
}

/*
 * Adds the fields of an event: all seven once it is stored, and those that it has
 * before.
 */
void
event_json_add_event(JsonObject *object, const UsageEvent *event)
{
	const Slice *names = event_field_names;

	if (event->has_id)
		json_add_uuid(object, names[FIELD_ID], &event->id);
	json_add_text(object, names[FIELD_EVENT_TYPE], event->event_type);
	json_add_text(object, names[FIELD_CUSTOMER_ALIAS], event->customer_alias);
	if (event->has_timestamp)
		json_add_timestamp(object, names[FIELD_EVENT_TIMESTAMP], event->timestamp);
	json_add_text(object, names[FIELD_CUSTOMER_EVENT_ID], event->customer_event_id);
	json_add_container(object, names[FIELD_EVENT_PROPERTIES], event->properties);
	if (event->has_account_id)
		json_add_uuid(object, names[FIELD_SEQUENCE_ACCOUNT_ID], &event->account_id);
}

/* The event's properties, in memory of their own. */
Jsonb *
event_json_properties(const UsageEvent *event)
{
	Jsonb *properties = palloc(VARHDRSZ + event->properties.length);

	SET_VARSIZE(properties, VARHDRSZ + event->properties.length);
	memcpy(&properties->root, event->properties.data, event->properties.length);
	return properties;
}

Jsonb *
event_json_write(const UsageEvent *event)
{
	JsonObject object = {0};

	event_json_add_event(&object, event);
	return json_make_object(&object);
}
