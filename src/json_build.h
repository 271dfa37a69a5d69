/*
 * json_build.h
 *		JSON objects and arrays, assembled from their parts.
 */
#ifndef USAGE_EVENTS_JSON_BUILD_H
#define USAGE_EVENTS_JSON_BUILD_H

#include "usage_event.h"
#include "utils/numeric.h"

#define JSON_MAX_MEMBERS 17

typedef struct JsonMember
{
	EventText key;
	JEntry kind; /* JENTRY_ISSTRING and its kin */
	EventText value;
} JsonMember;

/* An object that is being built: start with {0}. */
typedef struct JsonObject
{
	JsonMember members[JSON_MAX_MEMBERS]; /* in the order of jsonb */
	int count;
} JsonObject;

extern void json_add_text(JsonObject *object, EventText key, EventText value);
extern void json_add_null(JsonObject *object, EventText key);
extern void json_add_text_or_null(JsonObject *object, EventText key, EventText value);
extern void json_add_boolean(JsonObject *object, EventText key, bool value);
extern void json_add_numeric(JsonObject *object, EventText key, Numeric value);
extern void json_add_integer(JsonObject *object, EventText key, int64 value);
extern void json_add_container(JsonObject *object, EventText key, EventText value);
extern void json_add_json(JsonObject *object, EventText key, const Jsonb *value);
extern Jsonb *json_make_object(const JsonObject *object);
extern Jsonb *json_make_array(Jsonb *const *elements, int count);
extern Jsonb *json_copy(const Jsonb *json);

#endif /* USAGE_EVENTS_JSON_BUILD_H */
