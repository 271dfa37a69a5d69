/*
 * alert/deliver.c
 *		Alert events on their way to who acts on them: taken for some time, and acknowledged.
 *
 * Each consumer gets all events, each at least once.  What is taken and not acknowledged comes again when its
 * lease is over.  Events of one alert and one customer come in order: none is given out while an earlier one is
 * with somebody else.  Those who take at the same time do not wait for each other: what
 * one has, another leaves out.
 *
 * The numbers of events ascend in the order in which they are committed, so a consumer has seen all up to a place; a
 * refresh moves it on, and deletes what is before it (alert/retire.c).
 */
#include "postgres.h"

#include "account/account.h"
#include "alert/event.h"
#include "base/compat.h"
#include "base/fault.h"
#include "base/json_build.h"
#include "base/memory_budget.h"
#include "base/text_check.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "sql/distribution.h"
#include "sql/own_lock.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Of an account. */
#define MAX_CONSUMERS 100

/* Of one call. */
#define MAX_EVENTS 1000

#define MIN_LEASE USECS_PER_SEC
#define MAX_LEASE USECS_PER_DAY

/* Of one transaction, which all others share the room for: what it has none for, it leaves out.  Of a small server it may have less. */
#define MAX_LOCKS 512

static Statement find_consumer = {
	.sql = "SELECT acknowledged_through FROM usage_events.usage_alert_consumer WHERE account_id " EQ " $1"
		   " AND consumer " EQ " $2",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static Statement count_consumers = {
	.sql = "SELECT pg_catalog.count(*) FROM usage_events.usage_alert_consumer WHERE account_id " EQ " $1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Of two who do so at the same time, the second waits for the first: once for each consumer. */
static Statement insert_consumer = {
	.sql = "INSERT INTO usage_events.usage_alert_consumer (account_id, consumer, acknowledged_through, created_at)"
		   " VALUES ($1, $2, 0, $3) ON CONFLICT (account_id, consumer) DO NOTHING",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TIMESTAMPTZOID},
};

#define OPEN_EVENTS \
	" FROM usage_events.usage_alert_event AS e LEFT JOIN usage_events.usage_alert_delivery AS d" \
	" ON d.account_id " EQ " $1 AND d.consumer " EQ " $2 AND d.event_number " EQ " e.number" \
	" WHERE e.account_id " EQ " $1 AND d.acknowledged_at IS NULL"

static Statement find_open = {
	.sql = "SELECT e.number, e.usage_alert_id, e.customer, d.leased_until" OPEN_EVENTS " AND e.number " GT " $3"
		   " ORDER BY e.number",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, INT8OID},
};

/* Once they are locked: others may have taken or acknowledged them meanwhile. */
static Statement find_changed = {
	.sql = "SELECT e.number FROM usage_events.usage_alert_event AS e JOIN usage_events.usage_alert_delivery AS d"
		   " ON d.account_id " EQ " $1 AND d.consumer " EQ " $2 AND d.event_number " EQ " e.number"
		   " WHERE e.account_id " EQ " $1 AND e.number " EQ " ANY ($3)"
		   " AND (d.acknowledged_at IS NOT NULL OR d.leased_until " GT " $4)",
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, INT8ARRAYOID, TIMESTAMPTZOID},
};

static Statement write_leases = {
	.sql = "INSERT INTO usage_events.usage_alert_delivery AS d (account_id, consumer, event_number, leased_until)"
		   " SELECT $1, $2, pg_catalog.unnest($3), $4"
		   " ON CONFLICT (account_id, consumer, event_number) DO UPDATE SET leased_until = EXCLUDED.leased_until"
		   " WHERE d.acknowledged_at IS NULL RETURNING event_number",
	.argument_count = 4,
	.argument_types = {UUIDOID, TEXTOID, INT8ARRAYOID, TIMESTAMPTZOID},
};

static Statement read_taken = {
	.sql = "SELECT " ALERT_EVENT_ROW_COLUMNS " FROM usage_events.usage_alert_event WHERE account_id " EQ " $1"
		   " AND number " EQ " ANY ($2) ORDER BY number",
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8ARRAYOID},
};

static Statement find_sequences = {
	.sql = "SELECT number, usage_alert_id, customer FROM usage_events.usage_alert_event WHERE account_id " EQ " $1"
		   " AND id " EQ " ANY ($2)",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDARRAYOID},
};

/* In the order in which others lock them. */
static Statement write_acknowledged = {
	.sql = "INSERT INTO usage_events.usage_alert_delivery AS d (account_id, consumer, event_number, leased_until,"
		   " acknowledged_at) SELECT $1, $2, e.number, $4, $4 FROM usage_events.usage_alert_event AS e"
		   " WHERE e.account_id " EQ " $1 AND e.id " EQ " ANY ($3) AND e.number " GT " $5 ORDER BY e.number"
		   " ON CONFLICT (account_id, consumer, event_number) DO UPDATE SET acknowledged_at = EXCLUDED.acknowledged_at"
		   " WHERE d.acknowledged_at IS NULL",
	.argument_count = 5,
	.argument_types = {UUIDOID, TEXTOID, UUIDARRAYOID, TIMESTAMPTZOID, INT8OID},
};

/* Arguments ---------------------------------------------------------------- */

static Slice
consumer_argument(FunctionCallInfo fcinfo, int number)
{
	Slice consumer;
	List *faults;
	StringInfoData detail;

	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("consumer must not be null")));
	consumer = slice_from_datum(PG_GETARG_DATUM(number));
	faults = text_check_key(NIL, "consumer", consumer);
	if (faults == NIL)
		return consumer;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The consumer", faults);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid consumer of usage alert events"),
					errdetail_internal("%s", detail.data)));
}

static int
max_events_argument(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number) || PG_GETARG_INT32(number) < 1 || PG_GETARG_INT32(number) > MAX_EVENTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_events must be between 1 and %d", MAX_EVENTS)));
	return PG_GETARG_INT32(number);
}

/* When the lease ends.  Its days have 24 hours, and months it has none: so it can be compared. */
static TimestampTz
lease_argument(FunctionCallInfo fcinfo, int number)
{
	const Interval *lease = PG_ARGISNULL(number) ? NULL : PG_GETARG_INTERVAL_P(number);

	if (lease == NULL || lease->month != 0 || lease->day < 0 || lease->day > 1 || lease->time > MAX_LEASE ||
		lease->time + lease->day * USECS_PER_DAY < MIN_LEASE || lease->time + lease->day * USECS_PER_DAY > MAX_LEASE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("lease must be between 1 second and 1 day")));
	return GetCurrentTimestamp() + lease->time + lease->day * USECS_PER_DAY;
}

/* Leases are for those who ask the same node. */
static void
require_here(const pg_uuid_t *account_id)
{
	if (!distribution_is_here(account_id))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("usage alert events are taken on the node where their account is"),
						errhint("Connect to the worker that has the account's rows.")));
}

/* Taking ------------------------------------------------------------------- */

/* The events of an alert and a customer: all that come later wait for the earlier ones. */
typedef struct Sequence
{
	uint64 key[2]; /* a hash of both: two that share one wait for each other */
	bool is_left;  /* to who has one of them */
} Sequence;

/* One call. */
typedef struct Taking
{
	Datum account;
	const pg_uuid_t *account_id;
	Slice consumer;
	TimestampTz now;
	HTAB *sequences;
	Datum *numbers; /* that were chosen, and of which sequence */
	Sequence **sequence_of;
	int count;
	int max_count;
	bool is_enough;
} Taking;

/* The number up to which the consumer has acknowledged; false if it never took any. */
static bool
find_place(const Taking *taking, int64 *place)
{
	statement_execute(&find_consumer, (Datum[]){taking->account, slice_to_datum(taking->consumer)}, NULL);
	if (SPI_processed == 0)
		return false;
	*place = DatumGetInt64(row_value_there(0, 1));
	return true;
}

/* Those that come at the same time do not see each other, and may all get the last place. */
static void
add_consumer(const Taking *taking)
{
	account_require(taking->account_id);
	statement_execute(&count_consumers, (Datum[]){taking->account}, NULL);
	if (DatumGetInt64(row_value_there(0, 1)) >= MAX_CONSUMERS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("account has as many consumers of usage alert events as it may"),
						errdetail("It may have %d.", MAX_CONSUMERS),
						errhint("Delete rows of usage_events.usage_alert_consumer that nobody uses.")));
	statement_execute(&insert_consumer,
					  (Datum[]){taking->account, slice_to_datum(taking->consumer), TimestampTzGetDatum(taking->now)},
					  NULL);
}

static uint64
hash_of(Slice text, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) text.data, text.length, seed);
}

/* The key of the event in a row, whose second and third column say of which alert and customer it is. */
static void
sequence_key(uint64 row, uint64 key[2])
{
	const pg_uuid_t *alert_id = DatumGetUUIDP(row_value_there(row, 2));

	key[0] = hash_bytes_extended(alert_id->data, UUID_LEN, 0);
	key[1] = hash_of(row_text(row, 3), key[0]);
}

/* Nobody else takes events of the sequence for this consumer until the transaction ends. */
static bool
lock_sequence(const Taking *taking, const uint64 key[2])
{
	OwnLockKey lock = own_lock_key(taking->account_id, (uint32) hash_of(taking->consumer, key[1]));

	return own_lock_count() < Min(MAX_LOCKS, own_lock_limit()) && own_lock_try(OWN_LOCK_ALERT_DELIVERY, lock);
}

static Sequence *
sequence_of_row(const Taking *taking, uint64 row)
{
	uint64 key[2];
	Sequence *sequence;
	bool found;

	sequence_key(row, key);
	sequence = hash_search(taking->sequences, key, HASH_ENTER, &found);
	if (!found)
	{
		memory_budget_grow(sizeof(Sequence));
		sequence->is_left = false;
	}
	return sequence;
}

static bool
is_first_of_sequence(const Taking *taking, const Sequence *sequence)
{
	for (int i = 0; i < taking->count; i++)
	{
		if (taking->sequence_of[i] == sequence)
			return false;
	}
	return true;
}

/* Chooses the event, unless somebody has it, or an earlier one of its sequence. */
static void
take_open(uint64 row, void *argument)
{
	Taking *taking = argument;
	Sequence *sequence;
	bool isnull;
	Datum leased_until;

	if (taking->is_enough)
		return;
	sequence = sequence_of_row(taking, row);
	leased_until = row_value(row, 4, &isnull);
	if (!isnull && DatumGetTimestampTz(leased_until) > taking->now)
		sequence->is_left = true;
	if (!sequence->is_left && is_first_of_sequence(taking, sequence))
		sequence->is_left = !lock_sequence(taking, sequence->key);
	if (sequence->is_left)
		return;
	taking->numbers[taking->count] = row_value_there(row, 1);
	taking->sequence_of[taking->count++] = sequence;
	taking->is_enough = taking->count == taking->max_count;
}

static Datum
numbers_datum(const Taking *taking)
{
	return statement_array(taking->numbers, NULL, taking->count, INT8OID);
}

/* Leaves out sequences that somebody was at between the look and the lock. */
static void
leave_changed(Taking *taking)
{
	int kept = 0;

	statement_execute(&find_changed,
					  (Datum[]){taking->account, slice_to_datum(taking->consumer), numbers_datum(taking),
								TimestampTzGetDatum(taking->now)},
					  NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		for (int i = 0; i < taking->count; i++)
		{
			if (taking->numbers[i] == row_value_there(row, 1))
				taking->sequence_of[i]->is_left = true;
		}
	}
	for (int i = 0; i < taking->count; i++)
	{
		if (taking->sequence_of[i]->is_left)
			continue;
		taking->numbers[kept] = taking->numbers[i];
		taking->sequence_of[kept++] = taking->sequence_of[i];
	}
	taking->count = kept;
}

/* What was acknowledged in the last moment is not leased, and not given out. */
static void
lease(Taking *taking, TimestampTz leased_until)
{
	statement_execute(&write_leases,
					  (Datum[]){taking->account, slice_to_datum(taking->consumer), numbers_datum(taking),
								TimestampTzGetDatum(leased_until)},
					  NULL);
	taking->count = (int) SPI_processed;
	for (int i = 0; i < taking->count; i++)
		taking->numbers[i] = row_value_there(i, 1);
}

static void
taking_begin(Taking *taking, int max_events)
{
	HASHCTL control = {.keysize = sizeof(uint64[2]), .entrysize = sizeof(Sequence), .hcxt = CurrentMemoryContext};

	taking->sequences = hash_create("usage alert sequences", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	taking->max_count = max_events;
	taking->numbers = palloc(sizeof(Datum) * max_events);
	taking->sequence_of = palloc(sizeof(Sequence *) * max_events);
}

/* Chooses events, and writes that they are taken. */
static void
choose(Taking *taking, TimestampTz leased_until)
{
	int64 place = 0;

	if (!find_place(taking, &place))
		add_consumer(taking);
	statement_each_row_until(&find_open,
							 (Datum[]){taking->account, slice_to_datum(taking->consumer), Int64GetDatum(place)},
							 take_open, taking, &taking->is_enough);
	if (taking->count > 0)
		leave_changed(taking);
	if (taking->count > 0)
		lease(taking, leased_until);
}

/* The chosen events as an array, in memory that outlives SPI. */
static Jsonb *
answer(const Taking *taking, MemoryContext context)
{
	MemoryContext spi_context;
	JsonArray events;
	Jsonb *json;

	statement_execute(&read_taken, (Datum[]){taking->account, numbers_datum(taking)}, NULL);
	spi_context = MemoryContextSwitchTo(context);
	json_array_begin(&events);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		json_array_next(&events);
		json_array_add(&events, alert_event_to_json(row));
	}
	json = json_array_end(&events);
	MemoryContextSwitchTo(spi_context);
	return json;
}

/* take_usage_alert_events(consumer text, max_events integer, lease interval) */
PG_FUNCTION_INFO_V1(take_usage_alert_events);
Datum
take_usage_alert_events(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	Taking taking = {.account_id = account_current(), .now = GetCurrentTimestamp()};
	int max_events;
	TimestampTz leased_until;
	Jsonb *json;

	memory_budget_begin();
	taking.account = UUIDPGetDatum(taking.account_id);
	taking.consumer = consumer_argument(fcinfo, 0);
	max_events = max_events_argument(fcinfo, 1);
	leased_until = lease_argument(fcinfo, 2);
	require_here(taking.account_id);
	SPI_connect();
	taking_begin(&taking, max_events);
	choose(&taking, leased_until);
	json = answer(&taking, context);
	SPI_finish();
	PG_RETURN_JSONB_P(json);
}

/* Acknowledging ------------------------------------------------------------- */

static ArrayType *
ids_argument(FunctionCallInfo fcinfo, int number)
{
	ArrayType *ids;

	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("ids must not be null")));
	ids = PG_GETARG_ARRAYTYPE_P(number);
	if (ArrayGetNItems(ARR_NDIM(ids), ARR_DIMS(ids)) > MAX_EVENTS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("ids must be at most %d", MAX_EVENTS)));
	return ids;
}

/* Those who take meanwhile leave these events out, and need not wait to see that they are acknowledged. */
static void
lock_sequences_of(const Taking *taking, const ArrayType *ids)
{
	statement_execute(&find_sequences, (Datum[]){taking->account, PointerGetDatum(ids)}, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		uint64 key[2];

		sequence_key(row, key);
		(void) lock_sequence(taking, key);
	}
}

static void
refuse_consumer(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid consumer of usage alert events"),
					errdetail("It never took any."), errhint("take_usage_alert_events() is called first.")));
}

/* acknowledge_usage_alert_events(consumer text, ids uuid[]) */
PG_FUNCTION_INFO_V1(acknowledge_usage_alert_events);
Datum
acknowledge_usage_alert_events(PG_FUNCTION_ARGS)
{
	Taking taking = {.account_id = account_current(), .now = GetCurrentTimestamp()};
	ArrayType *ids;
	int64 place;
	int64 count;

	memory_budget_begin();
	taking.account = UUIDPGetDatum(taking.account_id);
	taking.consumer = consumer_argument(fcinfo, 0);
	ids = ids_argument(fcinfo, 1);
	require_here(taking.account_id);
	SPI_connect();
	if (!find_place(&taking, &place))
		refuse_consumer();
	lock_sequences_of(&taking, ids);
	statement_execute(&write_acknowledged,
					  (Datum[]){taking.account, slice_to_datum(taking.consumer), PointerGetDatum(ids),
								TimestampTzGetDatum(taking.now), Int64GetDatum(place)},
					  NULL);
	count = (int64) SPI_processed;
	SPI_finish();
	PG_RETURN_INT64(count);
}
