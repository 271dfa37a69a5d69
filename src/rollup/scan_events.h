/*
 * rollup/scan_events.h
 *		Events of all customers.
 */
#ifndef USAGE_EVENTS_ROLLUP_SCAN_EVENTS_H
#define USAGE_EVENTS_ROLLUP_SCAN_EVENTS_H

#include "metric/total.h"
#include "rollup/marks.h"

/* An event as statements hand it out that read those of all customers: in this order of columns. */
typedef struct EventRow
{
	const pg_uuid_t *id;
	TimestampTz timestamp;
	Slice alias;
	Datum properties;
} EventRow;

extern void event_row_read(uint64 row, int first_column, EventRow *event);
extern void event_row_add(MetricTotal *total, const MetricMatcher *matcher, const pg_uuid_t *as_of,
						  const EventRow *event, MemoryContext row_context);
extern void scan_read_times(const Metric *metric, const Marks *times, void (*take_row)(uint64 row, void *argument),
							void *argument);

#endif /* USAGE_EVENTS_ROLLUP_SCAN_EVENTS_H */
