/*
 * event/functions.h
 *		The functions for one event.
 */
#ifndef USAGE_EVENTS_EVENT_FUNCTIONS_H
#define USAGE_EVENTS_EVENT_FUNCTIONS_H

#include "utils/jsonb.h"
#include "utils/uuid.h"

extern Jsonb *event_create(const pg_uuid_t *account_id, Jsonb *body);

#endif /* USAGE_EVENTS_EVENT_FUNCTIONS_H */
