/*
 * event/event.h
 *		The usage event as every part of the extension sees it.
 *
 * An event goes one way: event_json reads it from jsonb into this struct,
 * event_check has checked each field by then, event_id names it, event_store
 * writes it, and event_json writes the answer.
 */
#ifndef USAGE_EVENTS_EVENT_EVENT_H
#define USAGE_EVENTS_EVENT_EVENT_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* Text, or other bytes, of known length, not terminated; data is NULL where they are absent. */
typedef struct EventText
{
	const char *data;
	int length; /* in bytes */
} EventText;

/* The text of a literal, and of a C string. */
#define EVENT_TEXT(literal) ((EventText){(literal), sizeof(literal) - 1})

static inline EventText
cstring_event_text(const char *string)
{
	return (EventText){string, (int) strlen(string)};
}

/* Texts and properties point into what the event was read from. */
typedef struct UsageEvent
{
	bool has_account_id;
	bool has_id;
	bool has_timestamp; /* false: "now", to be filled when stored */
	pg_uuid_t account_id;
	pg_uuid_t id;
	TimestampTz timestamp;
	EventText customer_event_id; /* absent: the event's own id */
	EventText customer_alias;
	EventText event_type;
	EventText properties; /* an object: the bytes of its JsonbContainer, always there */
} UsageEvent;

#endif /* USAGE_EVENTS_EVENT_EVENT_H */
