/*
 * event/history.h
 *		All versions of a usage event.
 */
#ifndef USAGE_EVENTS_EVENT_HISTORY_H
#define USAGE_EVENTS_EVENT_HISTORY_H

#include "utils/jsonb.h"
#include "utils/uuid.h"

extern Jsonb *event_history_read(const pg_uuid_t *account_id, const pg_uuid_t *id);

#endif /* USAGE_EVENTS_EVENT_HISTORY_H */
