/*
 * usage/calculate.c
 *		What a metric says of customers and periods: the functions that people call.
 *
 * A customer is asked for by an alias, which means the events that came with it,
 * or by the id, which means those of all aliases that are mapped to the customer.
 */
#include "postgres.h"

#include "usage/calculate.h"

#include "account/account.h"
#include "account/horizon.h"
#include "base/argument.h"
#include "base/calendar.h"
#include "base/fault.h"
#include "base/json_build.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "endpoint/request.h"
#include "endpoint/response.h"
#include "event/columns.h"
#include "fmgr.h"
#include "funcapi.h"
#include "metric/expression.h"
#include "miscadmin.h"
#include "rollup/scan.h"
#include "sql/query.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* Aliases times steps of a series: what is kept in memory of it. */
#define MAX_INTERVALS 5000000

/* Questions --------------------------------------------------------------- */

/*
 * Reads the metric in the version that is in force, or was.  Returns false if
 * there is none, or if it is deleted.
 */
bool
usage_question_ask(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const TimestampTz *as_of,
				   UsageQuestion *question)
{
	memset(question, 0, sizeof(UsageQuestion));
	if (as_of == NULL)
		return metric_get(account_id, metric_id, &question->metric) && !question->metric.is_deleted;

	question->has_as_of = true;
	question->as_of_timestamp = *as_of;
	uuid_v7_after(&question->as_of, *as_of);
	return metric_get_as_of(account_id, metric_id, &question->as_of, &question->metric) && !question->metric.is_deleted;
}

/* The error of a question for a metric that is not there. */
void
usage_question_refuse(const pg_uuid_t *metric_id, const UsageQuestion *question)
{
	char id[UUID_TEXT_LENGTH + 1];

	uuid_v7_to_text(metric_id, id);
	ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND), errmsg("usage metric \"%s\" does not exist", id),
					question->has_as_of ? errdetail("It is asked for as of a past moment.") : 0,
					question->metric.is_deleted ? errdetail("It was deleted.") : 0));
}

/* Only aliases in force now, or then. */
static const char *
in_force(SqlQuery *query, const UsageQuestion *question, const char *table)
{
	const char *then;

	if (!question->has_as_of)
		return psprintf("%s.deleted_at IS NULL", table);
	then = sql_query_argument(query, TIMESTAMPTZOID, TimestampTzGetDatum(question->as_of_timestamp));
	return psprintf("%s.created_at " LE " %s"
					" AND (%s.deleted_at IS NULL OR %s.deleted_at " GT " %s)",
					table, then, table, table, then);
}

/* Texts in memory that outlives SPI. */
typedef struct TextList
{
	Slice *items;
	int count;
	int capacity;
	MemoryContext context;
} TextList;

static Slice
copied_column(uint64 row, int number, MemoryContext context)
{
	MemoryContext spi_context = MemoryContextSwitchTo(context);
	text *value = DatumGetTextPCopy(row_value_there(row, number));

	memory_budget_grow(VARSIZE(value));
	MemoryContextSwitchTo(spi_context);
	return (Slice){VARDATA(value), VARSIZE(value) - VARHDRSZ};
}

static void
take_text(uint64 row, void *argument)
{
	TextList *list = argument;

	if (list->count == list->capacity)
	{
		list->capacity *= 2;
		memory_budget_grow(sizeof(Slice) * list->capacity);
		list->items = repalloc_huge(list->items, sizeof(Slice) * list->capacity);
	}
	list->items[list->count++] = copied_column(row, 1, list->context);
}

/* Finds the aliases that these customers' events came with: each once, in the order of "C". */
int
usage_find_aliases(const UsageQuestion *question, const List *customers, Slice **aliases)
{
	TextList found = {.items = palloc(sizeof(Slice) * 16), .capacity = 16, .context = CurrentMemoryContext};
	SqlQuery query;
	const char *account;
	const char *asked;
	const char *mapped_in_force;
	const char *other_in_force;

	sql_query_init(&query);
	account = sql_query_argument(&query, UUIDOID, UUIDPGetDatum(&question->metric.account_id));
	asked = sql_query_argument(&query, TEXTARRAYOID, statement_text_array(customers));
	mapped_in_force = in_force(&query, question, "mapped");
	other_in_force = in_force(&query, question, "other");
	sql_query_append(&query,
					 "SELECT alias FROM (SELECT asked.alias FROM pg_catalog.unnest(%s) AS asked (alias)"
					 " UNION SELECT mapped.value FROM pg_catalog.unnest(%s) AS asked (alias)"
					 " JOIN usage_events.customer_alias AS mapped ON mapped.account_id " EQ " %s"
					 " AND mapped.customer_id " EQ " asked.alias AND %s"
					 " WHERE NOT EXISTS (SELECT FROM usage_events.customer_alias AS other"
					 " WHERE other.account_id " EQ " %s AND other.value " EQ " asked.alias"
					 " AND other.customer_id " NE " asked.alias AND %s)) AS found (alias)"
					 " WHERE alias " NE " '" VOID_ALIAS "' ORDER BY alias COLLATE pg_catalog.\"C\"",
					 asked, asked, account, mapped_in_force, account, other_in_force);

	SPI_connect();
	sql_query_each_row(&query, take_text, &found);
	SPI_finish();
	*aliases = found.items;
	return found.count;
}

/* Custom metrics ----------------------------------------------------------- */

/* A CUSTOM metric has no rollups: its expression reads the events. */
static void
calculate_custom(const UsageQuestion *question, const Slice *aliases, int alias_count, TimestampTz start,
				 TimestampTz end, MetricResult *result)
{
	Slice type = question->metric.event_type;
	const char *asked_for;
	SqlQuery events;
	CustomValue value;

	sql_query_init(&events);
	asked_for =
		psprintf("account_id " EQ " %s AND customer_alias " EQ " ANY (%s)"
				 " AND event_timestamp " GE " %s AND event_timestamp " LT " %s"
				 " AND event_type " EQ " %s",
				 sql_query_argument(&events, UUIDOID, UUIDPGetDatum(&question->metric.account_id)),
				 sql_query_argument(&events, TEXTARRAYOID, statement_varlena_array(aliases, alias_count, TEXTOID)),
				 sql_query_argument(&events, TIMESTAMPTZOID, TimestampTzGetDatum(start)),
				 sql_query_argument(&events, TIMESTAMPTZOID, TimestampTzGetDatum(end)),
				 sql_query_argument(&events, TEXTOID, slice_to_datum(type)));
	sql_query_append(&events, "SELECT " EVENT_COLUMNS " FROM usage_events.event WHERE %s", asked_for);
	if (question->has_as_of)
	{
		const char *known = sql_query_argument(&events, UUIDOID, UUIDPGetDatum(&question->as_of));

		sql_query_append(&events,
						 " AND id " LT " %s UNION ALL SELECT " EVENT_COLUMNS
						 " FROM usage_events.superseded_event WHERE %s AND id " LT " %s"
						 " AND superseded_by " GE " %s",
						 known, asked_for, known, known);
	}
	metric_expression_calculate(&question->metric, &events, question->parameters, &value);

	memset(result, 0, sizeof(MetricResult));
	result->event_count = value.event_count;
	result->value = value.is_null ? NULL : value.value;
	result->min_id = value.min_event_id;
	result->max_id = value.max_event_id;
}

/* All metrics --------------------------------------------------------------- */

/* Results for some aliases in steps of time: step i is from bounds[i] to bounds[i + 1]. */
static void
calculate_steps(const UsageQuestion *question, Slice *aliases, int alias_count, const TimestampTz *bounds,
				int step_count, MetricResult *results)
{
	RollupScan scan = {
		.metric = &question->metric,
		.as_of = question->has_as_of ? &question->as_of : NULL,
		.aliases = aliases,
		.alias_count = alias_count,
	};
	MetricTotal *totals;

	if (question->metric.kind->is_expression)
	{
		for (int i = 0; i < step_count; i++)
			calculate_custom(question, aliases, alias_count, bounds[i], bounds[i + 1], &results[i]);
		return;
	}
	if ((int64) alias_count * step_count > MAX_INTERVALS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("series is too long for so many customers"),
						errdetail("It has %d steps, for %d aliases.", step_count, alias_count),
						errhint("Ask for a shorter period, longer steps, or fewer customers at a time.")));

	memory_budget_require(sizeof(MetricTotal) * step_count + sizeof(MetricInterval) * alias_count * step_count);
	totals = palloc_extended(sizeof(MetricTotal) * Max(step_count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < step_count; i++)
		metric_total_init(&totals[i], &question->metric, CurrentMemoryContext);
	scan.intervals = palloc_extended(sizeof(MetricInterval) * Max(alias_count * step_count, 1), MCXT_ALLOC_HUGE);
	for (int alias = 0; alias < alias_count; alias++)
	{
		for (int i = 0; i < step_count; i++)
		{
			if (bounds[i] < bounds[i + 1])
				scan.intervals[scan.interval_count++] = (MetricInterval){alias, bounds[i], bounds[i + 1], &totals[i]};
		}
	}
	rollup_scan(&scan);
	for (int i = 0; i < step_count; i++)
		metric_total_result(&totals[i], &results[i]);
}

/* Answers ----------------------------------------------------------------- */

static void
add_number_or_null(JsonObject *object, Slice key, Numeric number)
{
	if (number != NULL)
		json_add_numeric(object, key, number);
	else
		json_add_null(object, key);
}

static Jsonb *
group_to_json(const MetricGroup *group)
{
	JsonObject object = {0};

	json_add_text_or_null(&object, SLICE("grouping"), group->value);
	add_number_or_null(&object, SLICE("value"), group->result);
	json_add_integer(&object, SLICE("eventCount"), group->event_count);
	return json_make_object(&object);
}

static Jsonb *
groups_to_json(const MetricResult *result)
{
	JsonArray groups;

	json_array_begin(&groups);
	for (int i = 0; i < result->group_count; i++)
	{
		json_array_next(&groups);
		json_array_add(&groups, group_to_json(&result->groups[i]));
	}
	return json_array_end(&groups);
}

static Jsonb *
result_to_json(const Metric *metric, const MetricResult *result)
{
	JsonObject object = {0};

	json_add_text(&object, SLICE("name"), metric->name);
	json_add_text(&object, SLICE("metricType"), metric->is_grouped ? SLICE("GROUPED") : SLICE("SIMPLE"));
	json_add_text(&object, SLICE("eventType"), metric->event_type);
	json_add_text(&object, SLICE("aggregationType"), metric->kind->name);
	json_add_integer(&object, SLICE("eventCount"), result->event_count);
	add_number_or_null(&object, SLICE("value"), result->value);
	json_add_text_or_null(&object, SLICE("unit"), metric->unit);
	if (result->event_count > 0)
	{
		json_add_uuid(&object, SLICE("minEventId"), &result->min_id);
		json_add_uuid(&object, SLICE("maxEventId"), &result->max_id);
	}
	else
	{
		json_add_null(&object, SLICE("minEventId"));
		json_add_null(&object, SLICE("maxEventId"));
	}
	json_add_integer(&object, SLICE("skippedEventCount"), result->skipped_count);
	if (metric->is_grouped)
		json_add_json(&object, SLICE("groupedValues"), groups_to_json(result));
	return json_make_object(&object);
}

/* The answer alone stays in memory: writing it out takes as much again, and more. */
static Jsonb *
calculate(const UsageQuestion *question, const List *customers, TimestampTz start, TimestampTz end)
{
	TimestampTz bounds[] = {Max(start, CALENDAR_START), Min(end, CALENDAR_END)};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext work_context = AllocSetContextCreate(context, "usage metric answer", ALLOCSET_DEFAULT_SIZES);
	Slice *aliases;
	int alias_count;
	MetricResult result;
	Jsonb *answer;

	MemoryContextSwitchTo(work_context);
	alias_count = usage_find_aliases(question, customers, &aliases);
	horizon_check_period(&question->metric.account_id, bounds[0]);
	calculate_steps(question, aliases, alias_count, bounds, 1, &result);
	answer = result_to_json(&question->metric, &result);
	MemoryContextSwitchTo(context);
	answer = json_copy(answer);
	MemoryContextDelete(work_context);
	return answer;
}

/* Values of a CUSTOM metric's parameters; other metrics have none. */
static void
question_set_parameters(UsageQuestion *question, Jsonb *parameters)
{
	if (parameters != NULL && !question->metric.kind->is_expression)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("usage metric has no parameters"),
						errdetail("Only CUSTOM metrics have parameters.")));
	question->parameters = parameters;
}

/* What the metric says of the customers from start to end, exclusive; NULL if there is no such metric. */
Jsonb *
usage_calculate(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, List *customer_aliases, TimestampTz start,
				TimestampTz end, const TimestampTz *as_of, Jsonb *parameters)
{
	UsageQuestion question;

	if (!usage_question_ask(account_id, metric_id, as_of, &question))
		return NULL;
	question_set_parameters(&question, parameters);
	return calculate(&question, customer_aliases, start, end);
}

/* Arguments of the doors for SQL ------------------------------------------- */

const pg_uuid_t *
usage_metric_argument(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("metric_id must not be null")));
	return PG_GETARG_UUID_P(number);
}

List *
usage_customers_argument(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("customer_aliases must not be null")));
	return argument_texts(fcinfo, number);
}

static void
refuse_period(const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid period"), errdetail("%s", detail),
					errhint("A period is a range such as '[2026-10-01Z, 2026-11-01Z)'.")));
}

/* A bound as the moment from which on what is asked for begins, or ends. */
static TimestampTz
bound_moment(const RangeBound *bound)
{
	TimestampTz timestamp = DatumGetTimestampTz(bound->val);

	if (bound->infinite || TIMESTAMP_NOT_FINITE(timestamp))
		refuse_period(bound->lower ? "The period has no start." : "The period has no end.");
	return bound->lower == bound->inclusive ? timestamp : timestamp + 1;
}

void
usage_period_argument(FunctionCallInfo fcinfo, int number, TimestampTz *start, TimestampTz *end)
{
	RangeType *range;
	RangeBound lower;
	RangeBound upper;
	bool is_empty;

	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("period must not be null")));
	range = PG_GETARG_RANGE_P(number);
	range_deserialize(range_get_typcache(fcinfo, RangeTypeGetOid(range)), range, &lower, &upper, &is_empty);
	if (is_empty)
		refuse_period("The period is empty.");
	*start = Max(bound_moment(&lower), CALENDAR_START);
	*end = Min(bound_moment(&upper), CALENDAR_END);
}

/* NULL: now. */
const TimestampTz *
usage_as_of_argument(FunctionCallInfo fcinfo, int number, TimestampTz *as_of)
{
	if (PG_ARGISNULL(number))
		return NULL;
	*as_of = PG_GETARG_TIMESTAMPTZ(number);
	if (*as_of >= CALENDAR_END)
		return NULL;
	*as_of = Max(*as_of, CALENDAR_START);
	return as_of;
}

/* Reads the question, or refuses it: as a request for what is not there, where it is one. */
static bool
ask(FunctionCallInfo fcinfo, const pg_uuid_t *account_id, int metric_id_number, int as_of_number,
	UsageQuestion *question)
{
	const pg_uuid_t *metric_id = usage_metric_argument(fcinfo, metric_id_number);
	TimestampTz as_of;

	if (!usage_question_ask(account_id, metric_id, usage_as_of_argument(fcinfo, as_of_number, &as_of), question))
	{
		if (http_request_is_for("calculate_usage_metric"))
			return false;
		usage_question_refuse(metric_id, question);
	}
	return true;
}

/* The doors ---------------------------------------------------------------- */

/* From the metric's id on, the arguments of both forms are the same. */
static Datum
calculate_for(FunctionCallInfo fcinfo, const pg_uuid_t *account_id, int first)
{
	UsageQuestion question;
	TimestampTz start;
	TimestampTz end;
	List *customers;

	if (!ask(fcinfo, account_id, first, first + 3, &question))
		PG_RETURN_NULL();
	question_set_parameters(&question, PG_ARGISNULL(first + 4) ? NULL : PG_GETARG_JSONB_P(first + 4));
	customers = usage_customers_argument(fcinfo, first + 1);
	usage_period_argument(fcinfo, first + 2, &start, &end);
	PG_RETURN_JSONB_P(calculate(&question, customers, start, end));
}

static Datum
calculate_own(PG_FUNCTION_ARGS)
{
	return calculate_for(fcinfo, account_current(), 0);
}

/* calculate_usage_metric(metric_id uuid, customer_aliases text[], period tstzrange, as_of timestamptz, parameters jsonb) */
PG_FUNCTION_INFO_V1(calculate_usage_metric);
Datum
calculate_usage_metric(PG_FUNCTION_ARGS)
{
	return http_endpoint(calculate_own, fcinfo, "calculate_usage_metric", 200);
}

/* usage_events.calculate_metric(account_id uuid, ...), for servers that act for many accounts */
PG_FUNCTION_INFO_V1(calculate_metric);
Datum
calculate_metric(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *account_id = account_argument(fcinfo, 0);
	int nest_level = account_enter(account_id);
	Datum result;

	memory_budget_begin();
	result = calculate_for(fcinfo, account_id, 1);
	account_leave(nest_level);
	return result;
}

/* A row of a series, or of a list of customers: after `before` columns come those of the result. */
static void
put_result(ReturnSetInfo *result_set, Datum *values, bool *nulls, int before, const Metric *metric,
		   const MetricResult *result)
{
	values[before] = Int64GetDatum(result->event_count);
	nulls[before + 1] = result->value == NULL;
	values[before + 1] = NumericGetDatum(result->value);
	values[before + 2] = Int64GetDatum(result->skipped_count);
	nulls[before + 3] = !metric->is_grouped;
	if (metric->is_grouped)
		values[before + 3] = JsonbPGetDatum(groups_to_json(result));
	tuplestore_putvalues(result_set->setResult, result_set->setDesc, values, nulls);
}

static const char *
required_text(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

static void
refuse_argument(const char *name, const char *fault, const char *given)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid %s: %s", name, fault_quote(slice_from_cstring(given))),
					errdetail("The %s %s.", name, fault)));
}

/* usage_metric_series(metric_id uuid, customer_aliases text[], period tstzrange, step text, timezone text, as_of) */
PG_FUNCTION_INFO_V1(usage_metric_series);
Datum
usage_metric_series(PG_FUNCTION_ARGS)
{
	const char *step_text = required_text(fcinfo, 3, "step");
	const char *zone_text = required_text(fcinfo, 4, "timezone");
	UsageQuestion question;
	TimestampTz start;
	TimestampTz end;
	TimestampTz *bounds = NULL;
	SeriesStep step;
	pg_tz *zone;
	const char *fault;
	List *customers;
	Slice *aliases;
	int alias_count;
	int step_count;
	MetricResult *results;
	MemoryContext row_context;
	MemoryContext context;

	memory_budget_begin();
	(void) ask(fcinfo, account_current(), 0, 5, &question);
	customers = usage_customers_argument(fcinfo, 1);
	usage_period_argument(fcinfo, 2, &start, &end);
	if ((fault = series_step_from_text(step_text, &step)) != NULL)
		refuse_argument("step", fault, step_text);
	if ((fault = series_zone_from_text(zone_text, &zone)) != NULL)
		refuse_argument("timezone", fault, zone_text);

	horizon_check_period(account_current(), start);
	step_count = start < end ? series_bounds(step, zone, start, end, &bounds) : 0;
	alias_count = usage_find_aliases(&question, customers, &aliases);
	memory_budget_require(sizeof(MetricResult) * step_count);
	results = palloc_extended(sizeof(MetricResult) * Max(step_count, 1), MCXT_ALLOC_HUGE);
	calculate_steps(&question, aliases, alias_count, bounds, step_count, results);

	InitMaterializedSRF(fcinfo, 0);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	context = MemoryContextSwitchTo(row_context);
	for (int i = 0; i < step_count; i++)
	{
		Datum values[6] = {TimestampTzGetDatum(bounds[i]), TimestampTzGetDatum(bounds[i + 1])};
		bool nulls[6] = {0};

		MemoryContextReset(row_context);
		put_result((ReturnSetInfo *) fcinfo->resultinfo, values, nulls, 2, &question.metric, &results[i]);
	}
	MemoryContextSwitchTo(context);
	return (Datum) 0;
}

/* All customers ----------------------------------------------------------- */

/* Whose an alias is. */
typedef struct MappedAlias
{
	Slice alias;
	Slice customer;
	MetricTotal *total; /* of the customer */
} MappedAlias;

static int
compare_by_alias(const void *a, const void *b)
{
	return slice_compare(((const MappedAlias *) a)->alias, ((const MappedAlias *) b)->alias);
}

static int
compare_by_customer(const void *a, const void *b)
{
	return slice_compare(((const MappedAlias *) a)->customer, ((const MappedAlias *) b)->customer);
}

typedef struct MappedWork
{
	MappedAlias *mapped; /* sorted by alias */
	int count;
	MemoryContext context;
} MappedWork;

static void
take_mapped(uint64 row, void *argument)
{
	MappedWork *work = argument;
	text *alias = DatumGetTextPP(row_value_there(row, 1));
	MappedAlias wanted = {.alias = {VARDATA_ANY(alias), VARSIZE_ANY_EXHDR(alias)}};
	MappedAlias *found = bsearch(&wanted, work->mapped, work->count, sizeof(MappedAlias), compare_by_alias);

	if (found != NULL)
		found->customer = copied_column(row, 2, work->context);
}

/* Names the customer of each alias: the alias itself where it is mapped to nobody. */
static MappedAlias *
map_aliases(const UsageQuestion *question, const Slice *aliases, int count)
{
	MappedWork work = {NULL, count, CurrentMemoryContext};
	SqlQuery query;
	const char *account;

	memory_budget_require(sizeof(MappedAlias) * count);
	work.mapped = palloc_extended(sizeof(MappedAlias) * Max(count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < count; i++)
		work.mapped[i] = (MappedAlias){aliases[i], aliases[i], NULL};

	sql_query_init(&query);
	account = sql_query_argument(&query, UUIDOID, UUIDPGetDatum(&question->metric.account_id));
	sql_query_append(&query,
					 "SELECT mapped.value, mapped.customer_id FROM usage_events.customer_alias AS mapped"
					 " WHERE mapped.account_id " EQ " %s AND %s",
					 account, in_force(&query, question, "mapped"));
	SPI_connect();
	sql_query_each_row(&query, take_mapped, &work);
	SPI_finish();
	return work.mapped;
}

/* Gives each customer a total, which the customer's aliases share; returns the number of customers. */
static int
share_totals(const Metric *metric, MappedAlias *mapped, int count, MetricTotal *totals, Slice *customers)
{
	int customer_count = 0;

	qsort(mapped, count, sizeof(MappedAlias), compare_by_customer);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || slice_compare(mapped[i - 1].customer, mapped[i].customer) != 0)
		{
			customers[customer_count] = mapped[i].customer;
			metric_total_init(&totals[customer_count++], metric, CurrentMemoryContext);
		}
		mapped[i].total = &totals[customer_count - 1];
	}
	qsort(mapped, count, sizeof(MappedAlias), compare_by_alias);
	return customer_count;
}

/* usage_metric_by_customer(metric_id uuid, period tstzrange, as_of timestamptz) */
PG_FUNCTION_INFO_V1(usage_metric_by_customer);
Datum
usage_metric_by_customer(PG_FUNCTION_ARGS)
{
	UsageQuestion question;
	RollupScan scan = {0};
	TimestampTz start;
	TimestampTz end;
	MappedAlias *mapped;
	MetricTotal *totals;
	Slice *customers;
	MetricResult result;
	MemoryContext row_context;
	MemoryContext context;
	int customer_count;

	memory_budget_begin();
	(void) ask(fcinfo, account_current(), 0, 2, &question);
	usage_period_argument(fcinfo, 1, &start, &end);
	if (question.metric.kind->is_expression)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a CUSTOM metric cannot be calculated for all customers at once"),
						errhint("Call calculate_usage_metric() for each.")));
	horizon_check_period(account_current(), start);

	scan.metric = &question.metric;
	scan.as_of = question.has_as_of ? &question.as_of : NULL;
	rollup_scan_find_aliases(&scan, start, end);
	mapped = map_aliases(&question, scan.aliases, scan.alias_count);
	memory_budget_require((sizeof(MetricTotal) + sizeof(Slice) + sizeof(MetricInterval)) * scan.alias_count);
	totals = palloc_extended(sizeof(MetricTotal) * Max(scan.alias_count, 1), MCXT_ALLOC_HUGE);
	customers = palloc_extended(sizeof(Slice) * Max(scan.alias_count, 1), MCXT_ALLOC_HUGE);
	customer_count = share_totals(&question.metric, mapped, scan.alias_count, totals, customers);

	scan.intervals = palloc_extended(sizeof(MetricInterval) * Max(scan.alias_count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < scan.alias_count && start < end; i++)
	{
		if (slice_compare(scan.aliases[i], SLICE(VOID_ALIAS)) != 0)
			scan.intervals[scan.interval_count++] = (MetricInterval){i, start, end, mapped[i].total};
	}
	rollup_scan(&scan);

	InitMaterializedSRF(fcinfo, 0);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "usage metric row", ALLOCSET_DEFAULT_SIZES);
	context = MemoryContextSwitchTo(row_context);
	for (int i = 0; i < customer_count; i++)
	{
		Datum values[5];
		bool nulls[5] = {0};

		MemoryContextReset(row_context);
		if (totals[i].event_count == 0)
			continue;
		values[0] = slice_to_datum(customers[i]);
		metric_total_result(&totals[i], &result);
		put_result((ReturnSetInfo *) fcinfo->resultinfo, values, nulls, 1, &question.metric, &result);
	}
	MemoryContextSwitchTo(context);
	return (Datum) 0;
}
