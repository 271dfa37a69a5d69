/*
 * base/uuid_v7.c
 *		Ids of events: UUID version 7 (RFC 9562), strictly ascending within a
 *		backend, and within the versions of an event.
 *
 * Layout (RFC 9562, section 5.7, with the fraction of section 6.2, method 3):
 *
 *	48 bits	Unix time in milliseconds
 *	 4 bits	version, 7
 *	12 bits	fraction of the millisecond, in 1/4096
 *	 2 bits	variant, binary 10
 *	62 bits	random
 *
 * A backend remembers the time of its last id and takes at least one fraction
 * more for the next, so ids ascend however fast they are made and also while
 * the clock stands still or steps back.
 *
 * Random bits come from the server's cryptographic source, a block at a time.
 * A block belongs to the process that drew it: a forked child draws its own.
 *
 * libuuid writes and reads the text form.
 */
#include "postgres.h"

#include "base/uuid_v7.h"

#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#define NANOSECONDS_PER_SECOND INT64CONST(1000000000)
#define NANOSECONDS_PER_MILLISECOND INT64CONST(1000000)
#define MILLISECONDS_PER_DAY (SECS_PER_DAY * INT64CONST(1000))
#define FRACTIONS_PER_MILLISECOND 4096

/* The least number of nanoseconds that always reaches the next fraction. */
#define LEAST_STEP (NANOSECONDS_PER_MILLISECOND / FRACTIONS_PER_MILLISECOND + 1)

/* Random bytes of one id, and how many ids one draw serves. */
#define RANDOM_BYTES 8
#define RANDOM_BLOCK_IDS 64

#define UNIX_EPOCH_OFFSET_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* The last moment of an id: 48 bits of milliseconds. */
#define MAX_ID_TIME ((INT64CONST(1) << 48) * 1000 - 1 - UNIX_EPOCH_OFFSET_DAYS * USECS_PER_DAY)

/* The time of the last id, in nanoseconds since the Unix epoch. */
static int64 last_nanoseconds = 0;

static int64
clock_nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64) now.tv_sec * NANOSECONDS_PER_SECOND + now.tv_nsec;
}

/* Hands out RANDOM_BYTES bytes that no other id of any process gets. */
static const uint8 *
next_random_bytes(void)
{
	static uint8 block[RANDOM_BYTES * RANDOM_BLOCK_IDS];
	static int used = RANDOM_BLOCK_IDS;
	static int owner = 0;

	if (used >= RANDOM_BLOCK_IDS || owner != MyProcPid)
	{
		if (!pg_strong_random(block, sizeof(block)))
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random bits for an id")));
		owner = MyProcPid;
		used = 0;
	}
	return block + RANDOM_BYTES * used++;
}

/* The time of the next id of this backend. */
static int64
next_nanoseconds(void)
{
	last_nanoseconds = Max(clock_nanoseconds(), last_nanoseconds + LEAST_STEP);
	return last_nanoseconds;
}

static void
make_id(pg_uuid_t *id, int64 nanoseconds)
{
	int64 milliseconds = nanoseconds / NANOSECONDS_PER_MILLISECOND;
	int fraction =
		(int) ((nanoseconds % NANOSECONDS_PER_MILLISECOND) * FRACTIONS_PER_MILLISECOND / NANOSECONDS_PER_MILLISECOND);

	memcpy(id->data + UUID_LEN - RANDOM_BYTES, next_random_bytes(), RANDOM_BYTES);
	for (int i = 0; i < 6; i++)
		id->data[i] = (uint8) (milliseconds >> (8 * (5 - i)));
	id->data[6] = (uint8) (0x70 | (fraction >> 8));
	id->data[7] = (uint8) fraction;
	id->data[8] = (uint8) (0x80 | (id->data[8] & 0x3f));
}

/* Makes the next id of this backend. */
void
uuid_v7_generate(pg_uuid_t *id)
{
	make_id(id, next_nanoseconds());
}

static bool
is_version_7(const pg_uuid_t *id)
{
	return (id->data[6] & 0xf0) == 0x70 && (id->data[8] & 0xc0) == 0x80;
}

static int64
unix_milliseconds(const pg_uuid_t *id)
{
	int64 milliseconds = 0;

	for (int i = 0; i < 6; i++)
		milliseconds = milliseconds << 8 | id->data[i];
	return milliseconds;
}

static int
fraction_of_millisecond(const pg_uuid_t *id)
{
	return (id->data[6] & 0x0f) << 8 | id->data[7];
}

/*
 * Makes an id above `earlier`, which may be another backend's: versions of an event
 * ascend in the order in which they were made.  Where that is later than this backend's
 * clock, it is so for this id alone: the next event, maybe another account's, is of now.
 *
 * An id from a clock that was a day or more ahead is not passed: it would keep all
 * later versions of its event in the future.
 */
void
uuid_v7_generate_after(pg_uuid_t *id, const pg_uuid_t *earlier)
{
	int64 nanoseconds = next_nanoseconds();
	int64 milliseconds = unix_milliseconds(earlier);
	int64 limit = clock_nanoseconds() / NANOSECONDS_PER_MILLISECOND + MILLISECONDS_PER_DAY;

	if (is_version_7(earlier) && milliseconds < limit)
	{
		int64 fraction = fraction_of_millisecond(earlier);
		int64 time_of_earlier = milliseconds * NANOSECONDS_PER_MILLISECOND +
								fraction * NANOSECONDS_PER_MILLISECOND / FRACTIONS_PER_MILLISECOND;

		/* The division may have come out one nanosecond low. */
		nanoseconds = Max(nanoseconds, time_of_earlier + 1 + LEAST_STEP);
	}
	make_id(id, nanoseconds);
}

/* Microseconds of a millisecond, in its fractions. */
static int
fraction_of_microseconds(int microseconds)
{
	return microseconds * FRACTIONS_PER_MILLISECOND / 1000;
}

/*
 * The moment inside an id, to the microsecond; false if the id is not of version 7.
 *
 * A fraction may reach into two microseconds: it is of the later one, as uuid_v7_after()
 * has it.  So an id is from until then if its moment is, and whoever asks as of the
 * moment at which an event came is told of the event.
 */
bool
uuid_v7_time(const pg_uuid_t *id, TimestampTz *timestamp)
{
	int microseconds;

	if (!is_version_7(id))
		return false;

	microseconds = fraction_of_millisecond(id) * 1000 / FRACTIONS_PER_MILLISECOND;
	if (fraction_of_microseconds(microseconds + 1) <= fraction_of_millisecond(id))
		microseconds++;
	*timestamp = unix_milliseconds(id) * INT64CONST(1000) + microseconds - UNIX_EPOCH_OFFSET_DAYS * USECS_PER_DAY;
	return true;
}

/*
 * The lowest id there can be after that moment: ids below it are from until then.
 * Both know fractions of a millisecond.
 */
void
uuid_v7_after(pg_uuid_t *id, TimestampTz timestamp)
{
	int64 microseconds = Max(timestamp + 1 + UNIX_EPOCH_OFFSET_DAYS * USECS_PER_DAY, 0);
	int64 milliseconds = microseconds / 1000;
	int fraction = fraction_of_microseconds((int) (microseconds % 1000));

	memset(id->data, 0, UUID_LEN);
	for (int i = 0; i < 6; i++)
		id->data[i] = (uint8) (milliseconds >> (8 * (5 - i)));
	id->data[6] = (uint8) (0x70 | (fraction >> 8));
	id->data[7] = (uint8) fraction;
	id->data[8] = 0x80;
}

/* Writes the id in its canonical form, lower case. */
void
uuid_v7_to_text(const pg_uuid_t *id, char text[UUID_TEXT_LENGTH + 1])
{
	uuid_unparse_lower(id->data, text);
}

/* Reads an id in its canonical form; false if the text is none. */
bool
uuid_v7_from_text(Slice text, pg_uuid_t *id)
{
	char terminated[UUID_TEXT_LENGTH + 1];

	if (text.length != UUID_TEXT_LENGTH)
		return false;

	memcpy(terminated, text.data, UUID_TEXT_LENGTH);
	terminated[UUID_TEXT_LENGTH] = '\0';
	return uuid_parse(terminated, id->data) == 0;
}

bool
uuid_v7_equal(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a->data, b->data, UUID_LEN) == 0;
}

int
uuid_v7_compare(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a->data, b->data, UUID_LEN);
}

PG_FUNCTION_INFO_V1(uuid_v7);
Datum
uuid_v7(PG_FUNCTION_ARGS pg_attribute_unused())
{
	pg_uuid_t *id = palloc(sizeof(pg_uuid_t));

	uuid_v7_generate(id);
	PG_RETURN_UUID_P(id);
}

PG_FUNCTION_INFO_V1(uuid_v7_timestamp);
Datum
uuid_v7_timestamp(PG_FUNCTION_ARGS)
{
	TimestampTz timestamp;

	if (!uuid_v7_time(PG_GETARG_UUID_P(0), &timestamp))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(timestamp);
}

PG_FUNCTION_INFO_V1(uuid_v7_floor);
Datum
uuid_v7_floor(PG_FUNCTION_ARGS)
{
	TimestampTz moment = PG_GETARG_TIMESTAMPTZ(0);
	pg_uuid_t *id = palloc(sizeof(pg_uuid_t));

	if (moment < -UNIX_EPOCH_OFFSET_DAYS * USECS_PER_DAY || moment > MAX_ID_TIME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("moment is out of range for a UUID of version 7"),
				 errdetail("Such ids have times from 1970-01-01T00:00:00Z on, and of 48 bits of milliseconds.")));
	uuid_v7_after(id, moment - 1);
	PG_RETURN_UUID_P(id);
}
