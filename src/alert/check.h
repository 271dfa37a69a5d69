/*
 * alert/check.h
 *		The rules of a usage alert.
 */
#ifndef USAGE_EVENTS_ALERT_CHECK_H
#define USAGE_EVENTS_ALERT_CHECK_H

#include "alert/alert.h"

extern void alert_check(const pg_uuid_t *account_id, Jsonb *body, UsageAlert *alert);
extern void alert_check_update(const UsageAlert *alert, const UsageAlert *stored);

#endif /* USAGE_EVENTS_ALERT_CHECK_H */
