/*
 * sql/query.h
 *		SQL statements that are put together for one use.
 */
#ifndef USAGE_EVENTS_SQL_QUERY_H
#define USAGE_EVENTS_SQL_QUERY_H

#include "lib/stringinfo.h"
#include "sql/operator.h"
#include "utils/portal.h"

#define SQL_QUERY_MAX_ARGUMENTS 32

typedef struct SqlQuery
{
	StringInfoData sql;
	int argument_count;
	Oid argument_types[SQL_QUERY_MAX_ARGUMENTS];
	Datum arguments[SQL_QUERY_MAX_ARGUMENTS];
	int result; /* of SPI, once it was run */
	Portal cursor;
} SqlQuery;

extern void sql_query_init(SqlQuery *query);
extern void sql_query_append(SqlQuery *query, const char *format, ...) pg_attribute_printf(2, 3);
extern const char *sql_query_argument(SqlQuery *query, Oid type, Datum value);
extern void sql_query_execute(SqlQuery *query);
extern void sql_query_each_row(SqlQuery *query, void (*take_row)(uint64 row, void *argument), void *argument);

#endif /* USAGE_EVENTS_SQL_QUERY_H */
