/*
 * json_read.c
 *		Values in JSON that came from a client.
 */
#include "postgres.h"

#include "json_read.h"

/* What kind of JSON value this is, with its article. */
const char *
json_kind(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvString:
			return "a string";
		case jbvNumeric:
			return "a number";
		case jbvBool:
			return "a boolean";
		case jbvBinary:
			return JsonContainerIsObject(value->val.binary.data) ? "an object" : "an array";
		default:
			elog(ERROR, "unexpected type of JSON value: %d", (int) value->type);
	}
	return NULL; /* keep compiler quiet */
}

/* A whole JSON document as a value. */
JsonbValue
json_document(Jsonb *json)
{
	JsonbValue value;

	if (JB_ROOT_IS_SCALAR(json))
		JsonbExtractScalar(&json->root, &value);
	else
	{
		value.type = jbvBinary;
		value.val.binary.data = &json->root;
		value.val.binary.len = VARSIZE(json) - VARHDRSZ;
	}
	return value;
}

/* What kind of JSON the document is, with its article. */
const char *
json_document_kind(Jsonb *json)
{
	JsonbValue value = json_document(json);

	return json_kind(&value);
}

bool
json_is_object(Jsonb *json)
{
	return JB_ROOT_IS_OBJECT(json);
}

/* Finds the member of that key; false if there is none. */
bool
json_member(Jsonb *object, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(&object->root, key, (int) strlen(key), value) != NULL;
}

/* The text of a value that is a string. */
EventText
json_string(const JsonbValue *value)
{
	return (EventText){value->val.string.val, value->val.string.len};
}
