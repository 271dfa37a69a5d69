/*
 * account/customer_keys.h
 *		Whether an account has keys that see one customer alone.
 */
#ifndef USAGE_EVENTS_ACCOUNT_CUSTOMER_KEYS_H
#define USAGE_EVENTS_ACCOUNT_CUSTOMER_KEYS_H

#include "utils/uuid.h"

extern void customer_keys_init(void);
extern bool customer_keys_exist(const pg_uuid_t *account_id);
extern void customer_keys_come(const pg_uuid_t *account_id);

#endif /* USAGE_EVENTS_ACCOUNT_CUSTOMER_KEYS_H */
