/*
 * sql/lookup.h
 *		Rows of one of our tables that are found by a key.
 *
 * A lookup says what is wanted once: of which table, along which index, by which columns.  It is read along the
 * index at once where nothing stands against that, and by the statement that says the same where something does.
 */
#ifndef USAGE_EVENTS_SQL_LOOKUP_H
#define USAGE_EVENTS_SQL_LOOKUP_H

#include "access/skey.h"
#include "access/stratnum.h"
#include "sql/statement.h"
#include "sql/told.h"
#include "utils/uuid.h"

#define LOOKUP_MAX_KEYS 6
#define LOOKUP_MAX_COLUMNS 16

typedef enum LookupComparison
{
	LOOKUP_ANY = InvalidStrategy,
	LOOKUP_EQUAL = BTEqualStrategyNumber,
	LOOKUP_FROM = BTGreaterEqualStrategyNumber,
	LOOKUP_THROUGH = BTLessEqualStrategyNumber,
	LOOKUP_BEFORE = BTLessStrategyNumber
} LookupComparison;

typedef struct LookupKey
{
	const char *column; /* NULL: behind the last */
	LookupComparison comparison;
	Oid type;
} LookupKey;

/* A column of the index that has any value: it takes no argument, and rows do not come in the order of those behind it. */
#define KEY_ANY(column, type) \
	{ \
		column, LOOKUP_ANY, type \
	}
#define KEY_EQUAL(column, type) \
	{ \
		column, LOOKUP_EQUAL, type \
	}
#define KEY_FROM(column, type) \
	{ \
		column, LOOKUP_FROM, type \
	}
#define KEY_THROUGH(column, type) \
	{ \
		column, LOOKUP_THROUGH, type \
	}
#define KEY_BEFORE(column, type) \
	{ \
		column, LOOKUP_BEFORE, type \
	}

typedef struct Lookup
{
	const char *table;
	const char *index;
	const char *columns; /* of its rows, "id, name": the table is named r where that has to be said */
	/* Columns of the index, in its order, the account first; all but the last one are equal to an argument, or any. */
	LookupKey keys[LOOKUP_MAX_KEYS + 1];
	int max_rows; /* so many, 0: all; in the order of the last key, where no other is any */
	bool
		takes_snapshot; /* sees what was committed until now, and what this transaction has changed; otherwise it has the active one */

	Statement statement; /* the same in SQL, made when it is first used */
	Told told;
	/* What is known of the table and its index, until something changes there. */
	bool is_plain; /* a search in the index finds what the statement would */
	bool has_own_policy_alone;
	Oid index_id;
	int key_count;
	ScanKeyData scan_keys[LOOKUP_MAX_KEYS];
	AttrNumber
		key_places[LOOKUP_MAX_KEYS]; /* of their columns in the index, where the scan keys have those in the table */
	AttrNumber attributes[LOOKUP_MAX_COLUMNS]; /* of the columns, in their order */
} Lookup;

extern bool lookup_is_searchable(Lookup *lookup, const Datum *arguments);
extern void lookup_rows(Lookup *lookup, const Datum *arguments, void (*take_row)(uint64 row, void *argument),
						void *argument);
extern bool lookup_rows_of_many(Lookup *lookup, int count,
								void (*set_arguments)(int key, Datum *arguments, void *argument),
								void (*take_row)(int key, uint64 row, void *argument), void *argument);

#endif /* USAGE_EVENTS_SQL_LOOKUP_H */
