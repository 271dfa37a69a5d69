/*
 * metric/breakdown.c
 *		What a question adds to a metric: filters, and properties to group by.
 *
 * The question's metric is the stored one with a breakdown: an event has to pass the
 * filters of both, and the properties to group by take the place of the metric's own.
 * No rollup knows them, so that such a metric is read from the events.
 *
 * A group of several properties is one text in a total: of each property a byte that
 * says whether there is a value, the value, and a zero, which no JSON has.  Texts
 * sort as their values do, property by property, with null last.
 */
#include "postgres.h"

#include "metric/breakdown.h"

#include "base/fault.h"
#include "base/json_build.h"
#include "base/json_read.h"
#include "base/text_check.h"
#include "lib/stringinfo.h"
#include "metric/check.h"

#define HAS_VALUE '\1'
#define HAS_NULL '\2'

/* Rule of the filters: as those of a metric, and one at least. */
List *
metric_breakdown_check_filters(List *faults, Jsonb *filters, MetricBreakdown *breakdown)
{
	JsonbValue value = json_document(filters);

	if (json_is_object(filters) && JB_ROOT_COUNT(filters) == 0)
		return fault_add(faults, "filters", "must name a property");
	faults = metric_check_filters(faults, "filters", &value, &breakdown->filters);
	return metric_check_filter_size(faults, "filters", breakdown->filters);
}

static bool
is_named(const MetricBreakdown *breakdown, Slice property)
{
	for (int i = 0; i < breakdown->group_by_count; i++)
	{
		if (slice_equal(breakdown->group_by[i], property))
			return true;
	}
	return false;
}

/* Rule of the properties to group by: a few, each once, with names as in a metric.  They are C strings. */
List *
metric_breakdown_check_group_by(List *faults, const char *field, const List *properties, MetricBreakdown *breakdown)
{
	ListCell *cell;

	if (list_length(properties) < 1 || list_length(properties) > METRIC_MAX_GROUPINGS)
		return fault_add(faults, field,
						 psprintf("must name 1 to %d properties, not %d", METRIC_MAX_GROUPINGS,
								  list_length(properties)));
	foreach(cell, properties)
	{
		Slice property = slice_from_cstring(lfirst(cell));
		const char *fault = text_check(property);

		if (fault != NULL)
			return fault_add(faults, field,
							 psprintf("has the property %s, whose name %s", fault_quote(property), fault));
		if (is_named(breakdown, property))
			return fault_add(faults, field, psprintf("names %s twice", fault_quote(property)));
		breakdown->group_by[breakdown->group_by_count++] = property;
	}
	return faults;
}

/* The event's group as a text. */
Slice
metric_breakdown_text(const MetricBreakdown *breakdown, const MetricValue *value)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < breakdown->group_by_count; i++)
	{
		const MetricGrouping *grouping = &value->groupings[i];
		Slice part = grouping->long_number != NULL ? metric_number_text(grouping->long_number) : grouping->text;

		appendStringInfoChar(&text, part.data != NULL ? HAS_VALUE : HAS_NULL);
		appendBinaryStringInfo(&text, part.data != NULL ? part.data : "", part.length);
		appendStringInfoChar(&text, '\0');
	}
	return (Slice){text.data, text.len};
}

/* The group as it is answered: {"model": "large", "region": null}. */
Jsonb *
metric_breakdown_grouping(const MetricBreakdown *breakdown, Slice text)
{
	JsonObject object = {0};
	const char *at = text.data;

	for (int i = 0; i < breakdown->group_by_count; i++)
	{
		Slice value = {at[0] == HAS_VALUE ? at + 1 : NULL, (int) strlen(at + 1)};

		json_add_text_or_null(&object, breakdown->group_by[i], value);
		at += 1 + value.length + 1;
	}
	return json_make_object(&object);
}
