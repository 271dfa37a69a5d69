/*
 * rejected_search.h
 *		Whether a refused event names a customer.
 */
#ifndef USAGE_EVENTS_REJECTED_SEARCH_H
#define USAGE_EVENTS_REJECTED_SEARCH_H

#include "usage_event.h"

extern bool rejected_body_names(EventText body, EventText alias);

#endif /* USAGE_EVENTS_REJECTED_SEARCH_H */
