/*
 * event/json.h
 *		Usage events as JSON: the two ends of an event's way.
 */
#ifndef USAGE_EVENTS_EVENT_JSON_H
#define USAGE_EVENTS_EVENT_JSON_H

#include "base/json_build.h"
#include "event/check.h"

extern List *event_json_read(Jsonb *json, UsageEvent *event);
extern List *event_json_read_value(const JsonbValue *value, UsageEvent *event);
extern void event_json_add_event(JsonObject *object, const UsageEvent *event);
extern Jsonb *event_json_properties(const UsageEvent *event);
extern Jsonb *event_json_write(const UsageEvent *event);

#endif /* USAGE_EVENTS_EVENT_JSON_H */
