/*
 * usage/status.h
 *		What happens to an account at the moment.
 */
#ifndef USAGE_EVENTS_USAGE_STATUS_H
#define USAGE_EVENTS_USAGE_STATUS_H

#include "utils/jsonb.h"
#include "utils/uuid.h"

extern Jsonb *usage_status(const pg_uuid_t *account_id);

#endif /* USAGE_EVENTS_USAGE_STATUS_H */
