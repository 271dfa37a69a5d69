/*
 * sql/query.c
 *		SQL statements that are put together for one use.
 *
 * What varies in them is which conditions they have; values are parameters,
 * always, and known to the planner.  Such a statement reads what the caller's
 * snapshot shows, and writes nothing.
 */
#include "postgres.h"

#include "sql/query.h"

#include "executor/spi.h"
#include "sql/own_statement.h"
#include "sql/statement.h"

void
sql_query_init(SqlQuery *query)
{
	initStringInfo(&query->sql);
	query->argument_count = 0;
}

void
sql_query_append(SqlQuery *query, const char *format, ...)
{
	for (;;)
	{
		va_list arguments;
		int needed;

		va_start(arguments, format);
		needed = appendStringInfoVA(&query->sql, format, arguments);
		va_end(arguments);
		if (needed == 0)
			return;
		enlargeStringInfo(&query->sql, needed);
	}
}

/* Adds a parameter, and returns its name in the statement. */
const char *
sql_query_argument(SqlQuery *query, Oid type, Datum value)
{
	if (query->argument_count >= SQL_QUERY_MAX_ARGUMENTS)
		elog(ERROR, "too many arguments for \"%s\"", query->sql.data);
	query->argument_types[query->argument_count] = type;
	query->arguments[query->argument_count++] = value;
	return psprintf("$%d", query->argument_count);
}

static void
execute(void *argument)
{
	SqlQuery *query = argument;

	query->result = SPI_execute_with_args(query->sql.data, query->argument_count, query->argument_types,
										  query->arguments, NULL, true, 0);
}

/* Runs the statement; the caller is connected to SPI and reads SPI_processed and SPI_tuptable. */
void
sql_query_execute(SqlQuery *query)
{
	own_statement_do(query->sql.data, execute, query);
	if (query->result != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\": %s", query->sql.data, SPI_result_code_string(query->result));
}

static void
open_cursor(void *argument)
{
	SqlQuery *query = argument;

	query->cursor = SPI_cursor_open_with_args(NULL, query->sql.data, query->argument_count, query->argument_types,
											  query->arguments, NULL, true, 0);
}

/* Runs a statement whose result may be long, and hands out its rows: row numbers as in SPI_tuptable. */
void
sql_query_each_row(SqlQuery *query, void (*take_row)(uint64 row, void *argument), void *argument)
{
	own_statement_do(query->sql.data, open_cursor, query);
	statement_fetch_rows(query->cursor, take_row, argument);
}
