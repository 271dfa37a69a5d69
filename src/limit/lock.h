/*
 * limit/lock.h
 *		Who stores events under a limit waits for who does so already, until that commits.
 */
#ifndef USAGE_EVENTS_LIMIT_LOCK_H
#define USAGE_EVENTS_LIMIT_LOCK_H

#include "base/slice.h"
#include "utils/uuid.h"

/* What is locked: a metric's use by a customer. */
typedef struct LimitLock
{
	pg_uuid_t metric_id;
	int32 customer_hash;
} LimitLock;

extern LimitLock limit_lock_of(const pg_uuid_t *metric_id, Slice customer);
extern int limit_lock_compare(const void *a, const void *b);
extern uint64 limit_lock_delete_idle(const pg_uuid_t *account_id, int64 max_rows);
extern int limit_lock_take(const pg_uuid_t *account_id, LimitLock *locks, int count);

#endif /* USAGE_EVENTS_LIMIT_LOCK_H */
