/*
 * sql/lock.h
 *		Locks of refreshes among each other.
 */
#ifndef USAGE_EVENTS_SQL_LOCK_H
#define USAGE_EVENTS_SQL_LOCK_H

#include "event/event.h"

/* What a lock is of; objsubid in pg_locks. */
typedef enum MetricLock
{
	METRIC_LOCK_ALIAS = 1,
	METRIC_LOCK_TYPE,
	METRIC_LOCK_ACCOUNT,
	METRIC_LOCK_MARKED_TYPES,
	METRIC_LOCK_TRANSACTION,
	METRIC_LOCK_ROLLUPS
} MetricLock;

extern bool metric_lock_try(MetricLock lock, uint32 key);
extern bool metric_lock_try_shared(MetricLock lock, uint32 key);
extern bool metric_lock_is_free(MetricLock lock, uint32 key);
extern void metric_lock_share(MetricLock lock, uint32 key);
extern void metric_lock_wait(MetricLock lock, uint32 key);

#endif /* USAGE_EVENTS_SQL_LOCK_H */
