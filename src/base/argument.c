/*
 * base/argument.c
 *		Arguments of functions that people call with SQL.
 */
#include "postgres.h"

#include "base/argument.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* A text; NULL where it is null. */
const char *
argument_text(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/* A jsonb that must not be null: the error says what it is of. */
Jsonb *
argument_jsonb(FunctionCallInfo fcinfo, int number, const char *what)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", what)));
	return PG_GETARG_JSONB_P(number);
}

/* The elements of an array of texts, but for those that are null, as C strings. */
List *
argument_texts(FunctionCallInfo fcinfo, int number)
{
	Datum *values;
	bool *nulls;
	int count;
	List *texts = NIL;

	if (PG_ARGISNULL(number))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			texts = lappend(texts, TextDatumGetCString(values[i]));
	}
	return texts;
}
