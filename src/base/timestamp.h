/*
 * base/timestamp.h
 *		Timestamps of events as text: ISO 8601 with an offset.
 */
#ifndef USAGE_EVENTS_BASE_TIMESTAMP_H
#define USAGE_EVENTS_BASE_TIMESTAMP_H

#include "event/event.h"
#include "utils/datetime.h"

/* Enough for what event_timestamp_to_text writes, and its zero. */
#define EVENT_TIMESTAMP_TEXT_SIZE (MAXDATELEN + 1)

extern const char *event_timestamp_from_text(EventText text, TimestampTz *timestamp);
extern const char *event_timestamp_or_date_from_text(EventText text, TimestampTz *timestamp, bool *is_date);
extern int event_timestamp_to_text(TimestampTz timestamp, char text[EVENT_TIMESTAMP_TEXT_SIZE]);

#endif /* USAGE_EVENTS_BASE_TIMESTAMP_H */
