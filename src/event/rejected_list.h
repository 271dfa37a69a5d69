/*
 * event/rejected_list.h
 *		Events that were refused: looked at, sent again, given up.
 */
#ifndef USAGE_EVENTS_EVENT_REJECTED_LIST_H
#define USAGE_EVENTS_EVENT_REJECTED_LIST_H

#include "sql/list_page.h"
#include "utils/array.h"

extern Jsonb *rejected_event_list(const pg_uuid_t *account_id, ListPage *page, List *faults);
extern Jsonb *rejected_event_retry(const pg_uuid_t *account_id, ArrayType *ids);
extern Jsonb *rejected_event_delete(const pg_uuid_t *account_id, const pg_uuid_t *id);

#endif /* USAGE_EVENTS_EVENT_REJECTED_LIST_H */
