/*
 * rollup/alias.h
 *		Rolling up one alias of one metric.
 */
#ifndef USAGE_EVENTS_ROLLUP_ALIAS_H
#define USAGE_EVENTS_ROLLUP_ALIAS_H

#include "datatype/timestamp.h"
#include "metric/metric.h"

/* Events that were read for one metric of an alias, for the others of the same type. */
typedef struct EventCache EventCache;

extern EventCache *rollup_event_cache_make(void);
extern void rollup_alias(const Metric *metric, Slice alias, const TimestampTz *marks, int mark_count,
						 EventCache *cache);

#endif /* USAGE_EVENTS_ROLLUP_ALIAS_H */
