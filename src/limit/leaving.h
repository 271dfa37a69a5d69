/*
 * limit/leaving.h
 *		What corrections of a batch take away from the measures that are not sure.
 */
#ifndef USAGE_EVENTS_LIMIT_LEAVING_H
#define USAGE_EVENTS_LIMIT_LEAVING_H

#include "limit/look.h"

extern void leaving_gather(Look *look);

#endif /* USAGE_EVENTS_LIMIT_LEAVING_H */
