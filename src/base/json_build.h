/*
 * base/json_build.h
 *		JSON objects and arrays, assembled from their parts.
 */
#ifndef USAGE_EVENTS_BASE_JSON_BUILD_H
#define USAGE_EVENTS_BASE_JSON_BUILD_H

#include "base/slice.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

#define JSON_MAX_MEMBERS 20

typedef struct JsonMember
{
	Slice key;
	JEntry kind; /* JENTRY_ISSTRING and its kin */
	Slice value;
} JsonMember;

/* An object that is being built: start with {0}. */
typedef struct JsonObject
{
	JsonMember members[JSON_MAX_MEMBERS]; /* in the order of jsonb */
	int count;
} JsonObject;

/*
 * An array that is an answer, of objects that are made one by one:
 *
 *	json_array_begin(&array);
 *	json_array_next(&array);
 *	json_array_add(&array, ...);	for each
 *	json = json_array_end(&array);
 */
typedef struct JsonArray
{
	MemoryContext context;
	MemoryContext element_context;
	char *data; /* of the elements, as they lie in the array */
	Size length;
	Size data_capacity;
	uint32 *ends; /* where each ends in it */
	Size end_capacity;
	int count;
	Size written; /* with numbers written out */
} JsonArray;

extern void json_add_text(JsonObject *object, Slice key, Slice value);
extern void json_add_null(JsonObject *object, Slice key);
extern void json_add_text_or_null(JsonObject *object, Slice key, Slice value);
extern void json_add_boolean(JsonObject *object, Slice key, bool value);
extern void json_add_numeric(JsonObject *object, Slice key, Numeric value);
extern void json_add_integer(JsonObject *object, Slice key, int64 value);
extern void json_add_timestamp(JsonObject *object, Slice key, TimestampTz timestamp);
extern void json_add_uuid(JsonObject *object, Slice key, const pg_uuid_t *id);
extern void json_add_container(JsonObject *object, Slice key, Slice value);
extern void json_add_json(JsonObject *object, Slice key, const Jsonb *value);
extern Jsonb *json_make_object(const JsonObject *object);
extern Jsonb *json_make_array(Jsonb *const *elements, int count);
extern Jsonb *json_make_array_of_scalars(JsonbValue *scalars, int count);
extern Jsonb *json_copy(const Jsonb *json);
extern void json_array_begin(JsonArray *array);
extern MemoryContext json_array_next(JsonArray *array);
extern void json_array_add(JsonArray *array, const Jsonb *element);
extern Jsonb *json_array_end(JsonArray *array);

#endif /* USAGE_EVENTS_BASE_JSON_BUILD_H */
