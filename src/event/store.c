/*
 * event/store.c
 *		The tables of usage events: one row an event in usage_events.event, and in
 *		usage_events.superseded_event what it replaced.
 *
 * An event is stored on (account, customerEventId):
 *
 *	new key						inserted
 *	same key, same content		a retry: nothing is written, the answer is the
 *								stored event
 *	same key, other content		moved to superseded_event, and replaced
 *
 * A batch ends exactly as its events would one by one.  Its events are sorted by
 * key into groups, and each group is played through in the order in which its
 * events came, starting from the stored event of that key, if any.  What comes
 * out is written set-based: the last version of each group to the table, the
 * ones before it to the history.
 *
 * The insert comes first, because most events are new: it tells by itself
 * whether the key is taken, and waits for another transaction that is about to
 * take or change it.  Only then is the row read, without a lock, which serves
 * retries; and only an event that is to be replaced locks its row, is played
 * through again, and gets its id under the lock, so that the versions of an event
 * ascend in the order in which they took its place.  Keys are inserted and locked
 * in ascending order: batches that overlap wait for each other, but do not
 * deadlock.
 *
 * All goes through SQL, as the caller, with the account as a parameter; but for a single
 * event where a statement would do no more than store its row (sql/row_insert.c).
 */
#include "postgres.h"

#include "event/store.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "account/account.h"
#include "account/key_scope.h"
#include "base/compat.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "customer/scope.h"
#include "event/check.h"
#include "event/mark.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "sql/distribution.h"
#include "sql/row.h"
#include "sql/row_insert.h"
#include "sql/statement.h"
#include "sql/subtransaction.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* How often a key may turn out taken and then free again before we give up. */
#define MAX_ATTEMPTS 100

/* When a plain INSERT is worth its subtransaction, and how many of those a transaction gets. */
#define LEAST_BATCH_FOR_PLAIN_INSERT 20
#define MAX_SUBTRANSACTIONS 60

typedef enum OnConflict
{
	ON_CONFLICT_SUPERSEDE,
	ON_CONFLICT_IGNORE,
	ON_CONFLICT_REFUSE
} OnConflict;

static const struct config_enum_entry on_conflict_options[] = {
	{"supersede", ON_CONFLICT_SUPERSEDE, false},
	{"ignore", ON_CONFLICT_IGNORE, false},
	{"refuse", ON_CONFLICT_REFUSE, false},
	{NULL, 0, false},
};

static int on_conflict = ON_CONFLICT_SUPERSEDE;

/* The events of one key, in the order in which they came. */
typedef struct EventGroup
{
	EventPut **puts;
	int count;
	const UsageEvent *stored; /* the event of that key in the table, NULL if there is none */
	EventPut *current;        /* the event to be written as current, NULL if the stored one stays */
	bool was_locked;          /* the stored one, before the events got their ids */
} EventGroup;

/* In statements that write events the account is $1, and the columns follow in their order. */
enum
{
	EVENT_ARGUMENT_COUNT = EVENT_COLUMN_COUNT,
	ARGUMENT_SUPERSEDED_AT = EVENT_ARGUMENT_COUNT,
	ARGUMENT_SUPERSEDED_BY,
	SUPERSEDED_ARGUMENT_COUNT
};

/* Arrays of one length, one row from each position: all columns but the account. */
#define UNNEST_EVENTS \
	"$1, pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)," \
	" pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7)"
#define EVENT_ARRAY_TYPES UUIDOID, EVENT_COLUMN_ARRAY_TYPES

#define ON_CONFLICT_DO_NOTHING " ON CONFLICT (account_id, customer_event_id) DO NOTHING"

static RowInsert insert_event = {
	.table = "event",
	.columns = "account_id, " EVENT_COLUMNS,
	.key = "event_pkey",
	.key_columns = "account_id, customer_event_id",
	.types = {UUIDOID, EVENT_COLUMN_TYPES},
};

static Statement insert_events = {
	.sql = "INSERT INTO usage_events.event (account_id, " EVENT_COLUMNS ")"
		   " SELECT " UNNEST_EVENTS ON_CONFLICT_DO_NOTHING,
	.argument_count = EVENT_ARGUMENT_COUNT,
	.argument_types = {EVENT_ARRAY_TYPES},
};

/* The same for keys that are thought to be free: an error if one is not. */
static Statement insert_new_events = {
	.sql = "INSERT INTO usage_events.event (account_id, " EVENT_COLUMNS ")"
		   " SELECT " UNNEST_EVENTS,
	.argument_count = EVENT_ARGUMENT_COUNT,
	.argument_types = {EVENT_ARRAY_TYPES},
};

static Statement replace_events = {
	.sql = "UPDATE usage_events.event AS e"
		   " SET id = n.id, event_timestamp = n.event_timestamp, customer_alias = n.customer_alias,"
		   " event_type = n.event_type, event_properties = n.event_properties"
		   " FROM (SELECT " UNNEST_EVENTS ") AS n (account_id, " EVENT_COLUMNS ")"
		   " WHERE e.account_id " EQ " $1"
		   " AND e.customer_event_id " EQ " n.customer_event_id",
	.argument_count = EVENT_ARGUMENT_COUNT,
	.argument_types = {EVENT_ARRAY_TYPES},
};

/* RETURNING as in insert_marks of event/mark.c. */
static Statement archive_events = {
	.sql = "INSERT INTO usage_events.superseded_event (account_id, " EVENT_COLUMNS ", superseded_at, superseded_by)"
		   " SELECT " UNNEST_EVENTS ", pg_catalog.unnest($8), pg_catalog.unnest($9) RETURNING account_id",
	.argument_count = SUPERSEDED_ARGUMENT_COUNT,
	.argument_types = {EVENT_ARRAY_TYPES TIMESTAMPTZARRAYOID, UUIDARRAYOID},
};

#define SELECT_BY_KEYS \
	"SELECT " EVENT_COLUMNS " FROM usage_events.event" \
	" WHERE account_id " EQ " $1" \
	" AND customer_event_id " EQ " ANY ($2)" \
	" ORDER BY customer_event_id"

static Statement read_events = {
	.sql = SELECT_BY_KEYS,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

static Statement lock_events = {
	.sql = SELECT_BY_KEYS " FOR NO KEY UPDATE",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

/*
 * A generic plan reckons with ten keys, and while it takes the account for small it
 * reads all of that and compares each event with each key: a minute for 20,000 of
 * both.  One for these keys looks them up, or compares by a hash of them.
 */
#define MANY_KEYS 300

static Statement read_many_events = {
	.sql = SELECT_BY_KEYS,
	.plans_each_time = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

static Statement lock_many_events = {
	.sql = SELECT_BY_KEYS " FOR NO KEY UPDATE",
	.plans_each_time = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

/* Without what is stored, of which nothing is known before it is written. */
#define LOCK_BY_KEYS \
	"SELECT 1 FROM usage_events.event WHERE account_id " EQ " $1 AND customer_event_id " EQ " ANY ($2)" \
	" ORDER BY customer_event_id FOR NO KEY UPDATE"

static Statement lock_keys = {
	.sql = LOCK_BY_KEYS,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

static Statement lock_many_keys = {
	.sql = LOCK_BY_KEYS,
	.plans_each_time = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

static Statement get_event = {
	.sql = "SELECT " EVENT_COLUMNS " FROM usage_events.event"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

/* Logged on the node that the account's rows are on. */
static Statement log_retry = {
	.sql = "SELECT pg_catalog.pg_logical_emit_message(true, 'usage_events', 'retry') FROM usage_events.account"
		   " WHERE account_id " EQ " $1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

void
event_store_init(void)
{
	DefineCustomEnumVariable("usage_events.on_conflict",
							 "What happens to an event whose customerEventId is taken by one of other content.",
							 "supersede: it takes the place; ignore: the first stays; refuse: an error.", &on_conflict,
							 ON_CONFLICT_SUPERSEDE, on_conflict_options, PGC_USERSET, 0, NULL, NULL, NULL);
}

/* Texts and bytes --------------------------------------------------------- */

/* The id's text, in memory of its own: what an event without customerEventId has as one. */
static Slice
id_text(const pg_uuid_t *id)
{
	char *text = palloc(UUID_TEXT_LENGTH + 1);

	uuid_v7_to_text(id, text);
	return (Slice){text, UUID_TEXT_LENGTH};
}

/* The row of an event. */
static void
event_values(const pg_uuid_t *account_id, const UsageEvent *event, Datum *values)
{
	values[EVENT_COLUMN_ACCOUNT] = UUIDPGetDatum(account_id);
	values[EVENT_COLUMN_ID] = UUIDPGetDatum(&event->id);
	values[EVENT_COLUMN_CUSTOMER_EVENT_ID] = slice_to_datum(event->customer_event_id);
	values[EVENT_COLUMN_CUSTOMER_ALIAS] = slice_to_datum(event->customer_alias);
	values[EVENT_COLUMN_TYPE] = slice_to_datum(event->event_type);
	values[EVENT_COLUMN_TIMESTAMP] = TimestampTzGetDatum(event->timestamp);
	/* A jsonb is its contents behind the same header as a text. */
	values[EVENT_COLUMN_PROPERTIES] = slice_to_datum(event->properties);
}

/* The parameters of a statement that writes many: arrays of all their columns. */
static void
event_arrays(const pg_uuid_t *account_id, const UsageEvent *const *events, int count, Datum *arguments)
{
	Datum *values = palloc(sizeof(Datum) * count);
	Slice *contents = palloc(sizeof(Slice) * count);

	arguments[EVENT_COLUMN_ACCOUNT] = UUIDPGetDatum(account_id);

	for (int i = 0; i < count; i++)
		values[i] = UUIDPGetDatum(&events[i]->id);
	arguments[EVENT_COLUMN_ID] = statement_uuid_array(values, count);
	for (int i = 0; i < count; i++)
		contents[i] = events[i]->customer_event_id;
	arguments[EVENT_COLUMN_CUSTOMER_EVENT_ID] = statement_varlena_array(contents, count, TEXTOID);
	for (int i = 0; i < count; i++)
		contents[i] = events[i]->customer_alias;
	arguments[EVENT_COLUMN_CUSTOMER_ALIAS] = statement_varlena_array(contents, count, TEXTOID);
	for (int i = 0; i < count; i++)
		contents[i] = events[i]->event_type;
	arguments[EVENT_COLUMN_TYPE] = statement_varlena_array(contents, count, TEXTOID);
	for (int i = 0; i < count; i++)
		values[i] = TimestampTzGetDatum(events[i]->timestamp);
	arguments[EVENT_COLUMN_TIMESTAMP] = statement_timestamp_array(values, count);
	for (int i = 0; i < count; i++)
		contents[i] = events[i]->properties;
	arguments[EVENT_COLUMN_PROPERTIES] = statement_varlena_array(contents, count, JSONBOID);
}

/* Rows -------------------------------------------------------------------- */

/* Reads the row into the event, in memory that outlives SPI. */
void
event_store_read_row(uint64 row, const pg_uuid_t *account_id, UsageEvent *event, MemoryContext context)
{
	MemoryContext spi_context = MemoryContextSwitchTo(context);
	Datum stored = row_value_there(row, EVENT_COLUMN_PROPERTIES);
	Jsonb *properties;

	/* Before they are taken out of where long values are kept. */
	memory_budget_grow(sizeof(UsageEvent) + toast_raw_datum_size(stored));
	event->account_id = *account_id;
	event->id = *DatumGetUUIDP(row_value_there(row, EVENT_COLUMN_ID));
	event->customer_event_id = row_text_copy(row, EVENT_COLUMN_CUSTOMER_EVENT_ID);
	event->customer_alias = row_text_copy(row, EVENT_COLUMN_CUSTOMER_ALIAS);
	event->event_type = row_text_copy(row, EVENT_COLUMN_TYPE);
	event->timestamp = DatumGetTimestampTz(row_value_there(row, EVENT_COLUMN_TIMESTAMP));
	properties = DatumGetJsonbPCopy(stored);
	event->properties = (Slice){(const char *) &properties->root, VARSIZE(properties) - VARHDRSZ};
	event->has_account_id = event->has_id = event->has_timestamp = true;
	MemoryContextSwitchTo(spi_context);
}

/*
 * Reads or locks the stored events of the groups, in the order of their keys;
 * `stored` of a group is NULL afterwards if there is none.
 */
static void
read_stored(Statement *statement, const pg_uuid_t *account_id, EventGroup **groups, int count, MemoryContext context)
{
	Slice *keys = palloc(sizeof(Slice) * count);
	uint64 row = 0;

	for (int i = 0; i < count; i++)
		keys[i] = groups[i]->puts[0]->event.customer_event_id;
	statement_execute(statement, (Datum[]){UUIDPGetDatum(account_id), statement_varlena_array(keys, count, TEXTOID)},
					  NULL);

	for (int i = 0; i < count; i++)
	{
		groups[i]->stored = NULL;
		if (row < SPI_processed && slice_compare(row_text(row, EVENT_COLUMN_CUSTOMER_EVENT_ID),
												 groups[i]->puts[0]->event.customer_event_id) == 0)
		{
			UsageEvent *stored = MemoryContextAlloc(context, sizeof(UsageEvent));

			event_store_read_row(row++, account_id, stored, context);
			groups[i]->stored = stored;
		}
	}
	/* A transaction that keeps its snapshot sees one that was purged since, and the new one that it has just stored in its place. */
	if (row != SPI_processed && IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("could not serialize access due to concurrent delete")));
	if (row != SPI_processed)
		elog(ERROR, "usage events came back out of order");
	SPI_freetuptable(SPI_tuptable);
}

/* The rule of supersede --------------------------------------------------- */

/*
 * Content is compared as stored: instants and JSON values, not their spelling.  A
 * repeat without eventTimestamp is the same if all else is: the client sent the
 * same bytes twice.
 */
static bool
is_same_content(const UsageEvent *stored, const EventPut *put)
{
	const UsageEvent *event = &put->event;

	return slice_compare(stored->customer_alias, event->customer_alias) == 0 &&
		   slice_compare(stored->event_type, event->event_type) == 0 &&
		   (put->is_of_now || stored->timestamp == event->timestamp) &&
		   compareJsonbContainers((JsonbContainer *) stored->properties.data,
								  (JsonbContainer *) event->properties.data) == 0;
}

/* What becomes of an event that finds another under its key, or none: it takes the place if it is the answer. */
void
event_store_meet(EventPut *put, const UsageEvent *last)
{
	put->superseded = NULL;
	put->answer = last;
	if (last != NULL && (on_conflict == ON_CONFLICT_IGNORE || is_same_content(last, put)))
		put->outcome = EVENT_UNCHANGED;
	else if (last != NULL && on_conflict == ON_CONFLICT_REFUSE)
		put->outcome = EVENT_REFUSED;
	else
	{
		put->outcome = last == NULL ? EVENT_CREATED : EVENT_SUPERSEDED;
		put->superseded = last;
		put->answer = &put->event;
	}
}

/*
 * Plays a group through: what each of its events finds, and is answered.  Sets
 * the event that is current in the end, unless the stored one stays.
 */
static void
play_through(EventGroup *group)
{
	const UsageEvent *last = group->stored;

	group->current = NULL;
	for (int i = 0; i < group->count; i++)
	{
		EventPut *put = group->puts[i];

		event_store_meet(put, last);
		if (put->answer == &put->event)
		{
			last = &put->event;
			group->current = put;
		}
	}
}

/* What is wrong with an event that was refused for a conflict, worded to follow the name of its field. */
const char *
event_conflict_text(const EventPut *put)
{
	char id[UUID_TEXT_LENGTH + 1];

	uuid_v7_to_text(&put->answer->id, id);
	return psprintf("is taken by event %s, which has other content", id);
}

/* Refuses events for their conflicts: one error for all.  first_index is -1 for a single event. */
void
event_conflicts_report(const EventPut *puts, int count, int64 first_index)
{
	int refused = 0;
	int told = 0;
	StringInfoData detail;

	initStringInfo(&detail);
	for (int i = 0; i < count; i++)
	{
		if (puts[i].outcome != EVENT_REFUSED)
			continue;
		refused++;
		if (!faults_are_told(&detail, told))
			continue;
		event_faults_describe(&detail, first_index < 0 ? -1 : first_index + i,
							  fault_add(NIL, event_field_names[FIELD_CUSTOMER_EVENT_ID].data,
										event_conflict_text(&puts[i])));
		told++;
	}
	if (told < refused)
		appendStringInfo(&detail, "\nAnd %d more event%s.", refused - told, refused - told == 1 ? "" : "s");
	ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION), errmsg("usage event conflicts with a stored one"),
					errdetail_internal("%s", detail.data),
					errhint("Send the event with another \"customerEventId\", "
							"or set usage_events.on_conflict to \"supersede\" to replace the stored one.")));
}

/* Writing ----------------------------------------------------------------- */

/* Memory for a statement's arrays, which are as large as the batch, and its end; returns what was current. */
static MemoryContext
enter_arguments(void)
{
	return MemoryContextSwitchTo(
		AllocSetContextCreate(CurrentMemoryContext, "usage events of a statement", ALLOCSET_DEFAULT_SIZES));
}

static void
leave_arguments(MemoryContext before)
{
	MemoryContextDelete(MemoryContextSwitchTo(before));
}

/* Runs a statement over the events that the groups have as current. */
static uint64
write_current(Statement *statement, const pg_uuid_t *account_id, EventGroup **groups, int count)
{
	MemoryContext caller = enter_arguments();
	const UsageEvent **events = palloc(sizeof(UsageEvent *) * count);
	Datum arguments[EVENT_ARGUMENT_COUNT];

	for (int i = 0; i < count; i++)
	{
		if (groups[i]->current == NULL)
			elog(ERROR, "there is no usage event to write");
		events[i] = &groups[i]->current->event;
	}
	event_arrays(account_id, events, count, arguments);
	statement_execute(statement, arguments, NULL);
	leave_arguments(caller);
	return SPI_processed;
}

typedef struct InsertWork
{
	const pg_uuid_t *account_id;
	EventGroup **groups;
	int count;
	uint64 inserted;
} InsertWork;

static void
insert_work(void *argument)
{
	InsertWork *work = argument;

	work->inserted = write_current(&insert_new_events, work->account_id, work->groups, work->count);
}

/*
 * Inserts what the groups have as current.  Returns whether all were inserted;
 * if not, those whose keys are taken were not, and perhaps none.
 *
 * ON CONFLICT DO NOTHING looks each key up before it inserts it, a sixth of the
 * time of a batch.  A plain INSERT finds a taken key by itself, but fails, and
 * leaves dead rows behind.  It is therefore tried only where the batch before was
 * all new, as in an import; in a subtransaction, of which a transaction gets no
 * more than the server keeps in every snapshot (64), lest others have to look up
 * which transaction they belong to.
 *
 * Citus counts as inserted what was not: what there is then has to be read.
 */
static bool
insert_groups(const pg_uuid_t *account_id, EventGroup **groups, int count)
{
	static bool last_was_new = false;
	static LocalTransactionId transaction = InvalidLocalTransactionId;
	static int subtransactions;

	if (transaction != current_local_transaction_id())
	{
		transaction = current_local_transaction_id();
		subtransactions = 0;
	}
	if (last_was_new && count >= LEAST_BATCH_FOR_PLAIN_INSERT && subtransactions < MAX_SUBTRANSACTIONS)
	{
		InsertWork work = {account_id, groups, count, 0};
		ErrorData *error = subtransaction_try(insert_work, &work);

		subtransactions++;
		if (error == NULL)
			return work.inserted == (uint64) count;
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			ReThrowError(error);
	}
	last_was_new = write_current(&insert_events, account_id, groups, count) == (uint64) count && !distribution_is_on();
	return last_was_new;
}

/* Gives the new versions of a group ids above that of the stored one, whose row is locked; they have them where it was before. */
static void
assign_ids_above_stored(EventGroup *group)
{
	const pg_uuid_t *earlier = &group->stored->id;

	for (int i = 0; i < group->count; i++)
	{
		pg_uuid_t *id = &group->puts[i]->event.id;

		if (!group->was_locked || uuid_v7_compare(id, earlier) <= 0)
			uuid_v7_generate_after(id, earlier);
		earlier = id;
	}
}

static bool
has_superseded(const EventPut *puts, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (puts[i].superseded != NULL)
			return true;
	}
	return false;
}

/* Writes all that was superseded to the history. */
static void
archive_superseded(const pg_uuid_t *account_id, EventPut *puts, int count)
{
	MemoryContext caller;
	const UsageEvent **versions;
	Datum *superseded_at;
	Datum *superseded_by;
	Datum arguments[SUPERSEDED_ARGUMENT_COUNT];
	int superseded_count = 0;

	if (!has_superseded(puts, count))
		return;
	caller = enter_arguments();
	versions = palloc(sizeof(UsageEvent *) * count);
	superseded_at = palloc(sizeof(Datum) * count);
	superseded_by = palloc(sizeof(Datum) * count);
	for (int i = 0; i < count; i++)
	{
		TimestampTz at;

		if (puts[i].superseded == NULL)
			continue;

		/* The moment at which one version ends is the moment at which the next begins. */
		if (!uuid_v7_time(&puts[i].event.id, &at))
			elog(ERROR, "id of a usage event is not of version 7");
		versions[superseded_count] = puts[i].superseded;
		superseded_at[superseded_count] = TimestampTzGetDatum(at);
		superseded_by[superseded_count] = UUIDPGetDatum(&puts[i].event.id);
		superseded_count++;
	}

	event_arrays(account_id, versions, superseded_count, arguments);
	arguments[ARGUMENT_SUPERSEDED_AT] = statement_timestamp_array(superseded_at, superseded_count);
	arguments[ARGUMENT_SUPERSEDED_BY] = statement_uuid_array(superseded_by, superseded_count);
	statement_execute(&archive_events, arguments, NULL);
	SPI_freetuptable(SPI_tuptable);
	leave_arguments(caller);
}

/*
 * Makes the commit of this transaction wait until what it has seen is as durable
 * as what it writes.
 *
 * The answer to a retry says "stored", but the row was written by another
 * transaction: one that did not wait for its flush (synchronous_commit = off), or
 * whose client went away while it waited for a synchronous standby.  A record of
 * our own makes our commit wait for both.  It is left out where the transaction
 * has written already, and where there is nothing to wait for, so that an ordinary
 * retry writes nothing at all.
 */
static void
ensure_durable(const pg_uuid_t *account_id)
{
	bool has_standbys = SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';
	bool has_written = TransactionIdIsValid(GetTopTransactionIdIfAny()) && XactLastRecEnd != 0;

	if (has_written || synchronous_commit == SYNCHRONOUS_COMMIT_OFF)
		return;
	/* What its node has flushed is not known here. */
	if (!distribution_is_here(account_id))
		statement_execute(&log_retry, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	else if ((has_standbys && SyncRepRequested()) || GetFlushRecPtr(NULL) < GetXLogInsertRecPtr())
		log_transactional_message("usage_events", "retry", strlen("retry"));
}

/* Putting ----------------------------------------------------------------- */

/* Moves the groups for which `wanted` holds to the front of the list; returns their number. */
static int
keep_groups(EventGroup **groups, int count, bool (*wanted)(const EventGroup *group))
{
	int kept = 0;

	for (int i = 0; i < count; i++)
	{
		if (wanted(groups[i]))
			groups[kept++] = groups[i];
	}
	return kept;
}

static bool
has_no_stored(const EventGroup *group)
{
	return group->stored == NULL;
}

/* The stored event is not the one that we have just inserted. */
static bool
is_taken(const EventGroup *group)
{
	return group->stored == NULL || !uuid_v7_equal(&group->stored->id, &group->current->event.id);
}

static bool
is_to_be_replaced(const EventGroup *group)
{
	return group->stored != NULL && group->current != NULL;
}

/*
 * Stores the groups.  With `is_taken_already`, the caller has tried to insert and
 * found the keys taken.
 */
static void
put_groups(const pg_uuid_t *account_id, EventGroup **groups, int count, bool is_taken_already, MemoryContext context)
{
	for (int attempts = 0; attempts < MAX_ATTEMPTS; attempts++)
	{
		EventGroup **locked;
		int locked_count;

		CHECK_FOR_INTERRUPTS();

		/* As if all were new; what is not inserted has a stored event. */
		if (!is_taken_already)
		{
			for (int i = 0; i < count; i++)
			{
				groups[i]->stored = NULL;
				play_through(groups[i]);
			}
			if (insert_groups(account_id, groups, count))
				return;
		}
		read_stored(count < MANY_KEYS ? &read_events : &read_many_events, account_id, groups, count, context);
		if (!is_taken_already)
			count = keep_groups(groups, count, is_taken);

		/* Retries end here. */
		for (int i = 0; i < count; i++)
			play_through(groups[i]);

		/* What is to be replaced is locked and played through again. */
		locked = palloc(sizeof(EventGroup *) * count);
		memcpy(locked, groups, sizeof(EventGroup *) * count);
		locked_count = keep_groups(locked, count, is_to_be_replaced);
		if (locked_count > 0)
		{
			read_stored(locked_count < MANY_KEYS ? &lock_events : &lock_many_events, account_id, locked, locked_count,
						context);
			for (int i = 0; i < locked_count; i++)
				play_through(locked[i]);
			locked_count = keep_groups(locked, locked_count, is_to_be_replaced);
			for (int i = 0; i < locked_count; i++)
				assign_ids_above_stored(locked[i]);
			if (locked_count > 0 &&
				write_current(&replace_events, account_id, locked, locked_count) != (uint64) locked_count)
				elog(ERROR, "could not replace usage events that are locked");
		}

		/* Whoever had the other keys took them back: they are free, or look so under a policy of the user's. */
		count = keep_groups(groups, count, has_no_stored);
		if (count == 0)
			return;
		is_taken_already = false;
	}

	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("could not store usage event"),
		 errdetail(
			 "Its \"customerEventId\" is taken by an event that cannot be read, or a trigger or policy keeps it out.")));
}

/* Fills what the sender left out. */
static void
complete(EventPut *put)
{
	UsageEvent *event = &put->event;

	uuid_v7_generate(&event->id);
	if (event->customer_event_id.data == NULL)
		event->customer_event_id = id_text(&event->id);
	put->is_of_now = !event->has_timestamp;
	if (put->is_of_now)
		event->timestamp = GetCurrentTimestamp();
}

/* The rest, common to one and many: history, marks, durability, and whole events as answers. */
static void
finish(const pg_uuid_t *account_id, EventPut *puts, int count)
{
	bool rests_on_stored = false;

	archive_superseded(account_id, puts, count);
	event_mark_add(account_id, puts, count);
	for (int i = 0; i < count; i++)
	{
		UsageEvent *event = &puts[i].event;

		event->account_id = *account_id;
		event->has_account_id = event->has_id = event->has_timestamp = true;
		rests_on_stored = rests_on_stored || puts[i].outcome == EVENT_UNCHANGED;
	}
	if (rests_on_stored)
		ensure_durable(account_id);
}

/* Stores one event: as a batch of one would, but with one statement where it is new. */
void
event_store_put(const pg_uuid_t *account_id, EventPut *put)
{
	MemoryContext context = CurrentMemoryContext;
	EventGroup group = {.puts = &put, .count = 1};
	EventGroup *groups[] = {&group};
	UsageEvent *event = &put->event;
	Datum values[EVENT_ARGUMENT_COUNT];

	account_require(account_id);
	complete(put);
	play_through(&group);

	SPI_connect();
	event_values(account_id, event, values);
	if (!row_insert(&insert_event, values, NULL))
		put_groups(account_id, groups, 1, true, context);
	finish(account_id, put, 1);
	SPI_finish();
}

static int
compare_puts(const void *a, const void *b)
{
	const EventPut *put_a = *(EventPut *const *) a;
	const EventPut *put_b = *(EventPut *const *) b;
	int result = slice_compare(put_a->event.customer_event_id, put_b->event.customer_event_id);

	/* Those of one key stay in the order of the batch, which is their order in memory. */
	return result != 0 ? result : (put_a > put_b) - (put_a < put_b);
}

static void
put_many(const pg_uuid_t *account_id, EventPut *puts, int count, bool was_locked)
{
	MemoryContext context = CurrentMemoryContext;
	EventPut **sorted = palloc(sizeof(EventPut *) * count);
	EventGroup *all_groups = palloc(sizeof(EventGroup) * count);
	EventGroup **groups = palloc(sizeof(EventGroup *) * count);
	int sorted_count = 0;
	int group_count = 0;

	account_require(account_id);
	for (int i = 0; i < count; i++)
	{
		memory_budget_grow(sizeof(EventPut) + sizeof(EventGroup));
		if (puts[i].refusal != NULL)
			continue;
		complete(&puts[i]);
		sorted[sorted_count++] = &puts[i];
	}
	if (sorted_count == 0)
		return;
	qsort(sorted, sorted_count, sizeof(EventPut *), compare_puts);

	for (int i = 0; i < sorted_count; i++)
	{
		if (i == 0 || slice_compare(sorted[i - 1]->event.customer_event_id, sorted[i]->event.customer_event_id) != 0)
		{
			groups[group_count] = &all_groups[group_count];
			*groups[group_count++] = (EventGroup){.puts = &sorted[i], .was_locked = was_locked};
		}
		groups[group_count - 1]->count++;
	}

	SPI_connect();
	put_groups(account_id, groups, group_count, false, context);
	finish(account_id, puts, count);
	SPI_finish();
}

/* Stores those of a batch that nothing keeps out, in the order given. */
void
event_store_put_many(const pg_uuid_t *account_id, EventPut *puts, int count)
{
	put_many(account_id, puts, count, false);
}

/* The same where event_store_lock() was called before: ids are in the order given as well, of new events and of what takes a place. */
void
event_store_put_locked(const pg_uuid_t *account_id, EventPut *puts, int count)
{
	put_many(account_id, puts, count, true);
}

/* Locks what is stored under the keys of a batch, in the order in which the batch itself would. */
void
event_store_lock(const pg_uuid_t *account_id, const EventPut *puts, int count)
{
	Slice *keys = palloc_extended(sizeof(Slice) * count, MCXT_ALLOC_HUGE);
	int key_count = 0;

	memory_budget_grow(sizeof(Slice) * count);
	for (int i = 0; i < count; i++)
	{
		if (puts[i].refusal == NULL && puts[i].event.customer_event_id.data != NULL)
			keys[key_count++] = puts[i].event.customer_event_id;
	}
	SPI_connect();
	statement_execute(key_count < MANY_KEYS ? &lock_keys : &lock_many_keys,
					  (Datum[]){UUIDPGetDatum(account_id), statement_varlena_array(keys, key_count, TEXTOID)}, NULL);
	SPI_finish();
}

/* Whether the request's key may know of the event. */
static bool
is_in_scope(const UsageEvent *event)
{
	return key_scope_customer() == NULL || customer_scope_has(&event->account_id, event->customer_alias);
}

/* Reads the account's event of that id; false if there is none. */
bool
event_store_get(const pg_uuid_t *account_id, const pg_uuid_t *id, UsageEvent *event)
{
	MemoryContext context = CurrentMemoryContext;
	bool found;

	SPI_connect();
	statement_execute(&get_event, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id)}, NULL);
	found = SPI_processed > 0;
	if (found)
		event_store_read_row(0, account_id, event, context);
	SPI_finish();
	return found && is_in_scope(event);
}
