/*
 * limit/use.h
 *		What a customer has used in the period of a limit, and what one more event would make of it.
 */
#ifndef USAGE_EVENTS_LIMIT_USE_H
#define USAGE_EVENTS_LIMIT_USE_H

#include "limit/limit.h"
#include "metric/total.h"

/* The use of a customer in the period of a limit. */
typedef struct LimitUse
{
	const UsageLimit *limit;
	TimestampTz start;
	TimestampTz end; /* exclusive */
	TimestampTz
		purged_before; /* events of the period are gone up to then: only what is left is used; DT_NOBEGIN: none */
	MetricTotal total;
	Numeric used; /* the metric's value; NULL: it has none */
} LimitUse;

/* Events that this transaction has stored, and that are not to be in a use: their ids, ascending. */
typedef struct LeftOut
{
	const pg_uuid_t *ids;
	int count;
} LeftOut;

extern void limit_use_read(const Metric *metric, const LimitCustomer *customer, const UsageLimit *limit,
						   TimestampTz moment, LimitUse *use);
extern void limit_use_read_without(const Metric *metric, const LimitCustomer *customer, const UsageLimit *limit,
								   TimestampTz moment, LeftOut left_out, LimitUse *use);
extern void limit_use_require_kept(const LimitUse *use);
extern Numeric limit_use_with(LimitUse *use, TimestampTz moment, Numeric amount);
extern bool limit_is_passed(const UsageLimit *limit, Numeric before, Numeric after);
extern Numeric limit_remaining(const UsageLimit *limit, Numeric used);

#endif /* USAGE_EVENTS_LIMIT_USE_H */
