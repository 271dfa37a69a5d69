/*
 * metric/expression_rules.h
 *		What an expression of a CUSTOM metric may be made of.
 */
#ifndef USAGE_EVENTS_METRIC_EXPRESSION_RULES_H
#define USAGE_EVENTS_METRIC_EXPRESSION_RULES_H

#include "base/fault.h"
#include "event/columns.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "parser/parse_coerce.h"
#include "parser/parser.h"
#include "sql/query.h"

/* An expression may name the event, and its columns. */
#define EVENT_NAME "event"

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

extern void expression_add_fault(Expression *expression, const char *text);
extern SelectStmt *expression_parse_statement(const char *text, RawParseMode mode);
extern Node *expression_parse(Expression *expression);
extern bool expression_check_meaning(Node *node, Expression *expression);
extern void expression_check_result(Expression *expression, Oid type);
extern CoercionPathType expression_numeric_cast(Oid type, Oid *function);

#endif /* USAGE_EVENTS_METRIC_EXPRESSION_RULES_H */
