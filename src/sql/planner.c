/*
 * sql/planner.c
 *		What the planner may choose for our statements, and for no others.
 */
#include "postgres.h"

#include "sql/planner.h"

#include "access/transam.h"
#include "base/compat.h"
#include "jit/jit.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/pathnode.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "sql/distribution.h"
#include "sql/own_statement.h"

static planner_hook_type next_planner = NULL;
static bool is_planning = false;   /* a statement of ours */
static bool along_indexes = false; /* nothing else, for these */

static PlannedStmt *
next_plan(Query *query, const char *text, int options, ParamListInfo parameters PLANNER_PARAMETER)
{
	if (next_planner != NULL)
		return next_planner(query, text, options, parameters PLANNER_ARGUMENT);
	return standard_planner(query, text, options, parameters PLANNER_ARGUMENT);
}

/*
 * Our statements read an account's rows of tables that have all accounts' rows; by
 * an index these are always found.  What the planner knows decides nothing there: a
 * table that it takes for small it would read as a whole, with everybody's rows, or
 * once for each row of another.  Nor shall code be compiled because it takes a
 * statement for long.
 */
static PlannedStmt *
plan_along_indexes(Query *query, const char *text, int options, ParamListInfo parameters PLANNER_PARAMETER)
{
	bool *const others[] = {&enable_bitmapscan, &enable_hashjoin, &enable_mergejoin, &enable_sort};
	bool before[lengthof(others)];
	bool scans = enable_seqscan;
	bool compiles = jit_enabled;
	bool was_planning = is_planning;
	PlannedStmt *volatile plan = NULL;

	/* Citus plans for the shards of a statement of ours while that runs, under a text of its own. */
	if (!own_statement_has_text(text) && !(along_indexes && distribution_is_on()))
		return next_plan(query, text, options, parameters PLANNER_ARGUMENT);
	for (size_t i = 0; i < lengthof(others); i++)
	{
		before[i] = *others[i];
		*others[i] = *others[i] && !along_indexes;
	}
	enable_seqscan = false;
	jit_enabled = false;
	is_planning = true;
	PG_TRY();
	{
		plan = next_plan(query, text, options, parameters PLANNER_ARGUMENT);
	}
	PG_FINALLY();
	{
		for (size_t i = 0; i < lengthof(others); i++)
			*others[i] = before[i];
		enable_seqscan = scans;
		jit_enabled = compiles;
		is_planning = was_planning;
	}
	PG_END_TRY();
	return plan;
}

static build_simple_rel_hook_type next_describe_table = NULL;

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

static void
describe_table(TABLE_HOOK_PARAMETERS)
{
	if (next_describe_table != NULL)
		next_describe_table(TABLE_HOOK_ARGUMENTS);
	if (is_planning && TABLE_HOOK_TABLE >= FirstNormalObjectId)
		take_for_large(rel);
}

/*
 * Does work whose statements, the ones of ours, are planned along indexes and joined by nested loops: they
 * look up many places in large tables, whose number the planner cannot know.
 */
void
planner_along_indexes(void (*work)(void *argument), void *argument)
{
	bool outer = along_indexes;

	along_indexes = true;
	PG_TRY();
	{
		work(argument);
	}
	PG_FINALLY();
	{
		along_indexes = outer;
	}
	PG_END_TRY();
}

void
planner_init(void)
{
	next_describe_table = build_simple_rel_hook;
	build_simple_rel_hook = describe_table;
	next_planner = planner_hook;
	planner_hook = plan_along_indexes;
}
