/*
 * event_store.c
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
 * The insert comes first, because most events are new: it tells by itself
 * whether the key is taken, and waits for another transaction that is about to
 * take or change it.  Only then is the row read, without a lock, which serves
 * retries; and only an event that is to be replaced locks its row, is compared
 * again, and gets its id under the lock, so that the versions of an event ascend
 * in the order in which they took its place.
 *
 * All goes through SQL (on Citus, rows written below it would land in the wrong
 * table), as the caller, with the account as a parameter.
 */
#include "postgres.h"

#include "event_store.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "account.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "event_id.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "statement.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* How often a key may turn out taken and then free again before we give up. */
#define MAX_ATTEMPTS 100

typedef enum OnConflict
{
	ON_CONFLICT_SUPERSEDE,
	ON_CONFLICT_IGNORE,
	ON_CONFLICT_REFUSE
} OnConflict;

static const struct config_enum_entry on_conflict_options[] = {{"supersede", ON_CONFLICT_SUPERSEDE, false},
															   {"ignore", ON_CONFLICT_IGNORE, false},
															   {"refuse", ON_CONFLICT_REFUSE, false},
															   {NULL, 0, false}};

static int on_conflict = ON_CONFLICT_SUPERSEDE;

/* The parameters that every statement on an event numbers alike. */
enum
{
	ARGUMENT_ACCOUNT_ID,
	ARGUMENT_CUSTOMER_EVENT_ID,
	ARGUMENT_ID,
	ARGUMENT_TIMESTAMP,
	ARGUMENT_CUSTOMER_ALIAS,
	ARGUMENT_EVENT_TYPE,
	ARGUMENT_PROPERTIES,
	ARGUMENT_SUPERSEDED_AT,
	ARGUMENT_COUNT
};

#define ARGUMENT_TYPES \
	{ \
		UUIDOID, TEXTOID, UUIDOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, JSONBOID, TIMESTAMPTZOID \
	}

/* The columns that read_row() reads. */
#define ROW_COLUMNS "id, customer_event_id, customer_alias, event_type, event_timestamp, event_properties"
enum
{
	COLUMN_ID = 1,
	COLUMN_CUSTOMER_EVENT_ID,
	COLUMN_CUSTOMER_ALIAS,
	COLUMN_EVENT_TYPE,
	COLUMN_TIMESTAMP,
	COLUMN_PROPERTIES,
	COLUMN_IS_SAME /* read by key only */
};

#define WHERE_KEY \
	" WHERE account_id OPERATOR(pg_catalog.=) $1" \
	" AND customer_event_id OPERATOR(pg_catalog.=) $2"

static Statement insert_event = {
	.sql = "INSERT INTO usage_events.event"
		   " (account_id, customer_event_id, id, event_timestamp, customer_alias, event_type, event_properties)"
		   " VALUES ($1, $2, $3, $4, $5, $6, $7)"
		   " ON CONFLICT (account_id, customer_event_id) DO NOTHING",
	.argument_count = ARGUMENT_SUPERSEDED_AT,
	.argument_types = ARGUMENT_TYPES,
};

/*
 * Content is compared as stored: instants and JSON values, not their spelling.  A
 * repeat without eventTimestamp ($4 is null) is the same if all else is.
 */
#define SELECT_BY_KEY \
	"SELECT " ROW_COLUMNS "," \
	" customer_alias OPERATOR(pg_catalog.=) $5" \
	" AND event_type OPERATOR(pg_catalog.=) $6" \
	" AND ($4 IS NULL OR event_timestamp OPERATOR(pg_catalog.=) $4)" \
	" AND event_properties OPERATOR(pg_catalog.=) $7" \
	" FROM usage_events.event" WHERE_KEY

static Statement read_event = {
	.sql = SELECT_BY_KEY,
	.argument_count = ARGUMENT_SUPERSEDED_AT,
	.argument_types = ARGUMENT_TYPES,
};

static Statement lock_event = {
	.sql = SELECT_BY_KEY " FOR NO KEY UPDATE",
	.argument_count = ARGUMENT_SUPERSEDED_AT,
	.argument_types = ARGUMENT_TYPES,
};

static Statement archive_event = {
	.sql = "INSERT INTO usage_events.superseded_event"
		   " (account_id, customer_event_id, id, event_timestamp, customer_alias, event_type, event_properties,"
		   " superseded_at, superseded_by)"
		   " SELECT account_id, customer_event_id, id, event_timestamp, customer_alias, event_type, event_properties,"
		   " $8, $3"
		   " FROM usage_events.event" WHERE_KEY,
	.argument_count = ARGUMENT_COUNT,
	.argument_types = ARGUMENT_TYPES,
};

static Statement replace_event = {
	.sql = "UPDATE usage_events.event"
		   " SET id = $3, event_timestamp = $4, customer_alias = $5, event_type = $6, event_properties = $7" WHERE_KEY,
	.argument_count = ARGUMENT_SUPERSEDED_AT,
	.argument_types = ARGUMENT_TYPES,
};

static Statement get_event = {
	.sql = "SELECT " ROW_COLUMNS " FROM usage_events.event"
		   " WHERE account_id OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.=) $2",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

void
event_store_init(void)
{
	DefineCustomEnumVariable("usage_events.on_conflict",
							 "What happens to an event whose customerEventId is taken by one of other content.",
							 "supersede: it takes the place; ignore: the first stays; refuse: an error.", &on_conflict,
							 ON_CONFLICT_SUPERSEDE, on_conflict_options, PGC_USERSET, 0, NULL, NULL, NULL);
}

static Datum
text_datum(EventText text)
{
	return PointerGetDatum(cstring_to_text_with_len(text.data, text.length));
}

static EventText
datum_text(Datum datum)
{
	text *value = DatumGetTextPP(datum);

	return (EventText){VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

/* The id's text, in memory of its own: what an event without customerEventId has as one. */
static EventText
id_text(const pg_uuid_t *id)
{
	char *text = palloc(EVENT_ID_TEXT_LENGTH + 1);

	event_id_to_text(id, text);
	return (EventText){text, EVENT_ID_TEXT_LENGTH};
}

/* A column of the first row that the last statement returned. */
static Datum
column(int number)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number, &isnull);

	if (isnull)
		elog(ERROR, "unexpected null in column %d of usage_events.event", number);
	return value;
}

/* Reads the row into the event, in memory that outlives SPI. */
static void
read_row(const pg_uuid_t *account_id, UsageEvent *event, MemoryContext context)
{
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	event->account_id = *account_id;
	event->id = *DatumGetUUIDP(column(COLUMN_ID));
	event->timestamp = DatumGetTimestampTz(column(COLUMN_TIMESTAMP));
	event->customer_event_id = datum_text(PointerGetDatum(DatumGetTextPCopy(column(COLUMN_CUSTOMER_EVENT_ID))));
	event->customer_alias = datum_text(PointerGetDatum(DatumGetTextPCopy(column(COLUMN_CUSTOMER_ALIAS))));
	event->event_type = datum_text(PointerGetDatum(DatumGetTextPCopy(column(COLUMN_EVENT_TYPE))));
	event->properties = DatumGetJsonbPCopy(column(COLUMN_PROPERTIES));
	event->has_account_id = event->has_id = event->has_timestamp = true;
	MemoryContextSwitchTo(spi_context);
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
ensure_durable(void)
{
	bool has_standbys = SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';

	bool has_written = TransactionIdIsValid(GetTopTransactionIdIfAny()) && XactLastRecEnd != 0;

	if (has_written || synchronous_commit == SYNCHRONOUS_COMMIT_OFF)
		return;
	if ((has_standbys && SyncRepRequested()) || GetFlushRecPtr(NULL) < GetXLogInsertRecPtr())
		log_transactional_message("usage_events", "retry", strlen("retry"));
}

/* Puts the event into the place of the stored one, whose row is locked. */
static void
supersede(const UsageEvent *stored, UsageEvent *event, Datum *arguments)
{
	TimestampTz superseded_at;

	event_id_generate_after(&event->id, &stored->id);

	/* The moment at which one version ends is the moment at which the next begins. */
	if (!event_id_timestamp(&event->id, &superseded_at))
		elog(ERROR, "id of a usage event is not of version 7");
	arguments[ARGUMENT_SUPERSEDED_AT] = TimestampTzGetDatum(superseded_at);

	statement_execute(&archive_event, arguments, NULL);
	statement_execute(&replace_event, arguments, NULL);
}

static void
refuse_conflict(const UsageEvent *stored)
{
	char id[EVENT_ID_TEXT_LENGTH + 1];

	event_id_to_text(&stored->id, id);
	ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION), errmsg("usage event conflicts with a stored one"),
					errdetail("Event %s has the same \"customerEventId\" and other content.", id),
					errhint("Send the event with another \"customerEventId\", "
							"or set usage_events.on_conflict to \"supersede\" to replace the stored one.")));
}

/*
 * Handles an event whose key is taken; `event` becomes what is stored then.
 * Returns false if the key is free again.
 */
static bool
put_over_stored(const pg_uuid_t *account_id, UsageEvent *event, Datum *arguments, MemoryContext context)
{
	Statement *const reads[] = {&read_event, &lock_event};
	char nulls[ARGUMENT_COUNT + 1];
	UsageEvent stored;

	memset(nulls, ' ', sizeof(nulls));
	if (!event->has_timestamp)
		nulls[ARGUMENT_TIMESTAMP] = 'n';

	for (size_t i = 0; i < lengthof(reads); i++)
	{
		statement_execute(reads[i], arguments, nulls);
		if (SPI_processed == 0)
			return false;
		read_row(account_id, &stored, context);

		if (DatumGetBool(column(COLUMN_IS_SAME)) || on_conflict == ON_CONFLICT_IGNORE)
		{
			ensure_durable();
			*event = stored;
			return true;
		}
		if (on_conflict == ON_CONFLICT_REFUSE)
			refuse_conflict(&stored);
	}

	supersede(&stored, event, arguments);
	return true;
}

/*
 * Stores an event; afterwards it is what is stored: with its id, or, where it was
 * a retry, the event that had been stored before.
 */
void
event_store_put(const pg_uuid_t *account_id, UsageEvent *event)
{
	MemoryContext context = CurrentMemoryContext;
	Datum arguments[ARGUMENT_COUNT];
	int attempts = 0;

	account_require(account_id);

	event_id_generate(&event->id);
	if (event->customer_event_id.data == NULL)
		event->customer_event_id = id_text(&event->id);
	if (!event->has_timestamp)
		event->timestamp = GetCurrentTimestamp();

	arguments[ARGUMENT_ACCOUNT_ID] = UUIDPGetDatum(account_id);
	arguments[ARGUMENT_CUSTOMER_EVENT_ID] = text_datum(event->customer_event_id);
	arguments[ARGUMENT_ID] = UUIDPGetDatum(&event->id);
	arguments[ARGUMENT_TIMESTAMP] = TimestampTzGetDatum(event->timestamp);
	arguments[ARGUMENT_CUSTOMER_ALIAS] = text_datum(event->customer_alias);
	arguments[ARGUMENT_EVENT_TYPE] = text_datum(event->event_type);
	arguments[ARGUMENT_PROPERTIES] = JsonbPGetDatum(event->properties);

	SPI_connect();
	for (;;)
	{
		statement_execute(&insert_event, arguments, NULL);
		if (SPI_processed == 1 || put_over_stored(account_id, event, arguments, context))
			break;

		/* Whoever had the key took it back: it is free, or looks so under a policy of the user's. */
		CHECK_FOR_INTERRUPTS();
		if (++attempts == MAX_ATTEMPTS)
			ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("could not store usage event"),
							errdetail("Its \"customerEventId\" is taken by an event that cannot be read.")));
	}
	SPI_finish();

	event->account_id = *account_id;
	event->has_account_id = event->has_id = event->has_timestamp = true;
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
		read_row(account_id, event, context);
	SPI_finish();
	return found;
}
