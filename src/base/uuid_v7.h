/*
 * base/uuid_v7.h
 *		Ids of events: UUID version 7 (RFC 9562).
 */
#ifndef USAGE_EVENTS_BASE_UUID_V7_H
#define USAGE_EVENTS_BASE_UUID_V7_H

#include "event/event.h"

/* Length of an id as text, without the terminating zero. */
#define EVENT_ID_TEXT_LENGTH 36

extern void event_id_generate(pg_uuid_t *id);
extern void event_id_generate_after(pg_uuid_t *id, const pg_uuid_t *earlier);
extern bool event_id_timestamp(const pg_uuid_t *id, TimestampTz *timestamp);
extern void event_id_after(pg_uuid_t *id, TimestampTz timestamp);

extern void event_id_to_text(const pg_uuid_t *id, char text[EVENT_ID_TEXT_LENGTH + 1]);
extern bool event_id_from_text(EventText text, pg_uuid_t *id);
extern bool event_id_equal(const pg_uuid_t *a, const pg_uuid_t *b);
extern int event_id_compare(const pg_uuid_t *a, const pg_uuid_t *b);

#endif /* USAGE_EVENTS_BASE_UUID_V7_H */
