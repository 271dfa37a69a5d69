/*
 * metric_refresh.h
 *		Bringing rollups up to date.
 */
#ifndef USAGE_EVENTS_METRIC_REFRESH_H
#define USAGE_EVENTS_METRIC_REFRESH_H

#include "usage_event.h"

extern int64 metric_refresh_account(const pg_uuid_t *account_id, int64 max_steps);

#endif /* USAGE_EVENTS_METRIC_REFRESH_H */
