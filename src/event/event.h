/*
 * event/event.h
 *		The usage event as every part of the extension sees it.
 *
 * An event goes one way: event_json reads it from jsonb into this struct,
 * event_check has checked each field by then, uuid_v7 names it, event_store
 * writes it, and event_json writes the answer.
 */
#ifndef USAGE_EVENTS_EVENT_EVENT_H
#define USAGE_EVENTS_EVENT_EVENT_H

#include "base/slice.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* Texts and properties point into what the event was read from. */
typedef struct UsageEvent
{
	bool has_account_id;
	bool has_id;
	bool has_timestamp; /* false: "now", to be filled when stored */
	pg_uuid_t account_id;
	pg_uuid_t id;
	TimestampTz timestamp;
	Slice customer_event_id; /* absent: the event's own id */
	Slice customer_alias;
	Slice event_type;
	Slice properties; /* an object: the bytes of its JsonbContainer, always there */
} UsageEvent;

#endif /* USAGE_EVENTS_EVENT_EVENT_H */
