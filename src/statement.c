/*
 * statement.c
 *		SQL statements that are planned once per backend.
 */
#include "postgres.h"

#include "statement.h"

#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/*
 * Runs the statement; the caller is connected to SPI and reads SPI_processed and
 * SPI_tuptable.  The plan is generic: each of our statements finds its row by
 * key, and planning again for each value would cost more than running it.
 */
void
statement_execute(Statement *statement, Datum *arguments, const char *nulls)
{
	int result;

	if (statement->plan == NULL)
	{
		SPIPlanPtr plan = SPI_prepare_cursor(statement->sql, statement->argument_count, statement->argument_types,
											 CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", statement->sql, SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		statement->plan = plan;
	}

	result = SPI_execute_plan(statement->plan, arguments, nulls, statement->read_only, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement->sql, SPI_result_code_string(result));
}

/* Arrays as parameters: one row of the statement from each position. */

Datum
statement_uuid_array(Datum *values, int count)
{
	return PointerGetDatum(construct_array(values, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

Datum
statement_timestamp_array(Datum *values, int count)
{
	return PointerGetDatum(
		construct_array(values, count, TIMESTAMPTZOID, sizeof(TimestampTz), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum
statement_varlena_array(Datum *values, int count, Oid type)
{
	return PointerGetDatum(construct_array(values, count, type, -1, false, TYPALIGN_INT));
}
