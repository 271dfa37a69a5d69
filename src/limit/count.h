/*
 * limit/count.h
 *		Counting the events of a batch in memory, in their order: which of them fit.
 */
#ifndef USAGE_EVENTS_LIMIT_COUNT_H
#define USAGE_EVENTS_LIMIT_COUNT_H

#include "limit/look.h"

extern bool count_needs_order(const Look *look);
extern EventVerdict count_one_by_one(Look *look);

#endif /* USAGE_EVENTS_LIMIT_COUNT_H */
