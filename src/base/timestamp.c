/*
 * base/timestamp.c
 *		Timestamps of events as text: ISO 8601 with an offset.
 *
 * PostgreSQL's own input would not do: it takes "now" and "yesterday", and reads
 * a time without offset in the session's time zone, and a bill must not depend
 * on that.  Read is the extended date-time form of ISO 8601 with an offset, a
 * superset of RFC 3339:
 *
 *	YYYY-MM-DD T hh:mm[:ss[.fraction]] (Z | ±hh[[:]mm])
 *
 * T and Z may be of lower case, and T may be a space (RFC 3339, section 5.6), as
 * Python, Ruby and PostgreSQL itself write it.  The fraction may start with a comma
 * (ISO 8601) and have any length.  It is cut to microseconds, not
 * rounded: rounding up could carry an event into the next billing period.
 *
 * Second 60 is a leap second, which ends a day of UTC (RFC 3339, section 5.7).  PostgreSQL
 * has no place for it: read as the second after it, it would carry an event into
 * the next period as well.  So it is the last microsecond before.
 */
#include "postgres.h"

#include "base/timestamp.h"

#include "catalog/pg_type.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#define FIRST_YEAR 1
#define LAST_YEAR 9999
#define MICROSECOND_DIGITS 6

/* So much of a text is looked at to see whether it is a number. */
#define LONGEST_EPOCH 40

static const char *const not_iso_8601 =
	"must be a date and time in ISO 8601 form with an offset, such as \"2022-10-01T00:00:00Z\"";

static const char *const seconds_since_1970 =
	"must be a date and time, such as \"2022-10-01T00:00:00Z\", not a number of seconds or milliseconds since 1970";

static const char *const no_such_day = "names a day that does not exist";
static const char *const beyond_years = "must lie in the years 0001 to 9999 of UTC";

static const char *const not_date_or_iso_8601 =
	"must be a date, or a date and time with an offset, in ISO 8601 form, such as \"2022-10-01\" or"
	" \"2022-10-01T00:00:00Z\"";

/* What is left to read. */
typedef struct Reader
{
	const char *next;
	const char *end;
} Reader;

/* Takes the next character if it is one of the two. */
static bool
take(Reader *reader, char a, char b)
{
	if (reader->next < reader->end && (*reader->next == a || *reader->next == b))
	{
		reader->next++;
		return true;
	}
	return false;
}

static bool
next_is_digit(const Reader *reader)
{
	return reader->next < reader->end && *reader->next >= '0' && *reader->next <= '9';
}

/* Takes what stands between date and time. */
static bool
take_time_separator(Reader *reader)
{
	return take(reader, 'T', 't') || take(reader, ' ', ' ');
}

/* A number in place of a date: of seconds since 1970, or milliseconds. */
static bool
is_number(Slice text)
{
	static const char digits[] = "0123456789";
	const char *number = pnstrdup(text.data, Min(text.length, LONGEST_EPOCH));
	size_t length = strspn(number, digits);

	if (length > 0 && number[length] == '.')
		length += 1 + strspn(number + length + 1, digits);
	return length > 0 && number[length] == '\0';
}

/* Takes exactly `count` digits. */
static bool
take_digits(Reader *reader, int count, int *value)
{
	*value = 0;
	while (count-- > 0)
	{
		if (!next_is_digit(reader))
			return false;
		*value = *value * 10 + (*reader->next++ - '0');
	}
	return true;
}

/* Takes a fraction of any length, in microseconds; further digits are cut off. */
static bool
take_fraction(Reader *reader, int *microseconds)
{
	int digits = 0;

	*microseconds = 0;
	if (!next_is_digit(reader))
		return false;
	for (; next_is_digit(reader); reader->next++)
	{
		if (digits < MICROSECOND_DIGITS)
		{
			*microseconds = *microseconds * 10 + (*reader->next - '0');
			digits++;
		}
	}
	for (; digits < MICROSECOND_DIGITS; digits++)
		*microseconds *= 10;
	return true;
}

/*
 * Takes the offset, in minutes east of UTC.  Returns what is wrong with it, or
 * NULL.
 */
static const char *
take_offset(Reader *reader, int *minutes_east)
{
	int sign;
	int hours;
	int minutes = 0;

	*minutes_east = 0;
	if (reader->next == reader->end)
		return "has no offset from UTC, such as \"Z\" or \"+02:00\"";
	if (take(reader, 'Z', 'z'))
		return NULL;

	if (take(reader, '+', '+'))
		sign = 1;
	else if (take(reader, '-', '-'))
		sign = -1;
	else
		return not_iso_8601;

	if (!take_digits(reader, 2, &hours))
		return not_iso_8601;
	if (take(reader, ':', ':') || next_is_digit(reader))
	{
		if (!take_digits(reader, 2, &minutes))
			return not_iso_8601;
	}
	if (hours > 23 || minutes > 59)
		return "has an offset beyond 23:59";

	*minutes_east = sign * (hours * MINS_PER_HOUR + minutes);
	return NULL;
}

/* Takes YYYY-MM-DD, of whatever day. */
static bool
take_date(Reader *reader, int *year, int *month, int *day)
{
	return take_digits(reader, 4, year) && take(reader, '-', '-') && take_digits(reader, 2, month) &&
		   take(reader, '-', '-') && take_digits(reader, 2, day);
}

static bool
day_exists(int year, int month, int day)
{
	return month >= 1 && month <= MONTHS_PER_YEAR && day >= 1 && day <= day_tab[isleap(year)][month - 1];
}

/* Midnight in UTC. */
static TimestampTz
day_start(int year, int month, int day)
{
	return (TimestampTz) (date2j(year, month, day) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

static TimestampTz
year_start(int year)
{
	return day_start(year, 1, 1);
}

/*
 * Reads a timestamp.  Returns NULL, or what is wrong with the text, worded to
 * follow the name of the field.
 */
const char *
timestamp_from_text(Slice text, TimestampTz *timestamp)
{
	Reader reader = {text.data, text.data + text.length};
	int year;
	int month;
	int day;
	int hour;
	int minute;
	int second = 0;
	int microseconds = 0;
	int minutes_east;
	bool is_leap_second;
	const char *fault;

	if (!take_date(&reader, &year, &month, &day) || !take_time_separator(&reader) || !take_digits(&reader, 2, &hour) ||
		!take(&reader, ':', ':') || !take_digits(&reader, 2, &minute))
		return is_number(text) ? seconds_since_1970 : not_iso_8601;
	if (take(&reader, ':', ':'))
	{
		if (!take_digits(&reader, 2, &second))
			return not_iso_8601;
		if (take(&reader, '.', ',') && !take_fraction(&reader, &microseconds))
			return not_iso_8601;
	}
	fault = take_offset(&reader, &minutes_east);
	if (fault != NULL)
		return fault;
	if (reader.next != reader.end)
		return not_iso_8601;

	if (!day_exists(year, month, day))
		return no_such_day;

	/* Of a leap second no more is kept than that it is of this minute. */
	is_leap_second = second == 60;
	if (is_leap_second)
	{
		second = SECS_PER_MINUTE - 1;
		microseconds = USECS_PER_SEC - 1;
	}
	*timestamp = day_start(year, month, day) +
				 (TimestampTz) (hour * MINS_PER_HOUR + minute - minutes_east) * USECS_PER_MINUTE +
				 (TimestampTz) second * USECS_PER_SEC + microseconds;
	if (hour > 23 || minute > 59 || second > 59 || (is_leap_second && (*timestamp + 1) % USECS_PER_DAY != 0))
		return "names a time of day that does not exist";

	if (*timestamp < year_start(FIRST_YEAR) || *timestamp >= year_start(LAST_YEAR + 1))
		return beyond_years;
	return NULL;
}

/* The same, or a date, which is the begin of that day in UTC. */
const char *
timestamp_or_date_from_text(Slice text, TimestampTz *timestamp, bool *is_date)
{
	Reader reader = {text.data, text.data + text.length};
	int year;
	int month;
	int day;
	const char *fault;

	*is_date = take_date(&reader, &year, &month, &day) && reader.next == reader.end;
	if (!*is_date)
	{
		fault = timestamp_from_text(text, timestamp);
		return fault == not_iso_8601 ? not_date_or_iso_8601 : fault;
	}
	if (!day_exists(year, month, day))
		return no_such_day;
	if (year < FIRST_YEAR)
		return beyond_years;
	*timestamp = day_start(year, month, day);
	return NULL;
}

/*
 * Writes a timestamp in UTC in its shortest form: a fraction only where there is
 * one.  Returns the length.
 *
 * Only in a row that was written by hand is there a time that no event can have: it is
 * written as the server does ("infinity", "… BC"), which is not ISO 8601, so that an
 * account can still read and correct such an event.
 */
int
timestamp_to_text(TimestampTz timestamp, char text[TIMESTAMP_TEXT_SIZE])
{
	static const char utc_offset[] = "+00:00";
	const int utc = 0;
	char *end;

	/* The server's own ISO 8601 writes UTC as an offset. */
	JsonEncodeDateTime(text, TimestampTzGetDatum(timestamp), TIMESTAMPTZOID, &utc);
	end = text + strlen(text) - strlen(utc_offset);
	if (end < text || strcmp(end, utc_offset) != 0)
		return (int) strlen(text);

	*end++ = 'Z';
	*end = '\0';
	return (int) (end - text);
}
