/*
 * event/stored_key.h
 *		Keys of a form that an older version took.
 */
#ifndef USAGE_EVENTS_EVENT_STORED_KEY_H
#define USAGE_EVENTS_EVENT_STORED_KEY_H

#include "event/event.h"
#include "nodes/pg_list.h"

extern List *stored_key_allow_event(List *faults, const UsageEvent *event);
extern List *stored_key_allow_alias(List *faults, const char *field, Slice alias);
extern List *stored_key_allow_event_type(List *faults, const char *field, Slice event_type);

#endif /* USAGE_EVENTS_EVENT_STORED_KEY_H */
