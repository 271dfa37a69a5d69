/*
 * base/compat.h
 *		Everything that depends on the version of PostgreSQL, and nothing else.
 *
 * Code elsewhere is written for the newest server; here its names are made to
 * mean the same on older ones.  A block goes when the version it serves does.
 */
#ifndef USAGE_EVENTS_BASE_COMPAT_H
#define USAGE_EVENTS_BASE_COMPAT_H

#include "fmgr.h"
#include "replication/message.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/jsonb.h"

#if PG_VERSION_NUM < 150000
#error "usage_events needs PostgreSQL 15 or newer"
#endif

/*
 * Soft errors came with 16: an input function may hand its error back instead
 * of raising it (pg_input_is_valid, COPY ... ON_ERROR ignore).  On 15 every
 * error is raised.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
#else
#define errsave(context, ...) \
	do \
	{ \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)

static inline bool
DirectInputFunctionCallSafe(PGFunction function, char *string, Oid type_io_parameter, int32 typmod,
							Node *context pg_attribute_unused(), Datum *result)
{
	*result = DirectFunctionCall3(function, CStringGetDatum(string), ObjectIdGetDatum(type_io_parameter),
								  Int32GetDatum(typmod));
	return true;
}
#endif

/* 17 moved the backend's number of its transaction. */
#if PG_VERSION_NUM >= 170000
#define current_local_transaction_id() (MyProc->vxid.lxid)
#else
#define current_local_transaction_id() (MyProc->lxid)
#endif

/* 17 lets a stronger lock count as well. */
#if PG_VERSION_NUM >= 170000
#define lock_is_held(tag, mode) LockHeldByMe((tag), (mode), false)
#else
#define lock_is_held(tag, mode) LockHeldByMe((tag), (mode))
#endif

/* What a check hook hands to its assign hook is freed by the server: with free() below 16. */
#if PG_VERSION_NUM < 160000
#define guc_malloc(elevel, size) malloc(size)
#endif

/* 17 let the writer of a logical message ask for a flush at once; we never do. */
#if PG_VERSION_NUM >= 170000
#define log_transactional_message(prefix, message, size) LogLogicalMessage((prefix), (message), (size), true, false)
#else
#define log_transactional_message(prefix, message, size) LogLogicalMessage((prefix), (message), (size), true)
#endif

/* 18 took a parameter from ExecutorRun. */
#if PG_VERSION_NUM >= 180000
#define EXECUTOR_RUN_PARAMETER
#define EXECUTOR_RUN_ARGUMENT
#else
#define EXECUTOR_RUN_PARAMETER , bool execute_once
#define EXECUTOR_RUN_ARGUMENT , execute_once
#endif

/* 18 lets a module carry its name and version (pg_get_loaded_modules). */
#ifdef PG_MODULE_MAGIC_EXT
#define MODULE_MAGIC(module_name, module_version) \
	PG_MODULE_MAGIC_EXT(.name = (module_name), .version = (module_version))
#else
#define MODULE_MAGIC(module_name, module_version) PG_MODULE_MAGIC
#endif

/* 19 tells the planner what EXPLAIN wants to know. */
#if PG_VERSION_NUM >= 190000
#define PLANNER_PARAMETER , struct ExplainState *explain
#define PLANNER_ARGUMENT , explain
#else
#define PLANNER_PARAMETER
#define PLANNER_ARGUMENT
#endif

/* 16 has one function for the rights to all kinds of objects. */
#if PG_VERSION_NUM >= 160000
#define schema_aclcheck(schema, role, mode) object_aclcheck(NamespaceRelationId, (schema), (role), (mode))
#else
#define schema_aclcheck(schema, role, mode) pg_namespace_aclcheck((schema), (role), (mode))
#endif

/*
 * Index entries of a row that is added, and whether a key of it is taken.  16 and 18 gave these functions more parameters, and 19
 * made flags of some.
 */
#if PG_VERSION_NUM >= 190000
#define insert_index_tuples(result, estate, slot, keys, is_taken) \
	ExecInsertIndexTuples((result), (estate), (keys) != NIL ? EIIT_NO_DUPE_ERROR : 0, (slot), (keys), (is_taken))
#elif PG_VERSION_NUM >= 160000
#define insert_index_tuples(result, estate, slot, keys, is_taken) \
	ExecInsertIndexTuples((result), (slot), (estate), false, (keys) != NIL, (is_taken), (keys), false)
#else
#define insert_index_tuples(result, estate, slot, keys, is_taken) \
	ExecInsertIndexTuples((result), (slot), (estate), false, (keys) != NIL, (is_taken), (keys))
#endif
#if PG_VERSION_NUM >= 180000
#define check_index_constraints(result, estate, slot, other, keys) \
	(ItemPointerSetInvalid(other), \
	 ExecCheckIndexConstraints((result), (slot), (estate), (other), &(ItemPointerData){{0, 0}, 0}, (keys)))
#else
#define check_index_constraints(result, estate, slot, other, keys) \
	ExecCheckIndexConstraints((result), (slot), (estate), (other), (keys))
#endif

/* A search in an index that only says where rows are, and their reading.  18 and 19 gave these functions more parameters. */
#if PG_VERSION_NUM >= 190000
#define index_begin_search(table, index, snapshot, keys) \
	index_beginscan((table), (index), (snapshot), NULL, (keys), 0, 0)
#define table_begin_fetch(table) table_index_fetch_begin((table), 0)
#else
#if PG_VERSION_NUM >= 180000
#define index_begin_search(table, index, snapshot, keys) index_beginscan((table), (index), (snapshot), NULL, (keys), 0)
#else
#define index_begin_search(table, index, snapshot, keys) index_beginscan((table), (index), (snapshot), (keys), 0)
#endif
#define table_begin_fetch(table) table_index_fetch_begin((table))
#endif

/*
 * What the planner knows of a table is seen and changed by a hook.  19 gave it another
 * place and name, and calls it for what is no table too.
 */
#if PG_VERSION_NUM >= 190000
#define TABLE_HOOK_PARAMETERS PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *entry
#define TABLE_HOOK_ARGUMENTS root, rel, entry
#define TABLE_HOOK_TABLE (entry->rtekind == RTE_RELATION ? entry->relid : InvalidOid)
#else
#define build_simple_rel_hook get_relation_info_hook
#define build_simple_rel_hook_type get_relation_info_hook_type
#define TABLE_HOOK_PARAMETERS PlannerInfo *root, Oid table, bool has_children, RelOptInfo *rel
#define TABLE_HOOK_ARGUMENTS root, table, has_children, rel
#define TABLE_HOOK_TABLE table
#endif

/* 19 has one format of a COPY in place of a flag for each. */
#if PG_VERSION_NUM >= 190000
#define copy_is_binary(options) ((options)->format == COPY_FORMAT_BINARY)
#define copy_is_csv(options) ((options)->format == COPY_FORMAT_CSV)
#else
#define copy_is_binary(options) ((options)->binary)
#define copy_is_csv(options) ((options)->csv_mode)
#endif

/* 19 keeps what a jsonb is pushed together in, and what comes of it, in one struct. */
#if PG_VERSION_NUM < 190000
typedef struct JsonbInState
{
	JsonbValue *result;
	JsonbParseState *parseState;
} JsonbInState;

static inline void
push_jsonb_value(JsonbInState *state, JsonbIteratorToken token, JsonbValue *value)
{
	state->result = pushJsonbValue(&state->parseState, token, value);
}
#define pushJsonbValue push_jsonb_value
#endif

#endif /* USAGE_EVENTS_BASE_COMPAT_H */
