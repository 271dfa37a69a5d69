/*
 * metric/value.c
 *		What one event is to a metric: does it count, in which group, with which
 *		value.
 *
 * Every door comes through metric_value_read(): calculations from raw events,
 * rollups, and explanations.  A property is a key of eventProperties, taken
 * literally.  Values are compared by their text: strings as they are, numbers in
 * plain decimals without trailing zeros, so that 1.50 equals 1.5.  Only numbers of a
 * thousand digits and more are no text's equal.
 */
#include "postgres.h"

#include "metric/value.h"

#include "base/case_folding.h"
#include "base/fault.h"
#include "base/json_read.h"
#include "base/memory_budget.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "metric/breakdown.h"
#include "utils/builtins.h"

/*
 * Digits before and after the point.  numeric holds 131,072 and 16,383: so many
 * fewer that no sum of events that can ever be overflows, which would be an error
 * that one event could bring on all others.
 */
#define MAX_DIGITS_BEFORE 131000
#define MAX_DIGITS_AFTER 16383

typedef struct PropertyFilter
{
	Slice property;
	bool is_negated;
	bool has_null; /* holds for null, and for a property that is missing */
	Slice *texts;  /* sorted, so that many cost an event little more than one */
	int text_count;
	int max_length; /* of a text */
} PropertyFilter;

struct MetricMatcher
{
	const Metric *metric;
	PropertyFilter *filters; /* the metric's, and the question's */
	int filter_count;
	const Slice *groupings; /* properties */
	int grouping_count;
};

/* Texts ------------------------------------------------------------------- */

/* Shorter texts first: mostly the lengths tell. */
static int
compare_texts(const void *a, const void *b)
{
	const Slice *text_a = a;
	const Slice *text_b = b;

	return text_a->length != text_b->length ? text_a->length - text_b->length
											: memcmp(text_a->data, text_b->data, text_a->length);
}

/* In plain decimals. */
Slice
metric_number_text(Numeric number)
{
	return slice_from_cstring(numeric_normalize(number));
}

/* The text of a value; no data where it is null. */
static Slice
value_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return (Slice){NULL, 0};
		case jbvString:
			return json_string(value);
		case jbvNumeric:
			return metric_number_text(value->val.numeric);
		case jbvBool:
			return value->val.boolean ? SLICE("true") : SLICE("false");
		case jbvBinary:
			return slice_from_cstring(JsonbToCString(NULL, value->val.binary.data, value->val.binary.len));
		default:
			elog(ERROR, "unexpected type of JSON value: %d", (int) value->type);
	}
}

/* An event that was written by hand may have properties that are no object: those would be read as if they were. */
static bool
property(Jsonb *properties, Slice name, JsonbValue *value)
{
	return JB_ROOT_IS_OBJECT(properties) &&
		   getKeyJsonValueFromContainer(&properties->root, name.data, name.length, value) != NULL;
}

/* A number of 12 bytes may have 131,072 digits: of so many on, numbers are told apart without being written out. */
#define LONG_NUMBER_DIGITS 1000

/* Reads a value by which events are grouped or counted: as its text or, unless for people to read, a long number. */
static void
read_value(const JsonbValue *value, bool explain, Slice *text, Numeric *long_number)
{
	if (!explain && value->type == jbvNumeric && json_number_has_digits(value->val.numeric, LONG_NUMBER_DIGITS))
		*long_number = DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(value->val.numeric)));
	else
		*text = value_text(value);
}

/* Numbers ----------------------------------------------------------------- */

/* The digits of a number as text, before they are read. */
typedef struct Digits
{
	int before;   /* the point */
	int after;    /* it */
	int zeros;    /* that lead, on both sides of it */
	int exponent; /* beyond MAX_EXPONENT: the number is too long, or zero, in any case */
} Digits;

/* More than any text has digits, by which an exponent could be made up for. */
#define MAX_EXPONENT 1000000000

/* Takes digits; returns how many. */
static int
take_digits(const char **at, const char *end, Digits *digits)
{
	const char *start = *at;

	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
	{
		if (**at == '0' && digits->zeros == digits->before + (int) (*at - start))
			digits->zeros++;
	}
	return (int) (*at - start);
}

/* Takes the digits of an exponent, as many as there are; false if there are none. */
static bool
take_exponent(const char **at, const char *end, Digits *digits)
{
	bool is_negative = *at < end && **at == '-';
	const char *start;

	if (*at < end && (**at == '-' || **at == '+'))
		(*at)++;
	start = *at;
	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
		digits->exponent = (int) Min((int64) digits->exponent * 10 + (**at - '0'), MAX_EXPONENT);
	if (is_negative)
		digits->exponent = -digits->exponent;
	return *at > start;
}

/* Reads a number in JSON's grammar (RFC 8259, section 6), where "+" may lead as well; false if it is none. */
static bool
read_digits(Slice text, Digits *digits)
{
	const char *at = text.data;
	const char *end = text.data + text.length;

	memset(digits, 0, sizeof(Digits));
	if (at < end && (*at == '-' || *at == '+'))
		at++;
	digits->before = take_digits(&at, end, digits);
	if (digits->before == 0 || (digits->before > 1 && at[-digits->before] == '0'))
		return false;
	if (at < end && *at == '.')
	{
		at++;
		digits->after = take_digits(&at, end, digits);
		if (digits->after == 0)
			return false;
	}
	if (at < end && (*at == 'e' || *at == 'E'))
	{
		at++;
		if (!take_exponent(&at, end, digits))
			return false;
	}
	return at == end;
}

/*
 * A number as text as a numeric; NULL for any other text, and for one with too many
 * digits.  The server's own input takes more, and with each version something else.
 */
Numeric
metric_number_from_text(Slice text)
{
	Digits digits;

	if (!read_digits(text, &digits) || digits.after - digits.exponent > MAX_DIGITS_AFTER)
		return NULL;
	if (digits.before - digits.zeros + digits.exponent > MAX_DIGITS_BEFORE)
		return digits.zeros == digits.before + digits.after ? int64_to_numeric(0) : NULL;
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(pnstrdup(text.data, text.length)),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* Digits after the point. */
int
metric_number_scale(Numeric number)
{
	return DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(number)));
}

/* Whatever zeros they have after the point; none is equal to none. */
bool
metric_number_equal(Numeric a, Numeric b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(a), NumericGetDatum(b)));
}

/* Whatever zeros they have after the point: 1.50 is not above 1.5. */
bool
metric_number_is_above(Numeric a, Numeric b)
{
	return DatumGetBool(DirectFunctionCall2(numeric_gt, NumericGetDatum(a), NumericGetDatum(b)));
}

/* Of equal numbers, that with more zeros after the point is above: 1.50 or 1.5 is not a matter of who came first. */
int
metric_number_compare(Numeric a, Numeric b)
{
	int result = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));

	return result != 0 ? result : metric_number_scale(a) - metric_number_scale(b);
}

/* Filters ----------------------------------------------------------------- */

static bool
is_listed(const Jsonb *array, Slice text)
{
	int count = array != NULL ? (int) JB_ROOT_COUNT(array) : 0;

	for (int i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(unconstify(JsonbContainer *, &array->root), i);
		Slice listed;

		if (element->type != jbvString)
			continue;
		listed = json_string(element);
		if (compare_texts(&listed, &text) == 0)
			return true;
	}
	return false;
}

/* Filters have been checked, unless somebody has written the row by hand. */
static void
refuse_filters(const Metric *metric)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("invalid filters of the usage metric \"%.*s\"", metric->name.length, metric->name.data),
					errhint("Update the metric.")));
}

static void
make_filter(const Metric *metric, const JsonbValue *name, const JsonbValue *values, PropertyFilter *filter)
{
	JsonbContainer *array = values->val.binary.data;
	int count;

	if (values->type != jbvBinary || !JsonContainerIsArray(array))
		refuse_filters(metric);
	count = (int) JsonContainerSize(array);
	filter->property = json_string(name);
	filter->texts = palloc(sizeof(Slice) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		Slice text = value_text(getIthJsonbValueFromContainer(array, i));

		memory_budget_grow(sizeof(Slice) + text.length);
		if (text.data == NULL)
		{
			filter->has_null = true;
			continue;
		}
		if (!metric->case_sensitive)
			text = case_fold(text);
		filter->texts[filter->text_count++] = text;
		filter->max_length = Max(filter->max_length, text.length);
	}
	qsort(filter->texts, filter->text_count, sizeof(Slice), compare_texts);
}

/* Adds filters; those of properties that are listed hold for all other values. */
static void
add_filters(MetricMatcher *matcher, Jsonb *filters, const Jsonb *negated)
{
	JsonbIterator *iterator = JsonbIteratorInit(&filters->root);
	JsonbIteratorToken token;
	JsonbValue name;
	JsonbValue values;

	while ((token = JsonbIteratorNext(&iterator, &name, true)) != WJB_DONE)
	{
		PropertyFilter *filter;

		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &values, true);
		filter = &matcher->filters[matcher->filter_count++];
		make_filter(matcher->metric, &name, &values, filter);
		filter->is_negated = is_listed(negated, filter->property);
	}
}

MetricMatcher *
metric_matcher_make(const Metric *metric)
{
	MetricMatcher *matcher = palloc0(sizeof(MetricMatcher));
	Jsonb *asked = metric->breakdown != NULL ? metric->breakdown->filters : NULL;
	int count;

	if (!JB_ROOT_IS_OBJECT(metric->property_filters) ||
		(metric->properties_to_negate != NULL && !JB_ROOT_IS_ARRAY(metric->properties_to_negate)))
		refuse_filters(metric);
	count = (int) JB_ROOT_COUNT(metric->property_filters) + (asked != NULL ? (int) JB_ROOT_COUNT(asked) : 0);
	matcher->metric = metric;
	matcher->filters = palloc0(sizeof(PropertyFilter) * Max(count, 1));
	add_filters(matcher, metric->property_filters, metric->properties_to_negate);
	if (asked != NULL)
		add_filters(matcher, asked, NULL);
	matcher->grouping_count = metric_grouping_count(metric);
	matcher->groupings = metric_breakdown_groups(metric) ? metric->breakdown->group_by : &metric->grouping_property;
	return matcher;
}

/*
 * Whether the value is longer than all texts of the filter, which is known before it is
 * written out or folded: it may have 131,072 digits, or be the whole of a large event.
 * Folded, a text has as many characters as before, of one byte at least.
 */
static bool
is_longer(const PropertyFilter *filter, bool case_sensitive, const JsonbValue *value)
{
	if (value->type == jbvNumeric)
		return json_number_has_digits(value->val.numeric, filter->max_length + 1);
	if (value->type != jbvString)
		return false;
	return value->val.string.len / (case_sensitive ? 1 : pg_database_encoding_max_length()) > filter->max_length;
}

static bool
has_text(const PropertyFilter *filter, Slice text)
{
	int low = 0;
	int high = filter->text_count;

	while (low < high)
	{
		int middle = (low + high) / 2;
		int result = compare_texts(&text, &filter->texts[middle]);

		if (result == 0)
			return true;
		if (result < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

static bool
has_value(const PropertyFilter *filter, bool case_sensitive, const JsonbValue *value)
{
	Slice text;

	if (value->type == jbvNull)
		return filter->has_null;
	if (is_longer(filter, case_sensitive, value))
		return false;
	text = value_text(value);
	return has_text(filter, case_sensitive ? text : case_fold(text));
}

static bool
filter_holds(const PropertyFilter *filter, bool case_sensitive, Jsonb *properties)
{
	JsonbValue value;
	bool matches =
		property(properties, filter->property, &value) ? has_value(filter, case_sensitive, &value) : filter->has_null;

	return matches != filter->is_negated;
}

/* Events ------------------------------------------------------------------ */

static MetricVerdict
skip(MetricValue *value, bool explain, const char *format, Slice name)
{
	if (explain)
		value->reason = psprintf(format, fault_quote(name));
	return METRIC_SKIPS;
}

static void
read_grouping(Jsonb *properties, Slice name, bool explain, MetricGrouping *grouping)
{
	JsonbValue found;

	if (property(properties, name, &found))
		read_value(&found, explain, &grouping->text, &grouping->long_number);
}

/* How many properties make a group; 0 where there are no groups. */
int
metric_grouping_count(const Metric *metric)
{
	if (metric_breakdown_groups(metric))
		return metric->breakdown->group_by_count;
	return metric->is_grouped ? 1 : 0;
}

/* Reads what is aggregated. */
static MetricVerdict
read_aggregated(const Metric *metric, Jsonb *properties, bool explain, MetricValue *value)
{
	Slice name = metric->aggregation_property;
	JsonbValue found;

	if (metric->kind->reads == METRIC_READS_NOTHING)
		return METRIC_COUNTS;
	if (!property(properties, name, &found))
		return skip(value, explain, "has no property %s", name);
	if (found.type == jbvNull)
		return skip(value, explain, "has null as its property %s", name);
	if (metric->kind->reads == METRIC_READS_TEXT)
	{
		read_value(&found, explain, &value->unique, &value->long_unique);
		return METRIC_COUNTS;
	}
	if (found.type == jbvNumeric)
		value->number = found.val.numeric;
	else if (found.type == jbvString)
		value->number = metric_number_from_text(json_string(&found));
	if (value->number != NULL && json_number_has_digits(value->number, MAX_DIGITS_BEFORE + 1))
		value->number = NULL;
	return value->number != NULL ? METRIC_COUNTS : skip(value, explain, "has no number as its property %s", name);
}

/*
 * Reads what an event of the metric's type with these properties is to it.  Texts
 * and the number may point into the properties.
 */
MetricVerdict
metric_value_read(const MetricMatcher *matcher, Jsonb *properties, bool explain, MetricValue *value)
{
	const Metric *metric = matcher->metric;

	memset(value, 0, sizeof(MetricValue));
	for (int i = 0; i < matcher->filter_count; i++)
	{
		const PropertyFilter *filter = &matcher->filters[i];

		if (filter_holds(filter, metric->case_sensitive, properties))
			continue;
		if (explain)
			value->reason = psprintf("does not pass the filter of property %s", fault_quote(filter->property));
		return METRIC_FILTERS;
	}
	for (int i = 0; i < matcher->grouping_count; i++)
		read_grouping(properties, matcher->groupings[i], explain, &value->groupings[i]);
	return read_aggregated(metric, properties, explain, value);
}
