/*
 * event_store.h
 *		The tables of usage events.
 */
#ifndef USAGE_EVENTS_EVENT_STORE_H
#define USAGE_EVENTS_EVENT_STORE_H

#include "usage_event.h"

extern void event_store_init(void);

extern void event_store_put(const pg_uuid_t *account_id, UsageEvent *event);
extern bool event_store_get(const pg_uuid_t *account_id, const pg_uuid_t *id, UsageEvent *event);

#endif /* USAGE_EVENTS_EVENT_STORE_H */
