/*
 * event/mark.h
 *		Marks: seconds whose events were changed.
 */
#ifndef USAGE_EVENTS_EVENT_MARK_H
#define USAGE_EVENTS_EVENT_MARK_H

#include "event/store.h"

/* Where keys see one customer alone, minutes that are longer ago are not marked for all. */
#define EVENT_MARK_LATE_MINUTES 15

extern void event_mark_init(void);
extern void event_mark_types_changed(const pg_uuid_t *account_id);
extern bool event_mark_types_are_told(const pg_uuid_t *account_id);
extern void event_mark_add(const pg_uuid_t *account_id, const EventPut *puts, int count);

#endif /* USAGE_EVENTS_EVENT_MARK_H */
