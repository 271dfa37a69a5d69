/*
 * base/json_read.c
 *		Values in JSON that came from a client.
 */
#include "postgres.h"

#include "base/json_read.h"

#include "base/memory_budget.h"
#include "miscadmin.h"

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
Slice
json_string(const JsonbValue *value)
{
	return (Slice){value->val.string.val, value->val.string.len};
}

/* Numbers ----------------------------------------------------------------- */

/*
 * A number of jsonb is a numeric, as numeric.c lays it out.  Its first two bytes tell
 * whether it is of the short form: then they also hold the digits after the point, and
 * how many groups of four digits are before it, less one.  In the other form the groups
 * have two bytes of their own.  The groups follow, without leading or trailing ones that
 * are zero.
 */
#define NUMERIC_IS_SHORT(header) (((header) &0x8000) != 0)
#define NUMERIC_IS_NEGATIVE(header) (((header) & (NUMERIC_IS_SHORT(header) ? 0x2000 : 0x4000)) != 0)
#define NUMERIC_SCALE(header) (NUMERIC_IS_SHORT(header) ? ((header) &0x1F80) >> 7 : (header) &0x3FFF)
#define NUMERIC_SHORT_WEIGHT(header) (((header) &0x40 ? ~0x3F : 0) | ((header) &0x3F))
#define NUMERIC_GROUP_DIGITS 4

static uint16
numeric_part(const char *number, int index)
{
	uint16 part;

	memcpy(&part, VARDATA_ANY(number) + index * sizeof(part), sizeof(part));
	return part;
}

/* How many digits the number has before its point; none for one that is less than 1. */
static int
digits_before_point(const char *number)
{
	uint16 header = numeric_part(number, 0);
	int parts_before = NUMERIC_IS_SHORT(header) ? 1 : 2;
	int weight = NUMERIC_IS_SHORT(header) ? NUMERIC_SHORT_WEIGHT(header) : (int16) numeric_part(number, 1);
	int first;

	if (weight < 0 || VARSIZE_ANY_EXHDR(number) <= parts_before * sizeof(uint16))
		return 0;
	first = numeric_part(number, parts_before);
	return weight * NUMERIC_GROUP_DIGITS + (first >= 1000 ? 4 : first >= 100 ? 3 : first >= 10 ? 2 : 1);
}

/* Whether the number has so many digits, or more, before its point. */
bool
json_number_has_digits(Numeric number, int digits)
{
	return digits_before_point((const char *) number) >= digits;
}

/* How long the number is as text: what numeric_out() would write, without writing it. */
static int
number_text_length(const char *number)
{
	uint16 header = numeric_part(number, 0);
	int length = Max(digits_before_point(number), 1);

	if (NUMERIC_SCALE(header) > 0)
		length += 1 + NUMERIC_SCALE(header);
	return length + (NUMERIC_IS_NEGATIVE(header) ? 1 : 0);
}

/* How long the number is as text, whatever it is: JSON knows neither NaN nor infinity. */
int
json_number_length(Numeric number)
{
	return number_text_length((const char *) number);
}

/* Sizes ------------------------------------------------------------------- */

/* A control character is six: no text is longer, by what is stored, and numbers written out. */
#define MAX_TEXT_FACTOR 6

/* What JSON's text has more of than the bytes that are stored. */
static Size
escapes_size(const char *text, int length)
{
	Size size = 0;

	for (int i = 0; i < length; i++)
	{
		if ((unsigned char) text[i] < ' ')
			size += strlen("\\u0000") - 1;
		else if (text[i] == '"' || text[i] == '\\')
			size++;
	}
	return size;
}

/* What a value takes more as text than it does as it is stored, `length` bytes and an entry of four. */
static Size
excess(JEntry entry, const char *value, int length, bool with_escapes)
{
	if (JBE_ISNUMERIC(entry))
	{
		int written = number_text_length(value);

		return written > length ? written - length : 0;
	}
	if (!with_escapes)
		return 0;
	if (JBE_ISSTRING(entry))
		return escapes_size(value, length);
	return strlen("false, ") - sizeof(JEntry);
}

/* Adds up, over all that is in the container, what its text takes more.  Stops counting beyond the limit. */
static Size
add_excess(const JsonbContainer *container, Size size, Size limit, bool with_escapes)
{
	int count = JsonContainerSize(container) * (JsonContainerIsObject(container) ? 2 : 1);
	const char *base = (const char *) (container->children + count);
	uint32 end = 0;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < count && size <= limit; i++)
	{
		JEntry entry = container->children[i];
		uint32 start = end;
		bool is_padded = JBE_ISNUMERIC(entry) || JBE_ISCONTAINER(entry);

		JBE_ADVANCE_OFFSET(end, entry);
		if (is_padded)
			start = INTALIGN(start);
		if (JBE_ISCONTAINER(entry))
			size = add_excess((const JsonbContainer *) (base + start), size, limit, with_escapes);
		else
			size += excess(entry, base + start, (int) (end - start), with_escapes);
	}
	return size;
}

/*
 * What the JSON takes as it is stored, `size`, or more where it has numbers that
 * are short to store and long to write: 1e131071 takes 12 bytes, and 131,072 as
 * text.  Stops counting beyond the limit.
 */
Size
json_written_size(const JsonbContainer *container, Size size, Size limit)
{
	return add_excess(container, size, limit, false);
}

/* The same with all that makes a text longer: as many bytes as the text may have. */
Size
json_text_size(const JsonbContainer *container, Size size, Size limit)
{
	return add_excess(container, size, limit, true);
}

/* Answers ----------------------------------------------------------------- */

/* An answer is sent as text, which the server writes, and copies, when a call has returned. */
static Size
answer_limit(void)
{
	return memory_budget_limit() / 6;
}

/* Refuses an answer of that size as text: more than a sixth of what a call may take. */
static void
require_answer(Size size)
{
	if (size > answer_limit())
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("answer is too large"),
			 errdetail("An answer may have %zu kB as text, a sixth of usage_events.max_memory.", answer_limit() / 1024),
			 errhint(
				 "Ask for less, or send less, at a time: fewer items of a page, a shorter period, fewer events; versions of an event are also in the view usage_event_history. Or have usage_events.max_memory raised.")));
}

/*
 * The same for a part that is added to an answer of which there is so much already, as
 * json_written_size() tells; returns how much there is then.
 */
Size
json_answer_add(Size size, const Jsonb *part)
{
	size = json_written_size(&part->root, size + VARSIZE(part), answer_limit());
	require_answer(size);
	return size;
}

/* The same for all that makes an answer of that written size longer as text, which is looked at only where it may matter. */
void
json_answer_check(const Jsonb *answer, Size written_size)
{
	if (written_size * MAX_TEXT_FACTOR > answer_limit())
		require_answer(json_text_size(&answer->root, VARSIZE(answer), answer_limit()));
}
