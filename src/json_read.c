/*
 * json_read.c
 *		Values in JSON that came from a client.
 */
#include "postgres.h"

#include "json_read.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

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

/*
 * A number of jsonb is a numeric, whose first two bytes tell whether it is of the
 * short form (see numeric.c): that one has a few hundred digits at most.
 */
#define NUMERIC_IS_SHORT(number) ((*(const uint16 *) VARDATA_ANY(number) & 0x8000) != 0)

/* The other form has, after those two bytes, how many groups of four digits are before the point, less one. */
#define NUMERIC_GROUP_DIGITS 4

/* Whether the number has so many digits, or more, before its point; for hundreds of them and more. */
bool
json_number_has_digits(Numeric number, int digits)
{
	int16 weight;

	if (NUMERIC_IS_SHORT(number))
		return false;
	memcpy(&weight, VARDATA_ANY(number) + sizeof(uint16), sizeof(weight));
	return ((int) weight + 1) * NUMERIC_GROUP_DIGITS >= digits;
}

/*
 * What the JSON takes as it is stored, `size`, or more where it has numbers that
 * are short to store and long to write: 1e131071 takes 12 bytes, and 131,072 as
 * text.  Stops counting beyond the limit.
 */
Size
json_written_size(const JsonbContainer *container, Size size, Size limit)
{
	int count = JsonContainerSize(container);
	int first = JsonContainerIsObject(container) ? count : 0;
	const char *values = (const char *) (container->children + first + count);

	check_stack_depth();
	for (int i = first; i < first + count && size <= limit; i++)
	{
		JEntry entry = container->children[i];
		const char *value;

		if (!JBE_ISNUMERIC(entry) && !JBE_ISCONTAINER(entry))
			continue;
		value = values + INTALIGN(getJsonbOffset(container, i));
		if (JBE_ISCONTAINER(entry))
			size = json_written_size((const JsonbContainer *) value, size, limit);
		else if (!NUMERIC_IS_SHORT(value))
		{
			char *text = DatumGetCString(DirectFunctionCall1(numeric_out, PointerGetDatum(value)));

			size += strlen(text);
			pfree(text);
		}
	}
	return size;
}
