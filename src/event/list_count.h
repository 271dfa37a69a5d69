/*
 * event/list_count.h
 *		How many events a list has, up to a limit.
 */
#ifndef USAGE_EVENTS_EVENT_LIST_COUNT_H
#define USAGE_EVENTS_EVENT_LIST_COUNT_H

#include "event/list_runs.h"

/* To look at an event takes a fifth of what it takes to look for one in an index. */
#define EVENTS_FOR_A_LOOKUP 5

extern int64 event_list_count_plain(const pg_uuid_t *account_id, const EventList *list, int64 limit);
extern int64 event_list_count_of_runs(const pg_uuid_t *account_id, const EventList *list, const EventRuns *runs,
									  int64 limit);
extern int64 event_list_count_while_found(const pg_uuid_t *account_id, const EventList *list, int64 limit);

#endif /* USAGE_EVENTS_EVENT_LIST_COUNT_H */
