/*
 * retention/erasure.c
 *		Erasing what is stored of a customer, as laws ask for:
 *		usage_events.erase_customer().
 *
 * It is done in steps, and whoever stops in the midst may go on at any time: as in any
 * write, each step marks the seconds that its events were in, so answers are what is
 * left at each moment.  First go the current events, then versions that were superseded, then
 * refused events.  When there are none left, rollups, marks and what alerts have told go, which have the
 * alias in them, limits and alerts that are the customer's own, and at last its mapping, by which the next step finds the aliases.
 *
 * Of an event that others had before or have since, only the versions of the customer go.
 * A version that was taken back, whose alias is VOID, says of whom by the versions beside it.
 *
 * A refresh that is under way would write the alias once more: it is waited for.
 */
#include "postgres.h"

#include "account/account.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "event/mark.h"
#include "event/rejected_search.h"
#include "fmgr.h"
#include "limit/in_force.h"
#include "miscadmin.h"
#include "retention/step.h"
#include "rollup/turn.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* The alias; of a customer by id, the aliases that are mapped to the customer, as in a question about one. */
static Statement find_names = {
	.sql = "SELECT $2 UNION SELECT a.value FROM usage_events.customer_alias AS a"
		   " WHERE a.account_id " EQ " $1 AND a.customer_id " EQ " $2"
		   " AND a.deleted_at IS NULL AND NOT EXISTS (SELECT FROM usage_events.customer_alias AS m"
		   " WHERE m.account_id " EQ " $1 AND m.value " EQ " $2"
		   " AND m.deleted_at IS NULL AND m.customer_id " NE " $2)",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

/*
 * The customer of an alias that is the id of another customer as well.  By its id that one would be
 * erased too, at the latest by the next call, when the alias' mapping is gone.
 */
static Statement find_other_meaning = {
	.sql = "SELECT m.customer_id FROM usage_events.customer_alias AS m"
		   " WHERE m.account_id " EQ " $1 AND m.value " EQ " $2"
		   " AND m.deleted_at IS NULL AND m.customer_id " NE " $2"
		   " AND EXISTS (SELECT FROM usage_events.customer_alias AS a WHERE a.account_id " EQ " $1"
		   " AND a.customer_id " EQ " $2 AND a.deleted_at IS NULL)",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static Statement find_events = {
	.sql = "SELECT customer_event_id FROM usage_events.event WHERE account_id " EQ " $1"
		   " AND customer_alias " EQ " ANY ($2) LIMIT $3",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTARRAYOID, INT8OID},
};

/* By key in ascending order, as writers lock them. */
static Statement lock_events = {
	.sql = "SELECT FROM usage_events.event WHERE account_id " EQ " $1"
		   " AND customer_event_id " EQ " ANY ($2)"
		   " AND customer_alias " EQ " ANY ($3) ORDER BY customer_event_id FOR UPDATE",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTARRAYOID, TEXTARRAYOID},
};

static Statement delete_events = {
	.sql = "DELETE FROM usage_events.event WHERE account_id " EQ " $1"
		   " AND customer_event_id " EQ " ANY ($2)"
		   " AND customer_alias " EQ " ANY ($3)"
		   " RETURNING event_type, customer_alias, event_timestamp",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTARRAYOID, TEXTARRAYOID},
};

static Statement find_versions = {
	.sql = "SELECT customer_event_id, id FROM usage_events.superseded_event WHERE account_id " EQ " $1"
		   " AND customer_alias " EQ " ANY ($2) LIMIT $3",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTARRAYOID, INT8OID},
};

static Statement delete_versions = {
	.sql = "DELETE FROM usage_events.superseded_event WHERE account_id " EQ " $1"
		   " AND customer_event_id " EQ " ANY ($2)"
		   " AND customer_alias " EQ " ANY ($3)",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTARRAYOID, TEXTARRAYOID},
};

static Statement read_rejected = {
	.sql = "SELECT id, body FROM usage_events.rejected_event WHERE account_id " EQ " $1",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement delete_rejected = {
	.sql = "DELETE FROM usage_events.rejected_event WHERE account_id " EQ " $1"
		   " AND id " EQ " ANY ($2)",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDARRAYOID},
};

/* A mark that is of an event that came meanwhile stays: that event is not erased yet. */
static Statement delete_marks = {
	.sql = "DELETE FROM usage_events.dirty_bucket WHERE account_id " EQ " $1"
		   " AND customer_alias " EQ " ANY ($2)"
		   " AND NOT EXISTS (SELECT FROM usage_events.event AS e WHERE e.account_id " EQ " $1"
		   " AND e.customer_alias " EQ " ANY ($2))",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

/* First the rows at the top, without which nothing below is used; those of many metrics may take several calls. */
static Statement delete_rollups = {
	.sql = "DELETE FROM usage_events.metric_rollup WHERE account_id " EQ " $1"
		   " AND ctid " EQ " ANY (ARRAY(SELECT ctid FROM usage_events.metric_rollup"
		   " WHERE account_id " EQ " $1 AND customer_alias " EQ " ANY ($2)"
		   " ORDER BY level LIMIT $3))",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTARRAYOID, INT8OID},
};

/* What alerts have told of the customer, and those that are of nobody else. */
#define DELETE_OF_ALERTS(table) \
	{ \
		.sql = "DELETE FROM usage_events." table " WHERE account_id " EQ " $1" \
			   " AND ctid " EQ " ANY (ARRAY(SELECT ctid FROM usage_events." table " WHERE account_id " EQ \
			   " $1 AND customer " EQ " ANY ($2) LIMIT $3))", \
		.argument_count = 3, \
		.argument_types = \
		{ UUIDOID, \
		  TEXTARRAYOID, \
		  INT8OID } \
	}

static Statement delete_of_alerts[] = {
	DELETE_OF_ALERTS("usage_alert_event"), DELETE_OF_ALERTS("usage_alert_state"),
	DELETE_OF_ALERTS("usage_alert_due"),   DELETE_OF_ALERTS("superseded_usage_alert"),
	DELETE_OF_ALERTS("usage_alert"),
};

static Statement forget_alert_place = {
	.sql = "UPDATE usage_events.usage_alert_progress SET customer_alias = $3"
		   " WHERE account_id " EQ " $1 AND customer_alias " EQ " ANY ($2)",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTARRAYOID, TEXTOID},
};

/* How far refreshes have come: a metric that is being built begins anew, the others do not need it. */
static Statement forget_place = {
	.sql = "UPDATE usage_events.metric_progress SET customer_alias = NULL"
		   " WHERE account_id " EQ " $1 AND customer_alias " EQ " ANY ($2)",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

static Statement forget_turn = {
	.sql = "UPDATE usage_events.metric_progress SET turn_event_type = NULL, turn_customer_alias = NULL"
		   " WHERE account_id " EQ " $1 AND turn_customer_alias " EQ " ANY ($2)",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

/* Limits that are the customer's own, and their past versions; those of many may take several calls. */
static Statement delete_limits = {
	.sql = "DELETE FROM usage_events.usage_limit WHERE account_id " EQ " $1"
		   " AND ctid " EQ " ANY (ARRAY(SELECT ctid FROM usage_events.usage_limit"
		   " WHERE account_id " EQ " $1 AND customer " EQ " ANY ($2) LIMIT $3))",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTARRAYOID, INT8OID},
};

static Statement delete_limit_versions = {
	.sql = "DELETE FROM usage_events.superseded_usage_limit WHERE account_id " EQ " $1"
		   " AND ctid " EQ " ANY (ARRAY(SELECT ctid FROM usage_events.superseded_usage_limit"
		   " WHERE account_id " EQ " $1 AND customer " EQ " ANY ($2) LIMIT $3))",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTARRAYOID, INT8OID},
};

/* What is mapped to the customer meanwhile is for the next call, with its events. */
static Statement delete_aliases = {
	.sql = "DELETE FROM usage_events.customer_alias WHERE account_id " EQ " $1"
		   " AND (value " EQ " ANY ($2)"
		   " OR (customer_id " EQ " $3 AND deleted_at IS NOT NULL))",
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTARRAYOID, TEXTOID},
};

/* They are not counted: each ends by itself, and its row is another's soon. */
static Statement delete_portal_tokens = {
	.sql = "DELETE FROM usage_events.portal_token WHERE account_id " EQ " $1 AND customer " EQ " ANY ($2)",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTARRAYOID},
};

static Statement insert_record = {
	.sql = "INSERT INTO usage_events.erasure (account_id, id, erased_at, erased_by, event_count, version_count,"
		   " rejected_count, rollup_count, alias_count, limit_count) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
	.argument_count = 10,
	.argument_types = {UUIDOID, UUIDOID, TIMESTAMPTZOID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID},
};

/* One call. */
typedef struct Erasure
{
	Datum account;
	const pg_uuid_t *account_id;
	Slice alias; /* as it was given */
	Datum alias_text;
	Datum names; /* the alias and those that are mapped to it */
	Datum void_name;
	Slice *name_texts;
	int name_count;
	int64 rows_left;
	int64 events;
	int64 versions;
	int64 rejected;
	int64 rollups;
	int64 aliases;
	int64 limits;
} Erasure;

/* Events ------------------------------------------------------------------- */

/* Marks what was deleted, as versions that were replaced. */
static void
mark_returned(const Erasure *erasure)
{
	int count = (int) SPI_processed;
	EventPut *puts;
	UsageEvent *events;

	if (count == 0)
		return;
	memory_budget_grow((sizeof(EventPut) + sizeof(UsageEvent)) * (Size) count);
	puts = palloc0(sizeof(EventPut) * count);
	events = palloc0(sizeof(UsageEvent) * count);
	for (int row = 0; row < count; row++)
	{
		events[row].event_type = row_text(row, 1);
		events[row].customer_alias = row_text(row, 2);
		events[row].timestamp = DatumGetTimestampTz(row_value_there(row, 3));
		puts[row].outcome = EVENT_UNCHANGED;
		puts[row].superseded = &events[row];
	}
	event_mark_add(erasure->account_id, puts, count);
}

/* Deletes the current events of these keys that have one of the names, and marks where they were. */
static void
erase_current(Erasure *erasure, Datum keys, Datum names)
{
	Datum arguments[] = {erasure->account, keys, names};

	statement_execute(&lock_events, arguments, NULL);
	statement_execute(&delete_events, arguments, NULL);
	erasure->events += (int64) SPI_processed;
	erasure->rows_left -= (int64) SPI_processed;
	mark_returned(erasure);
}

/* The same of their past versions, which no rollup has. */
static void
erase_past(Erasure *erasure, Datum keys, Datum names)
{
	statement_execute(&delete_versions, (Datum[]){erasure->account, keys, names}, NULL);
	erasure->versions += (int64) SPI_processed;
	erasure->rows_left -= (int64) SPI_processed;
}

/* Erases current events; returns whether there were any. */
static bool
erase_events(Erasure *erasure)
{
	int count;
	Datum keys;

	statement_execute(&find_events, (Datum[]){erasure->account, erasure->names, Int64GetDatum(erasure->rows_left)},
					  NULL);
	keys = row_text_array(&count);
	if (count == 0)
		return false;
	erase_current(erasure, keys, erasure->names);
	erase_past(erasure, keys, erasure->void_name);
	return true;
}

/* Erases versions, and where an event was taken back, what tells of it. */
static void
erase_versions(Erasure *erasure)
{
	int count;
	Datum keys;

	statement_execute(&find_versions, (Datum[]){erasure->account, erasure->names, Int64GetDatum(erasure->rows_left)},
					  NULL);
	keys = row_text_array(&count);
	if (count == 0)
		return;
	erase_current(erasure, keys, erasure->void_name);
	erase_past(erasure, keys, erasure->void_name);
	erase_past(erasure, keys, erasure->names);
}

/* Refused events ------------------------------------------------------------ */

typedef struct RejectedSearch
{
	const Erasure *erasure;
	MemoryContext body_context;
	Datum *ids;
	int count;
} RejectedSearch;

static bool
names_customer(const Erasure *erasure, Slice body)
{
	for (int i = 0; i < erasure->name_count; i++)
	{
		if (rejected_body_names(body, erasure->name_texts[i]))
			return true;
	}
	return false;
}

static void
take_rejected(uint64 row, void *argument)
{
	RejectedSearch *search = argument;
	MemoryContext caller = MemoryContextSwitchTo(search->body_context);
	bool is_found = search->count < search->erasure->rows_left && names_customer(search->erasure, row_text(row, 2));

	MemoryContextSwitchTo(caller);
	MemoryContextReset(search->body_context);
	if (!is_found)
		return;
	search->ids[search->count] = UUIDPGetDatum(palloc(sizeof(pg_uuid_t)));
	*DatumGetUUIDP(search->ids[search->count++]) = *DatumGetUUIDP(row_value_there(row, 1));
}

static void
erase_rejected(Erasure *erasure)
{
	RejectedSearch search = {
		.erasure = erasure,
		.body_context = AllocSetContextCreate(CurrentMemoryContext, "usage event refused", ALLOCSET_DEFAULT_SIZES),
		.ids = palloc(sizeof(Datum) * erasure->rows_left),
	};

	statement_each_row(&read_rejected, (Datum[]){erasure->account}, take_rejected, &search);
	if (search.count == 0)
		return;
	statement_execute(&delete_rejected, (Datum[]){erasure->account, statement_uuid_array(search.ids, search.count)},
					  NULL);
	erasure->rejected += (int64) SPI_processed;
	erasure->rows_left -= (int64) SPI_processed;
}

/* What is made of events ----------------------------------------------------- */

/* As long as there are rollups, of any metric, marks say that they are not to be used. */
static void
erase_rollups(Erasure *erasure)
{
	Datum arguments[] = {erasure->account, erasure->names, Int64GetDatum(erasure->rows_left)};

	rollup_turn_wait_for_others(erasure->account_id);
	statement_execute(&delete_rollups, arguments, NULL);
	erasure->rollups += (int64) SPI_processed;
	erasure->rows_left -= (int64) SPI_processed;
	if (erasure->rows_left > 0)
		statement_execute(&delete_marks, arguments, NULL);
	statement_execute(&forget_place, arguments, NULL);
	statement_execute(&forget_turn, arguments, NULL);
}

/* While no refresh is under way, which would write more. */
static void
erase_alerts(Erasure *erasure)
{
	for (size_t i = 0; i < lengthof(delete_of_alerts) && erasure->rows_left > 0; i++)
	{
		statement_execute(&delete_of_alerts[i],
						  (Datum[]){erasure->account, erasure->names, Int64GetDatum(erasure->rows_left)}, NULL);
		erasure->rollups += (int64) SPI_processed;
		erasure->rows_left -= (int64) SPI_processed;
	}
	statement_execute(&forget_alert_place, (Datum[]){erasure->account, erasure->names, slice_to_datum(SLICE(""))},
					  NULL);
}

/* One that names the customer by an alias which is mapped no more goes as the alias is erased. */
static void
erase_limits_of(Erasure *erasure, Statement *statement)
{
	statement_execute(statement, (Datum[]){erasure->account, erasure->names, Int64GetDatum(erasure->rows_left)}, NULL);
	erasure->limits += (int64) SPI_processed;
	erasure->rows_left -= (int64) SPI_processed;
}

static void
erase_limits(Erasure *erasure)
{
	int64 before = erasure->limits;

	erase_limits_of(erasure, &delete_limits);
	if (erasure->limits > before)
		limit_in_force_changed();
	if (erasure->rows_left > 0)
		erase_limits_of(erasure, &delete_limit_versions);
}

static void
erase_aliases(Erasure *erasure)
{
	statement_execute(&delete_aliases, (Datum[]){erasure->account, erasure->names, erasure->alias_text}, NULL);
	erasure->aliases += (int64) SPI_processed;
	if (SPI_processed > 0)
		limit_in_force_changed();
	statement_execute(&delete_portal_tokens, (Datum[]){erasure->account, erasure->names}, NULL);
}

/* The whole ----------------------------------------------------------------- */

static void
check_meaning(const Erasure *erasure)
{
	char *alias = pnstrdup(erasure->alias.data, erasure->alias.length);

	statement_execute(&find_other_meaning, (Datum[]){erasure->account, erasure->alias_text}, NULL);
	if (SPI_processed > 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("\"%s\" names two customers", alias),
						errdetail("It is an alias of customer \"%s\", and the id of a customer who has other aliases.",
								  TextDatumGetCString(row_value_there(0, 1))),
						errhint("Erase by other aliases, or delete the mapping that is not meant.")));
	pfree(alias);
}

static void
find_customer(Erasure *erasure)
{
	Slice void_text = SLICE(VOID_ALIAS);

	erasure->alias_text = slice_to_datum(erasure->alias);
	check_meaning(erasure);
	statement_execute(&find_names, (Datum[]){erasure->account, erasure->alias_text}, NULL);
	erasure->name_texts = row_texts(&erasure->name_count);
	erasure->names = statement_varlena_array(erasure->name_texts, erasure->name_count, TEXTOID);
	erasure->void_name = statement_varlena_array(&void_text, 1, TEXTOID);
}

/* Each kind when nothing is left of the one before.  Where events came meanwhile, aliases are for the next call. */
static void
erase_step(Erasure *erasure)
{
	erase_events(erasure);
	if (erasure->rows_left > 0)
		erase_versions(erasure);
	if (erasure->rows_left > 0)
		erase_rejected(erasure);
	if (erasure->rows_left > 0)
		erase_rollups(erasure);
	if (erasure->rows_left > 0)
		erase_alerts(erasure);
	if (erasure->rows_left > 0)
		erase_limits(erasure);
	if (erasure->rows_left > 0 && !erase_events(erasure))
		erase_aliases(erasure);
}

static int64
erased_rows(const Erasure *erasure)
{
	return erasure->events + erasure->versions + erasure->rejected + erasure->rollups + erasure->aliases +
		   erasure->limits;
}

/* Who, when and how much: nothing by which somebody could tell whose it was. */
static void
keep_record(const Erasure *erasure)
{
	pg_uuid_t id;

	uuid_v7_generate(&id);
	statement_execute(&insert_record,
					  (Datum[]){erasure->account, UUIDPGetDatum(&id), TimestampTzGetDatum(GetCurrentTimestamp()),
								CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false)),
								Int64GetDatum(erasure->events), Int64GetDatum(erasure->versions),
								Int64GetDatum(erasure->rejected), Int64GetDatum(erasure->rollups),
								Int64GetDatum(erasure->aliases), Int64GetDatum(erasure->limits)},
					  NULL);
}

static int64
erase(const pg_uuid_t *account_id, Slice alias, int64 max_rows)
{
	Erasure erasure = {.account = UUIDPGetDatum(account_id),
					   .account_id = account_id,
					   .alias = alias,
					   .rows_left = max_rows};

	account_require(account_id);
	SPI_connect();
	find_customer(&erasure);
	erase_step(&erasure);
	if (erased_rows(&erasure) > 0)
		keep_record(&erasure);
	SPI_finish();
	return erased_rows(&erasure);
}

static Slice
alias_argument(FunctionCallInfo fcinfo, int number)
{
	const char *alias;

	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("alias must not be null")));
	alias = text_to_cstring(PG_GETARG_TEXT_PP(number));
	if (alias[0] == '\0' || strcmp(alias, VOID_ALIAS) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid alias of a customer to erase"),
						errdetail("It must not be empty, nor " VOID_ALIAS ", which is nobody's.")));
	return slice_from_cstring(alias);
}

/* usage_events.erase_customer(alias text, account_id uuid, max_rows integer) */
PG_FUNCTION_INFO_V1(erase_customer);
Datum
erase_customer(PG_FUNCTION_ARGS)
{
	Slice alias = alias_argument(fcinfo, 0);
	pg_uuid_t account_id = PG_ARGISNULL(1) ? *account_current() : *PG_GETARG_UUID_P(1);
	int max_rows = step_rows_argument(fcinfo, 2);
	int64 rows;
	int nest_level;

	memory_budget_begin();
	nest_level = account_enter(&account_id);
	rows = erase(&account_id, alias, max_rows);
	account_leave(nest_level);
	PG_RETURN_INT64(rows);
}
