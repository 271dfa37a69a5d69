/*
 * event/rejected_search.h
 *		Whether a refused event names a customer.
 */
#ifndef USAGE_EVENTS_EVENT_REJECTED_SEARCH_H
#define USAGE_EVENTS_EVENT_REJECTED_SEARCH_H

#include "event/event.h"

extern bool rejected_body_names(EventText body, EventText alias);

#endif /* USAGE_EVENTS_EVENT_REJECTED_SEARCH_H */
