/*
 * event/batch.h
 *		Many events at once, each with what became of it.
 */
#ifndef USAGE_EVENTS_EVENT_BATCH_H
#define USAGE_EVENTS_EVENT_BATCH_H

#include "event/store.h"
#include "nodes/pg_list.h"

/* An event of a batch, as it came. */
typedef struct BatchElement
{
	text *body;                   /* its text, NULL while nobody needs it */
	JsonbValue json;              /* not read if it is no JSON */
	List *faults;                 /* why it is refused, NIL if it is not */
	const pg_uuid_t *rejected_id; /* its row among the rejected, if it was taken from there */
	EventPut *put;                /* on its way to the store, NULL if it is refused */
} BatchElement;

typedef struct EventBatch
{
	pg_uuid_t account_id; /* whose events they are */
	BatchElement *elements;
	int count;
	int64 first_index; /* of the first element, where the batch is a part of more */
	EventPut *puts;    /* of those that are not refused, in order */
	int put_count;
} EventBatch;

extern void event_batch_init(EventBatch *batch, const pg_uuid_t *account_id, int capacity);
extern void event_batch_add(EventBatch *batch, text *body);
extern void event_batch_from_json(const pg_uuid_t *account_id, Jsonb *array, EventBatch *batch);
extern void event_batch_from_texts(const pg_uuid_t *account_id, text **bodies, const char **faults, int count,
								   EventBatch *batch);
extern void event_batch_from_array_text(const pg_uuid_t *account_id, text *array, EventBatch *batch);
extern void event_batch_from_elements(const pg_uuid_t *account_id, const Slice *elements, int count, int encoding,
									  EventBatch *batch);

extern void event_batch_store(EventBatch *batch);
extern void event_batch_store_all(EventBatch *batch);
extern void event_batch_count(const EventBatch *batch, int64 totals[EVENT_OUTCOMES]);
extern Jsonb *event_batch_outcomes(const EventBatch *batch);

#endif /* USAGE_EVENTS_EVENT_BATCH_H */
