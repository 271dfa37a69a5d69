/*
 * event/sample.h
 *		What events there are, by the newest of them: their types, their properties.
 */
#ifndef USAGE_EVENTS_EVENT_SAMPLE_H
#define USAGE_EVENTS_EVENT_SAMPLE_H

#include "base/slice.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

extern void event_sample_init(void);
extern Jsonb *event_sample_types(const pg_uuid_t *account_id);
extern Jsonb *event_sample_properties(const pg_uuid_t *account_id, Slice event_type);

#endif /* USAGE_EVENTS_EVENT_SAMPLE_H */
