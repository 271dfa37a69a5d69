/*
 * limit/remembered.h
 *		What a backend remembers of the limits that it found: by alias, and their metrics.
 */
#ifndef USAGE_EVENTS_LIMIT_REMEMBERED_H
#define USAGE_EVENTS_LIMIT_REMEMBERED_H

#include "limit/in_force.h"
#include "metric/metric.h"

extern bool remembered_alias(const pg_uuid_t *account_id, uint64 state, LimitedAlias *alias);
extern void remember_alias(const pg_uuid_t *account_id, uint64 state, const LimitedAlias *alias);
extern bool remembered_metric(const pg_uuid_t *account_id, uint64 state, const pg_uuid_t *id, Metric *metric);
extern void remember_metric(uint64 state, const Metric *metric);

#endif /* USAGE_EVENTS_LIMIT_REMEMBERED_H */
