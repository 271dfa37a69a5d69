/*
 * base/memory_budget.h
 *		How much memory one call may take.
 */
#ifndef USAGE_EVENTS_BASE_MEMORY_BUDGET_H
#define USAGE_EVENTS_BASE_MEMORY_BUDGET_H

extern void memory_budget_init(void);
extern void memory_budget_begin(void);
extern void memory_budget_grow(Size size);
extern void *memory_budget_room(void *items, int count, int *capacity, Size item_size);
extern Size memory_budget_limit(void);

#endif /* USAGE_EVENTS_BASE_MEMORY_BUDGET_H */
