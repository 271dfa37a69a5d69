/*
 * alert/event.h
 *		Thresholds that were crossed, as they are answered.
 */
#ifndef USAGE_EVENTS_ALERT_EVENT_H
#define USAGE_EVENTS_ALERT_EVENT_H

#include "sql/list_page.h"

/* The columns of a row that alert_event_to_json() reads, the first ones of the row. */
#define ALERT_EVENT_ROW_COLUMNS "id, usage_alert_id, customer, period_start, threshold, value, state, occurred_at"
#define ALERT_EVENT_COLUMN_COUNT 8

/* What is asked of the list. */
typedef struct AlertEventList
{
	ListPage page;
	const pg_uuid_t *alert_id; /* NULL: of all */
	const char *customer;      /* NULL: of all */
	const char *state;         /* NULL: in any */
} AlertEventList;

extern Jsonb *alert_event_to_json(uint64 row);
extern Jsonb *alert_event_list_read(const pg_uuid_t *account_id, AlertEventList *list, List *faults);

#endif /* USAGE_EVENTS_ALERT_EVENT_H */
