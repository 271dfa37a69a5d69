/*
 * sql/own_statement.c
 *		Which statements are ours.
 *
 * Policies let rows be written only while the executor is in one of our own statements:
 * whoever has the rights that our functions need shall write by them alone.
 *
 * A statement of ours is known by the very string that its plan has as its text.  What a
 * trigger or its condition, or any other function runs inside of it has another.
 */
#include "postgres.h"

#include "sql/own_statement.h"

#include "base/compat.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "sql/distribution.h"

static const char *own_text = NULL;
static bool is_own = false;
static QueryDesc *running = NULL;
static ExecutorRun_hook_type next_executor_run = NULL;
static ExecutorFinish_hook_type next_executor_finish = NULL;

/* What a rule of one of our tables adds to a statement has the same text. */
static bool
is_ours(const QueryDesc *query)
{
	return own_text != NULL && query->sourceText == own_text && query->plannedstmt->canSetTag;
}

static void
run(QueryDesc *query, ScanDirection direction, uint64 count EXECUTOR_RUN_PARAMETER)
{
	bool was_own = is_own;
	QueryDesc *was_running = running;

	is_own = is_ours(query);
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

	is_own = is_ours(query);
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
own_statement_executor(void)
{
	return running;
}

/* Whether the executor is in one of our own statements. */
bool
own_statement_is_running(void)
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
own_statement_do(const char *text, void (*act)(void *argument), void *argument)
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

/* Whether a statement of that text is planned for us. */
bool
own_statement_has_text(const char *text)
{
	return own_text != NULL && text != NULL && strcmp(own_text, text) == 0;
}

void
own_statement_init(void)
{
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = run;
	next_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish;
}
