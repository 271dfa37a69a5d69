/*
 * sql/row_insert.h
 *		One row that is added to one of our tables.
 *
 * A row insert says once of which table and columns: the row is stored at once where nothing stands against that,
 * and by the statement that says the same where something does.
 */
#ifndef USAGE_EVENTS_SQL_ROW_INSERT_H
#define USAGE_EVENTS_SQL_ROW_INSERT_H

#include "sql/statement.h"
#include "sql/told.h"

#define ROW_INSERT_MAX_COLUMNS 16

typedef struct RowInsert
{
	const char *table;
	const char *columns; /* in the order of their values, the account first */
	const char *key;     /* the index of a key: a row whose key is taken is not added; NULL: none */
	const char *key_columns;
	Oid types[ROW_INSERT_MAX_COLUMNS];

	Statement statement; /* the same in SQL, made when it is first used */
	Told told;
	/* What is known of the table, until something changes there. */
	bool is_plain; /* a row that is stored is all that the statement would do */
	bool has_own_policies_alone;
	Oid key_id;
	int column_count;
	int places[ROW_INSERT_MAX_COLUMNS]; /* of the values in a row, by their order */
} RowInsert;

extern bool row_insert(RowInsert *insert, Datum *values, const char *nulls);

#endif /* USAGE_EVENTS_SQL_ROW_INSERT_H */
