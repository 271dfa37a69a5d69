/*
 * event/customers.h
 *		Customers that have events.
 */
#ifndef USAGE_EVENTS_EVENT_CUSTOMERS_H
#define USAGE_EVENTS_EVENT_CUSTOMERS_H

#include "sql/place_page.h"
#include "utils/uuid.h"

extern Jsonb *event_customers_list(const pg_uuid_t *account_id, PlacePage *page, List *faults);

#endif /* USAGE_EVENTS_EVENT_CUSTOMERS_H */
