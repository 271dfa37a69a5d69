/*
 * sql/lookup.c
 *		Rows of one of our tables that are found by a key.
 *
 * A search in an index is a tenth of what it takes to make the executor ready for a statement that does it, and
 * for a single event under a limit seven are made.  So the index is searched here, under the snapshot
 * that the statement would have.  All that the executor does besides must make no difference, or the
 * statement is run: where Citus has the rows elsewhere, where somebody has given the table other policies, heirs
 * or another index, and where the role has no right to read it, which is the statement's to say.
 */
#include "postgres.h"

#include "sql/lookup.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/relscan.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "sql/distribution.h"
#include "sql/own_policy.h"
#include "sql/row.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* In SQL ------------------------------------------------------------------ */

static const char *
operator_of(LookupComparison comparison)
{
	switch (comparison)
	{
		case LOOKUP_ANY:
			break;
		case LOOKUP_EQUAL:
			return EQ;
		case LOOKUP_FROM:
			return GE;
		case LOOKUP_THROUGH:
			return LE;
		case LOOKUP_BEFORE:
			return LT;
	}
	elog(ERROR, "unknown comparison of a lookup");
}

static void
make_statement(Lookup *lookup)
{
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	Statement *statement = &lookup->statement;
	const LookupKey *key = lookup->keys;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s FROM usage_events.%s AS r", lookup->columns, lookup->table);
	for (; key->column != NULL; key++)
	{
		if (key->comparison == LOOKUP_ANY)
			continue;
		statement->argument_types[statement->argument_count++] = key->type;
		appendStringInfo(&sql, " %s r.%s %s $%d", key == lookup->keys ? "WHERE" : "AND", key->column,
						 operator_of(key->comparison), statement->argument_count);
	}
	/* The order of the index; of keys that are all equal it is none. */
	appendStringInfo(&sql, " ORDER BY r.%s", key[-1].column);
	if (lookup->max_rows > 0)
		appendStringInfo(&sql, " LIMIT %d", lookup->max_rows);
	statement->read_only = !lookup->takes_snapshot;
	statement->sql = sql.data;
	MemoryContextSwitchTo(context);
}

static void
run_statement(Lookup *lookup, const Datum *arguments, void (*take_row)(uint64 row, void *argument), void *argument)
{
	if (lookup->statement.sql == NULL)
		make_statement(lookup);
	statement_stream(&lookup->statement, unconstify(Datum *, arguments), take_row, argument);
}

/* What is known of the table ------------------------------------------------ */

/* The columns that are wanted; false if there is another than those of the table. */
static bool
find_columns(Lookup *lookup, Relation table)
{
	char *names = pstrdup(lookup->columns);
	char *rest = NULL;
	int count = 0;

	for (char *name = strtok_r(names, ", ", &rest); name != NULL; name = strtok_r(NULL, ", ", &rest))
	{
		AttrNumber attribute = get_attnum(RelationGetRelid(table), strncmp(name, "r.", 2) == 0 ? name + 2 : name);

		if (attribute == InvalidAttrNumber || count == LOOKUP_MAX_COLUMNS)
			return false;
		lookup->attributes[count++] = attribute;
	}
	return true;
}

/* Whether the index has the keys, in their order, and finds by them what the operators of SQL do. */
static bool
find_keys(Lookup *lookup, Relation table, Relation index)
{
	int place = -1;

	lookup->key_count = 0;
	for (const LookupKey *key = lookup->keys; key->column != NULL; key++)
	{
		AttrNumber attribute = get_attnum(RelationGetRelid(table), key->column);
		const FormData_pg_attribute *column;
		Oid operator;

		/* From and before are of the same column. */
		if (key == lookup->keys || strcmp(key->column, key[-1].column) != 0)
			place++;
		if (attribute <= 0 || place >= IndexRelationGetNumberOfKeyAttributes(index) ||
			index->rd_index->indkey.values[place] != attribute || index->rd_indoption[place] != 0)
			return false;
		if (key->comparison == LOOKUP_ANY)
			continue;
		column = TupleDescAttr(RelationGetDescr(table), attribute - 1);
		operator= get_opfamily_member(index->rd_opfamily[place], key->type, key->type, key->comparison);
		if (column->atttypid != key->type || column->attcollation != index->rd_indcollation[place] ||
			!OidIsValid(operator))
			return false;
		lookup->key_places[lookup->key_count] = place + 1;
		ScanKeyEntryInitialize(&lookup->scan_keys[lookup->key_count++], 0, attribute, key->comparison, key->type,
							   index->rd_indcollation[place], get_opcode(operator), (Datum) 0);
	}
	return true;
}

static bool
is_plain_index(Relation table, Relation index)
{
	const FormData_pg_index *form = index->rd_index;

	return index->rd_rel->relkind == RELKIND_INDEX && index->rd_rel->relam == BTREE_AM_OID &&
		   form->indrelid == RelationGetRelid(table) && form->indisvalid && form->indisready && !form->indcheckxmin &&
		   RelationGetIndexPredicate(index) == NIL;
}

/* Whether the index, which is open, can be searched for what the statement would find. */
static bool
find_index(Lookup *lookup, Relation table, Relation index)
{
	MemoryContext context;
	bool found;

	if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_rel->relhassubclass || table->rd_rules != NULL ||
		!is_plain_index(table, index) || !find_columns(lookup, table))
		return false;
	/* The functions of the keys are kept. */
	context = MemoryContextSwitchTo(TopMemoryContext);
	found = find_keys(lookup, table, index);
	MemoryContextSwitchTo(context);
	lookup->has_own_policy_alone = own_policy_is_alone(table, ACL_SELECT_CHR);
	return found;
}

static void
learn(Lookup *lookup)
{
	uint64 since;
	Relation table;
	Relation index;

	if (lookup->told.table == NULL)
	{
		lookup->told.table = lookup->table;
		told_init(&lookup->told);
	}
	since = told_begin(&lookup->told);
	lookup->is_plain = false;
	table = try_relation_open(lookup->told.relation, AccessShareLock);
	if (table == NULL)
		return;
	lookup->index_id = get_relname_relid(lookup->index, RelationGetNamespace(table));
	index = OidIsValid(lookup->index_id) ? try_relation_open(lookup->index_id, AccessShareLock) : NULL;
	if (index != NULL)
	{
		lookup->is_plain = !distribution_has_table(RelationGetRelid(table)) && find_index(lookup, table, index);
		relation_close(index, AccessShareLock);
	}
	relation_close(table, NoLock);
	told_end(&lookup->told, since);
}

/* Along the index ----------------------------------------------------------- */

static void
search(Lookup *lookup, const Datum *arguments, void (*take_row)(uint64 row, void *argument), void *argument)
{
	Relation table = relation_open(lookup->told.relation, NoLock);
	Relation index = index_open(lookup->index_id, AccessShareLock);
	ScanKeyData keys[LOOKUP_MAX_KEYS];
	SysScanDesc scan;
	int count = 0;

	memcpy(keys, lookup->scan_keys, sizeof(ScanKeyData) * lookup->key_count);
	for (int i = 0; i < lookup->key_count; i++)
		keys[i].sk_argument = arguments[i];
	scan = systable_beginscan_ordered(table, index, GetActiveSnapshot(), lookup->key_count, keys);
	while ((lookup->max_rows == 0 || count++ < lookup->max_rows) &&
		   HeapTupleIsValid(systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		CHECK_FOR_INTERRUPTS();
		row_stream(scan->slot, lookup->attributes);
		take_row(ROW_STREAMED, argument);
		row_stream_end();
	}
	systable_endscan_ordered(scan);
	/* Locks are kept until the transaction ends, as the executor does. */
	index_close(index, NoLock);
	relation_close(table, NoLock);
}

static void
search_index(Lookup *lookup, const Datum *arguments, void (*take_row)(uint64 row, void *argument), void *argument)
{
	if (lookup->takes_snapshot)
	{
		CommandCounterIncrement();
		PushActiveSnapshot(GetTransactionSnapshot());
	}
	PG_TRY();
	{
		search(lookup, arguments, take_row, argument);
	}
	PG_FINALLY();
	{
		row_stream_end();
	}
	PG_END_TRY();
	if (lookup->takes_snapshot)
		PopActiveSnapshot();
}

/* Locks the table as the executor would, which brings messages about it; whether the index can be searched. */
bool
lookup_is_searchable(Lookup *lookup, const Datum *arguments)
{
	if (lookup->told.is_known)
		LockRelationOid(lookup->told.relation, AccessShareLock);
	if (!lookup->told.is_known)
		learn(lookup);
	return lookup->told.is_known && lookup->is_plain && !IgnoreSystemIndexes &&
		   own_policy_lets(lookup->told.relation, lookup->has_own_policy_alone, ACL_SELECT,
						   DatumGetUUIDP(arguments[0]));
}

/*
 * Hands out the rows of a key, each as ROW_STREAMED; the arguments are the values of its columns.  Connected to SPI.  Nobody may run
 * a statement, or another lookup, meanwhile.
 */
void
lookup_rows(Lookup *lookup, const Datum *arguments, void (*take_row)(uint64 row, void *argument), void *argument)
{
	if (row_is_streamed())
		elog(ERROR, "a lookup may not run while rows of another are streamed");
	if (lookup_is_searchable(lookup, arguments))
		search_index(lookup, arguments, take_row, argument);
	else
		run_statement(lookup, arguments, take_row, argument);
}
