/*
 * limit/definition.h
 *		Usage limits: made, updated, deleted, and what is answered of them.
 */
#ifndef USAGE_EVENTS_LIMIT_DEFINITION_H
#define USAGE_EVENTS_LIMIT_DEFINITION_H

#include "limit/limit.h"

extern void limit_definition_init(void);
extern Jsonb *limit_definition_to_json(const UsageLimit *limit);

/* NULL is the answer of those that take an id where no limit has it. */
extern Jsonb *limit_definition_create(const pg_uuid_t *account_id, Jsonb *body);
extern Jsonb *limit_definition_get(const pg_uuid_t *account_id, const pg_uuid_t *id);
extern Jsonb *limit_definition_update(const pg_uuid_t *account_id, const pg_uuid_t *id, Jsonb *body);
extern Jsonb *limit_definition_delete(const pg_uuid_t *account_id, const pg_uuid_t *id);

#endif /* USAGE_EVENTS_LIMIT_DEFINITION_H */
