/*
 * metric/kind.c
 *		Kinds of aggregation: a row each, with all that tells them apart.
 *
 * Parts of rollups are added up in any order, so that combine() has to give the same
 * for all orders, and for equal numbers that are written in different ways as well.
 * A row is written without names of its columns: the compiler refuses one that has
 * not all of them.
 */
#include "postgres.h"

#include "metric/kind.h"

#include "base/fault.h"
#include "base/uuid_v7.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "metric/value.h"
#include "utils/builtins.h"

/* Combining ----------------------------------------------------------------- */

static Numeric
no_number(const MetricNumber *number pg_attribute_unused(), const MetricNumber *next pg_attribute_unused())
{
	return NULL;
}

static Numeric
add(const MetricNumber *number, const MetricNumber *next)
{
	if (number->value == NULL)
		return next->value;
	return DatumGetNumeric(
		DirectFunctionCall2(numeric_add, NumericGetDatum(number->value), NumericGetDatum(next->value)));
}

static Numeric
maximum(const MetricNumber *number, const MetricNumber *next)
{
	return number->value != NULL && metric_number_compare(number->value, next->value) >= 0 ? number->value
																						   : next->value;
}

static Numeric
minimum(const MetricNumber *number, const MetricNumber *next)
{
	return number->value != NULL && metric_number_compare(next->value, number->value) >= 0 ? number->value
																						   : next->value;
}

static Numeric
latest(const MetricNumber *number, const MetricNumber *next)
{
	bool is_later = number->value != NULL &&
					(number->timestamp > next->timestamp ||
					 (number->timestamp == next->timestamp && uuid_v7_compare(&number->id, &next->id) >= 0));

	return is_later ? number->value : next->value;
}

/* Results ------------------------------------------------------------------- */

static Numeric
event_count(const MetricSum *sum)
{
	return int64_to_numeric(sum->event_count);
}

static Numeric
value_count(const MetricSum *sum)
{
	return int64_to_numeric(sum->value_count);
}

static Numeric
number_or_null(const MetricSum *sum)
{
	return sum->number;
}

static Numeric
number_or_zero(const MetricSum *sum)
{
	return sum->number != NULL ? sum->number : int64_to_numeric(0);
}

static Numeric
average(const MetricSum *sum)
{
	if (sum->number == NULL)
		return NULL;
	return DatumGetNumeric(DirectFunctionCall2(numeric_div, NumericGetDatum(sum->number),
											   NumericGetDatum(int64_to_numeric(sum->event_count))));
}

/* The kinds ----------------------------------------------------------------- */

/* Rows of values are as many as events in the end: of a kind that keeps them there are none for every second. */
/* clang-format off */
static const MetricKind kinds[] = {
	/* name            expression  reads                 keeps                   deepest        combine    long   event  result */
	{SLICE("COUNT"),   false,      METRIC_READS_NOTHING, METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, no_number, false, false, event_count},
	{SLICE("UNIQUE"),  false,      METRIC_READS_TEXT,    METRIC_KEEPS_VALUES,    BUCKET_HOUR,   no_number, false, false, value_count},
	{SLICE("SUM"),     false,      METRIC_READS_NUMBER,  METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, add,       true,  false, number_or_zero},
	{SLICE("MAX"),     false,      METRIC_READS_NUMBER,  METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, maximum,   false, false, number_or_null},
	{SLICE("MIN"),     false,      METRIC_READS_NUMBER,  METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, minimum,   false, false, number_or_null},
	{SLICE("AVERAGE"), false,      METRIC_READS_NUMBER,  METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, add,       true,  false, average},
	{SLICE("LATEST"),  false,      METRIC_READS_NUMBER,  METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, latest,    false, true,  number_or_null},
	{SLICE("CUSTOM"),  true,       METRIC_READS_NOTHING, METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, no_number, false, false, number_or_null},
};
/* clang-format on */

/* The kind of that name; NULL if there is none. */
const MetricKind *
metric_kind_find(Slice name)
{
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (slice_equal(kinds[i].name, name))
			return &kinds[i];
	}
	return NULL;
}

const MetricKind *
metric_kind_of_expressions(void)
{
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].is_expression)
			return &kinds[i];
	}
	elog(ERROR, "no aggregation is an expression");
}

/* The fault of what is no kind's name; has_expressions: those of administrators are named as well. */
const char *
metric_kind_fault(Slice name, bool has_expressions)
{
	StringInfoData fault;
	const Slice *last = NULL;

	initStringInfo(&fault);
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].is_expression && !has_expressions)
			continue;
		if (last != NULL)
			appendStringInfo(&fault, "%s\"%.*s\"", fault.len > 0 ? ", " : "must be ", last->length, last->data);
		last = &kinds[i].name;
	}
	appendStringInfo(&fault, " or \"%.*s\", not %s", last->length, last->data, fault_quote(name));
	return fault.data;
}
