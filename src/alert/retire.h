/*
 * alert/retire.h
 *		What alerts have left behind, and nobody needs any more.
 */
#ifndef USAGE_EVENTS_ALERT_RETIRE_H
#define USAGE_EVENTS_ALERT_RETIRE_H

#include "utils/uuid.h"

extern int64 alert_retire(const pg_uuid_t *account_id);

#endif /* USAGE_EVENTS_ALERT_RETIRE_H */
