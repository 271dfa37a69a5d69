/*
 * account/drop_guard.h
 *		Keeps DROP EXTENSION from taking events along.
 */
#ifndef USAGE_EVENTS_ACCOUNT_DROP_GUARD_H
#define USAGE_EVENTS_ACCOUNT_DROP_GUARD_H

extern void drop_guard_init(void);

#endif /* USAGE_EVENTS_ACCOUNT_DROP_GUARD_H */
