/*
 * limit/scope.c
 *		What limits and alerts have in common: which metric, whose use, of which periods.
 *
 * One function a rule, each adding its fault to the list, as metric/check.c has them.
 *
 * Any metric may be meant whose value totals know.  That of a CUSTOM metric only its expression
 * knows: it has no rollups, cannot be asked of all customers at once, and what one more event
 * would make of it nobody can say.  A LATEST has an order like any other number.
 */
#include "postgres.h"

#include "limit/scope.h"

#include "base/calendar.h"
#include "base/fault.h"
#include "base/json_read.h"
#include "base/text_check.h"
#include "base/timestamp.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "metric/metric.h"
#include "sql/row.h"
#include "utils/timestamp.h"

#define DEFAULT_ZONE "UTC"

/* Finds a string that may be absent or null; data is NULL where there is none. */
static List *
read_optional(List *faults, Jsonb *body, const char *name, Slice *text)
{
	JsonbValue value;

	*text = (Slice){NULL, 0};
	if (!json_member(body, name, &value) || value.type == jbvNull)
		return faults;
	if (value.type != jbvString)
		return fault_add(faults, name, psprintf("must be a string, not %s", json_kind(&value)));
	*text = json_string(&value);
	return faults;
}

static List *
read_required(List *faults, Jsonb *body, const char *name, Slice *text)
{
	JsonbValue value;

	if (!json_member(body, name, &value) || value.type == jbvNull)
	{
		*text = (Slice){NULL, 0};
		return fault_add(faults, name, "is missing");
	}
	return read_optional(faults, body, name, text);
}

/* Rule of usageMetricId: a metric in force, whose value totals know. */
static List *
check_metric(List *faults, const pg_uuid_t *account_id, Jsonb *body, LimitScope *scope)
{
	Slice text;
	Metric metric;

	faults = read_required(faults, body, "usageMetricId", &text);
	if (text.data == NULL)
		return faults;
	if (!uuid_v7_from_text(text, &scope->metric_id))
		return fault_add(faults, "usageMetricId",
						 psprintf("must be the id of a usage metric, not %s", fault_quote(text)));
	if (!metric_get(account_id, &scope->metric_id, &metric))
		return fault_add(faults, "usageMetricId", "names no usage metric");
	if (metric.is_deleted)
		return fault_add(faults, "usageMetricId", "names a usage metric that was deleted");
	if (metric.kind->is_expression)
		return fault_add(faults, "usageMetricId", "names a CUSTOM metric, whose value only its expression knows");
	return faults;
}

/* Rule of customer: absent, null, or what may be an alias. */
static List *
check_customer(List *faults, Jsonb *body, LimitScope *scope)
{
	faults = read_optional(faults, body, "customer", &scope->customer);
	if (scope->customer.data == NULL)
		return faults;
	if (slice_equal(scope->customer, SLICE(VOID_ALIAS)))
		return fault_add(faults, "customer", "is reserved: events with that alias are taken back");
	return text_check_key(faults, "customer", scope->customer);
}

static List *
check_period(List *faults, Jsonb *body, PeriodRule *period)
{
	Slice text;
	const char *fault;

	faults = read_required(faults, body, "period", &text);
	if (text.data == NULL)
		return faults;
	fault = period_unit_from_text(text, &period->unit);
	return fault != NULL ? fault_add(faults, "period", psprintf("%s, not %s", fault, fault_quote(text))) : faults;
}

/* Rule of timezone: absent, null, or a name.  One with a zero in it is none. */
static List *
check_zone(List *faults, Jsonb *body, PeriodRule *period)
{
	Slice text;
	const char *fault;

	faults = read_optional(faults, body, "timezone", &text);
	if (text.data == NULL)
		text = SLICE(DEFAULT_ZONE);
	fault = series_zone_from_text(pnstrdup(text.data, text.length), &period->zone);
	return fault != NULL ? fault_add(faults, "timezone", psprintf("%s, not %s", fault, fault_quote(text))) : faults;
}

/* Rule of anchor: absent, null, or a moment. */
static List *
check_anchor(List *faults, Jsonb *body, PeriodRule *period)
{
	Slice text;
	const char *fault;

	faults = read_optional(faults, body, "anchor", &text);
	if (text.data == NULL)
		return faults;
	fault = timestamp_from_text(text, &period->anchor);
	period->has_anchor = fault == NULL;
	return fault != NULL ? fault_add(faults, "anchor", fault) : faults;
}

/* Checks every rule, and fills what a client says.  Texts point into the body. */
List *
limit_scope_check(List *faults, const pg_uuid_t *account_id, Jsonb *body, LimitScope *scope)
{
	memset(scope, 0, sizeof(LimitScope));
	faults = text_check_member(faults, body, "name", true, &scope->name);
	faults = check_metric(faults, account_id, body, scope);
	faults = check_customer(faults, body, scope);
	faults = check_period(faults, body, &scope->period);
	faults = check_zone(faults, body, &scope->period);
	faults = check_anchor(faults, body, &scope->period);
	if (scope->period.zone != NULL)
		scope->zone_name = slice_from_cstring(pg_get_timezone_name(scope->period.zone));
	return faults;
}

/* Adds it to what is answered. */
void
limit_scope_to_json(JsonObject *object, const LimitScope *scope)
{
	json_add_text(object, SLICE("name"), scope->name);
	json_add_uuid(object, SLICE("usageMetricId"), &scope->metric_id);
	json_add_text_or_null(object, SLICE("customer"), scope->customer);
	json_add_text(object, SLICE("period"), period_unit_name(scope->period.unit));
	json_add_text(object, SLICE("timezone"), scope->zone_name);
	if (scope->period.has_anchor)
		json_add_timestamp(object, SLICE("anchor"), scope->period.anchor);
	else
		json_add_null(object, SLICE("anchor"));
}

static bool
same_period(const PeriodRule *a, const PeriodRule *b)
{
	return a->unit == b->unit && a->has_anchor == b->has_anchor && a->anchor == b->anchor;
}

bool
limit_scope_equal(const LimitScope *a, const LimitScope *b)
{
	return slice_equal(a->name, b->name) && uuid_v7_equal(&a->metric_id, &b->metric_id) &&
		   slice_equal(a->customer, b->customer) && slice_equal(a->zone_name, b->zone_name) &&
		   same_period(&a->period, &b->period);
}

/* Rows -------------------------------------------------------------------- */

/*
 * To be called by who needs its periods: a zone that was known when the row was written may be unknown to
 * the server it was restored into.  There it can still be looked at, updated, and deleted.
 */
void
limit_scope_require_zone(const LimitScope *scope)
{
	if (!period_is_known(&scope->period))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("time zone \"%.*s\" is not known to this server", scope->zone_name.length,
							   scope->zone_name.data),
						errdetail("A usage limit or a usage alert has periods by its clock."),
						errhint("Update or delete \"%.*s\", or install that time zone.", scope->name.length,
								scope->name.data)));
}

/* Reads the columns LIMIT_SCOPE_COLUMNS of a row of the last statement, texts copied into the current memory context. */
void
limit_scope_read_row(uint64 row, int first_column, LimitScope *scope)
{
	PeriodRule *period = &scope->period;
	bool isnull;
	Datum anchor;

	scope->name = row_text_copy(row, first_column);
	scope->metric_id = *DatumGetUUIDP(row_value_there(row, first_column + 1));
	scope->customer = row_text_copy(row, first_column + 2);
	if (period_unit_from_text(row_text(row, first_column + 3), &period->unit) != NULL)
		elog(ERROR, "unexpected period of a usage limit or a usage alert");
	scope->zone_name = row_text_copy(row, first_column + 4);
	period->zone = pg_tzset(pnstrdup(scope->zone_name.data, scope->zone_name.length));
	anchor = row_value(row, first_column + 5, &isnull);
	period->has_anchor = !isnull;
	period->anchor = isnull ? 0 : DatumGetTimestampTz(anchor);
}

/* Sets the arguments of a statement, numbered from 0, that are for these columns. */
void
limit_scope_set_arguments(Datum *arguments, char *nulls, int first, const LimitScope *scope)
{
	const PeriodRule *period = &scope->period;

	memset(nulls + first, ' ', LIMIT_SCOPE_COLUMN_COUNT);
	arguments[first] = slice_to_datum(scope->name);
	arguments[first + 1] = UUIDPGetDatum(&scope->metric_id);
	if (scope->customer.data != NULL)
		arguments[first + 2] = slice_to_datum(scope->customer);
	else
		nulls[first + 2] = 'n';
	arguments[first + 3] = slice_to_datum(period_unit_name(period->unit));
	arguments[first + 4] = slice_to_datum(scope->zone_name);
	arguments[first + 5] = TimestampTzGetDatum(period->anchor);
	if (!period->has_anchor)
		nulls[first + 5] = 'n';
}
