/*
 * base/uuid_v7.h
 *		Ids of events: UUID version 7 (RFC 9562).
 */
#ifndef USAGE_EVENTS_BASE_UUID_V7_H
#define USAGE_EVENTS_BASE_UUID_V7_H

#include "base/slice.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* Length of an id as text, without the terminating zero. */
#define UUID_TEXT_LENGTH 36

extern void uuid_v7_generate(pg_uuid_t *id);
extern void uuid_v7_generate_after(pg_uuid_t *id, const pg_uuid_t *earlier);
extern bool uuid_v7_time(const pg_uuid_t *id, TimestampTz *timestamp);
extern void uuid_v7_after(pg_uuid_t *id, TimestampTz timestamp);

extern void uuid_v7_to_text(const pg_uuid_t *id, char text[UUID_TEXT_LENGTH + 1]);
extern bool uuid_v7_from_text(Slice text, pg_uuid_t *id);
extern bool uuid_v7_equal(const pg_uuid_t *a, const pg_uuid_t *b);
extern int uuid_v7_compare(const pg_uuid_t *a, const pg_uuid_t *b);

#endif /* USAGE_EVENTS_BASE_UUID_V7_H */
