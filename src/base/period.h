/*
 * base/period.h
 *		Periods of use: hours, days, weeks, months and years that follow each other
 *		without gap or overlap.
 */
#ifndef USAGE_EVENTS_BASE_PERIOD_H
#define USAGE_EVENTS_BASE_PERIOD_H

#include "base/slice.h"
#include "datatype/timestamp.h"
#include "pgtime.h"

typedef enum PeriodUnit
{
	PERIOD_HOUR,
	PERIOD_DAY,
	PERIOD_WEEK,
	PERIOD_MONTH,
	PERIOD_YEAR,
	PERIOD_ALL_TIME
} PeriodUnit;

/* When periods begin: on the calendar of the zone, or at the anchor's day and time. */
typedef struct PeriodRule
{
	PeriodUnit unit;
	pg_tz *zone;
	bool has_anchor;
	TimestampTz anchor;
} PeriodRule;

extern const char *period_unit_from_text(Slice text, PeriodUnit *unit);
extern Slice period_unit_name(PeriodUnit unit);
extern bool period_is_known(const PeriodRule *rule);
extern void period_find(const PeriodRule *rule, TimestampTz moment, TimestampTz *start, TimestampTz *end);

#endif /* USAGE_EVENTS_BASE_PERIOD_H */
