/*
 * purge.h
 *		How far back an account's events are kept.
 */
#ifndef USAGE_EVENTS_PURGE_H
#define USAGE_EVENTS_PURGE_H

#include "nodes/pg_list.h"
#include "usage_event.h"

extern void purge_init(void);
extern List *purge_check_event(List *faults, const UsageEvent *event);
extern void purge_check_period(const pg_uuid_t *account_id, TimestampTz start);

#endif /* USAGE_EVENTS_PURGE_H */
