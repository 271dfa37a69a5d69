/*
 * metric/expression.c
 *		CUSTOM metrics: an SQL expression of the administrator's over events.
 *
 * The expression runs with the rights of whoever asks for the metric, who is
 * somebody else than its author.  So it may do nothing but compute: it is made of
 * the event's columns, the metric's parameters, and functions and operators of
 * PostgreSQL's own that are immutable.  That is made sure in two steps, when the
 * metric is defined and again each time before it is calculated, because a row
 * can come into the table by other ways.
 *
 * 1. The text is parsed alone, so that it cannot reach beyond its brackets, and
 *	  its syntax is checked before anything in it is looked up: to analyze a
 *	  literal of a user's type is to run the constraints of the domains in it.
 * 2. The statement is analyzed, and the expression in it is checked as it will be
 *	  executed, node by node.
 *
 * Both steps know what is allowed and refuse all else.
 */
#include "postgres.h"

#include "metric/expression.h"

#include "access/transam.h"
#include "base/compat.h"
#include "base/json_build.h"
#include "base/json_read.h"
#include "base/text_check.h"
#include "base/uuid_v7.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "event/columns.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/params.h"
#include "parser/parse_coerce.h"
#include "parser/parse_node.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "sql/row.h"
#include "sql/subtransaction.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

/* Longest expression, in characters. */
#define MAX_EXPRESSION_CHARACTERS 10000

#define MAX_PARAMETERS 20

/* How much of a message of the server's parser a fault repeats. */
#define MAX_MESSAGE_BYTES 200

/* What an expression may name: the event, and its columns. */
#define EVENT_NAME "event"
#define RESERVED_NAME(number, name, type, oid, array_oid) #name,

static const char *const reserved_names[] = {EACH_EVENT_COLUMN(RESERVED_NAME, RESERVED_NAME) EVENT_NAME};

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

/* A parameter of an expression, with the value that it has unless it is given another. */
typedef struct CustomParameter
{
	char *name;
	bool is_positive;
	Numeric value;
} CustomParameter;

/* An expression that is being made a statement over events. */
typedef struct Expression
{
	Slice text;
	List *parameters;       /* of CustomParameter * */
	const SqlQuery *events; /* NULL: none */
	List *faults;           /* of the expression */
	MemoryContext context;  /* of the faults */
	SPIPlanPtr plan;
} Expression;

/* Value, number of events, lowest and highest id. */
#define STATEMENT_COLUMNS 4

/* Faults ------------------------------------------------------------------ */

/* Adds a fault of the expression, once. */
static void
add_fault(Expression *expression, const char *text)
{
	MemoryContext previous = MemoryContextSwitchTo(expression->context);
	bool known = false;
	ListCell *cell;

	foreach(cell, expression->faults)
		known = known || strcmp(((Fault *) lfirst(cell))->text, text) == 0;
	if (!known)
		expression->faults = fault_add(expression->faults, "expression", pstrdup(text));
	MemoryContextSwitchTo(previous);
}

/* Syntax ------------------------------------------------------------------ */

/* Whether a name is without schema, or in PostgreSQL's own. */
static bool
is_builtin_name(List *name)
{
	return list_length(name) == 1 || (list_length(name) == 2 && strcmp(strVal(linitial(name)), "pg_catalog") == 0);
}

static void
check_name(Expression *expression, List *name)
{
	if (!is_builtin_name(name))
		add_fault(expression, psprintf("must not use %s: only what is in the schema pg_catalog may be used",
									   NameListToString(name)));
}

static bool
is_builtin_object(Oid object, Oid schema)
{
	return object < FirstNormalObjectId && schema == PG_CATALOG_NAMESPACE;
}

/* Types whose values are names of objects of the database. */
static bool
is_object_type(Oid type)
{
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGCOLLATIONOID:
		case REGTYPEOID:
		case REGROLEOID:
		case REGNAMESPACEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
			return true;
		default:
			return false;
	}
}

/* Plain types of PostgreSQL's own, arrays of them, and the rows that ROW() makes. */
static void
check_type(Expression *expression, Oid type)
{
	Oid element = get_element_type(type);
	Oid plain = OidIsValid(element) ? element : type;
	HeapTuple tuple;
	bool is_allowed;

	if (plain == UNKNOWNOID || plain == RECORDOID)
		return;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(plain));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", plain);
	is_allowed = is_builtin_object(plain, ((Form_pg_type) GETSTRUCT(tuple))->typnamespace) && !is_object_type(plain);
	switch (((Form_pg_type) GETSTRUCT(tuple))->typtype)
	{
		case TYPTYPE_BASE:
		case TYPTYPE_RANGE:
		case TYPTYPE_MULTIRANGE:
			break;
		default:
			is_allowed = false;
	}
	ReleaseSysCache(tuple);
	if (!is_allowed)
		add_fault(expression, psprintf("must not use the type %s", format_type_be(type)));
}

/* A type by its name; of one that does not exist the analysis will say so. */
static void
check_type_name(Expression *expression, TypeName *name)
{
	Oid type;

	if (name->setof || name->pct_type)
	{
		add_fault(expression, "must not use SETOF or %TYPE");
		return;
	}
	check_name(expression, name->names);
	if (!is_builtin_name(name->names))
		return;
	type = LookupTypeNameOid(NULL, name, true);
	if (OidIsValid(type))
		check_type(expression, type);
}

/* Whether all of the syntax is known to be harmless, before its names are looked up. */
static bool
check_syntax(Node *node, Expression *expression)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_List:
		case T_String:
		case T_Integer:
		case T_A_Const:
		case T_A_Indices:
		case T_A_Indirection:
		case T_A_ArrayExpr:
		case T_BoolExpr:
		case T_BooleanTest:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CoalesceExpr:
		case T_ColumnRef:
		case T_MinMaxExpr:
		case T_NamedArgExpr:
		case T_NullTest:
		case T_RowExpr:
			break;
		case T_A_Expr:
			check_name(expression, ((A_Expr *) node)->name);
			break;
		case T_CollateClause:
			check_name(expression, ((CollateClause *) node)->collname);
			break;
		case T_FuncCall:
			check_name(expression, ((FuncCall *) node)->funcname);
			if (((FuncCall *) node)->over != NULL)
			{
				add_fault(expression, "must not use window functions");
				return false;
			}
			break;
		case T_SortBy:
			if (((SortBy *) node)->useOp != NIL)
				check_name(expression, ((SortBy *) node)->useOp);
			break;
		case T_TypeCast:
			check_type_name(expression, ((TypeCast *) node)->typeName);
			break;
		case T_TypeName:
			break;
		case T_SubLink:
			add_fault(expression, "must not have a sub-select");
			return false;
		case T_ParamRef:
			add_fault(expression, "must name its parameters, not number them");
			return false;
		case T_SQLValueFunction:
			add_fault(expression, "must not depend on the moment or the user, such as CURRENT_DATE");
			return false;
		default:
			add_fault(expression, "has syntax that is not allowed in a metric");
			return false;
	}
	return raw_expression_tree_walker(node, check_syntax, expression);
}

static SelectStmt *
parse_statement(const char *text, RawParseMode mode)
{
	List *statements = raw_parser(text, mode);

	if (list_length(statements) != 1 || !IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
		return NULL;
	return (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
}

/*
 * Parses the text as an expression and nothing beside; NULL, with faults, if it is
 * anything else.  The parser's mode for expressions of PL/pgSQL takes what may
 * follow SELECT there: so the rest has to be the same as after a mere constant.
 */
static Node *
parse_expression(Expression *expression)
{
	SelectStmt *statement =
		parse_statement(pnstrdup(expression->text.data, expression->text.length), RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *plain = parse_statement("1", RAW_PARSE_PLPGSQL_EXPR);
	ResTarget *target;

	if (statement->targetList == NIL)
	{
		add_fault(expression, "must not be empty");
		return NULL;
	}
	if (list_length(statement->targetList) != 1)
	{
		add_fault(expression, psprintf("must be one expression, not %d", list_length(statement->targetList)));
		return NULL;
	}
	plain->targetList = statement->targetList;
	if (!equal(plain, statement))
	{
		add_fault(expression, "must be an expression alone, without FROM and other clauses");
		return NULL;
	}
	target = linitial_node(ResTarget, statement->targetList);
	if (target->name != NULL)
	{
		add_fault(expression, "must be an expression alone, without a name for its result");
		return NULL;
	}
	check_syntax(target->val, expression);
	return expression->faults == NIL ? target->val : NULL;
}

/* Meaning ----------------------------------------------------------------- */

/* A fault if the function may not be called. */
static bool
check_function(Oid function, void *context)
{
	Expression *expression = context;

	if (!is_builtin_object(function, get_func_namespace(function)))
		add_fault(expression, psprintf("must not call %s: it is not one of PostgreSQL's own functions",
									   format_procedure(function)));
	else if (func_volatile(function) != PROVOLATILE_IMMUTABLE)
		add_fault(expression, psprintf("must not call %s: its result depends on more than its arguments",
									   format_procedure(function)));
	else if (get_func_retset(function))
		add_fault(expression, psprintf("must not call %s: it returns a set", format_procedure(function)));
	return false;
}

static void
check_operator(Expression *expression, Oid operator)
{
	HeapTuple tuple;
	Oid schema;

	if (!OidIsValid(operator))
		return;
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	schema = ((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace;
	ReleaseSysCache(tuple);
	if (!is_builtin_object(operator, schema))
		add_fault(expression, psprintf("must not use the operator %s: it is not one of PostgreSQL's own",
									   format_operator(operator)));
	check_function(get_opcode(operator), expression);
}

static void
check_collation(Expression *expression, Oid collation)
{
	HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Oid schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	schema = ((Form_pg_collation) GETSTRUCT(tuple))->collnamespace;
	ReleaseSysCache(tuple);
	if (!is_builtin_object(collation, schema))
		add_fault(expression, psprintf("must not use the collation %s: it is not one of PostgreSQL's own",
									   get_collation_name(collation)));
}

static bool
is_immutable_input(Oid type)
{
	Oid element = get_element_type(type);
	Oid function;
	Oid io_parameter;

	getTypeInputInfo(OidIsValid(element) ? element : type, &function, &io_parameter);
	return func_volatile(function) == PROVOLATILE_IMMUTABLE;
}

/* A literal has been read by its type's input function already: 'now'::timestamptz is a moment by now. */
static void
check_constant(Expression *expression, const Const *constant)
{
	if (!constant->constisnull && !is_immutable_input(constant->consttype))
		add_fault(expression,
				  psprintf("must not have a literal of type %s: what it means depends on more than its text",
						   format_type_be(constant->consttype)));
}

/* Casts by way of text. */
static void
check_text_cast(Expression *expression, const CoerceViaIO *cast)
{
	Oid source = exprType((Node *) cast->arg);
	Oid output;
	bool is_varlena;

	getTypeOutputInfo(source, &output, &is_varlena);
	if (func_volatile(output) != PROVOLATILE_IMMUTABLE || !is_immutable_input(cast->resulttype))
		add_fault(expression, psprintf("must not cast %s to %s: the result depends on settings", format_type_be(source),
									   format_type_be(cast->resulttype)));
}

/* Whether the expression, as it will be executed, is made of what is allowed. */
static bool
check_meaning(Node *node, Expression *expression)
{
	ListCell *cell;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_List:
		case T_TargetEntry: /* an argument of an aggregate */
		case T_CaseWhen:
			return expression_tree_walker(node, check_meaning, expression);
		case T_SortGroupClause:
			check_operator(expression, ((SortGroupClause *) node)->eqop);
			check_operator(expression, ((SortGroupClause *) node)->sortop);
			return false;
		case T_Var:
			if (((Var *) node)->varattno <= 0 || ((Var *) node)->varlevelsup != 0)
				add_fault(expression, "must use columns of the event, not the event as a whole");
			break;
		case T_Const:
			check_constant(expression, (Const *) node);
			break;
		case T_CoerceViaIO:
			check_text_cast(expression, (CoerceViaIO *) node);
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			check_operator(expression, ((OpExpr *) node)->opno);
			break;
		case T_ScalarArrayOpExpr:
			check_operator(expression, ((ScalarArrayOpExpr *) node)->opno);
			break;
		case T_RowCompareExpr:
			foreach(cell, ((RowCompareExpr *) node)->opnos)
				check_operator(expression, lfirst_oid(cell));
			break;
		case T_CollateExpr:
			check_collation(expression, ((CollateExpr *) node)->collOid);
			break;
		case T_Aggref:
		case T_FuncExpr:
			check_functions_in_node(node, check_function, expression);
			break;
		case T_Param:
		case T_ArrayCoerceExpr:
		case T_ArrayExpr:
		case T_BoolExpr:
		case T_BooleanTest:
		case T_CaseExpr:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NamedArgExpr:
		case T_NullTest:
		case T_RelabelType:
		case T_RowExpr:
		case T_SubscriptingRef:
			break;
		default:
			add_fault(expression, "has syntax that is not allowed in a metric");
			return false;
	}
	check_type(expression, exprType(node));
	return expression_tree_walker(node, check_meaning, expression);
}

/* How a result becomes numeric: COERCION_PATH_NONE if it does not. */
static CoercionPathType
numeric_cast(Oid type, Oid *function)
{
	CoercionPathType path;

	*function = InvalidOid;
	if (type == NUMERICOID)
		return COERCION_PATH_RELABELTYPE;
	path = find_coercion_pathway(NUMERICOID, type, COERCION_ASSIGNMENT, function);
	if (path == COERCION_PATH_FUNC && is_builtin_object(*function, get_func_namespace(*function)) &&
		func_volatile(*function) == PROVOLATILE_IMMUTABLE)
		return path;
	return COERCION_PATH_NONE;
}

static void
check_result(Expression *expression, Oid type)
{
	Oid function;

	if (numeric_cast(type, &function) == COERCION_PATH_NONE)
		add_fault(expression, psprintf("must give a number, not %s", format_type_be(type)));
}

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
	Node *parsed = parse_expression(expression);
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
	statement = parse_statement(sql.data, RAW_PARSE_DEFAULT);
	if (statement == NULL || list_length(statement->targetList) != STATEMENT_COLUMNS ||
		!equal(linitial_node(ResTarget, statement->targetList)->val, parsed))
	{
		add_fault(expression, "has syntax that is not allowed in a metric");
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
		add_fault(expression, "must be one expression, not all columns of a row");
		return;
	}
	target = linitial_node(TargetEntry, query->targetList);
	check_meaning((Node *) target->expr, expression);
	check_result(expression, exprType((Node *) target->expr));
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

/* Parameters -------------------------------------------------------------- */

static bool
member(const JsonbValue *object, const char *name, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object->val.binary.data, name, (int) strlen(name), value) != NULL;
}

/* An integer, or the text of one; NULL if it is neither. */
static Numeric
read_integer(const JsonbValue *value)
{
	if (value->type == jbvNumeric)
	{
		Datum number = NumericGetDatum(value->val.numeric);
		Datum whole = DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0));

		return DatumGetBool(DirectFunctionCall2(numeric_eq, number, whole)) ? DatumGetNumeric(whole) : NULL;
	}
	if (value->type == jbvString)
	{
		char *text = pnstrdup(value->val.string.val, value->val.string.len);
		const char *digits = text + (*text == '-' || *text == '+' ? 1 : 0);

		if (value->val.string.len <= 255 && *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0' &&
			strlen(text) == (size_t) value->val.string.len)
			return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
													   Int32GetDatum(-1)));
	}
	return NULL;
}

/* Reads a value of the parameter; a fault if it has none of its type. */
static List *
read_value(List *faults, const char *field, const JsonbValue *json, CustomParameter *parameter)
{
	Numeric number = read_integer(json);

	if (number == NULL)
		return fault_add(faults, field,
						 json->type == jbvString
							 ? psprintf("must be an integer, not %s", fault_quote(json_string(json)))
						 : json->type == jbvNumeric ? "must be an integer, without a fraction"
													: psprintf("must be an integer, not %s", json_kind(json)));
	if (parameter->is_positive &&
		!DatumGetBool(DirectFunctionCall2(numeric_gt, NumericGetDatum(number), NumericGetDatum(int64_to_numeric(0)))))
		return fault_add(faults, field, "must be positive");
	parameter->value = number;
	return faults;
}

static List *
check_string(List *faults, const char *field, const JsonbValue *object, const char *name, Slice *text)
{
	JsonbValue value;
	const char *fault;

	*text = (Slice){NULL, 0};
	if (!member(object, name, &value))
		return fault_add(faults, field, "is missing");
	if (value.type != jbvString)
		return fault_add(faults, field, psprintf("must be a string, not %s", json_kind(&value)));
	fault = text_check(json_string(&value));
	if (fault != NULL)
		return fault_add(faults, field, fault);
	*text = json_string(&value);
	return faults;
}

/* Rule of a parameter's name: one that an expression can name without quotes, and that means nothing else. */
static const char *
check_parameter_name(const char *name, List *parameters)
{
	ListCell *cell;

	if (strlen(name) >= NAMEDATALEN || (*name >= '0' && *name <= '9') ||
		name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
		return psprintf("must have lower-case letters, digits and underscores, at most %d, and not begin with a digit",
						NAMEDATALEN - 1);
	for (size_t i = 0; i < lengthof(reserved_names); i++)
	{
		if (strcmp(name, reserved_names[i]) == 0)
			return "is a name of the event's own";
	}
	foreach(cell, parameters)
	{
		if (strcmp(name, ((CustomParameter *) lfirst(cell))->name) == 0)
			return "is the name of another parameter already";
	}
	return NULL;
}

static List *
read_parameter(List *faults, int index, const JsonbValue *json, List **parameters)
{
	CustomParameter *parameter = palloc0(sizeof(CustomParameter));
	const char *prefix = psprintf("parameters[%d]", index);
	List *own_faults = NIL;
	Slice text;
	JsonbValue value;
	const char *field;

	if (json->type != jbvBinary || !JsonContainerIsObject(json->val.binary.data))
		return fault_add(faults, prefix, psprintf("must be an object, not %s", json_kind(json)));

	field = psprintf("%s.name", prefix);
	own_faults = check_string(own_faults, field, json, "name", &text);
	if (text.data != NULL)
	{
		const char *fault;

		parameter->name = pnstrdup(text.data, text.length);
		fault = check_parameter_name(parameter->name, *parameters);
		if (fault != NULL)
			own_faults = fault_add(own_faults, field, fault);
		else
			*parameters = lappend(*parameters, parameter);
	}

	field = psprintf("%s.type", prefix);
	own_faults = check_string(own_faults, field, json, "type", &text);
	if (text.data != NULL)
	{
		parameter->is_positive = text.length == 16 && memcmp(text.data, "POSITIVE_INTEGER", 16) == 0;
		if (!parameter->is_positive && !(text.length == 7 && memcmp(text.data, "INTEGER", 7) == 0))
			own_faults = fault_add(own_faults, field, "must be \"INTEGER\" or \"POSITIVE_INTEGER\"");
	}

	own_faults = check_string(own_faults, psprintf("%s.description", prefix), json, "description", &text);

	field = psprintf("%s.defaultValue", prefix);
	own_faults = check_string(own_faults, field, json, "defaultValue", &text);
	if (text.data != NULL && member(json, "defaultValue", &value))
		own_faults = read_value(own_faults, field, &value, parameter);
	return list_concat(faults, own_faults);
}

/* Reads a metric's parameters, those whose name is good also where something else is not. */
static List *
read_parameters(List *faults, Jsonb *json, List **parameters)
{
	int count;

	*parameters = NIL;
	if (json == NULL)
		return faults;
	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		return fault_add(faults, "parameters", psprintf("must be an array, not %s", json_document_kind(json)));
	count = (int) JsonContainerSize(&json->root);
	if (count > MAX_PARAMETERS)
		return fault_add(faults, "parameters",
						 psprintf("must have at most %d elements, not %d", MAX_PARAMETERS, count));
	for (int i = 0; i < count; i++)
		faults = read_parameter(faults, i, getIthJsonbValueFromContainer(&json->root, i), parameters);
	return faults;
}

/* The parameters as they are stored and answered, each with a new id.  They have been checked. */
Jsonb *
metric_expression_parameters(Jsonb *parameters, const pg_uuid_t *metric_id)
{
	static const char *const names[] = {"name", "type", "description", "defaultValue"};
	int count = parameters != NULL ? (int) JsonContainerSize(&parameters->root) : 0;
	Jsonb **elements = palloc(sizeof(Jsonb *) * Max(count, 1));

	for (int i = 0; i < count; i++)
	{
		JsonbValue *parameter = getIthJsonbValueFromContainer(&parameters->root, i);
		JsonObject object = {0};
		pg_uuid_t id;

		uuid_v7_generate(&id);
		json_add_uuid(&object, SLICE("id"), &id);
		json_add_uuid(&object, SLICE("usageMetricId"), metric_id);
		for (size_t n = 0; n < lengthof(names); n++)
		{
			JsonbValue value;

			if (member(parameter, names[n], &value))
				json_add_text(&object, slice_from_cstring(names[n]), json_string(&value));
		}
		elements[i] = json_make_object(&object);
	}
	return json_make_array(elements, count);
}

/* Gives parameters the values that whoever calculates the metric has for them. */
static void
bind_arguments(List *parameters, Jsonb *arguments)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue key;
	JsonbValue value;
	List *faults = NIL;
	StringInfoData detail;

	if (arguments == NULL)
		return;
	if (!json_is_object(arguments))
		faults = fault_add(NIL, NULL, psprintf("must be a JSON object, not %s", json_document_kind(arguments)));
	else
	{
		iterator = JsonbIteratorInit(&arguments->root);
		while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
		{
			CustomParameter *parameter = NULL;
			const char *name;
			ListCell *cell;

			if (token != WJB_KEY)
				continue;
			(void) JsonbIteratorNext(&iterator, &value, true);
			name = pnstrdup(key.val.string.val, key.val.string.len);
			foreach(cell, parameters)
			{
				if (strcmp(((CustomParameter *) lfirst(cell))->name, name) == 0)
					parameter = lfirst(cell);
			}
			if (parameter != NULL)
				faults = read_value(faults, name, &value, parameter);
			else if (list_length(faults) <= MAX_PARAMETERS)
				faults = fault_add(faults, name, "is not a parameter of this metric");
		}
	}
	if (faults == NIL)
		return;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The value", faults);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid parameters of a custom usage metric"),
					errdetail_internal("%s", detail.data),
					errhint("Parameters are an object with an integer for each that shall not have its default, such "
							"as {\"price\": 4}.")));
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

	faults = read_parameters(faults, parameters, &read);
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
		if (numeric_cast(SPI_gettypeid(SPI_tuptable->tupdesc, 1), &function) == COERCION_PATH_FUNC)
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
	report_faults(metric, read_parameters(NIL, metric->parameters, &expression.parameters));
	bind_arguments(expression.parameters, arguments);

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
