/*
 * retention/purge.h
 *		How far back an account's events are kept.
 */
#ifndef USAGE_EVENTS_RETENTION_PURGE_H
#define USAGE_EVENTS_RETENTION_PURGE_H

#include "event/event.h"
#include "nodes/pg_list.h"

extern void purge_init(void);
extern List *purge_check_event(List *faults, const UsageEvent *event);
extern void purge_check_period(const pg_uuid_t *account_id, TimestampTz start);

#endif /* USAGE_EVENTS_RETENTION_PURGE_H */
