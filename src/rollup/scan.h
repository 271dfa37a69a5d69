/*
 * rollup/scan.h
 *		Totals of a metric over customers and intervals of time.
 */
#ifndef USAGE_EVENTS_ROLLUP_SCAN_H
#define USAGE_EVENTS_ROLLUP_SCAN_H

#include "metric/total.h"

/* Events of an alias in an interval, which are to be added to a total. */
typedef struct MetricInterval
{
	int alias;         /* its place in the scan's aliases */
	TimestampTz start; /* inclusive */
	TimestampTz end;   /* exclusive */
	MetricTotal *total;
	/* A row that was added already: events until its last moment, with ids up to its newest, are in the total.  NULL: none is. */
	const MetricCell *added;
} MetricInterval;

typedef struct CommonMinutes CommonMinutes;

typedef struct RollupScan
{
	const Metric *metric;
	const pg_uuid_t *as_of; /* only what was known then: ids below this one; NULL: what is current */
	const pg_uuid_t
		*left_out; /* ids of events that this transaction has just stored, ascending: as if they were not there */
	int left_out_count;
	Slice *aliases; /* each once; those of all customers in the order of "C" */
	int alias_count;
	CommonMinutes *common;     /* of all customers, as they were read with the aliases; otherwise NULL */
	MetricInterval *intervals; /* sorted by alias and time, none overlaps another of its alias */
	int interval_count;
} RollupScan;

extern void rollup_scan(const RollupScan *scan);
extern void rollup_scan_find_aliases(RollupScan *scan, TimestampTz start, TimestampTz end);

#endif /* USAGE_EVENTS_ROLLUP_SCAN_H */
