/*
 * limit/check.h
 *		The rules of a usage limit, and the faults of one that breaks them.
 */
#ifndef USAGE_EVENTS_LIMIT_CHECK_H
#define USAGE_EVENTS_LIMIT_CHECK_H

#include "limit/limit.h"

extern void limit_check(const pg_uuid_t *account_id, Jsonb *body, UsageLimit *limit);

#endif /* USAGE_EVENTS_LIMIT_CHECK_H */
