/*
 * sql/row_insert.c
 *		One row that is added to one of our tables.
 *
 * To make the executor ready for an INSERT of one row takes longer than to store the row and its index entries.  So
 * that is done here, by the same functions that the executor calls, and those that apply a subscription.  All that the executor does
 * besides must make no difference, or the statement is run: where Citus has the rows elsewhere; where somebody has given the
 * table triggers, rules, constraints or policies of his own, or an index that computes something; where the role has not the
 * rights, or the transaction may not write, which is the statement's to say; and in transactions that keep their
 * snapshot, to which a key that is taken may be an error.
 */
#include "postgres.h"

#include "sql/row_insert.h"

#include "access/genam.h"
#include "access/parallel.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "base/compat.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "sql/own_policy.h"
#include "sql/plain_table.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/uuid.h"

/* In SQL ------------------------------------------------------------------ */

static void
make_statement(RowInsert *insert)
{
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	Statement *statement = &insert->statement;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO usage_events.%s (%s) VALUES (", insert->table, insert->columns);
	for (; OidIsValid(insert->types[statement->argument_count]); statement->argument_count++)
	{
		statement->argument_types[statement->argument_count] = insert->types[statement->argument_count];
		appendStringInfo(&sql, "%s$%d", statement->argument_count == 0 ? "" : ", ", statement->argument_count + 1);
	}
	appendStringInfoChar(&sql, ')');
	if (insert->key != NULL)
		appendStringInfo(&sql, " ON CONFLICT (%s) DO NOTHING", insert->key_columns);
	statement->sql = sql.data;
	MemoryContextSwitchTo(context);
}

static bool
run_statement(RowInsert *insert, Datum *values, const char *nulls)
{
	if (insert->statement.sql == NULL)
		make_statement(insert);
	statement_execute(&insert->statement, values, nulls);
	return SPI_processed > 0;
}

/* What is known of the table ------------------------------------------------ */

static bool
has_column(const FormData_pg_index *index, AttrNumber column)
{
	for (int i = 0; i < index->indnkeyatts; i++)
	{
		if (index->indkey.values[i] == column)
			return true;
	}
	return false;
}

/* Whether the names are those of the index's columns, in any order. */
static bool
is_key_of(const FormData_pg_index *index, const char *columns)
{
	char *rest = NULL;
	int count = 0;

	for (char *name = strtok_r(pstrdup(columns), ", ", &rest); name != NULL; name = strtok_r(NULL, ", ", &rest))
	{
		if (!has_column(index, get_attnum(index->indrelid, name)))
			return false;
		count++;
	}
	return count == index->indnkeyatts;
}

/* Finds where the values belong; false if these are not all columns that the table has. */
static bool
find_columns(RowInsert *insert, Relation table)
{
	char *names = pstrdup(insert->columns);
	char *rest = NULL;

	insert->column_count = 0;
	for (char *name = strtok_r(names, ", ", &rest); name != NULL; name = strtok_r(NULL, ", ", &rest))
	{
		AttrNumber attribute = get_attnum(RelationGetRelid(table), name);

		if (attribute <= 0 || insert->column_count == ROW_INSERT_MAX_COLUMNS ||
			TupleDescAttr(RelationGetDescr(table), attribute - 1)->atttypid != insert->types[insert->column_count])
			return false;
		insert->places[insert->column_count++] = attribute - 1;
	}
	return insert->column_count == RelationGetDescr(table)->natts;
}

static bool
is_of_same_columns(const FormData_pg_index *first, const FormData_pg_index *second)
{
	for (int i = 0; i < first->indnkeyatts; i++)
	{
		if (!has_column(second, first->indkey.values[i]))
			return false;
	}
	return first->indnkeyatts == second->indnkeyatts;
}

/* Whether entries are made of columns alone, and at once; and the index says by itself whether the key is taken, or has nothing to do with it. */
static bool
is_plain_index(Relation index, Relation key)
{
	const FormData_pg_index *form = index->rd_index;

	if (RelationGetIndexExpressions(index) != NIL || RelationGetIndexPredicate(index) != NIL || !form->indimmediate ||
		form->indisexclusion)
		return false;
	return key == NULL || index == key || !form->indisunique || !is_of_same_columns(form, key->rd_index);
}

static bool
has_plain_indexes(Relation table, Relation key)
{
	bool are_plain = key == NULL || (key->rd_index->indisunique && key->rd_index->indisvalid &&
									 key->rd_index->indrelid == RelationGetRelid(table));
	ListCell *cell;

	foreach(cell, RelationGetIndexList(table))
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);

		are_plain = are_plain && is_plain_index(index, key);
		index_close(index, AccessShareLock);
	}
	return are_plain;
}

static bool
find_key(RowInsert *insert, Relation table)
{
	Relation key;
	bool are_plain;

	if (insert->key == NULL)
		return has_plain_indexes(table, NULL);
	insert->key_id = get_relname_relid(insert->key, RelationGetNamespace(table));
	key = OidIsValid(insert->key_id) ? try_relation_open(insert->key_id, AccessShareLock) : NULL;
	if (key == NULL)
		return false;
	are_plain = key->rd_rel->relkind == RELKIND_INDEX && is_key_of(key->rd_index, insert->key_columns) &&
				has_plain_indexes(table, key);
	relation_close(key, AccessShareLock);
	return are_plain;
}

static void
learn(RowInsert *insert)
{
	uint64 since;
	Relation table;

	if (insert->told.table == NULL)
	{
		insert->told.table = insert->table;
		told_init(&insert->told);
	}
	since = told_begin(&insert->told);
	insert->is_plain = false;
	table = try_relation_open(insert->told.relation, RowExclusiveLock);
	if (table == NULL)
		return;
	insert->is_plain =
		plain_table_is(table, TRIGGER_TYPE_INSERT) && find_columns(insert, table) && find_key(insert, table);
	/* Whether a key is taken, only who may read the row may know. */
	insert->has_own_policies_alone =
		own_policy_is_alone(table, ACL_INSERT_CHR) && own_policy_is_alone(table, ACL_SELECT_CHR);
	relation_close(table, NoLock);
	told_end(&insert->told, since);
}

/* Locks the table as the executor would, which brings messages about it; whether the row is all that there is to store. */
static bool
is_storable(RowInsert *insert, const Datum *values)
{
	AclMode rights = insert->key == NULL ? ACL_INSERT : ACL_INSERT | ACL_SELECT;

	if (IsolationUsesXactSnapshot() || XactReadOnly || IsInParallelMode())
		return false;
	if (insert->told.is_known)
		LockRelationOid(insert->told.relation, RowExclusiveLock);
	if (!insert->told.is_known)
		learn(insert);
	return insert->told.is_known && insert->is_plain &&
		   own_policy_lets(insert->told.relation, insert->has_own_policies_alone, rights, DatumGetUUIDP(values[0]));
}

/* Storing ----------------------------------------------------------------- */

static void
fill(const RowInsert *insert, const Datum *values, const char *nulls, TupleTableSlot *slot)
{
	for (int i = 0; i < insert->column_count; i++)
	{
		slot->tts_values[insert->places[i]] = values[i];
		slot->tts_isnull[insert->places[i]] = nulls != NULL && nulls[i] == 'n';
	}
	ExecStoreVirtualTuple(slot);
}

/*
 * Adds the row unless its key is taken.  Who adds the same key at the same time is waited for, as long as that one is not sure of
 * it: until its transaction ends, or it gives way.
 */
static bool
add_by_key(RowInsert *insert, ResultRelInfo *result, EState *estate, TupleTableSlot *slot)
{
	List *keys = list_make1_oid(insert->key_id);
	ItemPointerData other;

	while (check_index_constraints(result, estate, slot, &other, keys))
	{
		bool is_taken = false;
		uint32 token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());

		table_tuple_insert_speculative(result->ri_RelationDesc, slot, estate->es_output_cid, 0, NULL, token);
		insert_index_tuples(result, estate, slot, keys, &is_taken);
		table_tuple_complete_speculative(result->ri_RelationDesc, slot, token, !is_taken);
		SpeculativeInsertionLockRelease(GetCurrentTransactionId());
		if (!is_taken)
			return true;
		CHECK_FOR_INTERRUPTS();
	}
	return false;
}

static bool
add(RowInsert *insert, const Datum *values, const char *nulls)
{
	Relation table = relation_open(insert->told.relation, NoLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	EState *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);
	bool is_added = true;

	estate->es_output_cid = GetCurrentCommandId(true);
	InitResultRelInfo(result, table, 0, NULL, 0);
	fill(insert, values, nulls, slot);
	if (RelationGetDescr(table)->constr != NULL)
		ExecConstraints(result, slot, estate);
	ExecOpenIndices(result, insert->key != NULL);
	if (insert->key != NULL)
		is_added = add_by_key(insert, result, estate, slot);
	else
	{
		table_tuple_insert(table, slot, estate->es_output_cid, 0, NULL);
		insert_index_tuples(result, estate, slot, NIL, NULL);
	}
	ExecCloseIndices(result);
	FreeExecutorState(estate);
	ExecDropSingleTupleTableSlot(slot);
	/* Locks are kept until the transaction ends, as the executor does. */
	relation_close(table, NoLock);
	/* Whatever comes next sees the row. */
	CommandCounterIncrement();
	return is_added;
}

/*
 * Adds a row of those values, of which `nulls` says which ones are null as SPI has it; NULL: none.  Returns whether it
 * was added, or its key was taken.  Connected to SPI.
 */
bool
row_insert(RowInsert *insert, Datum *values, const char *nulls)
{
	return is_storable(insert, values) ? add(insert, values, nulls) : run_statement(insert, values, nulls);
}
