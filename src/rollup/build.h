/*
 * rollup/build.h
 *		Rolling up a new metric.
 */
#ifndef USAGE_EVENTS_ROLLUP_BUILD_H
#define USAGE_EVENTS_ROLLUP_BUILD_H

#include "nodes/pg_list.h"
#include "rollup/turn.h"

/* Ids of transactions: all below `oldest` that may write events are over, and none has had `next` yet when that was read. */
typedef struct Transactions
{
	uint64 next;
	uint64 oldest;
} Transactions;

extern List *rollup_build_read_metrics(const pg_uuid_t *account_id);
extern void rollup_build_read_transactions(Transactions *transactions);
extern int64 rollup_build_metrics(const pg_uuid_t *account_id, const List *metrics, const Transactions *transactions,
								  TurnBudget budget);

#endif /* USAGE_EVENTS_ROLLUP_BUILD_H */
