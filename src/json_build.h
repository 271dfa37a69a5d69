/*
 * json_build.h
 *		Members of a JSON object that is being built, a line each.
 */
#ifndef USAGE_EVENTS_JSON_BUILD_H
#define USAGE_EVENTS_JSON_BUILD_H

#include "utils/jsonb.h"

extern void json_add_text(JsonbParseState **state, const char *key, const char *value);
extern void json_add_integer(JsonbParseState **state, const char *key, int64 value);
extern void json_add_json(JsonbParseState **state, const char *key, Jsonb *value);

#endif /* USAGE_EVENTS_JSON_BUILD_H */
