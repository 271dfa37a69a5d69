/*
 * retention/step.c
 *		How much one call deletes: what takes longer is done in several.
 */
#include "postgres.h"

#include "retention/step.h"

/* Rows of one call, which are all in memory. */
#define MAX_ROWS 100000

/* The argument max_rows. */
int
step_rows_argument(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number) || PG_GETARG_INT32(number) < 1 || PG_GETARG_INT32(number) > MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_rows must be between 1 and %d", MAX_ROWS)));
	return PG_GETARG_INT32(number);
}
