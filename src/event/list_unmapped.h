/*
 * event/list_unmapped.h
 *		Lists of events whose aliases belong to no customer.
 */
#ifndef USAGE_EVENTS_EVENT_LIST_UNMAPPED_H
#define USAGE_EVENTS_EVENT_LIST_UNMAPPED_H

#include "event/list.h"

extern void event_list_resolve_unmapped(const pg_uuid_t *account_id, EventList *list, MemoryContext context);

#endif /* USAGE_EVENTS_EVENT_LIST_UNMAPPED_H */
