/*
 * sql/statement.h
 *		SQL statements that are planned once and kept.
 *
 * Statements name every object with its schema and every operator with
 * EQ and its kin, see sql/operator.h: they run with the caller's rights and search_path.
 */
#ifndef USAGE_EVENTS_SQL_STATEMENT_H
#define USAGE_EVENTS_SQL_STATEMENT_H

#include "base/slice.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "sql/operator.h"

#define STATEMENT_MAX_ARGUMENTS 18

typedef struct Statement
{
	const char *sql;
	bool read_only;       /* runs on the caller's snapshot, as a stable function must */
	bool plans_each_time; /* for its arguments, where how much they are decides */
	bool sees_all;        /* that is committed, whatever snapshot the transaction keeps */
	int argument_count;
	Oid argument_types[STATEMENT_MAX_ARGUMENTS];
	SPIPlanPtr plan;     /* NULL until first used */
	bool is_distributed; /* when planned */
	TimestampTz planned_at;
	uint64 rows_when_planned; /* that this backend had written */
	int running;              /* a trigger of the user's may come back to the same statement */
} Statement;

extern const char *statement_null_at(int number, bool is_null);
extern void statement_execute(Statement *statement, Datum *arguments, const char *nulls);
extern void statement_each_row(Statement *statement, Datum *arguments, void (*take_row)(uint64 row, void *argument),
							   void *argument);
extern void statement_stream(Statement *statement, Datum *arguments, void (*take_row)(uint64 row, void *argument),
							 void *argument);
extern void statement_each_row_until(Statement *statement, Datum *arguments,
									 void (*take_row)(uint64 row, void *argument), void *argument,
									 const bool *is_enough);
extern void statement_fetch_rows(Portal portal, void (*take_row)(uint64 row, void *argument), void *argument);

extern Datum statement_uuid_array(Datum *values, int count);
extern Datum statement_timestamp_array(Datum *values, int count);
extern Datum statement_array(Datum *values, const bool *nulls, int count, Oid type);
extern Datum statement_varlena_array(const Slice *contents, int count, Oid type);
extern Datum statement_text_array(const List *texts);

#endif /* USAGE_EVENTS_SQL_STATEMENT_H */
