/*
 * limit/refuse.c
 *		Whether an event may bring a value from one to another, and the fault if it may not.
 */
#include "postgres.h"

#include "limit/refuse.h"

#include "base/json_read.h"
#include "base/memory_budget.h"
#include "base/timestamp.h"
#include "base/uuid_v7.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Longer numbers, which may have many thousands of digits, are told as 1.5e+300 with at most so many behind the point. */
#define LONG_NUMBER 60
#define TOLD_DIGITS 20

/* The server tells 9.99... as 10.00..., once it is rounded, and all zeros. */
static const char *
long_number_text(Numeric number)
{
	char *text = numeric_out_sci(number, TOLD_DIGITS);
	char *point = strchr(text, '.');
	char *mark = strchr(text, 'e');
	int exponent = pg_strtoint32(mark + 1);
	char *end = mark;

	while (end[-1] == '0')
		end--;
	if (end == point + 1)
		end = point;
	if (point[-1] == '0')
	{
		end = point - 1;
		exponent++;
	}
	*end = '\0';
	return psprintf("%se%+03d", text, exponent);
}

/* Without zeros behind the point: how many a sum has depends on what was ever added and taken away. */
static const char *
number_text(Numeric number)
{
	Numeric trimmed = DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(number)));

	if (json_number_length(trimmed) > LONG_NUMBER)
		return long_number_text(trimmed);
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(trimmed)));
}

static const char *
period_text(const Measure *measure)
{
	char end[TIMESTAMP_TEXT_SIZE];

	if (TIMESTAMP_NOT_FINITE(measure->end))
		return "for all time";
	timestamp_to_text(measure->end, end);
	return psprintf("until %s", end);
}

/* The fault is worded to follow the event; measure: NULL where it is not of one limit. */
static const Fault *
make_refusal(const Look *look, const Measure *measure, const char *text, const char *advice)
{
	MemoryContext context = MemoryContextSwitchTo(look->of_refusals);
	EventRefusal *refusal = palloc0(sizeof(EventRefusal));

	if (measure != NULL)
	{
		char *id = palloc(UUID_TEXT_LENGTH + 1);

		uuid_v7_to_text(&measure->limit->id, id);
		refusal->fault.limit_id = id;
	}
	refusal->fault.text = pstrdup(text);
	refusal->until = measure != NULL ? measure->end : DT_NOEND;
	refusal->advice = advice;
	memory_budget_grow(sizeof(EventRefusal) + strlen(text));
	MemoryContextSwitchTo(context);
	return &refusal->fault;
}

/* `used` is without the event. */
static const Fault *
refuse_above(const Look *look, const Measure *measure, Numeric used, Numeric amount)
{
	return make_refusal(look, measure,
						psprintf("adds %s to usage limit %s, of whose %s there are %s used %s", number_text(amount),
								 fault_quote(measure->limit->scope.name), number_text(measure->limit->limit),
								 number_text(used), period_text(measure)),
						NULL);
}

static const Fault *
refuse_unknown(const Look *look, const Measure *measure)
{
	char horizon[TIMESTAMP_TEXT_SIZE];

	timestamp_to_text(measure->purged_before, horizon);
	return make_refusal(
		look, measure,
		psprintf("adds to usage limit %s, whose period begins before %s, up to which events were purged",
				 fault_quote(measure->limit->scope.name), horizon),
		"Update the limit with an \"anchor\" from there on.");
}

static const Fault *
refuse_without_period(const Look *look, const Measure *measure)
{
	return make_refusal(look, measure,
						psprintf("adds to usage limit %s, whose time zone %s is not known to this server",
								 fault_quote(measure->limit->scope.name), fault_quote(measure->limit->scope.zone_name)),
						"Update or delete the limit, or install that time zone.");
}

/* Whether there may be more with the event in its period, of which nobody knows when it is. */
static bool
may_add(const Measure *measure, const EventPut *put)
{
	const UsageEvent *event = &put->event;
	const UsageEvent *replaced = put->superseded;
	bool is_there = replaced != NULL && replaced->timestamp == event->timestamp &&
					slice_equal(replaced->customer_alias, event->customer_alias);

	if (!measure_just_adds(measure))
		return measure_counts(measure->metric, event);
	return metric_number_is_above(measure_event(measure->metric, event),
								  is_there ? measure_event(measure->metric, replaced) : measure_zero());
}

/* Why an event may not bring the value from one to the other, or NULL; amount: NULL where it is their difference. */
const Fault *
refuse_change(const Look *look, const Measure *measure, const EventPut *put, Numeric before, Numeric after,
			  Numeric amount)
{
	Numeric difference = measure_difference(measure_or_zero(after), measure_or_zero(before));

	if (!measure_has_period(measure))
		return may_add(measure, put) ? refuse_without_period(look, measure) : NULL;
	if (measure_is_purged(measure))
	{
		bool adds = measure_just_adds(measure) ? metric_number_is_above(difference, measure_zero())
											   : measure_counts(measure->metric, &put->event);

		return adds ? refuse_unknown(look, measure) : NULL;
	}
	if (!limit_is_passed(measure->limit, before, after))
		return NULL;
	return refuse_above(look, measure, measure_or_zero(before), amount != NULL ? amount : difference);
}
