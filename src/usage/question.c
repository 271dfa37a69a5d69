/*
 * usage/question.c
 *		What a metric is asked: in which version, of which customers, of which period.
 *
 * A customer is asked for by an alias, which means the events that came with it,
 * or by the id, which means those of all aliases that are mapped to the customer.
 */
#include "postgres.h"

#include "usage/question.h"

#include "account/key_scope.h"
#include "base/argument.h"
#include "base/calendar.h"
#include "base/fault.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "customer/scope.h"
#include "endpoint/request.h"
#include "fmgr.h"
#include "sql/query.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/timestamp.h"

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

	/* An alias may have been another customer's then, or be this one's now. */
	key_scope_refuse_parameter("asOf");
	question->has_as_of = true;
	question->as_of_timestamp = *as_of;
	uuid_v7_after(&question->as_of, *as_of);
	return metric_get_as_of(account_id, metric_id, &question->as_of, &question->metric) && !question->metric.is_deleted;
}

/* Adds filters and groups, where there are any; the breakdown must stay where it is. */
void
usage_question_break_down(UsageQuestion *question, const MetricBreakdown *breakdown)
{
	if (breakdown == NULL)
		return;
	if (breakdown->filters != NULL)
		key_scope_refuse_properties("filters");
	if (breakdown->group_by_count > 0)
		key_scope_refuse_properties("groupBy");
	/* What an expression makes of groups, only the expression knows. */
	if (question->metric.kind->is_expression)
		ereport(ERROR, (usage_custom_errcode(), errmsg("a CUSTOM metric cannot be filtered or grouped by a question"),
						errhint("Have its expression do so, with parameters.")));
	question->metric.breakdown = breakdown;
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
const char *
usage_in_force(SqlQuery *query, const UsageQuestion *question, const char *table)
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

Slice
usage_copied_text(uint64 row, int number, MemoryContext context)
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
	list->items[list->count++] = usage_copied_text(row, 1, list->context);
}

/* The same for a key of one customer: what it asks of others finds nothing, as if they were nobody's. */
static int
find_own_aliases(const UsageQuestion *question, const List *customers, Slice **aliases)
{
	List *own = customer_scope_aliases(&question->metric.account_id, customers, true);
	int count = 0;
	ListCell *cell;

	*aliases = palloc(sizeof(Slice) * Max(list_length(own), 1));
	foreach(cell, own)
		(*aliases)[count++] = slice_from_cstring(lfirst(cell));
	return count;
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

	if (key_scope_customer() != NULL)
		return find_own_aliases(question, customers, aliases);
	sql_query_init(&query);
	account = sql_query_argument(&query, UUIDOID, UUIDPGetDatum(&question->metric.account_id));
	asked = sql_query_argument(&query, TEXTARRAYOID, statement_text_array(customers));
	mapped_in_force = usage_in_force(&query, question, "mapped");
	other_in_force = usage_in_force(&query, question, "other");
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

/* Arguments ---------------------------------------------------------------- */

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

static List *
check_group_by_argument(List *faults, FunctionCallInfo fcinfo, int number, MetricBreakdown *breakdown)
{
	if (PG_ARGISNULL(number))
		return faults;
	if (array_contains_nulls(PG_GETARG_ARRAYTYPE_P(number)))
		return fault_add(faults, "group_by", "must not contain null");
	return metric_breakdown_check_group_by(faults, "group_by", argument_texts(fcinfo, number), breakdown);
}

/* filters and, after it, group_by; NULL where neither is given. */
const MetricBreakdown *
usage_breakdown_argument(FunctionCallInfo fcinfo, int number)
{
	MetricBreakdown *breakdown = palloc0(sizeof(MetricBreakdown));
	List *faults = NIL;

	if (PG_ARGISNULL(number) && PG_ARGISNULL(number + 1))
		return NULL;
	if (!PG_ARGISNULL(number))
		faults = metric_breakdown_check_filters(faults, PG_GETARG_JSONB_P(number), breakdown);
	faults = check_group_by_argument(faults, fcinfo, number + 1, breakdown);
	faults_report_request(faults, "invalid parameters of a calculation");
	return breakdown;
}

/* Reads the question, or refuses it: as a request for what is not there, where it is one. */
bool
usage_ask(FunctionCallInfo fcinfo, const pg_uuid_t *account_id, int metric_id_number, int as_of_number,
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

/* To a client who asks for it the metric is another than it should be; the server's caller asks for what it does not have. */
int
usage_custom_errcode(void)
{
	return errcode(http_request_is_there() ? ERRCODE_INVALID_PARAMETER_VALUE : ERRCODE_FEATURE_NOT_SUPPORTED);
}

/* What an expression makes of one event, only the expression knows. */
void
usage_refuse_custom(const Metric *metric)
{
	if (metric->kind->is_expression)
		ereport(ERROR, (usage_custom_errcode(), errmsg("a CUSTOM metric cannot be explained event by event")));
}
