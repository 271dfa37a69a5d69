/*
 * usage/changes.c
 *		Which events make a metric say something else than at a past moment: usage_metric_changes().
 */
#include "postgres.h"

#include "account/account.h"
#include "account/horizon.h"
#include "base/calendar.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
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
	CHANGE_NEW_PROPERTIES
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
	sql_query_append(query,
					 "SELECT COALESCE(old.customer_event_id, new.customer_event_id), old.id,"
					 " old.event_timestamp, old.event_properties, current.id, new.event_timestamp, new.event_properties"
					 " FROM (%s) AS old FULL JOIN (%s) AS new"
					 " ON old.customer_event_id " EQ " new.customer_event_id"
					 " JOIN usage_events.event AS current ON current.account_id " EQ " %s"
					 " AND current.customer_event_id " EQ " COALESCE(old.customer_event_id, new.customer_event_id)"
					 " ORDER BY CASE WHEN current.id " LT " %s THEN %s ELSE current.id END, current.id",
					 old_events, new_events,
					 sql_query_argument(query, UUIDOID, UUIDPGetDatum(&now->question.metric.account_id)), known,
					 changed);
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
		   (!compared->group || (slice_equal(a->value.group, b->value.group) &&
								 metric_number_equal(a->value.long_group, b->value.long_group))) &&
		   (!compared->timestamp || a->timestamp == b->timestamp);
}

typedef struct ChangesWork
{
	ReturnSetInfo *result_set;
	Compared compared;
	const MetricMatcher *old_matcher;
	const MetricMatcher *new_matcher;
	pg_uuid_t since;
	TimestampTz question_changed_at;
	MemoryContext row_context;
} ChangesWork;

/* When the version that is current now came, or, if that was before, when the question changed. */
static TimestampTz
changed_at(const ChangesWork *work, const pg_uuid_t *current_id)
{
	TimestampTz came_at;

	if (uuid_v7_compare(current_id, &work->since) < 0 || !uuid_v7_time(current_id, &came_at))
		return work->question_changed_at;
	return came_at;
}

static void
put_change(const ChangesWork *work, uint64 row, Numeric old_value, Numeric new_value)
{
	Datum values[7] = {0};
	bool nulls[7] = {0};
	const char *change = old_value == NULL ? "added" : new_value == NULL ? "removed" : "corrected";

	values[0] = row_value(row, CHANGE_CUSTOMER_EVENT_ID, &nulls[0]);
	values[1] = row_value(row, CHANGE_OLD_ID, &nulls[1]);
	values[2] = row_value(row, CHANGE_CURRENT_ID, &nulls[2]);
	values[3] = NumericGetDatum(old_value);
	nulls[3] = old_value == NULL;
	values[4] = NumericGetDatum(new_value);
	nulls[4] = new_value == NULL;
	values[5] = TimestampTzGetDatum(changed_at(work, DatumGetUUIDP(values[2])));
	values[6] = CStringGetTextDatum(change);
	tuplestore_putvalues(work->result_set->setResult, work->result_set->setDesc, values, nulls);
}

static void
take_change(uint64 row, void *argument)
{
	ChangesWork *work = argument;
	MemoryContext context = MemoryContextSwitchTo(work->row_context);
	Contribution old = read_contribution(work->old_matcher, row, CHANGE_OLD_TIMESTAMP);
	Contribution new = read_contribution(work->new_matcher, row, CHANGE_NEW_TIMESTAMP);

	if (!is_same_contribution(&work->compared, &old, &new))
		put_change(work, row, contributed_number(&old), contributed_number(&new));
	MemoryContextSwitchTo(context);
	MemoryContextReset(work->row_context);
}

/* usage_metric_changes(metric_id uuid, customer_aliases text[], period tstzrange, since timestamptz) */
PG_FUNCTION_INFO_V1(usage_metric_changes);
Datum
usage_metric_changes(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *account_id = account_current();
	const pg_uuid_t *metric_id = usage_metric_argument(fcinfo, 0);
	List *customers = usage_customers_argument(fcinfo, 1);
	TimestampTz start;
	TimestampTz end;
	TimestampTz since_timestamp;
	const TimestampTz *since;
	pg_uuid_t question_changed;
	Side then;
	Side now;
	ChangesWork work;
	SqlQuery query;

	memory_budget_begin();
	usage_period_argument(fcinfo, 2, &start, &end);
	since = usage_as_of_argument(fcinfo, 3, &since_timestamp);
	if (PG_ARGISNULL(3))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("since must not be null")));
	now = ask_side(account_id, metric_id, NULL, customers);
	if (!now.exists)
		usage_question_refuse(metric_id, &now.question);
	usage_refuse_custom(&now.question.metric);
	then = ask_side(account_id, metric_id, since, customers);
	horizon_check_period(account_id, start);
	if (since == NULL)
		since_timestamp = CALENDAR_END;
	uuid_v7_after(&work.since, since_timestamp);
	work.question_changed_at = question_changed_at(&then, &now, customers, since_timestamp);
	uuid_v7_after(&question_changed, work.question_changed_at);

	InitMaterializedSRF(fcinfo, 0);
	work.result_set = (ReturnSetInfo *) fcinfo->resultinfo;
	work.compared =
		then.exists ? compared_by(&then.question.metric, &now.question.metric) : (Compared){.unique = false};
	work.old_matcher = then.exists ? metric_matcher_make(&then.question.metric) : NULL;
	work.new_matcher = metric_matcher_make(&now.question.metric);
	SPI_connect();
	work.row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	find_changes(&query, &then, &now, start, end, &work.since, &question_changed);
	sql_query_each_row(&query, take_change, &work);
	SPI_finish();
	return (Datum) 0;
}
