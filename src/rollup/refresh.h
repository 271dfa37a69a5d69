/*
 * rollup/refresh.h
 *		Bringing rollups up to date.
 */
#ifndef USAGE_EVENTS_ROLLUP_REFRESH_H
#define USAGE_EVENTS_ROLLUP_REFRESH_H

#include "utils/uuid.h"

extern int64 rollup_refresh_account(const pg_uuid_t *account_id, int64 max_steps, bool is_turn);
extern void rollup_refresh_note_failure(const pg_uuid_t *account_id);

#endif /* USAGE_EVENTS_ROLLUP_REFRESH_H */
