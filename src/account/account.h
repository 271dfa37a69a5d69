/*
 * account/account.h
 *		Whose events these are.
 */
#ifndef USAGE_EVENTS_ACCOUNT_ACCOUNT_H
#define USAGE_EVENTS_ACCOUNT_ACCOUNT_H

#include "fmgr.h"
#include "utils/uuid.h"

extern void account_init(void);

extern const pg_uuid_t *account_current(void);
extern pg_uuid_t *account_argument(FunctionCallInfo fcinfo, int number);
extern void account_require(const pg_uuid_t *account_id);
extern void account_verified(const pg_uuid_t *account_id);
extern void account_set(const pg_uuid_t *account_id);
extern void account_set_none(void);

extern int account_enter(const pg_uuid_t *account_id);
extern void account_leave(int nest_level);

#endif /* USAGE_EVENTS_ACCOUNT_ACCOUNT_H */
