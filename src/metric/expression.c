/*
 * metric/expression.c
 *		CUSTOM metrics: an SQL expression of the administrator's over events.
 *
 * The expression runs with the rights of whoever asks for the metric, who is
 * somebody else than its author.  So it may do nothing but compute: it is made of
 * the event's columns, the metric's parameters, and functions and operators of
 * PostgreSQL's own that are immutable.  That is made sure in two steps, when the
 * metric is defined and again each time before it is calculated, because a row
 * can come into the table by other ways: metric/expression_rules.c has both.
 */
#include "postgres.h"

#include "metric/expression.h"

#include "base/text_check.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "metric/expression_parameter.h"
#include "metric/expression_rules.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/params.h"
#include "parser/parse_node.h"
#include "sql/row.h"
#include "sql/subtransaction.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"

/* Longest expression, in characters. */
#define MAX_EXPRESSION_CHARACTERS 10000

/* How much of a message of the server's parser a fault repeats. */
#define MAX_MESSAGE_BYTES 200

/*
 * Events to check an expression against: there are none.  The collations are
 * those of the table.
 */
#define NO_VALUE(number, name, type, oid, array_oid) "NULL::pg_catalog." #type " AS " #name
#define NO_NEXT_VALUE(number, name, type, oid, array_oid) ", NULL::pg_catalog." #type " AS " #name
#define NO_EVENTS "SELECT " EACH_EVENT_COLUMN(NO_VALUE, NO_NEXT_VALUE)

/*
 * Settings by which the text of an expression means the same to everybody, and
 * by which its names are PostgreSQL's own.  Temporary types come last: named
 * nowhere, they would come first.
 */
static const char *const expression_settings[][2] = {
	{"search_path", "pg_catalog, pg_temp"},
	{"standard_conforming_strings", "on"},
	{"transform_null_equals", "off"},
	{"array_nulls", "on"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"TimeZone", "UTC"}, /* age(timestamptz, timestamptz) */
	{"quote_all_identifiers", "off"},
};

/* Value, number of events, lowest and highest id. */
#define STATEMENT_COLUMNS 4

/* The statement ------------------------------------------------------------ */

static int
argument_count(const Expression *expression)
{
	return expression->events != NULL ? expression->events->argument_count : 0;
}

/* parser hook: a name that is no column may be a parameter; they follow the arguments of the events */
static Node *
resolve_name(ParseState *state, ColumnRef *reference, Node *column)
{
	const Expression *expression = state->p_ref_hook_state;

	if (column != NULL || list_length(reference->fields) != 1 || !IsA(linitial(reference->fields), String))
		return NULL;
	for (int i = 0; i < list_length(expression->parameters); i++)
	{
		const CustomParameter *parameter = list_nth(expression->parameters, i);
		Param *param;

		if (strcmp(parameter->name, strVal(linitial(reference->fields))) != 0)
			continue;
		param = makeNode(Param);
		param->paramkind = PARAM_EXTERN;
		param->paramid = argument_count(expression) + i + 1;
		param->paramtype = NUMERICOID;
		param->paramtypmod = -1;
		param->location = reference->location;
		return (Node *) param;
	}
	return NULL;
}

/* parser hook: arguments of the events */
static Node *
resolve_number(ParseState *state, ParamRef *reference)
{
	const Expression *expression = state->p_ref_hook_state;
	Param *param;

	if (reference->number <= 0 || reference->number > argument_count(expression))
		return NULL;
	param = makeNode(Param);
	param->paramkind = PARAM_EXTERN;
	param->paramid = reference->number;
	param->paramtype = expression->events->argument_types[reference->number - 1];
	param->paramtypmod = -1;
	param->paramcollid = get_typcollation(param->paramtype);
	param->location = reference->location;
	return (Node *) param;
}

static void
setup_parser(ParseState *state, void *argument)
{
	state->p_post_columnref_hook = resolve_name;
	state->p_paramref_hook = resolve_number;
	state->p_ref_hook_state = argument;
}

/*
 * Makes the statement, which may be executed if there are no faults.  The caller is
 * connected to SPI, and has entered the settings.  Errors of the parser are raised.
 */
static void
prepare(Expression *expression)
{
	Node *parsed = expression_parse(expression);
	StringInfoData sql;
	SelectStmt *statement;
	List *sources;
	Query *query;
	TargetEntry *target;

	if (parsed == NULL)
		return;

	/* Line breaks: a comment at its end shall not take the bracket along. */
	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "SELECT (\n%.*s\n), pg_catalog.count(*),"
					 " pg_catalog.min(id::pg_catalog.text COLLATE pg_catalog.\"C\")::pg_catalog.uuid,"
					 " pg_catalog.max(id::pg_catalog.text COLLATE pg_catalog.\"C\")::pg_catalog.uuid"
					 " FROM (SELECT " EVENT_COLUMNS " FROM (%s) AS event) AS " EVENT_NAME,
					 expression->text.length, expression->text.data,
					 expression->events != NULL ? expression->events->sql.data : NO_EVENTS);

	/* What was checked is what stands in the statement. */
	statement = expression_parse_statement(sql.data, RAW_PARSE_DEFAULT);
	if (statement == NULL || list_length(statement->targetList) != STATEMENT_COLUMNS ||
		!equal(linitial_node(ResTarget, statement->targetList)->val, parsed))
	{
		expression_add_fault(expression, "has syntax that is not allowed in a metric");
		return;
	}

	expression->plan =
		SPI_prepare_params(sql.data, setup_parser, expression, CURSOR_OPT_CUSTOM_PLAN | CURSOR_OPT_PARALLEL_OK);
	if (expression->plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql.data, SPI_result_code_string(SPI_result));
	sources = SPI_plan_get_plan_sources(expression->plan);
	query = linitial_node(Query, ((CachedPlanSource *) linitial(sources))->query_list);
	if (list_length(query->targetList) != STATEMENT_COLUMNS)
	{
		expression_add_fault(expression, "must be one expression, not all columns of a row");
		return;
	}
	target = linitial_node(TargetEntry, query->targetList);
	expression_check_meaning((Node *) target->expr, expression);
	expression_check_result(expression, exprType((Node *) target->expr));
}

static int
enter_settings(void)
{
	int nest_level = NewGUCNestLevel();

	for (size_t i = 0; i < lengthof(expression_settings); i++)
		(void) set_config_option(expression_settings[i][0], expression_settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

static void
leave_settings(int nest_level)
{
	AtEOXact_GUC(true, nest_level);
}

/* Definition -------------------------------------------------------------- */

static void
try_to_prepare(void *argument)
{
	int nest_level;

	SPI_connect();
	nest_level = enter_settings();
	prepare(argument);
	leave_settings(nest_level);
	SPI_finish();
}

/* Whether an error is about what the expression says. */
static bool
is_about_expression(int code)
{
	switch (ERRCODE_TO_CATEGORY(code))
	{
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INVALID_CATALOG_NAME:
		case ERRCODE_INVALID_SCHEMA_NAME:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			return true;
		default:
			return false;
	}
}

/* What the parser says, cut short: it may repeat much of the expression. */
static char *
shortened(const char *message)
{
	int length = (int) strlen(message);
	int kept = pg_mbcliplen(message, length, MAX_MESSAGE_BYTES);

	return psprintf("%.*s%s", kept, message, kept < length ? "..." : "");
}

/*
 * Rule of an expression, with parameters that have been read.  What the server's
 * parser says against it is a fault, by its message alone.
 */
static List *
check_expression(List *faults, Slice text, List *parameters)
{
	Expression expression = {.text = text, .parameters = parameters, .context = CurrentMemoryContext};
	const char *fault;
	ErrorData *error;

	fault = text_check_length(text, MAX_EXPRESSION_CHARACTERS);
	if (fault != NULL)
		return fault_add(faults, "expression", fault);

	error = subtransaction_try(try_to_prepare, &expression);
	if (error == NULL)
		return list_concat(faults, expression.faults);
	if (!is_about_expression(error->sqlerrcode))
		ReThrowError(error);
	return fault_add(faults, "expression",
					 psprintf("is not an SQL expression over events: %s", shortened(error->message)));
}

/* Checks what makes a metric CUSTOM, and adds the faults.  What is absent, or has a fault already, has no data. */
List *
metric_expression_check(List *faults, Slice expression, Jsonb *parameters)
{
	List *read;

	faults = expression_parameters_read(faults, parameters, &read);
	if (expression.data == NULL)
		return faults;
	return check_expression(faults, expression, read);
}

/* Calculation ------------------------------------------------------------- */

static void
add_context(void *argument)
{
	const Metric *metric = argument;

	errcontext("expression of the usage metric \"%.*s\"", metric->name.length, metric->name.data);
}

static void
report_faults(const Metric *metric, const List *faults)
{
	StringInfoData detail;

	if (faults == NIL)
		return;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The expression", faults);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid usage metric \"%.*s\"", metric->name.length, metric->name.data),
					errdetail_internal("%s", detail.data),
					errhint("Define it by usage_events.update_custom_metric(id, metric).")));
}

static void
execute(const Expression *expression)
{
	const SqlQuery *events = expression->events;
	ParamListInfo values = makeParamList(events->argument_count + list_length(expression->parameters));
	int result;

	for (int i = 0; i < values->numParams; i++)
	{
		ParamExternData *value = &values->params[i];
		bool is_of_events = i < events->argument_count;

		value->pflags = PARAM_FLAG_CONST;
		value->isnull = false;
		value->ptype = is_of_events ? events->argument_types[i] : NUMERICOID;
		value->value =
			is_of_events
				? events->arguments[i]
				: NumericGetDatum(
					  ((CustomParameter *) list_nth(expression->parameters, i - events->argument_count))->value);
	}
	result = SPI_execute_plan_with_paramlist(expression->plan, values, true, 0);
	if (result != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not execute an expression: %s", SPI_result_code_string(result));
}

/* The one row, in memory that outlives SPI. */
static void
read_row(CustomValue *value, MemoryContext context)
{
	Datum datum = row_value(0, 1, &value->is_null);
	Oid function;

	if (!value->is_null)
	{
		if (expression_numeric_cast(SPI_gettypeid(SPI_tuptable->tupdesc, 1), &function) == COERCION_PATH_FUNC)
			datum = OidFunctionCall1(function, datum);
		if (numeric_is_nan(DatumGetNumeric(datum)) || numeric_is_inf(DatumGetNumeric(datum)))
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("value of the metric is not a number"),
							errdetail("It is %s.", DatumGetCString(DirectFunctionCall1(numeric_out, datum)))));
		context = MemoryContextSwitchTo(context);
		value->value = DatumGetNumericCopy(datum);
		MemoryContextSwitchTo(context);
	}
	value->event_count = DatumGetInt64(row_value_there(0, 2));
	if (value->event_count > 0)
	{
		value->min_event_id = *DatumGetUUIDP(row_value_there(0, 3));
		value->max_event_id = *DatumGetUUIDP(row_value_there(0, 4));
	}
}

/*
 * Calculates a CUSTOM metric over the events that a query selects, with all of
 * EVENT_COLUMNS.  The arguments are an object of integers by the names of the
 * metric's parameters, or NULL; those that are missing have their defaults.
 */
void
metric_expression_calculate(const Metric *metric, const SqlQuery *events, Jsonb *arguments, CustomValue *value)
{
	Expression expression = {.text = metric->expression, .events = events, .context = CurrentMemoryContext};
	ErrorContextCallback callback = {.callback = add_context,
									 .arg = unconstify(Metric *, metric),
									 .previous = error_context_stack};
	int nest_level;

	if (metric->expression.data == NULL)
		report_faults(metric, fault_add(NIL, "expression", "is missing"));
	report_faults(metric, expression_parameters_read(NIL, metric->parameters, &expression.parameters));
	expression_parameters_bind(expression.parameters, arguments);

	memset(value, 0, sizeof(CustomValue));
	error_context_stack = &callback;
	SPI_connect();
	nest_level = enter_settings();
	prepare(&expression);
	report_faults(metric, expression.faults);
	execute(&expression);
	read_row(value, expression.context);
	leave_settings(nest_level);
	SPI_finish();
	error_context_stack = callback.previous;
}
