/*
 * limit/sure.h
 *		Which values were certainly never above their limit while a batch came, without counting its events.
 */
#ifndef USAGE_EVENTS_LIMIT_SURE_H
#define USAGE_EVENTS_LIMIT_SURE_H

#include "limit/look.h"

extern void sure_measure_events(Look *look);
extern int sure_keep_unsure(Look *look);

#endif /* USAGE_EVENTS_LIMIT_SURE_H */
