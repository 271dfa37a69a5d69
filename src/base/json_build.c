/*
 * base/json_build.c
 *		JSON objects and arrays, assembled from their parts.
 *
 * The server's own way, pushJsonbValue(), takes every part to pieces, gathers
 * them in a tree, and sorts the keys of each object.  Answers are made of parts
 * that are whole already, and there may be many thousands in a batch: putting
 * them side by side takes a third of the time, and little memory.
 *
 * The layout is the one that jsonb.h describes.  A container is a header, an
 * entry for each key, an entry for each value or element, and their bytes.  An
 * entry holds a length or, if it is the first or every JB_OFFSET_STRIDE-th, its
 * end.  The keys of an object are sorted, shorter ones first.  Numbers and
 * containers begin at a multiple of four bytes; what that skips belongs to their
 * length.
 */
#include "postgres.h"

#include "base/json_build.h"

#include "base/compat.h"
#include "base/json_read.h"
#include "base/memory_budget.h"
#include "base/timestamp.h"
#include "base/uuid_v7.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

/* Where the next part goes. */
typedef struct Writer
{
	JEntry *entry;
	int index; /* of the entry */
	char *start;
	char *at;
} Writer;

static void
write_part(Writer *writer, JEntry kind, const char *data, int length)
{
	char *end;

	if (kind == JENTRY_ISNUMERIC || kind == JENTRY_ISCONTAINER)
		end = writer->start + INTALIGN(writer->at - writer->start) + length;
	else
		end = writer->at + length;

	if (length > 0)
		memcpy(end - length, data, length);
	*writer->entry++ = writer->index++ % JB_OFFSET_STRIDE == 0 ? kind | JENTRY_HAS_OFF | (end - writer->start)
															   : kind | (end - writer->at);
	writer->at = end;
}

/* Bytes; many small ones are for those to count who make them. */
#define LARGE_CONTAINER (64 * 1024)

static void
refuse_size(Size size)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("answer is too large for jsonb: %zu bytes of %u", size, (unsigned) JENTRY_OFFLENMASK)));
}

/* A container with room for parts of that size, and a writer at its begin. */
static Jsonb *
begin_container(uint32 header, int entry_count, Size size, Writer *writer)
{
	Size entries_size = sizeof(uint32) + entry_count * sizeof(JEntry);
	Jsonb *json;

	if (size > JENTRY_OFFLENMASK)
		refuse_size(size);

	if (size > LARGE_CONTAINER)
		memory_budget_grow(entries_size + size);
	json = palloc0(VARHDRSZ + entries_size + size);
	json->root.header = header;
	*writer = (Writer){.entry = json->root.children};
	writer->start = writer->at = VARDATA(json) + entries_size;
	return json;
}

static int
compare_keys(Slice a, Slice b)
{
	return a.length != b.length ? a.length - b.length : memcmp(a.data, b.data, a.length);
}

/* Adds a member at its place; mostly that is the last. */
static void
add_member(JsonObject *object, JsonMember member)
{
	int place = object->count++;

	if (place >= JSON_MAX_MEMBERS)
		elog(ERROR, "an object has more than %d members", JSON_MAX_MEMBERS);
	for (; place > 0 && compare_keys(object->members[place - 1].key, member.key) > 0; place--)
		object->members[place] = object->members[place - 1];
	object->members[place] = member;
}

/* Adds a text, unless it is absent. */
void
json_add_text(JsonObject *object, Slice key, Slice value)
{
	if (value.data != NULL)
		add_member(object, (JsonMember){key, JENTRY_ISSTRING, value});
}

void
json_add_null(JsonObject *object, Slice key)
{
	add_member(object, (JsonMember){key, JENTRY_ISNULL, {"", 0}});
}

/* Adds a text, or null if it is absent. */
void
json_add_text_or_null(JsonObject *object, Slice key, Slice value)
{
	if (value.data != NULL)
		json_add_text(object, key, value);
	else
		json_add_null(object, key);
}

void
json_add_boolean(JsonObject *object, Slice key, bool value)
{
	add_member(object, (JsonMember){key, value ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE, {"", 0}});
}

/* The number must stay where it is until the object is made. */
void
json_add_numeric(JsonObject *object, Slice key, Numeric value)
{
	add_member(object, (JsonMember){key, JENTRY_ISNUMERIC, {(const char *) value, (int) VARSIZE_ANY((Pointer) value)}});
}

void
json_add_integer(JsonObject *object, Slice key, int64 value)
{
	json_add_numeric(object, key, int64_to_numeric(value));
}

void
json_add_uuid(JsonObject *object, Slice key, const pg_uuid_t *id)
{
	char *text = palloc(UUID_TEXT_LENGTH + 1);

	uuid_v7_to_text(id, text);
	json_add_text(object, key, (Slice){text, UUID_TEXT_LENGTH});
}

void
json_add_timestamp(JsonObject *object, Slice key, TimestampTz timestamp)
{
	char *text = palloc(TIMESTAMP_TEXT_SIZE);
	int length = timestamp_to_text(timestamp, text);

	json_add_text(object, key, (Slice){text, length});
}

/* Adds an object or an array by the bytes of its container. */
void
json_add_container(JsonObject *object, Slice key, Slice value)
{
	add_member(object, (JsonMember){key, JENTRY_ISCONTAINER, value});
}

void
json_add_json(JsonObject *object, Slice key, const Jsonb *value)
{
	json_add_container(object, key, (Slice){(const char *) &value->root, VARSIZE(value) - VARHDRSZ});
}

Jsonb *
json_make_object(const JsonObject *object)
{
	Size size = 0;
	Jsonb *json;
	Writer writer;

	for (int i = 0; i < object->count; i++)
		size += object->members[i].key.length + object->members[i].value.length + sizeof(uint32);

	json = begin_container(JB_FOBJECT | object->count, 2 * object->count, size, &writer);
	for (int i = 0; i < object->count; i++)
		write_part(&writer, JENTRY_ISSTRING, object->members[i].key.data, object->members[i].key.length);
	for (int i = 0; i < object->count; i++)
		write_part(&writer, object->members[i].kind, object->members[i].value.data, object->members[i].value.length);
	SET_VARSIZE(json, writer.at - (char *) json);
	return json;
}

/* An array of objects. */
Jsonb *
json_make_array(Jsonb *const *elements, int count)
{
	Size size = 0;
	Jsonb *json;
	Writer writer;

	for (int i = 0; i < count; i++)
		size += VARSIZE(elements[i]) - VARHDRSZ + sizeof(uint32);

	json = begin_container(JB_FARRAY | count, count, size, &writer);
	for (int i = 0; i < count; i++)
		write_part(&writer, JENTRY_ISCONTAINER, (const char *) &elements[i]->root, VARSIZE(elements[i]) - VARHDRSZ);
	SET_VARSIZE(json, writer.at - (char *) json);
	return json;
}

/* Of numbers, strings, booleans and nulls. */
Jsonb *
json_make_array_of_scalars(JsonbValue *scalars, int count)
{
	JsonbInState state = {0};

	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < count; i++)
		pushJsonbValue(&state, WJB_ELEM, &scalars[i]);
	pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	return JsonbValueToJsonb(state.result);
}

Jsonb *
json_copy(const Jsonb *json)
{
	Jsonb *copy;

	if (VARSIZE(json) > LARGE_CONTAINER)
		memory_budget_grow(VARSIZE(json));
	copy = palloc(VARSIZE(json));
	memcpy(copy, json, VARSIZE(json));
	return copy;
}

/* Long answers ------------------------------------------------------------ */

#define FIRST_CAPACITY 8192

/* Begins an array of any length, in the memory that is current. */
void
json_array_begin(JsonArray *array)
{
	memset(array, 0, sizeof(JsonArray));
	array->context = CurrentMemoryContext;
	array->element_context = AllocSetContextCreate(CurrentMemoryContext, "usage events answer", ALLOCSET_DEFAULT_SIZES);
	array->data_capacity = FIRST_CAPACITY;
	array->data = palloc(array->data_capacity);
	array->end_capacity = FIRST_CAPACITY / sizeof(uint32);
	array->ends = palloc(array->end_capacity * sizeof(uint32));
}

/* Memory for the parts of the next element: it is free again when that has been added. */
MemoryContext
json_array_next(JsonArray *array)
{
	return MemoryContextSwitchTo(array->element_context);
}

static void *
double_capacity(void *data, Size *capacity, Size element_size)
{
	*capacity *= 2;
	memory_budget_grow(*capacity * element_size);
	return repalloc_huge(data, *capacity * element_size);
}

/* Adds an element, copied, and goes back to the memory in which the array began.  Refuses an answer that gets too long. */
void
json_array_add(JsonArray *array, const Jsonb *element)
{
	Size length = VARSIZE(element) - VARHDRSZ;
	Size start = INTALIGN(array->length);

	CHECK_FOR_INTERRUPTS();
	array->written = json_answer_add(array->written, element);
	MemoryContextSwitchTo(array->context);
	while (start + length > array->data_capacity)
		array->data = double_capacity(array->data, &array->data_capacity, 1);
	if ((Size) array->count == array->end_capacity)
		array->ends = double_capacity(array->ends, &array->end_capacity, sizeof(uint32));
	memset(array->data + array->length, 0, start - array->length);
	memcpy(array->data + start, &element->root, length);
	array->length = start + length;
	array->ends[array->count++] = (uint32) array->length;
	MemoryContextReset(array->element_context);
}

/* The array; it takes the place of what has been gathered. */
Jsonb *
json_array_end(JsonArray *array)
{
	Size entries_size = sizeof(uint32) + array->count * sizeof(JEntry);
	Size size = VARHDRSZ + entries_size + array->length;
	uint32 end = 0;
	Jsonb *json;

	if (array->length > JENTRY_OFFLENMASK)
		refuse_size(array->length);
	json = repalloc_huge(array->data, Max(size, array->data_capacity));
	memmove(VARDATA(json) + entries_size, json, array->length);
	json->root.header = JB_FARRAY | array->count;
	for (int i = 0; i < array->count; i++)
	{
		json->root.children[i] =
			JENTRY_ISCONTAINER | (i % JB_OFFSET_STRIDE == 0 ? JENTRY_HAS_OFF | array->ends[i] : array->ends[i] - end);
		end = array->ends[i];
	}
	SET_VARSIZE(json, size);
	json_answer_check(json, array->written);
	pfree(array->ends);
	MemoryContextDelete(array->element_context);
	return json;
}
