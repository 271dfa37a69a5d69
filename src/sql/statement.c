/*
 * sql/statement.c
 *		SQL statements that are planned once and kept.
 */
#include "postgres.h"

#include "sql/statement.h"

#include "access/xact.h"
#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "sql/distribution.h"
#include "sql/own_statement.h"
#include "sql/row.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* Plans ---------------------------------------------------------------------- */

/* How long a plan is kept. */
#define PLAN_LIFETIME_MICROSECONDS (60 * USECS_PER_SEC)

/* So many rows may come on top of twice those that there were. */
#define ROWS_BEFORE_REPLANNING 100

static uint64 rows_written = 0;

/*
 * A plan that was made while the tables were small reads all of an account for a
 * key, and a generic plan stays until somebody analyzes the table.  So ours are
 * made anew when this backend has doubled what it had written, which a long
 * import does many times, and after a minute, for what others write.
 * Plans of one table are none of one that is distributed.
 */
static bool
is_outdated(const Statement *statement)
{
	return statement->is_distributed != distribution_is_on() ||
		   rows_written > 2 * statement->rows_when_planned + ROWS_BEFORE_REPLANNING ||
		   GetCurrentStatementStartTimestamp() - statement->planned_at > PLAN_LIFETIME_MICROSECONDS;
}

static void
plan_statement(Statement *statement)
{
	/* Citus has to know the account to plan for a shard: it chooses itself where that can wait. */
	bool is_distributed = distribution_is_on();
	int options = statement->plans_each_time ? CURSOR_OPT_CUSTOM_PLAN : CURSOR_OPT_GENERIC_PLAN;
	SPIPlanPtr plan = SPI_prepare_cursor(statement->sql, statement->argument_count, statement->argument_types,
										 is_distributed ? 0 : options);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", statement->sql, SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	if (statement->plan != NULL)
		SPI_freeplan(statement->plan);
	statement->plan = plan;
	statement->is_distributed = is_distributed;
	statement->planned_at = GetCurrentStatementStartTimestamp();
	statement->rows_when_planned = rows_written;
}

typedef struct Call
{
	Statement *statement;
	Datum *arguments;
	const char *nulls;
	int result;
	Portal cursor;
	struct RowStream *stream;
} Call;

static const char *
prepare(Statement *statement)
{
	/* It would end what the executor is in. */
	if (row_is_streamed())
		elog(ERROR, "a statement may not run while rows of another are streamed");
	if (statement->plan == NULL || (statement->running == 0 && is_outdated(statement)))
		plan_statement(statement);
	return ((CachedPlanSource *) linitial(SPI_plan_get_plan_sources(statement->plan)))->query_string;
}

static int
execute_plan(const Statement *statement, Datum *arguments, const char *nulls)
{
	if (statement->sees_all)
		return SPI_execute_snapshot(statement->plan, arguments, nulls, GetLatestSnapshot(), InvalidSnapshot, false,
									true, 0);
	return SPI_execute_plan(statement->plan, arguments, nulls, statement->read_only, 0);
}

static void
execute(void *argument)
{
	Call *call = argument;
	Statement *statement = call->statement;

	statement->running++;
	PG_TRY();
	{
		call->result = execute_plan(statement, call->arguments, call->nulls);
	}
	PG_FINALLY();
	{
		statement->running--;
	}
	PG_END_TRY();
}

/*
 * Runs the statement; the caller is connected to SPI and reads SPI_processed and
 * SPI_tuptable.  The plan is generic: each of our statements finds its rows by
 * key, and planning again for each value would cost more than running it, unless
 * it has very many.
 *
 * SPI leaves its own memory context behind, which lives until SPI_finish().  Whoever
 * works in a shorter one goes on in that.
 */
void
statement_execute(Statement *statement, Datum *arguments, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;
	Call call = {.statement = statement, .arguments = arguments, .nulls = nulls};

	own_statement_do(prepare(statement), execute, &call);
	MemoryContextSwitchTo(context);
	if (call.result < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement->sql, SPI_result_code_string(call.result));
	if (call.result != SPI_OK_SELECT)
		rows_written += SPI_processed;
}

/* So many rows of a long result are in memory at a time. */
#define ROWS_AT_A_TIME 1000

static void
open_cursor(void *argument)
{
	Call *call = argument;

	call->cursor =
		SPI_cursor_open(NULL, call->statement->plan, call->arguments, call->nulls, call->statement->read_only);
}

static Portal
cursor_of(Statement *statement, Datum *arguments)
{
	MemoryContext context = CurrentMemoryContext;
	Call call = {.statement = statement, .arguments = arguments};

	own_statement_do(prepare(statement), open_cursor, &call);
	MemoryContextSwitchTo(context);
	return call.cursor;
}

/* Hands out the rows of a cursor, and closes it: at the latest soon after it is enough. */
static void
fetch_rows_until(Portal portal, void (*take_row)(uint64 row, void *argument), void *argument, const bool *is_enough)
{
	MemoryContext context = CurrentMemoryContext;
	uint64 count;

	do
	{
		SPITupleTable *rows;

		SPI_cursor_fetch(portal, true, ROWS_AT_A_TIME);
		MemoryContextSwitchTo(context);
		rows = SPI_tuptable;
		count = SPI_processed;
		for (uint64 row = 0; row < count; row++)
		{
			CHECK_FOR_INTERRUPTS();
			take_row(row, argument);
		}
		SPI_freetuptable(rows);
	} while (count == ROWS_AT_A_TIME && !*is_enough);
	SPI_cursor_close(portal);
}

/* Hands out the rows of a cursor, and closes it. */
void
statement_fetch_rows(Portal portal, void (*take_row)(uint64 row, void *argument), void *argument)
{
	static const bool never = false;

	fetch_rows_until(portal, take_row, argument, &never);
}

/* Runs a statement whose result may be long, and hands out its rows: row numbers as in SPI_tuptable. */
void
statement_each_row(Statement *statement, Datum *arguments, void (*take_row)(uint64 row, void *argument), void *argument)
{
	statement_fetch_rows(cursor_of(statement, arguments), take_row, argument);
}

/* The same until it is enough, which take_row says: of what comes after that little is read. */
void
statement_each_row_until(Statement *statement, Datum *arguments, void (*take_row)(uint64 row, void *argument),
						 void *argument, const bool *is_enough)
{
	fetch_rows_until(cursor_of(statement, arguments), take_row, argument, is_enough);
}

/* Where rows go that the executor hands out one by one. */
typedef struct RowStream
{
	DestReceiver receiver;
	void (*take_row)(uint64 row, void *argument);
	void *argument;
	/* The caller's: an error in what takes the row says nothing of the statement. */
	MemoryContext context;
	ErrorContextCallback *error_context;
} RowStream;

static void
begin_stream(DestReceiver *self pg_attribute_unused(), int operation pg_attribute_unused(),
			 TupleDesc columns pg_attribute_unused())
{
}

static bool
stream_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowStream *stream = (RowStream *) self;
	MemoryContext executor_context = MemoryContextSwitchTo(stream->context);
	ErrorContextCallback *executor_error_context = error_context_stack;

	CHECK_FOR_INTERRUPTS();
	error_context_stack = stream->error_context;
	row_stream(slot, NULL);
	stream->take_row(ROW_STREAMED, stream->argument);
	row_stream_end();
	error_context_stack = executor_error_context;
	MemoryContextSwitchTo(executor_context);
	return true;
}

static void
end_stream(DestReceiver *self pg_attribute_unused())
{
}

static ParamListInfo
make_parameters(const Statement *statement, const Datum *arguments)
{
	ParamListInfo parameters = makeParamList(statement->argument_count);

	for (int i = 0; i < statement->argument_count; i++)
		parameters->params[i] = (ParamExternData){arguments[i], false, PARAM_FLAG_CONST, statement->argument_types[i]};
	return parameters;
}

static void
stream(void *argument)
{
	Call *call = argument;
	SPIExecuteOptions options = {
		.params = make_parameters(call->statement, call->arguments),
		.read_only = call->statement->read_only,
		.dest = &call->stream->receiver,
	};

	call->statement->running++;
	PG_TRY();
	{
		call->result = SPI_execute_plan_extended(call->statement->plan, &options);
	}
	PG_FINALLY();
	{
		call->statement->running--;
		row_stream_end();
	}
	PG_END_TRY();
}

/*
 * Runs a statement, and hands out its rows as the executor comes to them, each as ROW_STREAMED: no copy
 * of a row is made, and no cursor.  Nobody may run another statement meanwhile.
 */
void
statement_stream(Statement *statement, Datum *arguments, void (*take_row)(uint64 row, void *argument), void *argument)
{
	RowStream rows = {
		.receiver = {stream_row, begin_stream, end_stream, end_stream, DestNone},
		.take_row = take_row,
		.argument = argument,
		.context = CurrentMemoryContext,
		.error_context = error_context_stack,
	};
	Call call = {.statement = statement, .arguments = arguments, .stream = &rows};

	own_statement_do(prepare(statement), stream, &call);
	MemoryContextSwitchTo(rows.context);
	if (call.result < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement->sql, SPI_result_code_string(call.result));
}

/* Nulls among the arguments as statement_execute() takes them: the one of that number, or none. */
const char *
statement_null_at(int number, bool is_null)
{
	char *nulls;

	if (!is_null)
		return NULL;
	nulls = palloc(STATEMENT_MAX_ARGUMENTS + 1);
	memset(nulls, ' ', STATEMENT_MAX_ARGUMENTS);
	nulls[STATEMENT_MAX_ARGUMENTS] = '\0';
	nulls[number - 1] = 'n';
	return nulls;
}

/* Arrays as parameters: one row of the statement from each position. */

Datum
statement_uuid_array(Datum *values, int count)
{
	return PointerGetDatum(construct_array(values, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

Datum
statement_timestamp_array(Datum *values, int count)
{
	return PointerGetDatum(
		construct_array(values, count, TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* Of any type, with nulls. */
Datum
statement_array(Datum *values, const bool *nulls, int count, Oid type)
{
	int16 length;
	bool by_value;
	char alignment;

	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(
		construct_md_array(values, unconstify(bool *, nulls), 1, &count, &(int){1}, type, length, by_value, alignment));
}

/* Of texts or jsonb: `contents` are the values without their headers.  One copy, where construct_array takes two. */
Datum
statement_varlena_array(const Slice *contents, int count, Oid type)
{
	Size size = ARR_OVERHEAD_NONULLS(1);
	ArrayType *array;
	char *at;

	for (int i = 0; i < count; i++)
		size += INTALIGN(VARHDRSZ + contents[i].length);
	if (!AllocSizeIsValid(size))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("batch of usage events is too large")));
	memory_budget_grow(size);

	array = palloc(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = type;
	ARR_DIMS(array)[0] = count;
	ARR_LBOUND(array)[0] = 1;

	at = ARR_DATA_PTR(array);
	for (int i = 0; i < count; i++)
	{
		Size length = VARHDRSZ + contents[i].length;

		SET_VARSIZE(at, length);
		memcpy(VARDATA(at), contents[i].data, contents[i].length);
		memset(at + length, 0, INTALIGN(length) - length);
		at += INTALIGN(length);
	}
	return PointerGetDatum(array);
}

/* Of a list of C strings. */
Datum
statement_text_array(const List *texts)
{
	Slice *contents = palloc(sizeof(Slice) * Max(list_length(texts), 1));
	int count = 0;
	ListCell *cell;

	foreach(cell, texts)
		contents[count++] = slice_from_cstring(lfirst(cell));
	return statement_varlena_array(contents, count, TEXTOID);
}
