/*
 * base/calendar.c
 *		Intervals of time: the buckets of rollups, and the steps of a series.
 *
 * Buckets are in UTC, whoever asks: a day in another zone is made of its hours, or
 * minutes.  Steps of a series are minutes, hours, days, weeks or months of a zone's
 * clock.  They cover the period without gap or overlap, whatever the clock does: a
 * day that the clock leaves out has no step, one with 25 hours has 25.
 */
#include "postgres.h"

#include "base/calendar.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

/* More than any chart can show: hours of eleven years, minutes of 69 days. */
#define MAX_SERIES_STEPS 100000

#define DAYS_PER_WEEK 7

static const int64 bucket_length[BUCKET_LEVEL_COUNT] = {
	[BUCKET_DAY] = USECS_PER_DAY,
	[BUCKET_HOUR] = USECS_PER_HOUR,
	[BUCKET_MINUTE] = USECS_PER_MINUTE,
	[BUCKET_SECOND] = USECS_PER_SEC,
};

static TimestampTz
floor_to(TimestampTz timestamp, int64 length)
{
	int64 rest = timestamp % length;

	return timestamp - (rest < 0 ? rest + length : rest);
}

static void
date_of(TimestampTz timestamp, int *year, int *month)
{
	int day;

	j2date((int) (floor_to(timestamp, USECS_PER_DAY) / USECS_PER_DAY) + POSTGRES_EPOCH_JDATE, year, month, &day);
}

static TimestampTz
month_start(int year, int month)
{
	return (TimestampTz) (date2j(year, month, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

/* The begin of the bucket that has that moment. */
TimestampTz
bucket_start(TimestampTz timestamp, BucketLevel level)
{
	int year;
	int month;

	switch (level)
	{
		case BUCKET_ALL:
			return DT_NOBEGIN;
		case BUCKET_MONTH:
			date_of(timestamp, &year, &month);
			return month_start(year, month);
		default:
			return floor_to(timestamp, bucket_length[level]);
	}
}

/* The end, exclusive, of the bucket that begins there. */
TimestampTz
bucket_end(TimestampTz start, BucketLevel level)
{
	int year;
	int month;

	switch (level)
	{
		case BUCKET_ALL:
			return DT_NOEND;
		case BUCKET_MONTH:
			date_of(start, &year, &month);
			return month == MONTHS_PER_YEAR ? month_start(year + 1, 1) : month_start(year, month + 1);
		default:
			return start + bucket_length[level];
	}
}

/* Series ------------------------------------------------------------------ */

/* Returns the fault, or NULL. */
const char *
series_step_from_text(const char *text, SeriesStep *step)
{
	static const char *const names[] = {
		[SERIES_MINUTE] = "minute", [SERIES_HOUR] = "hour",   [SERIES_DAY] = "day",
		[SERIES_WEEK] = "week",     [SERIES_MONTH] = "month",
	};

	for (size_t i = 0; i < lengthof(names); i++)
	{
		if (strcmp(text, names[i]) == 0)
		{
			*step = (SeriesStep) i;
			return NULL;
		}
	}
	return "must be \"minute\", \"hour\", \"day\", \"week\" or \"month\"";
}

/*
 * A name of the IANA time zone database.  The server would also take a POSIX
 * specification, in which UTC+3 is three hours west of UTC.  Returns the fault, or
 * NULL.
 */
const char *
series_zone_from_text(const char *text, pg_tz **zone)
{
	static const char *const names_with_digits[] = {"EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT",
													"GMT0",    "GMT+0",   "GMT-0"};
	bool is_name = strpbrk(text, "0123456789<,") == NULL || strncmp(text, "Etc/", 4) == 0;

	for (size_t i = 0; i < lengthof(names_with_digits); i++)
		is_name = is_name || strcmp(text, names_with_digits[i]) == 0;
	*zone = is_name ? pg_tzset(text) : NULL;
	if (*zone == NULL || !pg_tz_acceptable(*zone))
		return "must be a name of the IANA time zone database, such as \"Europe/Berlin\"";
	return NULL;
}

/* What the clock shows: the offset is in seconds west of UTC. */
static int
read_clock(TimestampTz timestamp, pg_tz *zone, struct pg_tm *tm, fsec_t *fraction)
{
	int offset;

	if (timestamp2tm(timestamp, &offset, tm, fraction, NULL, zone) != 0)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	return offset;
}

/* The day that the clock shows, as a Julian day. */
static int
local_day(TimestampTz timestamp, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t fraction;

	(void) read_clock(timestamp, zone, &tm, &fraction);
	return date2j(tm.tm_year, tm.tm_mon, tm.tm_mday);
}

static TimestampTz
midnight(int julian_day, int offset)
{
	return (TimestampTz) (julian_day - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY + offset * USECS_PER_SEC;
}

/*
 * The moment at which the clock first shows midnight of that day or, where it
 * leaves that out, goes on.
 */
static TimestampTz
day_start(int julian_day, pg_tz *zone)
{
	struct pg_tm tm = {0};
	fsec_t fraction;
	TimestampTz start;
	TimestampTz earlier;

	j2date(julian_day, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	start = midnight(julian_day, DetermineTimeZoneOffset(&tm, zone));
	/* Where midnight comes twice, that was the second. */
	earlier = midnight(julian_day, read_clock(start - 1, zone, &tm, &fraction));
	return earlier < start && local_day(earlier, zone) == julian_day ? earlier : start;
}

/* How far into its hour, or minute, the clock is, and which one of the day that is. */
static int64
past_part(TimestampTz timestamp, pg_tz *zone, int64 length, int64 *number)
{
	struct pg_tm tm;
	fsec_t fraction;
	int64 time;

	(void) read_clock(timestamp, zone, &tm, &fraction);
	time = ((tm.tm_hour * MINS_PER_HOUR + tm.tm_min) * (int64) SECS_PER_MINUTE + tm.tm_sec) * USECS_PER_SEC + fraction;
	*number = time / length;
	return time % length;
}

/*
 * The next moment at which an hour of the clock begins, or a minute: it shows a full one
 * or, where it goes forward by less, another one than before.
 */
static TimestampTz
next_part(TimestampTz timestamp, pg_tz *zone, int64 length)
{
	int64 number;
	int64 number_then;
	TimestampTz next = timestamp + length - past_part(timestamp, zone, length, &number);
	int64 past = past_part(next, zone, length, &number_then);

	/* It went back by less than that, and shows the same one still. */
	if (past > 0 && number_then == number)
		next += length - past;
	return next;
}

/* The first day after `day` at which a step of days, weeks or months begins. */
static int
next_step_day(SeriesStep step, int day)
{
	int year;
	int month;
	int month_day;

	if (step == SERIES_DAY)
		return day + 1;
	/* Sunday is 0, and weeks begin on Monday (ISO 8601). */
	if (step == SERIES_WEEK)
		return day + DAYS_PER_WEEK - (j2day(day) + DAYS_PER_WEEK - 1) % DAYS_PER_WEEK;
	j2date(day, &year, &month, &month_day);
	return month == MONTHS_PER_YEAR ? date2j(year + 1, 1, 1) : date2j(year, month + 1, 1);
}

typedef struct Bounds
{
	TimestampTz *values;
	int count;
	int capacity;
	TimestampTz end;
} Bounds;

/* Adds a bound inside the period, if it is beyond the one before. */
static void
add_bound(Bounds *bounds, TimestampTz bound)
{
	if (bound <= bounds->values[bounds->count - 1] || bound >= bounds->end)
		return;
	if (bounds->count >= MAX_SERIES_STEPS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("series has too many steps"),
						errdetail("At most %d are possible.", MAX_SERIES_STEPS),
						errhint("Ask for a shorter period, or longer steps.")));
	if (bounds->count + 1 >= bounds->capacity)
	{
		bounds->capacity *= 2;
		bounds->values = repalloc(bounds->values, sizeof(TimestampTz) * bounds->capacity);
	}
	bounds->values[bounds->count++] = bound;
}

/*
 * Cuts the period into steps: step i is from bounds[i] to bounds[i + 1].  Returns
 * the number of steps.
 */
int
series_bounds(SeriesStep step, pg_tz *zone, TimestampTz start, TimestampTz end, TimestampTz **bounds)
{
	Bounds all = {.values = palloc(sizeof(TimestampTz) * 64), .count = 1, .capacity = 64, .end = end};

	all.values[0] = start;
	if (step == SERIES_MINUTE || step == SERIES_HOUR)
	{
		int64 length = step == SERIES_HOUR ? USECS_PER_HOUR : USECS_PER_MINUTE;

		for (TimestampTz at = next_part(start, zone, length); at < end; at = next_part(at, zone, length))
			add_bound(&all, at);
	}
	else
	{
		int day = next_step_day(step, local_day(start, zone));

		for (TimestampTz at = day_start(day, zone); at < end; at = day_start(day, zone))
		{
			add_bound(&all, at);
			day = next_step_day(step, day);
		}
	}
	all.values[all.count] = end;
	*bounds = all.values;
	return all.count;
}
