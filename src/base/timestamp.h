/*
 * base/timestamp.h
 *		Timestamps of events as text: ISO 8601 with an offset.
 */
#ifndef USAGE_EVENTS_BASE_TIMESTAMP_H
#define USAGE_EVENTS_BASE_TIMESTAMP_H

#include "base/slice.h"
#include "datatype/timestamp.h"
#include "utils/datetime.h"

/* Enough for what timestamp_to_text writes, and its zero. */
#define TIMESTAMP_TEXT_SIZE (MAXDATELEN + 1)

extern const char *timestamp_from_text(Slice text, TimestampTz *timestamp);
extern const char *timestamp_or_date_from_text(Slice text, TimestampTz *timestamp, bool *is_date);
extern int timestamp_to_text(TimestampTz timestamp, char text[TIMESTAMP_TEXT_SIZE]);

#endif /* USAGE_EVENTS_BASE_TIMESTAMP_H */
