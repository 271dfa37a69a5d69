/*
 * sql/planner.h
 *		What the planner may choose for our statements, and for no others.
 */
#ifndef USAGE_EVENTS_SQL_PLANNER_H
#define USAGE_EVENTS_SQL_PLANNER_H

extern void planner_init(void);
extern int planner_use_indexes(void);
extern void planner_use_end(int nest_level);

#endif /* USAGE_EVENTS_SQL_PLANNER_H */
