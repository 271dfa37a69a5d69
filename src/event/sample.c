/*
 * event/sample.c
 *		What events there are, by the newest of them: their types, their properties.
 *
 * Whoever defines a metric wants to know what is sent.  All events would say so, and
 * take as long as there are events; the newest ones say what is sent now, and the
 * answer says how many it knows, and whether that was all of them.
 */
#include "postgres.h"

#include "event/sample.h"

#include <limits.h>

#include "access/detoast.h"
#include "account/account.h"
#include "base/argument.h"
#include "base/json_build.h"
#include "base/json_read.h"
#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "endpoint/response.h"
#include "fmgr.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* So many properties are told, of names of so many bytes. */
#define MAX_PROPERTIES 1000
#define MAX_NAME_BYTES 255

/* So many different values of each, of so many bytes. */
#define MAX_EXAMPLES 3
#define MAX_EXAMPLE_BYTES 100

/* So many bytes of properties are read. */
#define MAX_SAMPLE_BYTES (16 * 1024 * 1024)

/* usage_events.sample_limit */
static int sample_limit = 10000;

void
event_sample_init(void)
{
	DefineCustomIntVariable("usage_events.sample_limit",
							"How many of an account's newest events tell which types and properties there are.", NULL,
							&sample_limit, 10000, 1, INT_MAX / 2, PGC_SUSET, 0, NULL, NULL, NULL);
}

/* By the index of ids, which says which are the newest. */
#define NEWEST_EVENTS(columns) \
	"(SELECT " columns " FROM usage_events.event WHERE account_id " EQ " $1 ORDER BY id DESC LIMIT $2) AS newest"

static Statement find_types = {
	.sql = "SELECT event_type, pg_catalog.count(*), pg_catalog.max(event_timestamp) FROM " NEWEST_EVENTS(
		"event_type, event_timestamp") " GROUP BY event_type ORDER BY event_type COLLATE pg_catalog.\"C\"",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

static Statement find_properties = {
	.sql = "SELECT event_type, event_properties FROM " NEWEST_EVENTS("event_type, event_properties"),
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

/* {"items", "sample": {"eventCount", "isComplete"}} */
static Jsonb *
sample_to_json(JsonArray *items, int64 event_count, bool is_complete)
{
	JsonObject sample = {0};
	JsonObject answer = {0};

	json_add_integer(&sample, SLICE("eventCount"), event_count);
	json_add_boolean(&sample, SLICE("isComplete"), is_complete);
	json_add_json(&answer, SLICE("items"), json_array_end(items));
	json_add_json(&answer, SLICE("sample"), json_make_object(&sample));
	return json_make_object(&answer);
}

/* Types -------------------------------------------------------------------- */

static Jsonb *
type_to_json(uint64 row)
{
	JsonObject object = {0};

	json_add_text(&object, SLICE("eventType"), row_text(row, 1));
	json_add_integer(&object, SLICE("eventCount"), DatumGetInt64(row_value_there(row, 2)));
	json_add_timestamp(&object, SLICE("lastEventTimestamp"), DatumGetTimestampTz(row_value_there(row, 3)));
	return json_make_object(&object);
}

/* {"items": [{"eventType", "eventCount", "lastEventTimestamp"}], "sample"}, in the order of "C". */
Jsonb *
event_sample_types(const pg_uuid_t *account_id)
{
	JsonArray items;
	int64 event_count = 0;

	json_array_begin(&items);
	SPI_connect();
	statement_execute(&find_types, (Datum[]){UUIDPGetDatum(account_id), Int64GetDatum(sample_limit)}, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		event_count += DatumGetInt64(row_value_there(row, 2));
		json_array_next(&items);
		json_array_add(&items, type_to_json(row));
	}
	SPI_finish();
	return sample_to_json(&items, event_count, event_count < sample_limit);
}

/* Properties --------------------------------------------------------------- */

/* In the order in which they are told. */
typedef enum PropertyKind
{
	KIND_STRING,
	KIND_NUMBER,
	KIND_BOOLEAN,
	KIND_NULL,
	KIND_OBJECT,
	KIND_ARRAY,
	KIND_COUNT
} PropertyKind;

static const char *const kind_names[KIND_COUNT] = {"string", "number", "boolean", "null", "object", "array"};

typedef struct SampledProperty
{
	Slice name;
	int64 event_count;
	bool kinds[KIND_COUNT];
	Jsonb *examples[MAX_EXAMPLES]; /* scalars, as documents of their own */
	int example_count;
} SampledProperty;

typedef struct PropertySample
{
	Slice event_type;
	SampledProperty *properties; /* sorted by name */
	int count;
	int64 looked_at;   /* events of whatever type */
	int64 event_count; /* of the type */
	Size bytes;        /* of their properties */
	bool is_enough;
	bool left_some_out;
	MemoryContext context;
	MemoryContext row_context;
} PropertySample;

static PropertyKind
kind_of(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return KIND_STRING;
		case jbvNumeric:
			return KIND_NUMBER;
		case jbvBool:
			return KIND_BOOLEAN;
		case jbvNull:
			return KIND_NULL;
		default:
			return JsonContainerIsArray(value->val.binary.data) ? KIND_ARRAY : KIND_OBJECT;
	}
}

/* Where the name is, or would be. */
static int
place_of(const PropertySample *sample, Slice name, bool *found)
{
	int first = 0;
	int end = sample->count;

	while (first < end)
	{
		int middle = (first + end) / 2;
		int comparison = slice_compare(sample->properties[middle].name, name);

		if (comparison == 0)
		{
			*found = true;
			return middle;
		}
		if (comparison < 0)
			first = middle + 1;
		else
			end = middle;
	}
	*found = false;
	return first;
}

/* The property of that name; NULL if there are too many to be told, or the name is too long. */
static SampledProperty *
property_named(PropertySample *sample, Slice name)
{
	bool found;
	int place = place_of(sample, name, &found);
	SampledProperty *property = &sample->properties[place];

	if (found)
		return property;
	if (sample->count == MAX_PROPERTIES || name.length > MAX_NAME_BYTES)
	{
		sample->left_some_out = true;
		return NULL;
	}
	memmove(property + 1, property, sizeof(SampledProperty) * (sample->count - place));
	sample->count++;
	*property = (SampledProperty){
		.name = {MemoryContextStrdup(sample->context, pnstrdup(name.data, name.length)), name.length}};
	return property;
}

/* A value that is short enough to be shown. */
static bool
is_short(const JsonbValue *value)
{
	if (value->type == jbvString)
		return value->val.string.len <= MAX_EXAMPLE_BYTES;
	return value->type == jbvBool ||
		   (value->type == jbvNumeric && json_number_length(value->val.numeric) <= MAX_EXAMPLE_BYTES);
}

static void
add_example(PropertySample *sample, SampledProperty *property, JsonbValue *value)
{
	MemoryContext context;
	Jsonb *example;

	if (property->example_count == MAX_EXAMPLES || !is_short(value))
		return;
	example = JsonbValueToJsonb(value);
	for (int i = 0; i < property->example_count; i++)
	{
		if (compareJsonbContainers(&property->examples[i]->root, &example->root) == 0)
			return;
	}
	context = MemoryContextSwitchTo(sample->context);
	property->examples[property->example_count++] = json_copy(example);
	MemoryContextSwitchTo(context);
}

static void
add_properties(PropertySample *sample, Jsonb *properties)
{
	JsonbIterator *iterator = JsonbIteratorInit(&properties->root);
	JsonbValue key;
	JsonbValue value;

	(void) JsonbIteratorNext(&iterator, &key, true);
	while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY)
	{
		SampledProperty *property;

		(void) JsonbIteratorNext(&iterator, &value, true);
		property = property_named(sample, (Slice){key.val.string.val, key.val.string.len});
		if (property == NULL)
			continue;
		property->event_count++;
		property->kinds[kind_of(&value)] = true;
		add_example(sample, property, &value);
	}
}

static void
take_event(uint64 row, void *argument)
{
	PropertySample *sample = argument;
	MemoryContext context;
	Datum stored;

	sample->looked_at++;
	if (!slice_equal(row_text(row, 1), sample->event_type))
		return;
	stored = row_value_there(row, 2);
	sample->event_count++;
	sample->bytes += toast_raw_datum_size(stored);
	sample->is_enough = sample->bytes > MAX_SAMPLE_BYTES;
	context = MemoryContextSwitchTo(sample->row_context);
	add_properties(sample, DatumGetJsonbP(stored));
	MemoryContextSwitchTo(context);
	MemoryContextReset(sample->row_context);
}

static Jsonb *
kinds_to_json(const SampledProperty *property)
{
	JsonbValue names[KIND_COUNT];
	int count = 0;

	for (int kind = 0; kind < KIND_COUNT; kind++)
	{
		char *name = unconstify(char *, kind_names[kind]);

		if (property->kinds[kind])
			names[count++] = (JsonbValue){.type = jbvString, .val.string = {.val = name, .len = (int) strlen(name)}};
	}
	return json_make_array_of_scalars(names, count);
}

static Jsonb *
examples_to_json(const SampledProperty *property)
{
	JsonbValue *examples = palloc(sizeof(JsonbValue) * Max(property->example_count, 1));

	for (int i = 0; i < property->example_count; i++)
		(void) JsonbExtractScalar(&property->examples[i]->root, &examples[i]);
	return json_make_array_of_scalars(examples, property->example_count);
}

static Jsonb *
property_to_json(const SampledProperty *property)
{
	JsonObject object = {0};

	json_add_text(&object, SLICE("name"), property->name);
	json_add_json(&object, SLICE("types"), kinds_to_json(property));
	json_add_integer(&object, SLICE("eventCount"), property->event_count);
	json_add_json(&object, SLICE("examples"), examples_to_json(property));
	return json_make_object(&object);
}

/* {"items": [{"name", "types", "eventCount", "examples"}], "sample"}, in the order of "C". */
Jsonb *
event_sample_properties(const pg_uuid_t *account_id, Slice event_type)
{
	PropertySample sample = {.event_type = event_type, .context = CurrentMemoryContext};
	JsonArray items;

	sample.row_context = AllocSetContextCreate(CurrentMemoryContext, "usage event sample", ALLOCSET_DEFAULT_SIZES);
	sample.properties = palloc0(sizeof(SampledProperty) * MAX_PROPERTIES);
	SPI_connect();
	statement_each_row_until(&find_properties, (Datum[]){UUIDPGetDatum(account_id), Int64GetDatum(sample_limit)},
							 take_event, &sample, &sample.is_enough);
	SPI_finish();
	json_array_begin(&items);
	for (int i = 0; i < sample.count; i++)
	{
		json_array_next(&items);
		json_array_add(&items, property_to_json(&sample.properties[i]));
	}
	return sample_to_json(&items, sample.event_count,
						  sample.looked_at < sample_limit && !sample.is_enough && !sample.left_some_out);
}

/* The doors for SQL -------------------------------------------------------- */

static Datum
list_types(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_JSONB_P(event_sample_types(account_current()));
}

/* list_usage_event_types() */
PG_FUNCTION_INFO_V1(list_usage_event_types);
Datum
list_usage_event_types(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_types, fcinfo, "list_usage_event_types", 200);
}

static Datum
list_properties(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(event_sample_properties(account_current(), slice_from_datum(PG_GETARG_DATUM(0))));
}

/* list_usage_event_properties(event_type text) */
PG_FUNCTION_INFO_V1(list_usage_event_properties);
Datum
list_usage_event_properties(PG_FUNCTION_ARGS)
{
	return http_endpoint(list_properties, fcinfo, "list_usage_event_properties", 200);
}
