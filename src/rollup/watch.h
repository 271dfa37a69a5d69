/*
 * rollup/watch.h
 *		Changes that do not come through our own statements.
 */
#ifndef USAGE_EVENTS_ROLLUP_WATCH_H
#define USAGE_EVENTS_ROLLUP_WATCH_H

#include "base/slice.h"
#include "utils/uuid.h"

/* In the active snapshot. */
extern Slice rollup_watch_state(void);
extern bool rollup_watch_is_off(Slice state);
extern bool rollup_watch_keeps_marks(const pg_uuid_t *account_id);
extern bool rollup_watch_is_subscribed(void);

extern void rollup_watch_begin_anew(void);

#endif /* USAGE_EVENTS_ROLLUP_WATCH_H */
