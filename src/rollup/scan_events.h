/*
 * rollup/scan_events.h
 *		What a scan reads from the events.
 */
#ifndef USAGE_EVENTS_ROLLUP_SCAN_EVENTS_H
#define USAGE_EVENTS_ROLLUP_SCAN_EVENTS_H

#include "metric/total.h"

extern void scan_add_event(MetricTotal *total, const MetricMatcher *matcher, const pg_uuid_t *as_of, uint64 row,
						   MemoryContext row_context);

#endif /* USAGE_EVENTS_ROLLUP_SCAN_EVENTS_H */
