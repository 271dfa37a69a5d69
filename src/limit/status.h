/*
 * limit/status.h
 *		What each customer has used of each limit: usage_limit_status.
 */
#ifndef USAGE_EVENTS_LIMIT_STATUS_H
#define USAGE_EVENTS_LIMIT_STATUS_H

extern void limit_status_init(void);

#endif /* USAGE_EVENTS_LIMIT_STATUS_H */
