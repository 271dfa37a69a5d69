/*
 * limit/allowance.h
 *		Whether a customer may use so much more: check_usage_limit().
 */
#ifndef USAGE_EVENTS_LIMIT_ALLOWANCE_H
#define USAGE_EVENTS_LIMIT_ALLOWANCE_H

#include "base/slice.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* What is asked.  What could not be read is absent, and a fault already. */
typedef struct LimitQuestion
{
	Slice customer; /* by an alias, or the customer's id */
	bool has_metric_id;
	pg_uuid_t metric_id;
	Numeric amount;
	TimestampTz at;
} LimitQuestion;

extern Jsonb *limit_allowance(const pg_uuid_t *account_id, const LimitQuestion *question, List *faults);

#endif /* USAGE_EVENTS_LIMIT_ALLOWANCE_H */
