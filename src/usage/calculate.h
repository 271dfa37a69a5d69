/*
 * usage/calculate.h
 *		What a metric says of customers and a period.
 */
#ifndef USAGE_EVENTS_USAGE_CALCULATE_H
#define USAGE_EVENTS_USAGE_CALCULATE_H

#include "datatype/timestamp.h"
#include "metric/breakdown.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

extern Jsonb *usage_calculate(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, List *customer_aliases,
							  TimestampTz start, TimestampTz end, const TimestampTz *as_of, Jsonb *parameters,
							  const MetricBreakdown *breakdown);

#endif /* USAGE_EVENTS_USAGE_CALCULATE_H */
