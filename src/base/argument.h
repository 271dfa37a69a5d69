/*
 * base/argument.h
 *		Arguments of functions that people call with SQL.
 */
#ifndef USAGE_EVENTS_BASE_ARGUMENT_H
#define USAGE_EVENTS_BASE_ARGUMENT_H

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

extern const char *argument_text(FunctionCallInfo fcinfo, int number);
extern Jsonb *argument_jsonb(FunctionCallInfo fcinfo, int number, const char *what);
extern List *argument_texts(FunctionCallInfo fcinfo, int number);

#endif /* USAGE_EVENTS_BASE_ARGUMENT_H */
