/*
 * event/rejected.h
 *		Events that were refused, kept to be looked at and sent again.
 */
#ifndef USAGE_EVENTS_EVENT_REJECTED_H
#define USAGE_EVENTS_EVENT_REJECTED_H

#include "event/batch.h"
#include "utils/array.h"

extern void rejected_event_init(void);
extern void rejected_event_store(EventBatch *batch);
extern int rejected_event_delete_taken(const pg_uuid_t *account_id);
extern int rejected_event_take(const pg_uuid_t *account_id, ArrayType *ids, text ***bodies, pg_uuid_t **row_ids);
extern uint64 rejected_event_delete_before(const pg_uuid_t *account_id, TimestampTz moment, int64 max_rows);
extern uint64 rejected_event_expire(const pg_uuid_t *account_id);

#endif /* USAGE_EVENTS_EVENT_REJECTED_H */
