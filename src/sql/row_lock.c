/*
 * sql/row_lock.c
 *		A row that one transaction at a time has: whoever takes it raises a number in it.
 *
 * Like a row that is added (sql/row_insert.c) it is written without a statement where that makes no difference: by the
 * functions that apply a subscription's changes.  Transactions that keep their snapshot run the statement, which fails where another
 * has taken the row since.
 */
#include "postgres.h"

#include "sql/row_lock.h"

#include "access/parallel.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "sql/own_policy.h"
#include "sql/plain_table.h"
#include "sql/row.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/snapmgr.h"

typedef struct Found
{
	bool is_there;
	RowPlace place;
} Found;

static const FormData_pg_attribute *
number_of(const RowLock *lock, TupleDesc columns)
{
	return TupleDescAttr(columns, lock->row.attributes[0] - 1);
}

static void
learn(RowLock *lock)
{
	uint64 since;
	Relation table;

	if (lock->told.table == NULL)
	{
		lock->told.table = lock->row.table;
		told_init(&lock->told);
	}
	since = told_begin(&lock->told);
	table = try_relation_open(lock->told.relation, RowExclusiveLock);
	if (table == NULL)
		return;
	lock->is_plain =
		plain_table_is(table, TRIGGER_TYPE_UPDATE) && number_of(lock, RelationGetDescr(table))->atttypid == INT8OID;
	lock->has_own_policies_alone =
		own_policy_is_alone(table, ACL_UPDATE_CHR) && own_policy_is_alone(table, ACL_SELECT_CHR);
	relation_close(table, NoLock);
	told_end(&lock->told, since);
}

/* The right to the number alone will do. */
static bool
has_right(const RowLock *lock)
{
	Oid table = lock->told.relation;

	return pg_class_aclcheck(table, GetUserId(), ACL_UPDATE) == ACLCHECK_OK ||
		   pg_attribute_aclcheck(table, lock->row.attributes[0], GetUserId(), ACL_UPDATE) == ACLCHECK_OK;
}

/* Locks the table as the executor would, which brings messages about it; whether the row with another number is all that there is to write. */
static bool
is_lockable(RowLock *lock, const Datum *key)
{
	if (IsolationUsesXactSnapshot() || XactReadOnly || IsInParallelMode() || !lookup_is_searchable(&lock->row, key))
		return false;
	if (lock->told.is_known)
		LockRelationOid(lock->told.relation, RowExclusiveLock);
	if (!lock->told.is_known)
		learn(lock);
	return lock->told.is_known && lock->is_plain && has_right(lock) &&
		   own_policy_lets(lock->told.relation, lock->has_own_policies_alone, ACL_SELECT, DatumGetUUIDP(key[0]));
}

static void
take_place(uint64 row, void *argument)
{
	Found *found = argument;

	found->is_there = true;
	found->place = row_place(row);
}

static Datum
raised_by_one(Datum number)
{
	int64 raised;

	if (pg_add_s64_overflow(DatumGetInt64(number), 1, &raised))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("bigint out of range")));
	return Int64GetDatum(raised);
}

static void
write_raised(const RowLock *lock, Relation table, TupleTableSlot *stored)
{
	int column = lock->row.attributes[0] - 1;
	TupleTableSlot *raised = table_slot_create(table, NULL);
	EState *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);
	EPQState unused = {0};

	estate->es_output_cid = GetCurrentCommandId(true);
	estate->es_snapshot = GetActiveSnapshot();
	InitResultRelInfo(result, table, 0, NULL, 0);
	ExecOpenIndices(result, false);
	slot_getallattrs(stored);
	memcpy(raised->tts_values, stored->tts_values, sizeof(Datum) * stored->tts_nvalid);
	memcpy(raised->tts_isnull, stored->tts_isnull, sizeof(bool) * stored->tts_nvalid);
	raised->tts_values[column] = raised_by_one(stored->tts_values[column]);
	ExecStoreVirtualTuple(raised);
	ExecSimpleRelationUpdate(result, estate, &unused, stored, raised);
	ExecCloseIndices(result);
	FreeExecutorState(estate);
	ExecDropSingleTupleTableSlot(raised);
	CommandCounterIncrement();
}

/* Waits for the transaction that has the row; false if it is gone after that. */
static bool
raise_number(const RowLock *lock, RowPlace place)
{
	Relation table = relation_open(lock->told.relation, NoLock);
	TupleTableSlot *stored = table_slot_create(table, NULL);
	TM_FailureData failure;
	TM_Result result =
		table_tuple_lock(table, &place.tid, GetActiveSnapshot(), stored, GetCurrentCommandId(true),
						 LockTupleNoKeyExclusive, LockWaitBlock, TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);

	if (result == TM_Ok)
		write_raised(lock, table, stored);
	else if (result != TM_Deleted)
		elog(ERROR, "could not lock a row: %d", result);
	ExecDropSingleTupleTableSlot(stored);
	/* Locks are kept until the transaction ends, as the executor does. */
	relation_close(table, NoLock);
	return result == TM_Ok;
}

/*
 * Takes the row of the key, unless this transaction has it already, and keeps it until the transaction, or its part that took it,
 * ends.  Returns whether there is one.  Connected to SPI.
 */
bool
row_lock_take(RowLock *lock, Datum *key)
{
	Found found = {false};

	if (!is_lockable(lock, key))
	{
		statement_execute(&lock->statement, key, NULL);
		return SPI_processed > 0;
	}
	lookup_rows(&lock->row, key, take_place, &found);
	return found.is_there &&
		   (TransactionIdIsCurrentTransactionId(found.place.made_by) || raise_number(lock, found.place));
}
