/*
 * limit/guard.h
 *		Keeps events out that would bring a metric's value above a BLOCK limit.
 */
#ifndef USAGE_EVENTS_LIMIT_GUARD_H
#define USAGE_EVENTS_LIMIT_GUARD_H

extern void limit_guard_init(void);

#endif /* USAGE_EVENTS_LIMIT_GUARD_H */
