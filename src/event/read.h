/*
 * event/read.h
 *		Events on their way into the store.
 */
#ifndef USAGE_EVENTS_EVENT_READ_H
#define USAGE_EVENTS_EVENT_READ_H

#include "event/event.h"
#include "nodes/pg_list.h"

extern List *event_read(const pg_uuid_t *account_id, Jsonb *json, UsageEvent *event);
extern List *event_read_value(const pg_uuid_t *account_id, const JsonbValue *value, UsageEvent *event);

#endif /* USAGE_EVENTS_EVENT_READ_H */
