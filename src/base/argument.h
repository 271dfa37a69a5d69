/*
 * base/argument.h
 *		Arguments of functions that people call with SQL.
 */
#ifndef USAGE_EVENTS_BASE_ARGUMENT_H
#define USAGE_EVENTS_BASE_ARGUMENT_H

#include "fmgr.h"
#include "nodes/pg_list.h"

extern const char *argument_text(FunctionCallInfo fcinfo, int number);
extern List *argument_texts(FunctionCallInfo fcinfo, int number);

#endif /* USAGE_EVENTS_BASE_ARGUMENT_H */
