/*
 * event/list.h
 *		Lists of usage events: filtered, sorted, in pages.
 */
#ifndef USAGE_EVENTS_EVENT_LIST_H
#define USAGE_EVENTS_EVENT_LIST_H

#include "sql/list_page.h"

/* What is asked for; NULL, NIL and false where a filter is not given. */
typedef struct EventList
{
	ListPage page;
	bool has_customer_aliases;
	List *customer_aliases; /* of char *: any of them */
	bool unmapped_aliases_only;
	const char *event_type;
	const char *event_id; /* the event's id, or the sender's */
	bool has_timestamp_before;
	bool has_timestamp_after;
	TimestampTz timestamp_before; /* exclusive */
	TimestampTz timestamp_after;  /* inclusive: periods that meet have no event in common, and none between */
} EventList;

extern Jsonb *event_list_read(const pg_uuid_t *account_id, EventList *list, List *faults);

#endif /* USAGE_EVENTS_EVENT_LIST_H */
