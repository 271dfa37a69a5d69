/*
 * account/horizon.h
 *		The moment up to which an account's events were purged.
 */
#ifndef USAGE_EVENTS_ACCOUNT_HORIZON_H
#define USAGE_EVENTS_ACCOUNT_HORIZON_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/uuid.h"

extern void horizon_init(void);
extern List *horizon_check(List *faults, const pg_uuid_t *account_id, const char *field, TimestampTz timestamp);
extern TimestampTz horizon_of_question(const pg_uuid_t *account_id);
extern void horizon_check_period(const pg_uuid_t *account_id, TimestampTz start);
extern void horizon_advance(const pg_uuid_t *account_id, TimestampTz horizon);

#endif /* USAGE_EVENTS_ACCOUNT_HORIZON_H */
