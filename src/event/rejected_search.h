/*
 * event/rejected_search.h
 *		Whether a refused event names a customer.
 */
#ifndef USAGE_EVENTS_EVENT_REJECTED_SEARCH_H
#define USAGE_EVENTS_EVENT_REJECTED_SEARCH_H

#include "base/slice.h"

extern bool rejected_body_names(Slice body, Slice alias);

#endif /* USAGE_EVENTS_EVENT_REJECTED_SEARCH_H */
