/*
 * usage/changes.c
 *		Which events make a metric say something else than at a past moment: usage_metric_changes().
 */
#include "postgres.h"

#include "usage/changes.h"

#include "account/account.h"
#include "account/horizon.h"
#include "base/calendar.h"
#include "base/fault.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "metric/value.h"
#include "miscadmin.h"
#include "sql/query.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "usage/question.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* One side of the comparison: what counted then, or what counts now. */
typedef struct Side
{
	bool exists;
	UsageQuestion question;
	Slice *aliases;
	int alias_count;
} Side;

static Side
ask_side(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const TimestampTz *as_of, const List *customers)
{
	Side side = {0};

	side.exists = usage_question_ask(account_id, metric_id, as_of, &side.question);
	if (side.exists)
		side.alias_count = usage_find_aliases(&side.question, customers, &side.aliases);
	return side;
}

/* Whether the same events would be asked for in the same way. */
static bool
is_same_question(const Side *then, const Side *now)
{
	if (!then->exists || !uuid_v7_equal(&then->question.metric.version_id, &now->question.metric.version_id) ||
		then->alias_count != now->alias_count)
		return false;
	for (int i = 0; i < then->alias_count; i++)
	{
		if (!slice_equal(then->aliases[i], now->aliases[i]))
			return false;
	}
	return true;
}

/* When one of these customers' aliases was last made or deleted, of all that was after then; then, if none was. */
static TimestampTz
aliases_changed_at(const pg_uuid_t *account_id, const List *customers, TimestampTz then)
{
	SqlQuery query;
	const char *asked;
	bool isnull;
	Datum changed_at;

	sql_query_init(&query);
	asked = sql_query_argument(&query, TEXTARRAYOID, statement_text_array(customers));
	sql_query_append(&query,
					 "SELECT pg_catalog.max(GREATEST(created_at, deleted_at)) FROM usage_events.customer_alias"
					 " WHERE account_id " EQ " %s AND (customer_id " EQ " ANY (%s)"
					 " OR value " EQ " ANY (%s))",
					 sql_query_argument(&query, UUIDOID, UUIDPGetDatum(account_id)), asked, asked);
	SPI_connect();
	sql_query_execute(&query);
	changed_at = row_value(0, 1, &isnull);
	then = isnull ? then : Max(then, DatumGetTimestampTz(changed_at));
	SPI_finish();
	return then;
}

/* When what is asked for last changed: the metric, or whose aliases they are. */
static TimestampTz
question_changed_at(const Side *then, const Side *now, const List *customers, TimestampTz since)
{
	const pg_uuid_t *version_id = &now->question.metric.version_id;
	TimestampTz changed_at = since;
	TimestampTz version_at;

	if (is_same_question(then, now))
		return since;
	if ((!then->exists || !uuid_v7_equal(&then->question.metric.version_id, version_id)) &&
		uuid_v7_time(version_id, &version_at))
		changed_at = Max(changed_at, version_at);
	return aliases_changed_at(&now->question.metric.account_id, customers, changed_at);
}

/* The events that a side asks for, of these of the table. */
static const char *
events_of_side(SqlQuery *query, const Side *side, const char *table, TimestampTz start, TimestampTz end,
			   const char *which)
{
	Slice type = side->question.metric.event_type;

	return psprintf("SELECT customer_event_id, id, event_timestamp, event_properties FROM usage_events.%s"
					" WHERE account_id " EQ " %s AND customer_alias " EQ " ANY (%s)"
					" AND event_timestamp " GE " %s AND event_timestamp " LT " %s"
					" AND event_type " EQ " %s AND %s",
					table, sql_query_argument(query, UUIDOID, UUIDPGetDatum(&side->question.metric.account_id)),
					sql_query_argument(query, TEXTARRAYOID,
									   statement_varlena_array(side->aliases, side->alias_count, TEXTOID)),
					sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(start)),
					sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(end)),
					sql_query_argument(query, TEXTOID, slice_to_datum(type)), which);
}

enum
{
	CHANGE_CUSTOMER_EVENT_ID = 1,
	CHANGE_OLD_ID,
	CHANGE_OLD_TIMESTAMP,
	CHANGE_OLD_PROPERTIES,
	CHANGE_CURRENT_ID,
	CHANGE_NEW_TIMESTAMP,
	CHANGE_NEW_PROPERTIES,
	CHANGE_ORDER_ID /* and CHANGE_CURRENT_ID: the order of changes */
};

/*
 * Puts together the statement that finds the events that may make a difference.  Where
 * the definition is another, or the customers' aliases are, that is all of them: those
 * that have not changed since then changed with the question.
 */
static void
find_changes(SqlQuery *query, const Side *then, const Side *now, TimestampTz start, TimestampTz end,
			 const pg_uuid_t *since, const pg_uuid_t *question_changed)
{
	bool is_same = is_same_question(then, now);
	const char *known;
	const char *changed;
	const char *old_events;
	const char *new_events;

	sql_query_init(query);
	changed = sql_query_argument(query, UUIDOID, UUIDPGetDatum(question_changed));
	known = sql_query_argument(query, UUIDOID, UUIDPGetDatum(since));
	new_events = events_of_side(query, now, "event", start, end, is_same ? psprintf("id " GE " %s", known) : "true");
	old_events =
		"SELECT NULL::pg_catalog.text AS customer_event_id, NULL::pg_catalog.uuid AS id,"
		" NULL::pg_catalog.timestamptz AS event_timestamp, NULL::pg_catalog.jsonb AS event_properties WHERE false";
	if (then->exists)
		old_events = events_of_side(query, then, "superseded_event", start, end,
									psprintf("superseded_by " GE " %s"
											 " AND id " LT " %s",
											 known, known));
	if (then->exists && !is_same)
		old_events = psprintf("%s UNION ALL %s", old_events,
							  events_of_side(query, then, "event", start, end, psprintf("id " LT " %s", known)));
	sql_query_append(
		query,
		"SELECT COALESCE(old.customer_event_id, new.customer_event_id), old.id,"
		" old.event_timestamp, old.event_properties, current.id, new.event_timestamp, new.event_properties,"
		" CASE WHEN current.id " LT " %s THEN %s ELSE current.id END AS order_id"
		" FROM (%s) AS old FULL JOIN (%s) AS new"
		" ON old.customer_event_id " EQ " new.customer_event_id"
		" JOIN usage_events.event AS current ON current.account_id " EQ " %s"
		" AND current.customer_event_id " EQ " COALESCE(old.customer_event_id, new.customer_event_id)"
		" ORDER BY order_id, current.id",
		known, changed, old_events, new_events,
		sql_query_argument(query, UUIDOID, UUIDPGetDatum(&now->question.metric.account_id)));
}

/* What a version of an event is to the metric. */
typedef struct Contribution
{
	bool counts;
	MetricValue value;
	TimestampTz timestamp;
} Contribution;

static Contribution
read_contribution(const MetricMatcher *matcher, uint64 row, int timestamp_column)
{
	Contribution contribution = {0};
	bool isnull;
	Datum timestamp = row_value(row, timestamp_column, &isnull);
	Datum properties;

	if (isnull || matcher == NULL)
		return contribution;
	properties = row_value(row, timestamp_column + 1, &isnull);
	contribution.timestamp = DatumGetTimestampTz(timestamp);
	contribution.counts =
		metric_value_read(matcher, DatumGetJsonbP(properties), false, &contribution.value) == METRIC_COUNTS;
	return contribution;
}

/* NULL if it does not count; 1 where no numbers are aggregated. */
static Numeric
contributed_number(const Contribution *contribution)
{
	if (!contribution->counts)
		return NULL;
	return contribution->value.number != NULL ? contribution->value.number : int64_to_numeric(1);
}

/* What makes a difference between two versions of an event, besides its number: where both versions of the metric know it. */
typedef struct Compared
{
	bool unique;
	bool group;
	bool timestamp;
} Compared;

static Compared
compared_by(const Metric *then, const Metric *now)
{
	return (Compared){
		.unique = then->kind->reads == METRIC_READS_TEXT && now->kind->reads == METRIC_READS_TEXT,
		.group = then->is_grouped && now->is_grouped,
		.timestamp = then->kind->keeps_event && now->kind->keeps_event,
	};
}

/* Whether both make the same of the metric. */
static bool
is_same_contribution(const Compared *compared, const Contribution *a, const Contribution *b)
{
	if (!a->counts || !b->counts)
		return a->counts == b->counts;
	return metric_number_equal(contributed_number(a), contributed_number(b)) &&
		   (!compared->unique || (slice_equal(a->value.unique, b->value.unique) &&
								  metric_number_equal(a->value.long_unique, b->value.long_unique))) &&
		   (!compared->group ||
			(slice_equal(a->value.groupings[0].text, b->value.groupings[0].text) &&
			 metric_number_equal(a->value.groupings[0].long_number, b->value.groupings[0].long_number))) &&
		   (!compared->timestamp || a->timestamp == b->timestamp);
}

/* An event that makes a difference. */
typedef struct Change
{
	uint64 row;
	Numeric old_value; /* NULL: did not count */
	Numeric new_value;
	TimestampTz changed_at;
} Change;

/* All that is asked, then and now. */
typedef struct Changes
{
	Side then;
	Side now;
	TimestampTz start;
	TimestampTz end;
	Compared compared;
	const MetricMatcher *old_matcher;
	const MetricMatcher *new_matcher;
	pg_uuid_t since;
	TimestampTz question_changed_at;
	void (*take)(const Change *change, void *argument);
	void *argument;
	MemoryContext row_context;
} Changes;

/* When the version that is current now came, or, if that was before, when the question changed. */
static TimestampTz
changed_at(const Changes *changes, const pg_uuid_t *current_id)
{
	TimestampTz came_at;

	if (uuid_v7_compare(current_id, &changes->since) < 0 || !uuid_v7_time(current_id, &came_at))
		return changes->question_changed_at;
	return came_at;
}

static const char *
change_name(const Change *change)
{
	return change->old_value == NULL ? "added" : change->new_value == NULL ? "removed" : "corrected";
}

static void
take_row(uint64 row, void *argument)
{
	Changes *changes = argument;
	MemoryContext context = MemoryContextSwitchTo(changes->row_context);
	Contribution old = read_contribution(changes->old_matcher, row, CHANGE_OLD_TIMESTAMP);
	Contribution new = read_contribution(changes->new_matcher, row, CHANGE_NEW_TIMESTAMP);
	Change change = {.row = row};

	if (!is_same_contribution(&changes->compared, &old, &new))
	{
		change.old_value = contributed_number(&old);
		change.new_value = contributed_number(&new);
		change.changed_at = changed_at(changes, DatumGetUUIDP(row_value_there(row, CHANGE_CURRENT_ID)));
		changes->take(&change, changes->argument);
	}
	MemoryContextSwitchTo(context);
	MemoryContextReset(changes->row_context);
}

/* Asks for the changes since a moment; NULL: since none, as there is none so late.  Returns false if there is no such metric. */
static bool
ask_changes(Changes *changes, const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const List *customers,
			const TimestampTz *since)
{
	TimestampTz since_timestamp = since != NULL ? *since : CALENDAR_END;

	changes->now = ask_side(account_id, metric_id, NULL, customers);
	if (!changes->now.exists)
		return false;
	usage_refuse_custom(&changes->now.question.metric);
	changes->then = ask_side(account_id, metric_id, since, customers);
	horizon_check_period(account_id, changes->start);
	uuid_v7_after(&changes->since, since_timestamp);
	changes->question_changed_at = question_changed_at(&changes->then, &changes->now, customers, since_timestamp);
	return true;
}

/* Finds them in the order in which they changed. */
static void
find_all(Changes *changes)
{
	const Metric *then = changes->then.exists ? &changes->then.question.metric : NULL;
	pg_uuid_t question_changed;
	SqlQuery query;

	changes->compared = then != NULL ? compared_by(then, &changes->now.question.metric) : (Compared){.unique = false};
	changes->old_matcher = then != NULL ? metric_matcher_make(then) : NULL;
	changes->new_matcher = metric_matcher_make(&changes->now.question.metric);
	uuid_v7_after(&question_changed, changes->question_changed_at);
	SPI_connect();
	changes->row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	find_changes(&query, &changes->then, &changes->now, changes->start, changes->end, &changes->since,
				 &question_changed);
	sql_query_each_row(&query, take_row, changes);
	SPI_finish();
}

/* Pages -------------------------------------------------------------------- */

/* A page that is being gathered, and all that there are. */
typedef struct ChangesPage
{
	PlacePage *page;
	int64 total;
} ChangesPage;

static void
add_number(JsonObject *object, Slice key, Numeric number)
{
	if (number != NULL)
		json_add_numeric(object, key, number);
	else
		json_add_null(object, key);
}

static void
add_uuid(JsonObject *object, Slice key, uint64 row, int column)
{
	bool isnull;
	Datum id = row_value(row, column, &isnull);

	if (isnull)
		json_add_null(object, key);
	else
		json_add_uuid(object, key, DatumGetUUIDP(id));
}

static Jsonb *
change_to_json(const Change *change)
{
	JsonObject object = {0};

	json_add_text(&object, SLICE("customerEventId"), row_text(change->row, CHANGE_CUSTOMER_EVENT_ID));
	add_uuid(&object, SLICE("oldEventId"), change->row, CHANGE_OLD_ID);
	add_uuid(&object, SLICE("newEventId"), change->row, CHANGE_CURRENT_ID);
	add_number(&object, SLICE("oldValue"), change->old_value);
	add_number(&object, SLICE("newValue"), change->new_value);
	json_add_timestamp(&object, SLICE("changedAt"), change->changed_at);
	json_add_text(&object, SLICE("change"), slice_from_cstring(change_name(change)));
	return json_make_object(&object);
}

/* Both ids: their bytes are in the order of changes. */
static void
read_place(uint64 row, char place[2 * UUID_LEN])
{
	memcpy(place, DatumGetUUIDP(row_value_there(row, CHANGE_ORDER_ID)), UUID_LEN);
	memcpy(place + UUID_LEN, DatumGetUUIDP(row_value_there(row, CHANGE_CURRENT_ID)), UUID_LEN);
}

static void
add_to_page(const Change *change, void *argument)
{
	ChangesPage *changes = argument;
	PlacePage *page = changes->page;
	char bytes[2 * UUID_LEN];
	Slice place = {bytes, sizeof(bytes)};

	changes->total++;
	if (place_page_is_full(page))
		return;
	read_place(change->row, bytes);
	if (page->has_place &&
		(page->backward ? slice_compare(place, page->place) >= 0 : slice_compare(place, page->place) <= 0))
		return;
	place_page_add(page, place, change_to_json(change));
}

/* Tells lists of other questions apart. */
static uint32
list_hash(const pg_uuid_t *metric_id, const List *customers, TimestampTz start, TimestampTz end, TimestampTz since)
{
	StringInfoData list;
	ListCell *cell;

	initStringInfo(&list);
	appendStringInfo(&list, "changes " INT64_FORMAT " " INT64_FORMAT " " INT64_FORMAT " ", start, end, since);
	appendBinaryStringInfo(&list, (const char *) metric_id->data, UUID_LEN);
	foreach(cell, customers)
		appendBinaryStringInfo(&list, lfirst(cell), (int) strlen(lfirst(cell)) + 1);
	return hash_bytes((unsigned char *) list.data, list.len);
}

/* {"items": [a change each], "pagination"}; NULL if there is no such metric.  Refuses with the faults that were found before, and its own. */
Jsonb *
usage_changes(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const List *customers, TimestampTz start,
			  TimestampTz end, TimestampTz since, PlacePage *page, List *faults)
{
	ChangesPage gathered = {.page = page};
	Changes changes = {
		.start = Max(start, CALENDAR_START),
		.end = Min(end, CALENDAR_END),
		.take = add_to_page,
		.argument = &gathered,
	};
	JsonObject answer = {0};

	page->list = list_hash(metric_id, customers, start, end, since);
	faults = place_page_check(faults, page);
	faults_report_request(faults, "invalid parameters of a list");
	if (!ask_changes(&changes, account_id, metric_id, customers, &since))
		return NULL;
	place_page_begin(page);
	find_all(&changes);
	place_page_end(page, &answer, gathered.total);
	return json_make_object(&answer);
}

/* The door for SQL --------------------------------------------------------- */

static void
put_row(const Change *change, void *argument)
{
	ReturnSetInfo *result_set = argument;
	Datum values[7] = {0};
	bool nulls[7] = {0};

	values[0] = row_value(change->row, CHANGE_CUSTOMER_EVENT_ID, &nulls[0]);
	values[1] = row_value(change->row, CHANGE_OLD_ID, &nulls[1]);
	values[2] = row_value(change->row, CHANGE_CURRENT_ID, &nulls[2]);
	values[3] = NumericGetDatum(change->old_value);
	nulls[3] = change->old_value == NULL;
	values[4] = NumericGetDatum(change->new_value);
	nulls[4] = change->new_value == NULL;
	values[5] = TimestampTzGetDatum(change->changed_at);
	values[6] = CStringGetTextDatum(change_name(change));
	tuplestore_putvalues(result_set->setResult, result_set->setDesc, values, nulls);
}

/* usage_metric_changes(metric_id uuid, customer_aliases text[], period tstzrange, since timestamptz) */
PG_FUNCTION_INFO_V1(usage_metric_changes);
Datum
usage_metric_changes(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *metric_id = usage_metric_argument(fcinfo, 0);
	List *customers = usage_customers_argument(fcinfo, 1);
	Changes changes = {.take = put_row, .argument = fcinfo->resultinfo};
	TimestampTz since_timestamp;
	const TimestampTz *since;

	memory_budget_begin();
	usage_period_argument(fcinfo, 2, &changes.start, &changes.end);
	since = usage_as_of_argument(fcinfo, 3, &since_timestamp);
	if (PG_ARGISNULL(3))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("since must not be null")));
	if (!ask_changes(&changes, account_current(), metric_id, customers, since))
		usage_question_refuse(metric_id, &changes.now.question);
	InitMaterializedSRF(fcinfo, 0);
	find_all(&changes);
	return (Datum) 0;
}
