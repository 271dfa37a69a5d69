/*
 * event/read.h
 *		Events on their way into the store.
 */
#ifndef USAGE_EVENTS_EVENT_READ_H
#define USAGE_EVENTS_EVENT_READ_H

#include "event/event.h"
#include "nodes/pg_list.h"

extern List *event_read(Jsonb *json, UsageEvent *event);
extern List *event_read_value(const JsonbValue *value, UsageEvent *event);

#endif /* USAGE_EVENTS_EVENT_READ_H */
