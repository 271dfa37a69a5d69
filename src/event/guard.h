/*
 * event/guard.h
 *		What keeps events out of the store that have no fault of their own: limits, which a room above
 *		this one knows.
 *
 * The guard is asked before events are written, and says what became of them once they are, in
 * the same transaction; where some are written after others, it is told before each time.  Its fault is that of an event, worded to follow it, and stays in put->refusal, in memory of its
 * own: of an attempt that is taken back nothing else remains.
 */
#ifndef USAGE_EVENTS_EVENT_GUARD_H
#define USAGE_EVENTS_EVENT_GUARD_H

#include "event/store.h"

/* Whether events that are written may stay, as if they had come one by one. */
typedef enum EventVerdict
{
	EVENTS_FIT,
	EVENTS_REFUSED, /* those with a refusal do not fit, of which there is one more now; the others do */
	EVENTS_OUT_OF_ORDER /* which do cannot be said, as their ids are not in the order in which they came; never of ids that are */
} EventVerdict;

/* A refusal, and until when it holds. */
typedef struct EventRefusal
{
	Fault fault;
	TimestampTz until;  /* what does not fit may fit from then on; DT_NOEND: never by waiting alone */
	const char *advice; /* what helps where nobody can say whether it fits; NULL: it does not */
} EventRefusal;

typedef struct EventGuard
{
	/* Takes what locks there are to be taken; NULL where nothing holds for these events, as for most. */
	void *(*enter)(const pg_uuid_t *account_id, const EventPut *puts, int count);
	/* Events are about to be written: what has come before them is what there is now. */
	void (*begin)(void *entered);
	EventVerdict (*check)(void *entered, EventPut *puts, int count, bool in_order, MemoryContext of_refusals);
	void (*leave)(void *entered);
} EventGuard;

extern void event_guard_set(const EventGuard *guard);

extern void event_guarded_put(const pg_uuid_t *account_id, EventPut *put);
extern void event_guarded_put_all(const pg_uuid_t *account_id, EventPut *puts, int count, int64 first_index);
extern void event_guarded_put_each(const pg_uuid_t *account_id, EventPut *puts, int count);

#endif /* USAGE_EVENTS_EVENT_GUARD_H */
