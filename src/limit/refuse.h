/*
 * limit/refuse.h
 *		Whether an event may bring a value from one to another, and the fault if it may not.
 */
#ifndef USAGE_EVENTS_LIMIT_REFUSE_H
#define USAGE_EVENTS_LIMIT_REFUSE_H

#include "limit/look.h"

extern const Fault *refuse_change(const Look *look, const Measure *measure, const EventPut *put, Numeric before,
								  Numeric after, Numeric amount);

#endif /* USAGE_EVENTS_LIMIT_REFUSE_H */
