/*
 * metric/expression_rules.c
 *		What an expression of a CUSTOM metric may be made of.
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

#include "metric/expression_rules.h"

#include "access/transam.h"
#include "base/compat.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

/* Faults ------------------------------------------------------------------ */

/* Adds a fault of the expression, once. */
void
expression_add_fault(Expression *expression, const char *text)
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
		expression_add_fault(expression, psprintf("must not use %s: only what is in the schema pg_catalog may be used",
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
		expression_add_fault(expression, psprintf("must not use the type %s", format_type_be(type)));
}

/* A type by its name; of one that does not exist the analysis will say so. */
static void
check_type_name(Expression *expression, TypeName *name)
{
	Oid type;

	if (name->setof || name->pct_type)
	{
		expression_add_fault(expression, "must not use SETOF or %TYPE");
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
				expression_add_fault(expression, "must not use window functions");
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
			expression_add_fault(expression, "must not have a sub-select");
			return false;
		case T_ParamRef:
			expression_add_fault(expression, "must name its parameters, not number them");
			return false;
		case T_SQLValueFunction:
			expression_add_fault(expression, "must not depend on the moment or the user, such as CURRENT_DATE");
			return false;
		default:
			expression_add_fault(expression, "has syntax that is not allowed in a metric");
			return false;
	}
	return raw_expression_tree_walker(node, check_syntax, expression);
}

SelectStmt *
expression_parse_statement(const char *text, RawParseMode mode)
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
Node *
expression_parse(Expression *expression)
{
	SelectStmt *statement =
		expression_parse_statement(pnstrdup(expression->text.data, expression->text.length), RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *plain = expression_parse_statement("1", RAW_PARSE_PLPGSQL_EXPR);
	ResTarget *target;

	if (statement->targetList == NIL)
	{
		expression_add_fault(expression, "must not be empty");
		return NULL;
	}
	if (list_length(statement->targetList) != 1)
	{
		expression_add_fault(expression,
							 psprintf("must be one expression, not %d", list_length(statement->targetList)));
		return NULL;
	}
	plain->targetList = statement->targetList;
	if (!equal(plain, statement))
	{
		expression_add_fault(expression, "must be an expression alone, without FROM and other clauses");
		return NULL;
	}
	target = linitial_node(ResTarget, statement->targetList);
	if (target->name != NULL)
	{
		expression_add_fault(expression, "must be an expression alone, without a name for its result");
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
		expression_add_fault(expression, psprintf("must not call %s: it is not one of PostgreSQL's own functions",
												  format_procedure(function)));
	else if (func_volatile(function) != PROVOLATILE_IMMUTABLE)
		expression_add_fault(expression, psprintf("must not call %s: its result depends on more than its arguments",
												  format_procedure(function)));
	else if (get_func_retset(function))
		expression_add_fault(expression, psprintf("must not call %s: it returns a set", format_procedure(function)));
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
		expression_add_fault(expression, psprintf("must not use the operator %s: it is not one of PostgreSQL's own",
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
		expression_add_fault(expression, psprintf("must not use the collation %s: it is not one of PostgreSQL's own",
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
		expression_add_fault(expression,
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
		expression_add_fault(expression, psprintf("must not cast %s to %s: the result depends on settings",
												  format_type_be(source), format_type_be(cast->resulttype)));
}

/* Whether the expression, as it will be executed, is made of what is allowed. */
bool
expression_check_meaning(Node *node, Expression *expression)
{
	ListCell *cell;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_List:
		case T_TargetEntry: /* an argument of an aggregate */
		case T_CaseWhen:
			return expression_tree_walker(node, expression_check_meaning, expression);
		case T_SortGroupClause:
			check_operator(expression, ((SortGroupClause *) node)->eqop);
			check_operator(expression, ((SortGroupClause *) node)->sortop);
			return false;
		case T_Var:
			if (((Var *) node)->varattno <= 0 || ((Var *) node)->varlevelsup != 0)
				expression_add_fault(expression, "must use columns of the event, not the event as a whole");
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
			expression_add_fault(expression, "has syntax that is not allowed in a metric");
			return false;
	}
	check_type(expression, exprType(node));
	return expression_tree_walker(node, expression_check_meaning, expression);
}

/* How a result becomes numeric: COERCION_PATH_NONE if it does not. */
CoercionPathType
expression_numeric_cast(Oid type, Oid *function)
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

void
expression_check_result(Expression *expression, Oid type)
{
	Oid function;

	if (expression_numeric_cast(type, &function) == COERCION_PATH_NONE)
		expression_add_fault(expression, psprintf("must give a number, not %s", format_type_be(type)));
}
