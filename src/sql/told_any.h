/*
 * sql/told_any.h
 *		Whether an account has any of a kind, as a backend remembers it until it is told that this has changed.
 */
#ifndef USAGE_EVENTS_SQL_TOLD_ANY_H
#define USAGE_EVENTS_SQL_TOLD_ANY_H

#include "sql/statement.h"
#include "sql/told.h"
#include "utils/uuid.h"

/* One for each kind; told, and find, whose parameter is the account and which finds a row if there is any, are set by its owner. */
typedef struct ToldAny
{
	Told told;
	Statement find;
	bool there_is; /* of the account last asked for */
	pg_uuid_t account_id;
} ToldAny;

extern bool told_any(ToldAny *any, const pg_uuid_t *account_id);

#endif /* USAGE_EVENTS_SQL_TOLD_ANY_H */
