/*
 * base/calendar.h
 *		Intervals of time: the buckets of rollups, and the steps of a series.
 */
#ifndef USAGE_EVENTS_BASE_CALENDAR_H
#define USAGE_EVENTS_BASE_CALENDAR_H

#include "datatype/timestamp.h"
#include "pgtime.h"

/* Buckets in UTC, each of which has those of the next level inside it. */
typedef enum BucketLevel
{
	BUCKET_ALL,
	BUCKET_MONTH,
	BUCKET_DAY,
	BUCKET_HOUR,
	BUCKET_MINUTE,
	BUCKET_SECOND,
	BUCKET_LEVEL_COUNT
} BucketLevel;

/* Events are from the years 1 to 9999, each in its offset; these are 0000-01-01 and 10000-02-01. */
#define CALENDAR_START ((TimestampTz) -730485 * USECS_PER_DAY)
#define CALENDAR_END ((TimestampTz) 2921971 * USECS_PER_DAY)

extern TimestampTz bucket_start(TimestampTz timestamp, BucketLevel level);
extern TimestampTz bucket_end(TimestampTz start, BucketLevel level);

/* What one step of a series is. */
typedef enum SeriesStep
{
	SERIES_MINUTE,
	SERIES_HOUR,
	SERIES_DAY,
	SERIES_WEEK,
	SERIES_MONTH
} SeriesStep;

extern const char *series_step_from_text(const char *text, SeriesStep *step);
extern const char *series_zone_from_text(const char *text, pg_tz **zone);
extern int series_bounds(SeriesStep step, pg_tz *zone, TimestampTz start, TimestampTz end, TimestampTz **bounds);

#endif /* USAGE_EVENTS_BASE_CALENDAR_H */
