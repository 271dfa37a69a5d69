/*
 * alert/work.h
 *		What alerts do in a refresh.
 */
#ifndef USAGE_EVENTS_ALERT_WORK_H
#define USAGE_EVENTS_ALERT_WORK_H

extern void alert_work_init(void);

#endif /* USAGE_EVENTS_ALERT_WORK_H */
