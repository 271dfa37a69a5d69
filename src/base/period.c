/*
 * base/period.c
 *		Periods of use: hours, days, weeks, months and years that follow each other
 *		without gap or overlap.
 *
 * A bound is a time on the clock of a zone: every so many days, or months, from a
 * first one, which is the anchor's or, without anchor, a midnight at which a day, a
 * week, a month and a year begin.  The moment of a bound is the first at which the clock
 * shows its time, or one beyond, as it does where it leaves the time out.  So a day has
 * 23 hours or 25 where the clock is changed, and one that the clock leaves out has none.
 *
 * A month from the 31st ends on the last day of a shorter one, and the month after finds
 * the 31st again: each bound is counted from the first, none from the one before.
 *
 * Hours are of the clock as well.  Where it is changed by other than whole hours, a new one
 * begins.  From an anchor they have 60 minutes each, whatever the clock does.
 *
 * All of time is cut by an anchor into what is before it, and what is from it on.
 */
#include "postgres.h"

#include "base/period.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

/* A Monday, and the first day of a month and a year. */
#define CALENDAR_ANCHOR_YEAR 2001

/* No clock is further from UTC. */
#define FURTHEST_OFFSET USECS_PER_DAY

#define DAYS_PER_WEEK 7

/* A time that the clock of a zone shows. */
typedef struct ClockTime
{
	int day; /* Julian */
	int64 time_of_day;
} ClockTime;

/* Units in the order of PeriodUnit: a period has so many days, or so many months. */
static const struct
{
	Slice name;
	int days;
	int months;
} units[] = {
	{SLICE("HOUR"), 0, 0},  {SLICE("DAY"), 1, 0},   {SLICE("WEEK"), DAYS_PER_WEEK, 0},
	{SLICE("MONTH"), 0, 1}, {SLICE("YEAR"), 0, 12}, {SLICE("ALL_TIME"), 0, 0},
};

Slice
period_unit_name(PeriodUnit unit)
{
	return units[unit].name;
}

/* Returns the fault, or NULL. */
const char *
period_unit_from_text(Slice text, PeriodUnit *unit)
{
	for (size_t i = 0; i < lengthof(units); i++)
	{
		if (slice_equal(units[i].name, text))
		{
			*unit = (PeriodUnit) i;
			return NULL;
		}
	}
	return "must be \"HOUR\", \"DAY\", \"WEEK\", \"MONTH\", \"YEAR\" or \"ALL_TIME\"";
}

/* Clocks ------------------------------------------------------------------ */

static int64
floor_divide(int64 number, int64 divisor)
{
	int64 quotient = number / divisor;

	return number % divisor < 0 ? quotient - 1 : quotient;
}

/* Seconds since 1970, as the library of time zones counts. */
static pg_time_t
seconds_of(TimestampTz timestamp)
{
	return (pg_time_t) (floor_divide(timestamp, USECS_PER_SEC) +
						(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY);
}

static TimestampTz
moment_of(pg_time_t seconds)
{
	return (seconds - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY) * USECS_PER_SEC;
}

/*
 * How far the clock is ahead of UTC at that moment, and at which moment after it the clock
 * is changed next; DT_NOEND if never.
 */
static int64
clock_offset(TimestampTz moment, pg_tz *zone, TimestampTz *change)
{
	pg_time_t seconds = seconds_of(moment);
	pg_time_t boundary;
	long int before = 0;
	long int after;
	int is_dst;
	bool is_found = pg_next_dst_boundary(&seconds, &before, &is_dst, &boundary, &after, &is_dst, zone) > 0;

	*change = is_found && boundary < seconds_of(END_TIMESTAMP) ? moment_of(boundary) : DT_NOEND;
	return before * USECS_PER_SEC;
}

static ClockTime
read_clock(TimestampTz moment, pg_tz *zone)
{
	TimestampTz change;
	TimestampTz local = moment + clock_offset(moment, zone, &change);
	int64 days = floor_divide(local, USECS_PER_DAY);

	return (ClockTime){(int) days + POSTGRES_EPOCH_JDATE, local - days * USECS_PER_DAY};
}

/* The first moment at which the clock shows that time, or one beyond. */
static TimestampTz
clock_moment(ClockTime time, pg_tz *zone)
{
	int64 end_day = END_TIMESTAMP / USECS_PER_DAY + POSTGRES_EPOCH_JDATE;
	TimestampTz local;
	TimestampTz from;
	TimestampTz change;

	if (time.day >= end_day - 1)
		return DT_NOEND;
	if (time.day <= 1)
		return DT_NOBEGIN;
	local = (TimestampTz) (time.day - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY + time.time_of_day;

	/* From a moment at which no clock shows the time yet, over the stretches between changes. */
	for (from = local - FURTHEST_OFFSET;; from = change)
	{
		TimestampTz shown = local - clock_offset(from, zone, &change);

		if (shown < change)
			return Max(shown, from);
	}
}

/* Bounds ------------------------------------------------------------------ */

static ClockTime
first_bound(const PeriodRule *rule)
{
	if (rule->has_anchor)
		return read_clock(rule->anchor, rule->zone);
	return (ClockTime){date2j(CALENDAR_ANCHOR_YEAR, 1, 1), 0};
}

/* Months since the year 0. */
static int64
month_number(int julian_day, int *month_day)
{
	int year;
	int month;

	j2date(julian_day, &year, &month, month_day);
	return (int64) year * MONTHS_PER_YEAR + month - 1;
}

static int
day_of_month(int64 number, int month_day)
{
	int year = (int) floor_divide(number, MONTHS_PER_YEAR);
	int month = (int) (number - (int64) year * MONTHS_PER_YEAR);

	return date2j(year, month + 1, Min(month_day, day_tab[isleap(year)][month]));
}

/* The moment of a bound, so many periods after the first. */
static TimestampTz
bound_moment(const PeriodRule *rule, ClockTime first, int64 periods)
{
	ClockTime bound = first;
	int month_day;
	int64 month;

	if (units[rule->unit].months > 0)
	{
		month = month_number(first.day, &month_day) + periods * units[rule->unit].months;
		bound.day = day_of_month(month, month_day);
	}
	else
		bound.day += (int) periods * units[rule->unit].days;
	return clock_moment(bound, rule->zone);
}

/* About so many periods after the first does the clock show that day. */
static int64
periods_until(const PeriodRule *rule, ClockTime first, int day)
{
	int month_day;

	if (units[rule->unit].months > 0)
		return floor_divide(month_number(day, &month_day) - month_number(first.day, &month_day),
							units[rule->unit].months);
	return floor_divide((int64) day - first.day, units[rule->unit].days);
}

static void
find_by_calendar(const PeriodRule *rule, TimestampTz moment, TimestampTz *start, TimestampTz *end)
{
	ClockTime first = first_bound(rule);
	int64 periods = periods_until(rule, first, read_clock(moment, rule->zone).day);

	*start = bound_moment(rule, first, periods);
	while (*start > moment)
		*start = bound_moment(rule, first, --periods);
	*end = bound_moment(rule, first, ++periods);
	while (*end <= moment)
	{
		*start = *end;
		*end = bound_moment(rule, first, ++periods);
	}
}

/* Hours ------------------------------------------------------------------- */

/* The end of the hour that begins at a full one of the clock, or at a change of it. */
static TimestampTz
hour_end(TimestampTz start, TimestampTz full_hour, pg_tz *zone)
{
	TimestampTz end = full_hour + USECS_PER_HOUR;
	TimestampTz change;
	int64 offset = clock_offset(start, zone, &change);

	while (change < end)
	{
		TimestampTz next;

		if ((clock_offset(change, zone, &next) - offset) % USECS_PER_HOUR != 0)
			return change;
		change = next;
	}
	return end;
}

/* The hour that the clock shows, unless it was changed to another grid of hours since. */
static void
find_hour(TimestampTz moment, pg_tz *zone, TimestampTz *start, TimestampTz *end)
{
	TimestampTz change;
	int64 offset = clock_offset(moment, zone, &change);
	TimestampTz full_hour = floor_divide(moment + offset, USECS_PER_HOUR) * USECS_PER_HOUR - offset;
	int64 offset_then = clock_offset(full_hour, zone, &change);

	*start = full_hour;
	while (change <= moment)
	{
		TimestampTz next;
		int64 offset_after = clock_offset(change, zone, &next);

		if ((offset_after - offset_then) % USECS_PER_HOUR != 0)
			*start = change;
		offset_then = offset_after;
		change = next;
	}
	*end = hour_end(moment, full_hour, zone);
}

static void
find_hour_from_anchor(TimestampTz anchor, TimestampTz moment, TimestampTz *start, TimestampTz *end)
{
	int64 past_hour = moment % USECS_PER_HOUR - anchor % USECS_PER_HOUR;

	*start = moment - (past_hour - floor_divide(past_hour, USECS_PER_HOUR) * USECS_PER_HOUR);
	*end = *start + USECS_PER_HOUR;
}

/* The whole --------------------------------------------------------------- */

static void
find_all_time(const PeriodRule *rule, TimestampTz moment, TimestampTz *start, TimestampTz *end)
{
	bool is_before = rule->has_anchor && moment < rule->anchor;

	*start = rule->has_anchor && !is_before ? rule->anchor : DT_NOBEGIN;
	*end = is_before ? rule->anchor : DT_NOEND;
}

/* Whether it can be said when periods begin: not by the clock of a zone that this server does not know. */
bool
period_is_known(const PeriodRule *rule)
{
	bool needs_zone = rule->unit != PERIOD_ALL_TIME && !(rule->unit == PERIOD_HOUR && rule->has_anchor);

	return rule->zone != NULL || !needs_zone;
}

/*
 * The period that has that moment, of a rule whose periods are known: from start to end, exclusive.  A bound beyond what a
 * timestamp can be is infinite, and so are both where the moment is.
 */
void
period_find(const PeriodRule *rule, TimestampTz moment, TimestampTz *start, TimestampTz *end)
{
	if (rule->unit == PERIOD_ALL_TIME)
		find_all_time(rule, moment, start, end);
	else if (TIMESTAMP_NOT_FINITE(moment))
	{
		*start = DT_NOBEGIN;
		*end = DT_NOEND;
	}
	else if (rule->unit != PERIOD_HOUR)
		find_by_calendar(rule, moment, start, end);
	else if (rule->has_anchor)
		find_hour_from_anchor(rule->anchor, moment, start, end);
	else
		find_hour(moment, rule->zone, start, end);
	if (*start < MIN_TIMESTAMP)
		*start = DT_NOBEGIN;
	if (*end >= END_TIMESTAMP)
		*end = DT_NOEND;
}
