/*
 * dirty_bucket.h
 *		Marks: seconds whose events were changed.
 */
#ifndef USAGE_EVENTS_DIRTY_BUCKET_H
#define USAGE_EVENTS_DIRTY_BUCKET_H

#include "event_store.h"

extern void dirty_bucket_init(void);
extern void dirty_bucket_types_changed(void);
extern bool dirty_bucket_types_are_told(void);
extern bool dirty_bucket_is_known(const pg_uuid_t *account_id, EventText event_type);
extern TimestampTz dirty_bucket_of(const UsageEvent *event);
extern void dirty_bucket_mark(const pg_uuid_t *account_id, const EventPut *puts, int count);

#endif /* USAGE_EVENTS_DIRTY_BUCKET_H */
