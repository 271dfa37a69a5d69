/*
 * event/list_ways.h
 *		The ways in which a page is read: along ids, gathered, or put together from runs.
 */
#ifndef USAGE_EVENTS_EVENT_LIST_WAYS_H
#define USAGE_EVENTS_EVENT_LIST_WAYS_H

#include "event/list_runs.h"

extern void event_list_read_plain(const pg_uuid_t *account_id, const EventList *list);
extern void event_list_read_gathered(const pg_uuid_t *account_id, const EventList *list, const EventRuns *runs);
extern void event_list_read_merged(const pg_uuid_t *account_id, const EventList *list, EventRuns *runs);
extern bool event_list_walk(const pg_uuid_t *account_id, EventList *list, int64 events);

#endif /* USAGE_EVENTS_EVENT_LIST_WAYS_H */
