/*
 * rollup/watch.h
 *		Changes that do not come through our own statements.
 */
#ifndef USAGE_EVENTS_ROLLUP_WATCH_H
#define USAGE_EVENTS_ROLLUP_WATCH_H

extern void rollup_watch_begin_anew(void);

#endif /* USAGE_EVENTS_ROLLUP_WATCH_H */
