/*
 * sql/row_lock.h
 *		A row that one transaction at a time has: whoever takes it raises a number in it.
 */
#ifndef USAGE_EVENTS_SQL_ROW_LOCK_H
#define USAGE_EVENTS_SQL_ROW_LOCK_H

#include "sql/lookup.h"

typedef struct RowLock
{
	Lookup row;          /* its one column is the number, a bigint */
	Statement statement; /* raises it, of the row of the same key */
	Told told;
	/* What is known of the table, until something changes there. */
	bool is_plain; /* the row with another number is all that the statement would write */
	bool has_own_policies_alone;
} RowLock;

extern bool row_lock_take(RowLock *lock, Datum *key);

#endif /* USAGE_EVENTS_SQL_ROW_LOCK_H */
