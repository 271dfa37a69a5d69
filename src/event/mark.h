/*
 * event/mark.h
 *		Marks: seconds whose events were changed.
 */
#ifndef USAGE_EVENTS_EVENT_MARK_H
#define USAGE_EVENTS_EVENT_MARK_H

#include "event/store.h"
#include "sql/operator.h"

/*
 * Writes the mark of one event in the statement that stores it, whose rows, with their
 * account_id, are to be named behind it: what its type and alias are there, and two more
 * parameters, which event_mark_arguments() fills.
 */
#define INSERT_EVENT_MARK(event_type, customer_alias, bucket, marked_at) \
	"INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at, seconds)" \
	" SELECT account_id, " event_type ", " customer_alias ", " bucket ", " marked_at ", 1::smallint"
#define EVENT_MARK_TYPES TIMESTAMPTZOID, TIMESTAMPTZOID
#define EVENT_MARK_ARGUMENT_COUNT 2

extern void event_mark_init(void);
extern void event_mark_types_changed(void);
extern bool event_mark_types_are_told(void);
extern bool event_mark_is_known(const pg_uuid_t *account_id, Slice event_type);
extern void event_mark_arguments(const UsageEvent *event, Datum *arguments);
extern void event_mark_add(const pg_uuid_t *account_id, const EventPut *puts, int count);

/*
 * Who of the account $1 has events of the type $2 in the minutes that begin at $3:
 * customer_alias and starts_at, each once.  For a role under row-level security the
 * index looks up what cannot leak, and an addition is not known not to; so the ends
 * are made apart.  Otherwise each minute would read all events after it.
 */
#define CUSTOMERS_IN_MINUTES \
	"(SELECT DISTINCT e.customer_alias, d.starts_at FROM" \
	" (SELECT DISTINCT m.starts_at, m.starts_at " PLUS " '1 minute'::pg_catalog.interval AS ends_at" \
	" FROM pg_catalog.unnest($3) AS m(starts_at) OFFSET 0) AS d" \
	" CROSS JOIN LATERAL (SELECT customer_alias FROM usage_events.event" \
	" WHERE account_id " EQ " $1 AND event_timestamp " GE " d.starts_at" \
	" AND event_timestamp " LT " d.ends_at" \
	" AND pg_catalog.texteq(event_type, $2) OFFSET 0) AS e)"

#endif /* USAGE_EVENTS_EVENT_MARK_H */
