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

/* The percentile was checked, unless somebody has written the row by hand. */
static void
check_percentile(const Metric *metric)
{
	if (metric->percentile == NULL || !metric_percentile_is_valid(metric->percentile))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid percentile of the usage metric \"%.*s\"", metric->name.length, metric->name.data),
				 errhint("Update the metric.")));
}

/* How many values there are up to the one that is the result: as few as make such a share of all, and one at least. */
int64
metric_percentile_rank(const Metric *metric, int64 event_count)
{
	Datum share;

	check_percentile(metric);
	share = DirectFunctionCall2(numeric_mul, NumericGetDatum(metric->percentile),
								NumericGetDatum(int64_to_numeric(event_count)));
	return Max(DatumGetInt64(DirectFunctionCall1(numeric_int8, DirectFunctionCall1(numeric_ceil, share))), 1);
}

/* As SQL's percentile_disc(), but without its errors of floating point: of 100 values 0.07 is the seventh. */
static Numeric
percentile(const MetricSum *sum)
{
	int64 left;

	if (sum->event_count == 0)
		return NULL;
	left = metric_percentile_rank(sum->metric, sum->event_count);
	for (int64 i = 0; i < sum->value_count; i++)
	{
		left -= sum->values[i].event_count;
		if (left <= 0)
			return sum->values[i].number;
	}
	/* Another's rows, written by hand. */
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid rollup of a usage metric: values are missing"),
					errhint("Truncate usage_events.metric_rollup, which is built anew.")));
}

/* Whether it is from 0 to 1. */
bool
metric_percentile_is_valid(Numeric percentile)
{
	return DatumGetBool(
			   DirectFunctionCall2(numeric_ge, NumericGetDatum(percentile), NumericGetDatum(int64_to_numeric(0)))) &&
		   DatumGetBool(
			   DirectFunctionCall2(numeric_le, NumericGetDatum(percentile), NumericGetDatum(int64_to_numeric(1))));
}

/* The kinds ----------------------------------------------------------------- */

/* Rows of values are as many as events in the end: of a kind that keeps them there are none for every second. */
/* clang-format off */
static const MetricKind kinds[] = {
	/* name               expression  reads                 keeps                   deepest        combine    long   percent event  rise           ranks                 result */
	{SLICE("COUNT"),      false,      METRIC_READS_NOTHING, METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, no_number, false, false,  false, METRIC_ADDS,   METRIC_RANKS_NOTHING, event_count},
	{SLICE("UNIQUE"),     false,      METRIC_READS_TEXT,    METRIC_KEEPS_VALUES,    BUCKET_HOUR,   no_number, false, false,  false, METRIC_RISES,  METRIC_RANKS_NOTHING, value_count},
	{SLICE("SUM"),        false,      METRIC_READS_NUMBER,  METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, add,       true,  false,  false, METRIC_ADDS,   METRIC_RANKS_NOTHING, number_or_zero},
	{SLICE("MAX"),        false,      METRIC_READS_NUMBER,  METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, maximum,   false, false,  false, METRIC_RISES,  METRIC_RANKS_NUMBERS, number_or_null},
	{SLICE("MIN"),        false,      METRIC_READS_NUMBER,  METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, minimum,   false, false,  false, METRIC_VARIES, METRIC_RANKS_NUMBERS, number_or_null},
	{SLICE("AVERAGE"),    false,      METRIC_READS_NUMBER,  METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, add,       true,  false,  false, METRIC_VARIES, METRIC_RANKS_SCALES,  average},
	{SLICE("LATEST"),     false,      METRIC_READS_NUMBER,  METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, latest,    false, false,  true,  METRIC_VARIES, METRIC_RANKS_TIMES,   number_or_null},
	{SLICE("PERCENTILE"), false,      METRIC_READS_NUMBER,  METRIC_KEEPS_COUNTS,    BUCKET_HOUR,   no_number, false, true,   false, METRIC_VARIES, METRIC_RANKS_NUMBERS, percentile},
	{SLICE("CUSTOM"),     true,       METRIC_READS_NOTHING, METRIC_KEEPS_NO_VALUES, BUCKET_SECOND, no_number, false, false,  false, METRIC_VARIES, METRIC_RANKS_NOTHING, number_or_null},
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
	if (slice_equal(name, SLICE("MEDIAN")))
		appendStringInfoString(&fault, ": a median is a \"PERCENTILE\" with 0.5 as its \"percentile\"");
	return fault.data;
}
