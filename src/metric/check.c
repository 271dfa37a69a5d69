/*
 * metric/check.c
 *		The rules of a usage metric, and the faults of one that breaks them.
 *
 * One function a rule, each adding its fault to the list, so that a refusal names
 * all that is wrong at once.  What is counted of which events decides bills: a
 * definition that could be meant in two ways is refused.
 */
#include "postgres.h"

#include "metric/check.h"

#include <limits.h>

#include "base/json_build.h"
#include "base/json_read.h"
#include "base/text_check.h"
#include "event/check.h"
#include "utils/guc.h"

#define MAX_DESCRIPTION_CHARACTERS 1000

#define MAX_FILTERS 100
#define MAX_FILTER_VALUES 1000

/* Those of an answer, too: a client may send a metric back as it got it. */
static const char *const field_names[] = {
	"id",
	"sequenceAccountId",
	"name",
	"description",
	"metricType",
	"eventType",
	"aggregationType",
	"aggregationProperty",
	"percentile",
	"groupingProperty",
	"unit",
	"propertyFilters",
	"propertiesToNegate",
	"caseSensitive",
	"deletedAt",
	"createdAt",
	"parameters",
	"expression",
};

/* Of all filters together; and of all that a metric says: a page of a list has up to 100 metrics. */
static int max_filter_values = 10000;
static int max_metric_bytes = 64 * 1024;

void
metric_check_init(void)
{
	DefineCustomIntVariable("usage_events.max_filter_values",
							"How many values the filters of a metric may have in all.", NULL, &max_filter_values, 10000,
							1, INT_MAX / 2, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("usage_events.max_metric_bytes",
							"Largest size of a metric, as stored, and with its numbers written out.", NULL,
							&max_metric_bytes, 64 * 1024, 1024, 128 * 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, NULL, NULL,
							NULL);
}

/* Finds the member of that key; false if there is none, or null. */
static bool
member_given(Jsonb *body, const char *name, JsonbValue *value)
{
	return json_member(body, name, value) && value->type != jbvNull;
}

static bool
is_array(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
}

static bool
is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

/* Rule of description: absent, null, or a string that is not too long; it may be blank. */
static List *
check_description(List *faults, Jsonb *body, Metric *metric)
{
	JsonbValue value;
	const char *fault;

	metric->description = (Slice){NULL, 0};
	if (!member_given(body, "description", &value))
		return faults;
	if (value.type != jbvString)
		return fault_add(faults, "description", psprintf("must be a string, not %s", json_kind(&value)));

	metric->description = json_string(&value);
	fault = text_check_length(metric->description, MAX_DESCRIPTION_CHARACTERS);
	return fault != NULL ? fault_add(faults, "description", fault) : faults;
}

/* The texts that every metric has. */
List *
metric_check_texts(List *faults, Jsonb *body, Metric *metric)
{
	faults = text_check_member(faults, body, "name", true, &metric->name);
	faults = check_description(faults, body, metric);
	faults = text_check_key_member(faults, body, "eventType", &metric->event_type);
	faults = text_check_member(faults, body, "unit", false, &metric->unit);
	return faults;
}

/* Reads a field that is one of a few words; data is NULL where it is missing or no string. */
static List *
check_word(List *faults, Jsonb *body, const char *name, Slice *word)
{
	JsonbValue value;

	*word = (Slice){NULL, 0};
	if (!json_member(body, name, &value))
		return fault_add(faults, name, "is missing");
	if (value.type != jbvString)
		return fault_add(faults, name, psprintf("must be a string, not %s", json_kind(&value)));
	*word = json_string(&value);
	return faults;
}

static bool
is_word(Slice text, const char *word)
{
	return text.length == (int) strlen(word) && memcmp(text.data, word, text.length) == 0;
}

/* Rule of metricType and of groupingProperty, which only a GROUPED metric has. */
static List *
check_grouping(List *faults, Jsonb *body, Metric *metric)
{
	Slice type;
	JsonbValue value;

	faults = check_word(faults, body, "metricType", &type);
	metric->is_grouped = type.data != NULL && is_word(type, "GROUPED");
	if (type.data != NULL && !metric->is_grouped && !is_word(type, "SIMPLE"))
	{
		faults =
			fault_add(faults, "metricType", psprintf("must be \"SIMPLE\" or \"GROUPED\", not %s", fault_quote(type)));
		type.data = NULL;
	}

	faults = text_check_member(faults, body, "groupingProperty", false, &metric->grouping_property);
	if (type.data == NULL)
		return faults;
	if (metric->is_grouped && !member_given(body, "groupingProperty", &value))
		return fault_add(faults, "groupingProperty", "is missing: \"metricType\" is \"GROUPED\"");
	if (!metric->is_grouped && member_given(body, "groupingProperty", &value))
		return fault_add(faults, "groupingProperty", "must not be given: \"metricType\" is \"SIMPLE\"");
	return faults;
}

/* Rule of aggregationType: one that the API has.  Expressions are SQL, and not for every client. */
static List *
check_aggregation_type(List *faults, Slice type, Metric *metric)
{
	if (type.data == NULL)
		return faults;
	metric->kind = metric_kind_find(type);
	if (metric->kind == NULL)
		return fault_add(faults, "aggregationType", metric_kind_fault(type, false));
	if (metric->kind->is_expression)
		return fault_add(
			faults, "aggregationType",
			psprintf("must not be %s, which is for administrators: see usage_events.create_custom_metric()",
					 fault_quote(type)));
	return faults;
}

/* Rule of aggregationType and of aggregationProperty, which kinds need that read one. */
static List *
check_aggregation(List *faults, Jsonb *body, Metric *metric)
{
	Slice type;
	JsonbValue value;

	faults = check_word(faults, body, "aggregationType", &type);
	faults = check_aggregation_type(faults, type, metric);
	faults = text_check_member(faults, body, "aggregationProperty", false, &metric->aggregation_property);
	if (metric->kind != NULL && metric->kind->reads != METRIC_READS_NOTHING &&
		!member_given(body, "aggregationProperty", &value))
		faults = fault_add(faults, "aggregationProperty",
						   psprintf("is missing: \"aggregationType\" is %s", fault_quote(type)));
	return faults;
}

/* Rule of percentile, which a kind needs that has one, and no other may have. */
static List *
check_percentile(List *faults, Jsonb *body, Metric *metric)
{
	JsonbValue value;
	bool is_given = member_given(body, "percentile", &value);

	if (metric->kind == NULL || (!is_given && !metric->kind->has_percentile))
		return faults;
	if (!is_given)
		return fault_add(faults, "percentile",
						 psprintf("is missing: \"aggregationType\" is %s", fault_quote(metric->kind->name)));
	if (!metric->kind->has_percentile)
		return fault_add(faults, "percentile",
						 psprintf("must not be given: \"aggregationType\" is %s", fault_quote(metric->kind->name)));
	if (value.type != jbvNumeric)
		return fault_add(faults, "percentile", psprintf("must be a number, not %s", json_kind(&value)));
	if (!metric_percentile_is_valid(value.val.numeric))
		return fault_add(faults, "percentile", "must be a number from 0 to 1");
	metric->percentile = value.val.numeric;
	return faults;
}

/* Rule of the filter of one property: values, any of which an event may have. */
static List *
check_filter(List *faults, const char *field, Slice property, const JsonbValue *filter)
{
	const char *quoted = fault_quote(property);
	const char *fault = text_check(property);
	int count;

	if (fault != NULL)
		return fault_add(faults, field, psprintf("has the property %s, whose name %s", quoted, fault));
	if (!is_array(filter))
		return fault_add(faults, field,
						 psprintf("of %s must be an array of values, not %s", quoted, json_kind(filter)));

	count = JsonContainerSize(filter->val.binary.data);
	if (count == 0)
		return fault_add(faults, field, psprintf("of %s must not be empty", quoted));
	if (count > MAX_FILTER_VALUES)
		return fault_add(faults, field,
						 psprintf("of %s must have at most %d values, not %d", quoted, MAX_FILTER_VALUES, count));
	for (int i = 0; i < count; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(filter->val.binary.data, i);

		if (value->type == jbvBinary)
			return fault_add(faults, field,
							 psprintf("of %s must hold strings, numbers, booleans or null, not %s", quoted,
									  json_kind(value)));
	}
	return faults;
}

static List *
check_filters(List *faults, const char *field, JsonbContainer *filters)
{
	JsonbIterator *iterator = JsonbIteratorInit(filters);
	JsonbIteratorToken token;
	JsonbValue key;
	JsonbValue value;
	int64 value_count = 0;

	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &value, true);
		faults = check_filter(faults, field, json_string(&key), &value);
		if (is_array(&value))
			value_count += JsonContainerSize(value.val.binary.data);
	}
	if (value_count > max_filter_values)
		faults =
			fault_add(faults, field,
					  psprintf("must have at most %d values in all (usage_events.max_filter_values), not " INT64_FORMAT,
							   max_filter_values, value_count));
	return faults;
}

/* Rule of filters: an object of them, not too many.  They stay NULL if they are not to be used. */
List *
metric_check_filters(List *faults, const char *field, const JsonbValue *value, Jsonb **filters)
{
	int count;

	if (!is_object(value))
		return fault_add(faults, field, psprintf("must be an object, not %s", json_kind(value)));
	count = JsonContainerSize(value->val.binary.data);
	if (count > MAX_FILTERS)
		return fault_add(faults, field, psprintf("must have at most %d properties, not %d", MAX_FILTERS, count));

	*filters = JsonbValueToJsonb(unconstify(JsonbValue *, value));
	return check_filters(faults, field, value->val.binary.data);
}

/* Rule of propertyFilters: absent, null, or an object of filters.  NULL in the metric if they are not to be used. */
static List *
check_property_filters(List *faults, Jsonb *body, Metric *metric)
{
	JsonbValue value;

	metric->property_filters = NULL;
	if (member_given(body, "propertyFilters", &value))
		return metric_check_filters(faults, "propertyFilters", &value, &metric->property_filters);
	metric->property_filters = json_make_object(&(JsonObject){0});
	return faults;
}

static Size
json_size(const Jsonb *json)
{
	return json != NULL ? json_written_size(&json->root, VARSIZE(json), max_metric_bytes) : 0;
}

static const char *
size_fault(void)
{
	return psprintf("must take at most %d bytes (usage_events.max_metric_bytes), with its numbers written out",
					max_metric_bytes);
}

/* Rule of the metric as a whole, as far as it could be read: not too large. */
List *
metric_check_size(List *faults, const Metric *metric)
{
	Size size = metric->name.length + metric->description.length + metric->event_type.length +
				metric->aggregation_property.length + metric->grouping_property.length + metric->unit.length +
				metric->expression.length + (metric->percentile != NULL ? json_number_length(metric->percentile) : 0) +
				json_size(metric->property_filters) + json_size(metric->properties_to_negate) +
				json_size(metric->parameters);

	return size <= (Size) max_metric_bytes ? faults : fault_add(faults, NULL, size_fault());
}

/* The same of filters that a question has. */
List *
metric_check_filter_size(List *faults, const char *field, const Jsonb *filters)
{
	return json_size(filters) <= (Size) max_metric_bytes ? faults : fault_add(faults, field, size_fault());
}

/* Rule of propertiesToNegate: absent, null, or names of properties that have a filter. */
static List *
check_properties_to_negate(List *faults, Jsonb *body, Metric *metric)
{
	JsonbValue value;
	JsonbValue filter;
	int count;

	metric->properties_to_negate = NULL;
	if (!member_given(body, "propertiesToNegate", &value))
		return faults;
	if (!is_array(&value))
		return fault_add(faults, "propertiesToNegate", psprintf("must be an array, not %s", json_kind(&value)));
	count = JsonContainerSize(value.val.binary.data);
	if (count > MAX_FILTERS)
		return fault_add(faults, "propertiesToNegate",
						 psprintf("must have at most %d names, not %d", MAX_FILTERS, count));
	for (int i = 0; i < count; i++)
	{
		JsonbValue *name = getIthJsonbValueFromContainer(value.val.binary.data, i);

		if (name->type != jbvString)
			return fault_add(faults, "propertiesToNegate", psprintf("must hold strings, not %s", json_kind(name)));
		if (metric->property_filters != NULL &&
			getKeyJsonValueFromContainer(&metric->property_filters->root, name->val.string.val, name->val.string.len,
										 &filter) == NULL)
			faults = fault_add(faults, "propertiesToNegate",
							   psprintf("names %s, which has no filter", fault_quote(json_string(name))));
	}

	metric->properties_to_negate = JsonbValueToJsonb(&value);
	return faults;
}

/* Rule of caseSensitive: absent, null, or a boolean. */
static List *
check_case_sensitive(List *faults, Jsonb *body, Metric *metric)
{
	JsonbValue value;

	metric->case_sensitive = true;
	if (!member_given(body, "caseSensitive", &value))
		return faults;
	if (value.type != jbvBool)
		return fault_add(faults, "caseSensitive", psprintf("must be a boolean, not %s", json_kind(&value)));
	metric->case_sensitive = value.val.boolean;
	return faults;
}

/* Rule of fields that the API does not know: ignored, unless the setting says otherwise. */
List *
metric_check_unknown_fields(List *faults, Jsonb *body)
{
	return event_check_unknown_fields(faults, body, field_names, lengthof(field_names),
									  "is not a field of a usage metric");
}

/*
 * Checks every rule and fills what a client says of a metric.  Returns the faults,
 * NIL if there is none.  The metric's texts point into the body.
 */
List *
metric_check(Jsonb *body, Metric *metric)
{
	List *faults = NIL;

	memset(metric, 0, sizeof(Metric));
	faults = metric_check_texts(faults, body, metric);
	faults = check_grouping(faults, body, metric);
	faults = check_aggregation(faults, body, metric);
	faults = check_percentile(faults, body, metric);
	faults = check_property_filters(faults, body, metric);
	faults = check_properties_to_negate(faults, body, metric);
	faults = check_case_sensitive(faults, body, metric);
	faults = metric_check_unknown_fields(faults, body);
	faults = metric_check_size(faults, metric);
	metric->parameters = json_make_array(NULL, 0);
	return faults;
}

/* Refuses a metric, if there are faults. */
void
metric_faults_report(const List *faults, const char *hint)
{
	StringInfoData detail;

	if (faults == NIL)
		return;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The metric", faults);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid usage metric"),
					errdetail_internal("%s", detail.data), errhint("%s", hint)));
}

void
metric_require_object(Jsonb *body, const char *hint)
{
	if (!json_is_object(body))
		metric_faults_report(fault_add(NIL, NULL, psprintf("must be a JSON object, not %s", json_document_kind(body))),
							 hint);
}
