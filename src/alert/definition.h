/*
 * alert/definition.h
 *		Usage alerts: made, updated, deleted, and what is answered of them.
 */
#ifndef USAGE_EVENTS_ALERT_DEFINITION_H
#define USAGE_EVENTS_ALERT_DEFINITION_H

#include "alert/alert.h"

extern void alert_definition_init(void);

/* NULL is the answer of those that take an id where no alert has it. */
extern Jsonb *alert_definition_create(const pg_uuid_t *account_id, Jsonb *body);
extern Jsonb *alert_definition_get(const pg_uuid_t *account_id, const pg_uuid_t *id);
extern Jsonb *alert_definition_update(const pg_uuid_t *account_id, const pg_uuid_t *id, Jsonb *body);
extern Jsonb *alert_definition_delete(const pg_uuid_t *account_id, const pg_uuid_t *id);
extern Jsonb *alert_definition_to_json(const UsageAlert *alert);

#endif /* USAGE_EVENTS_ALERT_DEFINITION_H */
