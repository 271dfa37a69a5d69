/*
 * metric/definition.h
 *		Usage metrics: made, updated, deleted, and what is answered of them.
 */
#ifndef USAGE_EVENTS_METRIC_DEFINITION_H
#define USAGE_EVENTS_METRIC_DEFINITION_H

#include "base/json_build.h"
#include "metric/metric.h"

/* NULL is the answer of those that take an id where no metric has it. */
extern void metric_definition_init(void);
extern Jsonb *metric_definition_create(const pg_uuid_t *account_id, Jsonb *body);
extern Jsonb *metric_definition_get(const pg_uuid_t *account_id, const pg_uuid_t *id);
extern Jsonb *metric_definition_update(const pg_uuid_t *account_id, const pg_uuid_t *id, Jsonb *body);
extern Jsonb *metric_definition_delete(const pg_uuid_t *account_id, const pg_uuid_t *id);

extern void metric_definition_insert(Metric *metric);
extern bool metric_definition_replace(Metric *metric);
extern void metric_definition_add(JsonObject *object, const Metric *metric);
extern Jsonb *metric_definition_to_json(const Metric *metric);

#endif /* USAGE_EVENTS_METRIC_DEFINITION_H */
