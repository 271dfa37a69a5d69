/*
 * sql/told.c
 *		What a backend remembers of a table until it is told that it has changed.
 */
#include "postgres.h"

#include "sql/told.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

/* All of this process.  The server has room for ten callbacks, for all that is loaded: this takes one of them. */
static Told *all = NULL;

static void
forget(Datum argument pg_attribute_unused(), Oid relation)
{
	for (Told *told = all; told != NULL; told = told->next)
	{
		if (relation != InvalidOid && told->relation != InvalidOid && relation != told->relation)
			continue;
		told->is_known = false;
		told->times_forgotten++;
	}
}

/* To be called once by a process. */
void
told_init(Told *told)
{
	if (all == NULL)
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
	told->next = all;
	all = told;
}

static Oid
find_table(const Told *told)
{
	return get_relname_relid(told->table, get_namespace_oid("usage_events", false));
}

/* Before it is read: reading may fail, and then nothing is known. */
uint64
told_begin(Told *told)
{
	told->is_known = false;
	told->relation = find_table(told);
	return told->times_forgotten;
}

/* Once it was read: a message may have come meanwhile. */
void
told_end(Told *told, uint64 since)
{
	told->is_known = told->times_forgotten == since;
}

/* The same of rows: a transaction that keeps its snapshot may have been told before of what it does not see. */
void
told_end_rows(Told *told, uint64 since)
{
	told_end(told, since);
	told->is_known = told->is_known && !IsolationUsesXactSnapshot();
}

/* By who has changed it, in the same transaction.  This backend knows at once: the same statement may go on with it. */
void
told_tell(const Told *told)
{
	CacheInvalidateRelcacheByRelid(find_table(told));
	CommandCounterIncrement();
}
