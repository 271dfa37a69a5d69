/*
 * sql/planner.h
 *		What the planner may choose for our statements, and for no others.
 */
#ifndef USAGE_EVENTS_SQL_PLANNER_H
#define USAGE_EVENTS_SQL_PLANNER_H

extern void planner_init(void);
extern void planner_along_indexes(void (*work)(void *argument), void *argument);

#endif /* USAGE_EVENTS_SQL_PLANNER_H */
