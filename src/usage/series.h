/*
 * usage/series.h
 *		What a metric says of customers step by step.
 */
#ifndef USAGE_EVENTS_USAGE_SERIES_H
#define USAGE_EVENTS_USAGE_SERIES_H

#include "base/calendar.h"
#include "metric/breakdown.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* How a period is cut: into which steps, by which clock. */
typedef struct UsageSteps
{
	SeriesStep step;
	pg_tz *zone;
} UsageSteps;

extern Jsonb *usage_series(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const List *customers,
						   TimestampTz start, TimestampTz end, UsageSteps steps, const TimestampTz *as_of,
						   const MetricBreakdown *breakdown);

#endif /* USAGE_EVENTS_USAGE_SERIES_H */
