/*
 * rollup/marked.h
 *		Rolling up anew what is marked.
 */
#ifndef USAGE_EVENTS_ROLLUP_MARKED_H
#define USAGE_EVENTS_ROLLUP_MARKED_H

#include "lib/stringinfo.h"
#include "rollup/turn.h"

/* Where a turn ended among the marks of an account; empty where it came to the end of them. */
typedef struct MarkPlace
{
	StringInfoData event_type;
	StringInfoData alias;
} MarkPlace;

extern void rollup_marked_read_place(const pg_uuid_t *account_id, MarkPlace *place);
extern int64 rollup_marked_refresh(const pg_uuid_t *account_id, TurnBudget budget, MarkPlace *place);

#endif /* USAGE_EVENTS_ROLLUP_MARKED_H */
