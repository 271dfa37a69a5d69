/*
 * rollup/watch_state.h
 *		Whether changes of events are seen.  All in the active snapshot.
 */
#ifndef USAGE_EVENTS_ROLLUP_WATCH_STATE_H
#define USAGE_EVENTS_ROLLUP_WATCH_STATE_H

#include "base/slice.h"
#include "utils/uuid.h"

extern Slice rollup_watch_state(void);
extern bool rollup_watch_is_off(Slice state);
extern bool rollup_watch_was_off_now(void);
extern bool rollup_watch_keeps_marks(const pg_uuid_t *account_id);
extern bool rollup_watch_is_subscribed(void);

#endif /* USAGE_EVENTS_ROLLUP_WATCH_STATE_H */
