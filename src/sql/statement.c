/*
 * sql/statement.c
 *		SQL statements that are planned once and kept.
 */
#include "postgres.h"

#include "sql/statement.h"

#include "access/transam.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "sql/distribution.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* Who writes ----------------------------------------------------------------- */

/*
 * Policies let rows be written only while the executor is in one of our own statements:
 * whoever has the rights that our functions need shall write by them alone.
 *
 * A statement of ours is known by the very string that its plan has as its text.  What a
 * trigger or its condition, or any other function runs inside of it has another.
 */
static const char *own_text = NULL;
static bool is_own = false;
static QueryDesc *running = NULL;
static ExecutorRun_hook_type next_executor_run = NULL;
static ExecutorFinish_hook_type next_executor_finish = NULL;

static void
run(QueryDesc *query, ScanDirection direction, uint64 count EXECUTOR_RUN_PARAMETER)
{
	bool was_own = is_own;
	QueryDesc *was_running = running;

	is_own = own_text != NULL && query->sourceText == own_text;
	running = query;
	PG_TRY();
	{
		if (next_executor_run != NULL)
			next_executor_run(query, direction, count EXECUTOR_RUN_ARGUMENT);
		else
			standard_ExecutorRun(query, direction, count EXECUTOR_RUN_ARGUMENT);
	}
	PG_FINALLY();
	{
		is_own = was_own;
		running = was_running;
	}
	PG_END_TRY();
}

/* What stands in a WITH and is not read from is executed here. */
static void
finish(QueryDesc *query)
{
	bool was_own = is_own;
	QueryDesc *was_running = running;

	is_own = own_text != NULL && query->sourceText == own_text;
	running = query;
	PG_TRY();
	{
		if (next_executor_finish != NULL)
			next_executor_finish(query);
		else
			standard_ExecutorFinish(query);
	}
	PG_FINALLY();
	{
		is_own = was_own;
		running = was_running;
	}
	PG_END_TRY();
}

/* The statement that the executor is in, whosever it is; NULL if it is in none. */
QueryDesc *
statement_running(void)
{
	return running;
}

/* Whether the executor is in one of our own statements. */
bool
statement_is_own(void)
{
	return is_own;
}

/* usage_events.written_by_extension() */
PG_FUNCTION_INFO_V1(written_by_extension);
Datum
written_by_extension(PG_FUNCTION_ARGS pg_attribute_unused())
{
	/* A shard's node gets the statement from another, and cannot tell whose it is. */
	if (!is_own && !distribution_is_on())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("rows of usage_events are not written by hand"),
						errdetail("They change only by the functions of the extension, which leave a trace."),
						errhint("Call a function such as create_usage_event().")));
	PG_RETURN_BOOL(true);
}

/* Does something that plans or runs a statement of ours, of that text. */
void
statement_own(const char *text, void (*act)(void *argument), void *argument)
{
	const char *outer_text = own_text;

	own_text = text;
	PG_TRY();
	{
		act(argument);
	}
	PG_FINALLY();
	{
		own_text = outer_text;
	}
	PG_END_TRY();
}

/* What the planner may choose ------------------------------------------------ */

static planner_hook_type next_planner = NULL;
static bool is_planning = false; /* a statement of ours */

static PlannedStmt *
next_plan(Query *query, const char *text, int options, ParamListInfo parameters)
{
	if (next_planner != NULL)
		return next_planner(query, text, options, parameters);
	return standard_planner(query, text, options, parameters);
}

/*
 * Our statements read an account's rows of tables that have all accounts' rows; by
 * an index these are always found.  What the planner knows decides nothing there: a
 * table that it takes for small it would read as a whole, with everybody's rows, or
 * once for each row of another.  Nor shall code be compiled because it takes a
 * statement for long.
 */
static PlannedStmt *
plan_along_indexes(Query *query, const char *text, int options, ParamListInfo parameters)
{
	bool scans = enable_seqscan;
	bool compiles = jit_enabled;
	bool was_planning = is_planning;
	PlannedStmt *volatile plan = NULL;

	if (own_text == NULL || text == NULL || strcmp(own_text, text) != 0)
		return next_plan(query, text, options, parameters);
	enable_seqscan = false;
	jit_enabled = false;
	is_planning = true;
	PG_TRY();
	{
		plan = next_plan(query, text, options, parameters);
	}
	PG_FINALLY();
	{
		enable_seqscan = scans;
		jit_enabled = compiles;
		is_planning = was_planning;
	}
	PG_END_TRY();
	return plan;
}

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
} Call;

static const char *
prepare(Statement *statement)
{
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

	statement_own(prepare(statement), execute, &call);
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

	statement_own(prepare(statement), open_cursor, &call);
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

/* Plans by indexes --------------------------------------------------------- */

/* The index along which events are read while usage_events.plan_by_customer is on; a shard's has a number at its end. */
#define CUSTOMER_INDEX "event_customer_idx"

static bool plan_by_customer = false;
static get_relation_info_hook_type next_get_relation_info = NULL;

/* A table is planned for as if it had so many rows, if it has not more: a plan for many does for few, and not the other way round. */
#define LEAST_ROWS 1000000
#define LEAST_PAGES 20000
#define LEAST_INDEX_PAGES 10000
#define LEAST_INDEX_HEIGHT 2

static void
take_for_large(RelOptInfo *rel)
{
	ListCell *cell;

	rel->tuples = Max(rel->tuples, LEAST_ROWS);
	rel->pages = Max(rel->pages, LEAST_PAGES);
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);

		index->tuples = Max(index->tuples, LEAST_ROWS);
		index->pages = Max(index->pages, LEAST_INDEX_PAGES);
		index->tree_height = Max(index->tree_height, LEAST_INDEX_HEIGHT);
	}
}

/*
 * Without statistics, all indexes of events that begin with the account look alike
 * to the planner; it then takes one that has everybody's events for each customer.
 */
static void
keep_customer_index(RelOptInfo *rel)
{
	ListCell *cell;

	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);
		const char *name = get_rel_name(index->indexoid);

		if (name != NULL && strncmp(name, CUSTOMER_INDEX, strlen(CUSTOMER_INDEX)) == 0)
		{
			rel->indexlist = list_make1(index);
			return;
		}
	}
}

static void
describe_table(PlannerInfo *root, Oid relation, bool inhparent, RelOptInfo *rel)
{
	if (next_get_relation_info != NULL)
		next_get_relation_info(root, relation, inhparent, rel);
	if (is_planning && relation >= FirstNormalObjectId)
		take_for_large(rel);
	if (plan_by_customer)
		keep_customer_index(rel);
}

void
statement_init(void)
{
	DefineCustomBoolVariable("usage_events.plan_by_customer", "Plans read events along the index on customers.",
							 "Set by functions of the extension for their own statements.", &plan_by_customer, false,
							 PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, NULL, NULL, NULL);
	next_get_relation_info = get_relation_info_hook;
	get_relation_info_hook = describe_table;
	next_planner = planner_hook;
	planner_hook = plan_along_indexes;
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = run;
	next_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish;
}

static void
set_for_nest(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Until the end, plans go along indexes and join by nested loops: for statements
 * that look up many places in large tables, whose number the planner cannot know.
 */
int
statement_use_indexes(void)
{
	static const char *const others[] = {"enable_seqscan",   "enable_bitmapscan", "enable_hashjoin",
										 "enable_mergejoin", "enable_sort",       "jit"};
	int nest_level = NewGUCNestLevel();

	for (size_t i = 0; i < lengthof(others); i++)
		set_for_nest(others[i], "off");
	set_for_nest("usage_events.plan_by_customer", "on");
	return nest_level;
}

/* The same with all indexes of events: also inside of it. */
int
statement_use_any_index(void)
{
	int nest_level = statement_use_indexes();

	set_for_nest("usage_events.plan_by_customer", "off");
	return nest_level;
}

/* The same for statements that read many rows that lie side by side: each page once. */
int
statement_use_bitmaps(void)
{
	int nest_level = statement_use_any_index();

	set_for_nest("enable_bitmapscan", "on");
	set_for_nest("enable_indexscan", "off");
	return nest_level;
}

void
statement_use_indexes_end(int nest_level)
{
	AtEOXact_GUC(true, nest_level);
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
