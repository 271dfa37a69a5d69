/*
 * metric/expression_parameter.h
 *		Parameters of CUSTOM metrics: integers that whoever asks may give.
 */
#ifndef USAGE_EVENTS_METRIC_EXPRESSION_PARAMETER_H
#define USAGE_EVENTS_METRIC_EXPRESSION_PARAMETER_H

#include "base/fault.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

/* A parameter of an expression, with the value that it has unless it is given another. */
typedef struct CustomParameter
{
	char *name;
	bool is_positive;
	Numeric value;
} CustomParameter;

extern Jsonb *expression_parameters_make(Jsonb *parameters, const pg_uuid_t *metric_id);
extern List *expression_parameters_read(List *faults, Jsonb *json, List **parameters);
extern void expression_parameters_bind(List *parameters, Jsonb *arguments);

#endif /* USAGE_EVENTS_METRIC_EXPRESSION_PARAMETER_H */
