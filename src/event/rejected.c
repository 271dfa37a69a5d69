/*
 * event/rejected.c
 *		Events that were refused, kept to be looked at and sent again: so many of an
 *		account, so much, and so long.
 */
#include "postgres.h"

#include "event/rejected.h"

#include <limits.h>

#include "access/xact.h"
#include "account/account.h"
#include "base/fault.h"
#include "base/json_read.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static Statement insert_rejected = {
	.sql = "INSERT INTO usage_events.rejected_event (account_id, id, body, faults)"
		   " SELECT $1, pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDARRAYOID, TEXTARRAYOID, JSONBARRAYOID},
};

/*
 * Oldest first: sent again, they come in the order in which they came.  Whoever sends
 * may not delete, or could lock the table against all accounts: a refresh does.
 */
static Statement take_rejected = {
	.sql = "WITH taken AS (UPDATE usage_events.rejected_event SET taken_at = $3"
		   " WHERE account_id " EQ " $1 AND taken_at IS NULL"
		   " AND ($2 IS NULL OR id " EQ " ANY ($2))"
		   " RETURNING id, body)"
		   " SELECT body, id FROM taken ORDER BY id",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDARRAYOID, TIMESTAMPTZOID},
};

static Statement delete_taken = {
	.sql = "DELETE FROM usage_events.rejected_event WHERE account_id " EQ " $1"
		   " AND id " EQ " ANY (ARRAY(SELECT id FROM usage_events.rejected_event"
		   " WHERE account_id " EQ " $1 AND taken_at IS NOT NULL"
		   " LIMIT 1000 FOR UPDATE SKIP LOCKED))",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Those that were taken, and refused again. */
static Statement put_back = {
	.sql =
		"UPDATE usage_events.rejected_event AS r SET id = b.new_id, faults = b.faults, taken_at = NULL"
		" FROM (SELECT pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) AS b (id, new_id, faults)"
		" WHERE r.account_id " EQ " $1 AND r.id " EQ " b.id",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDARRAYOID, UUIDARRAYOID, JSONBARRAYOID},
};

#define KEPT_BYTES "pg_catalog.octet_length(body) " PLUS " pg_catalog.pg_column_size(faults)"

/* What the account has, up to $2 rows: those that wait, and all with those that were taken. */
static Statement measure_rejected = {
	.sql = "SELECT pg_catalog.count(*) FILTER (WHERE taken_at IS NULL),"
		   " CAST(pg_catalog.sum(" KEPT_BYTES ") FILTER (WHERE taken_at IS NULL) AS pg_catalog.int8),"
		   " pg_catalog.count(*), CAST(pg_catalog.sum(" KEPT_BYTES ") AS pg_catalog.int8)"
		   " FROM (SELECT body, faults, taken_at FROM usage_events.rejected_event"
		   " WHERE account_id " EQ " $1 LIMIT $2) AS rejected",
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

static Statement delete_before = {
	.sql = "WITH old AS MATERIALIZED (SELECT id FROM usage_events.rejected_event"
		   " WHERE account_id " EQ " $1 AND id " LT " $2"
		   " LIMIT $3 FOR UPDATE SKIP LOCKED)"
		   " DELETE FROM usage_events.rejected_event AS r USING old"
		   " WHERE r.account_id " EQ " $1 AND r.id " EQ " old.id",
	.argument_count = 3,
	.argument_types = {UUIDOID, UUIDOID, INT8OID},
};

/*
 * Counting those that are not kept.  Nobody waits, and no two can wait for each
 * other: a transaction counts in a row that is free, or in one of its own, so an
 * account has as many rows as there were ever transactions of its at a time.
 */
static Statement lock_counter = {
	.sql = "SELECT id FROM usage_events.rejected_overflow WHERE account_id " EQ " $1"
		   " LIMIT 1 FOR UPDATE SKIP LOCKED",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement add_to_counter = {
	.sql = "UPDATE usage_events.rejected_overflow"
		   " SET event_count = event_count " PLUS " $3, last_at = $4"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, INT8OID, TIMESTAMPTZOID},
};

static Statement insert_counter = {
	.sql = "INSERT INTO usage_events.rejected_overflow (account_id, id, event_count, last_at) VALUES ($1, $2, $3, $4)",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, INT8OID, TIMESTAMPTZOID},
};

/* Larger bodies are not kept: nobody sends such an event, and it may be one in a million. */
#define MAX_BODY_BYTES (1024 * 1024)

/* So much is written by a statement, and in memory at a time. */
#define PORTION_ROWS 1000
#define PORTION_BYTES (1024 * 1024)

/* Rows that a refresh deletes at a time. */
#define EXPIRE_ROWS 1000

static int max_rejected_events = 10000;
static int max_rejected_kilobytes = 64 * 1024;
static int retention_minutes = 90 * 24 * 60;

void
rejected_event_init(void)
{
	DefineCustomIntVariable("usage_events.max_rejected_events", "How many refused events of an account are kept.",
							"More are refused as well, and counted, but not kept.", &max_rejected_events, 10000, 0,
							INT_MAX / 2, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("usage_events.max_rejected_bytes",
							"How much the refused events of an account that are kept may take, with their faults.",
							"More are refused as well, and counted, but not kept.", &max_rejected_kilobytes, 64 * 1024,
							0, INT_MAX, PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("usage_events.rejected_retention", "How long refused events are kept; 0: for ever.",
							"A refresh of rollups deletes older ones.", &retention_minutes, 90 * 24 * 60, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MIN, NULL, NULL, NULL);
}

/* Keeping ------------------------------------------------------------------ */

/* How much more an account may have, in one respect. */
typedef struct RoomLeft
{
	int64 amount;
	bool is_of_all; /* what was taken, and is not deleted yet, is in the way */
} RoomLeft;

/* Rows on their way into the table, and how many more the account may have. */
typedef struct Keeping
{
	const pg_uuid_t *account_id;
	RoomLeft events_left;
	RoomLeft bytes_left;
	MemoryContext context; /* of the portion */
	Datum ids[PORTION_ROWS];
	Slice bodies[PORTION_ROWS];
	Slice faults[PORTION_ROWS];
	int count;
	Size bytes;
	Datum taken_ids[PORTION_ROWS]; /* rows that are put back, under ids of their own, and why */
	Datum new_ids[PORTION_ROWS];
	Slice new_faults[PORTION_ROWS];
	int taken_count;
} Keeping;

static int64
measured(int number)
{
	bool isnull;
	Datum value = row_value(0, number, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/*
 * Those that wait may be as many as the limit says.  With those that were taken, and
 * that a refresh has still to delete, they may be twice as many: who sends them again
 * and again would otherwise have any number where nothing is refreshed.
 */
static RoomLeft
room_left(int64 limit, int64 waiting, int64 all)
{
	bool is_of_all = 2 * limit - all < limit - waiting;

	return (RoomLeft){is_of_all ? 2 * limit - all : limit - waiting, is_of_all};
}

static void
keeping_begin(Keeping *keeping, const pg_uuid_t *account_id)
{
	keeping->account_id = account_id;
	keeping->context = AllocSetContextCreate(CurrentMemoryContext, "rejected usage events", ALLOCSET_DEFAULT_SIZES);
	keeping->count = 0;
	keeping->bytes = 0;
	keeping->taken_count = 0;
	statement_execute(&measure_rejected,
					  (Datum[]){UUIDPGetDatum(account_id), Int64GetDatum(2 * (int64) max_rejected_events)}, NULL);
	keeping->events_left = room_left(max_rejected_events, measured(1), measured(3));
	keeping->bytes_left = room_left((int64) max_rejected_kilobytes * 1024, measured(2), measured(4));
}

static void
insert_gathered(Keeping *keeping)
{
	statement_execute(&insert_rejected,
					  (Datum[]){UUIDPGetDatum(keeping->account_id), statement_uuid_array(keeping->ids, keeping->count),
								statement_varlena_array(keeping->bodies, keeping->count, TEXTOID),
								statement_varlena_array(keeping->faults, keeping->count, JSONBOID)},
					  NULL);
}

static void
put_back_gathered(Keeping *keeping)
{
	int count = keeping->taken_count;

	statement_execute(&put_back,
					  (Datum[]){UUIDPGetDatum(keeping->account_id), statement_uuid_array(keeping->taken_ids, count),
								statement_uuid_array(keeping->new_ids, count),
								statement_varlena_array(keeping->new_faults, count, JSONBOID)},
					  NULL);
}

static void
keeping_write(Keeping *keeping)
{
	MemoryContext caller = MemoryContextSwitchTo(keeping->context);

	if (keeping->count > 0)
		insert_gathered(keeping);
	if (keeping->taken_count > 0)
		put_back_gathered(keeping);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(keeping->context);
	keeping->count = 0;
	keeping->bytes = 0;
	keeping->taken_count = 0;
}

static JsonbContainer *
json_container(const JsonbValue *value, int *length)
{
	Jsonb *json;

	if (value->type == jbvBinary)
	{
		*length = value->val.binary.len;
		return value->val.binary.data;
	}
	json = JsonbValueToJsonb(unconstify(JsonbValue *, value));
	*length = VARSIZE(json) - VARHDRSZ;
	return &json->root;
}

/* How much the event takes as text, at most. */
static Size
body_size(const BatchElement *element)
{
	JsonbContainer *container;
	int length;

	if (element->body != NULL)
		return VARSIZE_ANY_EXHDR(element->body);
	container = json_container(&element->json, &length);
	return json_text_size(container, length, MAX_BODY_BYTES);
}

/* The event as it came. */
static Slice
body_text(const BatchElement *element)
{
	JsonbContainer *container;
	int length;

	if (element->body != NULL)
		return (Slice){VARDATA_ANY(element->body), VARSIZE_ANY_EXHDR(element->body)};
	container = json_container(&element->json, &length);
	return slice_from_cstring(JsonbToCString(NULL, container, length));
}

/* Why another refused event is not kept, worded to follow it; NULL if it is. */
static const char *
limit_reached(const Keeping *keeping, Size size)
{
	if ((keeping->events_left.amount <= 0 && keeping->events_left.is_of_all) ||
		((int64) size >= keeping->bytes_left.amount && keeping->bytes_left.is_of_all))
		return "was not kept: its account has too many refused events that were sent again, and that no refresh of "
			   "rollups has deleted yet (usage_events.max_rejected_events, usage_events.max_rejected_bytes)";
	if (keeping->events_left.amount <= 0)
		return psprintf("was not kept: its account has %d refused events, as many as it may "
						"(usage_events.max_rejected_events)",
						max_rejected_events);
	if ((int64) size >= keeping->bytes_left.amount)
		return psprintf("was not kept: the refused events of its account would take more than %d kB "
						"(usage_events.max_rejected_bytes)",
						max_rejected_kilobytes);
	return NULL;
}

static Slice
faults_bytes(const List *faults)
{
	Jsonb *json = faults_to_json(faults);

	return (Slice){(const char *) &json->root, VARSIZE(json) - VARHDRSZ};
}

static Datum
make_id(void)
{
	pg_uuid_t *id = palloc(sizeof(pg_uuid_t));

	uuid_v7_generate(id);
	return UUIDPGetDatum(id);
}

/* Another one. */
static void
keep(Keeping *keeping, const BatchElement *element, bool is_too_large)
{
	MemoryContext caller = MemoryContextSwitchTo(keeping->context);
	int place = keeping->count++;
	Size size;

	keeping->ids[place] = make_id();
	keeping->bodies[place] = is_too_large ? SLICE("\"too large to be kept\"") : body_text(element);
	keeping->faults[place] = faults_bytes(element->faults);
	MemoryContextSwitchTo(caller);
	size = keeping->bodies[place].length + keeping->faults[place].length;
	keeping->bytes += size;
	keeping->events_left.amount--;
	keeping->bytes_left.amount -= size;
}

/* One that was taken: its row is there, and within the limits. */
static void
keep_again(Keeping *keeping, const BatchElement *element)
{
	MemoryContext caller = MemoryContextSwitchTo(keeping->context);
	int place = keeping->taken_count++;

	keeping->taken_ids[place] = UUIDPGetDatum(element->rejected_id);
	keeping->new_ids[place] = make_id();
	keeping->new_faults[place] = faults_bytes(element->faults);
	keeping->bytes += keeping->new_faults[place].length;
	MemoryContextSwitchTo(caller);
}

/* Keeps a refused event, or adds to its faults that it is not kept; returns whether it is.  Looks before it writes. */
static bool
keep_within_limits(Keeping *keeping, BatchElement *element)
{
	Size size;
	bool is_too_large;
	const char *limit;

	CHECK_FOR_INTERRUPTS();
	if (keeping->count == PORTION_ROWS || keeping->taken_count == PORTION_ROWS || keeping->bytes >= PORTION_BYTES)
		keeping_write(keeping);
	if (element->rejected_id != NULL)
	{
		keep_again(keeping, element);
		return true;
	}
	size = body_size(element);
	is_too_large = size > MAX_BODY_BYTES;
	limit = limit_reached(keeping, is_too_large ? 0 : size);
	if (limit != NULL)
		element->faults = fault_add(element->faults, NULL, limit);
	else
		keep(keeping, element, is_too_large);
	return limit == NULL;
}

/* In a transaction of one snapshot a counter that others have used since is an error to touch: there it is not counted. */
static void
count_not_kept(const pg_uuid_t *account_id, int64 count)
{
	Datum arguments[] = {UUIDPGetDatum(account_id), (Datum) 0, Int64GetDatum(count),
						 TimestampTzGetDatum(GetCurrentTimestamp())};
	pg_uuid_t id;

	if (count == 0 || IsolationUsesXactSnapshot())
		return;
	statement_execute(&lock_counter, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	if (SPI_processed > 0)
		arguments[1] = row_value_there(0, 1);
	else
	{
		uuid_v7_generate(&id);
		arguments[1] = UUIDPGetDatum(&id);
	}
	statement_execute(SPI_processed > 0 ? &add_to_counter : &insert_counter, arguments, NULL);
}

/*
 * Keeps the refused events of a batch, as far as the account may have them; those
 * that are not kept have that as another fault.  Those of calls that run at the same
 * time do not see each other: each may fill up what is left.
 */
void
rejected_event_store(EventBatch *batch)
{
	const pg_uuid_t *account_id = &batch->account_id;
	MemoryContext context = CurrentMemoryContext;
	Keeping *keeping;
	int64 not_kept = 0;
	int i = 0;

	for (; i < batch->count && batch->elements[i].faults == NIL; i++)
		;
	if (i == batch->count)
		return;

	account_require(account_id);
	SPI_connect();
	keeping = palloc(sizeof(Keeping));
	keeping_begin(keeping, account_id);
	MemoryContextSwitchTo(context);
	for (; i < batch->count; i++)
	{
		if (batch->elements[i].faults != NIL && !keep_within_limits(keeping, &batch->elements[i]))
			not_kept++;
	}
	keeping_write(keeping);
	count_not_kept(account_id, not_kept);
	SPI_finish();
}

/* Deleting ----------------------------------------------------------------- */

/* Deletes at most so many of the account's that were refused before the moment; returns how many. */
uint64
rejected_event_delete_before(const pg_uuid_t *account_id, TimestampTz moment, int64 max_rows)
{
	pg_uuid_t first_kept;
	uint64 rows;

	uuid_v7_after(&first_kept, moment - 1);
	SPI_connect();
	statement_execute(&delete_before,
					  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(&first_kept), Int64GetDatum(max_rows)}, NULL);
	rows = SPI_processed;
	SPI_finish();
	return rows;
}

static bool
may_delete(void)
{
	Oid table = get_relname_relid("rejected_event", get_namespace_oid("usage_events", false));

	return OidIsValid(table) && pg_class_aclcheck(table, GetUserId(), ACL_DELETE) == ACLCHECK_OK;
}

/* Deletes some that are older than usage_events.rejected_retention, where the role may; returns how many. */
uint64
rejected_event_expire(const pg_uuid_t *account_id)
{
	if (retention_minutes == 0 || !may_delete())
		return 0;
	return rejected_event_delete_before(account_id, GetCurrentTimestamp() - retention_minutes * USECS_PER_MINUTE,
										EXPIRE_ROWS);
}

/* Deletes some of those that were taken, where the role may; the caller is connected to SPI.  Returns how many steps that was: 1, or 0. */
int
rejected_event_delete_taken(const pg_uuid_t *account_id)
{
	if (!may_delete())
		return 0;
	statement_execute(&delete_taken, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	return SPI_processed > 0 ? 1 : 0;
}

/* Taking ------------------------------------------------------------------- */

/* Takes the account's rejected events, all or those of the ids, as they came: from now on they count as gone.  Returns how many. */
int
rejected_event_take(const pg_uuid_t *account_id, ArrayType *ids, text ***bodies, pg_uuid_t **row_ids)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	int count;

	SPI_connect();
	statement_execute(&take_rejected,
					  (Datum[]){UUIDPGetDatum(account_id), PointerGetDatum(ids),
								TimestampTzGetDatum(GetCurrentTimestamp())},
					  statement_null_at(2, ids == NULL));
	count = (int) SPI_processed;

	spi_context = MemoryContextSwitchTo(context);
	*bodies = palloc(sizeof(text *) * Max(count, 1));
	*row_ids = palloc(sizeof(pg_uuid_t) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		(*bodies)[i] = DatumGetTextPCopy(row_value_there(i, 1));
		(*row_ids)[i] = *DatumGetUUIDP(row_value_there(i, 2));
		memory_budget_grow(VARSIZE((*bodies)[i]));
	}
	MemoryContextSwitchTo(spi_context);
	SPI_finish();
	return count;
}
