/*
 * event/check.h
 *		The rules of a usage event, and the faults of one that breaks them.
 */
#ifndef USAGE_EVENTS_EVENT_CHECK_H
#define USAGE_EVENTS_EVENT_CHECK_H

#include "base/fault.h"
#include "event/event.h"
#include "nodes/nodes.h"

/* In the order of jsonb: shorter names first. */
typedef enum EventField
{
	FIELD_ID,
	FIELD_EVENT_TYPE,
	FIELD_CUSTOMER_ALIAS,
	FIELD_EVENT_TIMESTAMP,
	FIELD_CUSTOMER_EVENT_ID,
	FIELD_EVENT_PROPERTIES,
	FIELD_SEQUENCE_ACCOUNT_ID,
	FIELD_COUNT
} EventField;

/* The fields as they stand in the JSON, not yet checked; `given` says which do. */
typedef struct EventFields
{
	bool given[FIELD_COUNT];
	JsonbValue value[FIELD_COUNT];
	List *unknown; /* of char *, the first names of other fields */
} EventFields;

extern const Slice event_field_names[FIELD_COUNT];

/* What every refusal of events says as its hint. */
#define EVENT_HINT \
	"A usage event is an object with the strings \"customerAlias\" and \"eventType\", " \
	"and optionally \"customerEventId\" (string), \"eventTimestamp\" (ISO 8601 with an offset) " \
	"and \"eventProperties\" (object)."

extern void event_check_init(void);

extern bool event_check_rejects_unknown_fields(void);
extern List *event_check_unknown_fields(List *faults, Jsonb *body, const char *const *names, int count,
										const char *fault);
extern List *event_check(const EventFields *fields, UsageEvent *event);
extern void event_faults_describe(StringInfo detail, int64 index, const List *faults);
extern void event_faults_report(const List *faults, Node *escontext);

#endif /* USAGE_EVENTS_EVENT_CHECK_H */
