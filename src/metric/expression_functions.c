/*
 * metric/expression_functions.c
 *		Where administrators make and update CUSTOM metrics.
 *
 * These doors are for SQL alone: no request over HTTP comes through them, whatever
 * the role that serves it was granted.
 */
#include "postgres.h"

#include "account/account.h"
#include "base/argument.h"
#include "base/json_build.h"
#include "base/json_read.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "endpoint/request.h"
#include "fmgr.h"
#include "metric/check.h"
#include "metric/definition.h"
#include "metric/expression.h"
#include "metric/expression_parameter.h"

#define CUSTOM_METRIC_HINT \
	"A custom usage metric is an object with the strings \"name\", \"eventType\" and \"expression\", " \
	"and optionally \"description\", \"unit\" (strings) and \"parameters\", an array of objects with the strings " \
	"\"name\", \"type\", \"description\" and \"defaultValue\"."

/* What a custom metric does by its expression. */
static const char *const other_fields[] = {"aggregationProperty", "groupingProperty", "propertyFilters",
										   "propertiesToNegate"};

static bool
is_empty(const JsonbValue *value)
{
	return value->type == jbvNull || (value->type == jbvBinary && JsonContainerSize(value->val.binary.data) == 0);
}

/* Rule of a word that has to be that one, if it is there. */
static List *
check_word(List *faults, Jsonb *body, const char *name, const char *word)
{
	JsonbValue value;

	if (!json_member(body, name, &value) || (value.type == jbvString && value.val.string.len == (int) strlen(word) &&
											 memcmp(value.val.string.val, word, value.val.string.len) == 0))
		return faults;
	return fault_add(faults, name, psprintf("must be \"%s\" in a custom metric", word));
}

/* Fields of other metrics that would be lost: whoever sends a filter counts on it. */
static List *
check_other_fields(List *faults, Jsonb *body)
{
	JsonbValue value;

	faults = check_word(faults, body, "metricType", "SIMPLE");
	faults = check_word(faults, body, "aggregationType", "CUSTOM");
	for (size_t i = 0; i < lengthof(other_fields); i++)
	{
		if (json_member(body, other_fields[i], &value) && !is_empty(&value))
			faults = fault_add(faults, other_fields[i],
							   "must not be given in a custom metric: it belongs into the expression");
	}
	return faults;
}

static List *
check_expression(List *faults, Jsonb *body, Metric *metric)
{
	JsonbValue value;
	Jsonb *parameters = NULL;
	Slice expression = {NULL, 0};

	if (!json_member(body, "expression", &value))
		faults = fault_add(faults, "expression", "is missing");
	else if (value.type != jbvString)
		faults = fault_add(faults, "expression", psprintf("must be a string, not %s", json_kind(&value)));
	else
		expression = json_string(&value);

	if (json_member(body, "parameters", &value) && value.type != jbvNull)
		parameters = JsonbValueToJsonb(&value);
	faults = metric_expression_check(faults, expression, parameters);
	metric->expression = expression;
	metric->parameters = parameters;
	return faults;
}

/* Checks the body, or refuses it.  The metric's texts point into it; it has its ids already. */
static void
read_body(Jsonb *body, Metric *metric)
{
	List *faults = NIL;

	metric_require_object(body, CUSTOM_METRIC_HINT);
	faults = metric_check_texts(faults, body, metric);
	faults = check_expression(faults, body, metric);
	faults = check_other_fields(faults, body);
	faults = metric_check_unknown_fields(faults, body);
	faults = metric_check_size(faults, metric);
	metric_faults_report(faults, CUSTOM_METRIC_HINT);

	metric->kind = metric_kind_of_expressions();
	metric->case_sensitive = true;
	metric->property_filters = json_make_object(&(JsonObject){0});
	metric->parameters = expression_parameters_make(metric->parameters, &metric->id);
}

static Jsonb *
body_argument(FunctionCallInfo fcinfo, int number)
{
	if (http_request_is_there())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("custom usage metrics cannot be changed by HTTP"),
				 errhint("Call the function with SQL.")));
	return argument_jsonb(fcinfo, number, "usage metric");
}

/* usage_events.create_custom_metric(metric jsonb) */
PG_FUNCTION_INFO_V1(create_custom_metric);
Datum
create_custom_metric(PG_FUNCTION_ARGS)
{
	Metric metric = {.account_id = *account_current()};
	Jsonb *body = body_argument(fcinfo, 0);

	memory_budget_begin();
	uuid_v7_generate(&metric.id);
	read_body(body, &metric);
	metric_definition_insert(&metric);
	PG_RETURN_JSONB_P(metric_definition_to_json(&metric));
}

/* usage_events.update_custom_metric(id uuid, metric jsonb) */
PG_FUNCTION_INFO_V1(update_custom_metric);
Datum
update_custom_metric(PG_FUNCTION_ARGS)
{
	Metric metric = {.account_id = *account_current()};
	Jsonb *body = body_argument(fcinfo, 1);

	memory_budget_begin();
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	metric.id = *PG_GETARG_UUID_P(0);
	read_body(body, &metric);
	if (!metric_definition_replace(&metric))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(metric_definition_to_json(&metric));
}
