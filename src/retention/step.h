/*
 * retention/step.h
 *		How much one call deletes.
 */
#ifndef USAGE_EVENTS_RETENTION_STEP_H
#define USAGE_EVENTS_RETENTION_STEP_H

#include "fmgr.h"

extern int step_rows_argument(FunctionCallInfo fcinfo, int number);

#endif /* USAGE_EVENTS_RETENTION_STEP_H */
