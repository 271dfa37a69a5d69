/*
 * sql/operator.h
 *		Operators in SQL of ours.
 *
 * Our statements run with the caller's search_path, and so would their operators: whoever
 * has a schema to write to could put a "=" of another meaning before the server's.  These
 * name the server's own, and cost a call nothing:
 *
 *	"SELECT id FROM usage_events.event WHERE account_id " EQ " $1"
 *
 * All operators that are named so have one precedence: what is meant otherwise stands in
 * parentheses.
 */
#ifndef USAGE_EVENTS_SQL_OPERATOR_H
#define USAGE_EVENTS_SQL_OPERATOR_H

#define EQ "OPERATOR(pg_catalog.=)"
#define NE "OPERATOR(pg_catalog.<>)"
#define LT "OPERATOR(pg_catalog.<)"
#define LE "OPERATOR(pg_catalog.<=)"
#define GT "OPERATOR(pg_catalog.>)"
#define GE "OPERATOR(pg_catalog.>=)"
#define PLUS "OPERATOR(pg_catalog.+)"
#define MINUS "OPERATOR(pg_catalog.-)"

#endif /* USAGE_EVENTS_SQL_OPERATOR_H */
