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
 * account_id, are to be named behind it: what its id, type and alias are there, and two more
 * parameters, which event_mark_arguments() fills.
 */
#define INSERT_EVENT_MARK(id, event_type, customer_alias, bucket, marked_at) \
	"INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at, seconds, first_id)" \
	" SELECT account_id, " event_type ", " customer_alias ", " bucket ", " marked_at ", 1::smallint, " id
#define EVENT_MARK_TYPES TIMESTAMPTZOID, TIMESTAMPTZOID
#define EVENT_MARK_ARGUMENT_COUNT 2

/* Where keys see one customer alone, minutes that are longer ago are not marked for all. */
#define EVENT_MARK_LATE_MINUTES 15

extern void event_mark_init(void);
extern void event_mark_types_changed(const pg_uuid_t *account_id);
extern bool event_mark_types_are_told(const pg_uuid_t *account_id);
extern bool event_mark_is_known(const pg_uuid_t *account_id, Slice event_type);
extern void event_mark_arguments(const UsageEvent *event, Datum *arguments);
extern void event_mark_add(const pg_uuid_t *account_id, const EventPut *puts, int count);

#endif /* USAGE_EVENTS_EVENT_MARK_H */
