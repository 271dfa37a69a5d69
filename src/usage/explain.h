/*
 * usage/explain.h
 *		Whether an event counts in a metric, and if not, why.
 */
#ifndef USAGE_EVENTS_USAGE_EXPLAIN_H
#define USAGE_EVENTS_USAGE_EXPLAIN_H

#include "utils/jsonb.h"
#include "utils/uuid.h"

extern Jsonb *usage_explain(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const pg_uuid_t *event_id);

#endif /* USAGE_EVENTS_USAGE_EXPLAIN_H */
