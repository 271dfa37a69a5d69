/*
 * event/store.h
 *		The tables of usage events.
 */
#ifndef USAGE_EVENTS_EVENT_STORE_H
#define USAGE_EVENTS_EVENT_STORE_H

#include "base/fault.h"
#include "event/columns.h"
#include "event/event.h"

typedef enum EventOutcome
{
	EVENT_CREATED,
	EVENT_SUPERSEDED,
	EVENT_UNCHANGED,
	EVENT_REFUSED /* usage_events.on_conflict is refuse, or a limit keeps it out */
} EventOutcome;

#define EVENT_OUTCOMES (EVENT_REFUSED + 1)

/* An event to be stored, and what became of it. */
typedef struct EventPut
{
	UsageEvent event; /* as sent; afterwards with all that the sender left out */
	EventOutcome outcome;
	const UsageEvent *answer;     /* what is stored: this event, or the one that stays; never NULL afterwards */
	const UsageEvent *superseded; /* the version that this event replaced, or NULL */
	const Fault *refusal;         /* what keeps it out, see event/guard.h; it is not to be stored then */
	bool is_of_now;               /* it came without a moment, and has that at which it is stored */
} EventPut;

extern void event_store_init(void);

extern const char *event_conflict_text(const EventPut *put);
extern void event_conflicts_report(const EventPut *puts, int count, int64 first_index);

extern void event_store_meet(EventPut *put, const UsageEvent *last);
extern void event_store_put(const pg_uuid_t *account_id, EventPut *put);
extern void event_store_lock(const pg_uuid_t *account_id, const EventPut *puts, int count);
extern void event_store_put_many(const pg_uuid_t *account_id, EventPut *puts, int count);
extern void event_store_put_locked(const pg_uuid_t *account_id, EventPut *puts, int count);
extern bool event_store_get(const pg_uuid_t *account_id, const pg_uuid_t *id, UsageEvent *event);
extern void event_store_read_row(uint64 row, const pg_uuid_t *account_id, UsageEvent *event, MemoryContext context);

#endif /* USAGE_EVENTS_EVENT_STORE_H */
