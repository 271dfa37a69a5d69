/*
 * alert/list.h
 *		Lists of usage alerts.
 */
#ifndef USAGE_EVENTS_ALERT_LIST_H
#define USAGE_EVENTS_ALERT_LIST_H

#include "sql/list_page.h"

/* What is asked of the list. */
typedef struct AlertList
{
	ListPage page;
	const pg_uuid_t *metric_id; /* NULL: of all */
	const char *customer;       /* as the alert has it; NULL: of all, also those of every customer */
} AlertList;

extern Jsonb *alert_list_read(const pg_uuid_t *account_id, AlertList *list, List *faults);

#endif /* USAGE_EVENTS_ALERT_LIST_H */
