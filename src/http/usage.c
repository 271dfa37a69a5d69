/*
 * http/usage.c
 *		What metrics say, over HTTP: values, series, customers, changes, explanations.
 */
#include "postgres.h"

#include "http/usage.h"

#include "account/account.h"
#include "base/json_read.h"
#include "usage/by_customer.h"
#include "usage/calculate.h"
#include "usage/changes.h"
#include "usage/explain.h"
#include "usage/series.h"

/* What all questions for some customers have. */
typedef struct Asked
{
	List *customers;
	TimestampTz start;
	TimestampTz end;
	bool has_as_of;
	TimestampTz as_of;
	const MetricBreakdown *breakdown;
} Asked;

static List *
read_customers(HttpRequest *request)
{
	bool given;
	List *customers = http_parameter_list(request, "customerAliases", &given);

	if (!given)
		request->faults = fault_add(request->faults, "customerAliases", "is missing");
	return customers;
}

/* Filters and properties to group by; NULL where neither is given. */
static const MetricBreakdown *
read_breakdown(HttpRequest *request)
{
	MetricBreakdown *breakdown = palloc0(sizeof(MetricBreakdown));
	Jsonb *filters = http_read_object(request, "filters");
	bool is_grouped;
	List *group_by = http_parameter_list(request, "groupBy", &is_grouped);

	/* What is no object, or no list, has its fault already. */
	if (group_by != NIL)
		request->faults = metric_breakdown_check_group_by(request->faults, "groupBy", group_by, breakdown);
	if (filters != NULL && json_is_object(filters))
		request->faults = metric_breakdown_check_filters(request->faults, filters, breakdown);
	return filters != NULL || is_grouped ? breakdown : NULL;
}

static void
read_asked(HttpRequest *request, Asked *asked)
{
	asked->customers = read_customers(request);
	http_read_period(request, &asked->start, &asked->end);
	http_read_timestamp(request, "asOf", &asked->has_as_of, &asked->as_of);
	asked->breakdown = read_breakdown(request);
}

/* No more parameters are read; refuses those that were, if they have faults. */
static void
end_parameters(HttpRequest *request)
{
	http_parameters_end(request);
	faults_report_request(request->faults, "invalid parameters of a calculation");
}

Jsonb *
http_usage_calculate(HttpCall *call)
{
	Asked asked = {0};
	Jsonb *parameters;

	read_asked(&call->request, &asked);
	parameters = http_read_object(&call->request, "customParameters");
	end_parameters(&call->request);
	return usage_calculate(account_current(), &call->id, asked.customers, asked.start, asked.end,
						   asked.has_as_of ? &asked.as_of : NULL, parameters, asked.breakdown);
}

static void
read_steps(HttpRequest *request, UsageSteps *steps)
{
	const char *step = http_read_required(request, "step");
	const char *zone = http_parameter(request, "timezone");
	const char *fault;

	if (step != NULL && (fault = series_step_from_text(step, &steps->step)) != NULL)
		request->faults = fault_add(request->faults, "step", fault);
	if ((fault = series_zone_from_text(zone != NULL ? zone : "UTC", &steps->zone)) != NULL)
		request->faults = fault_add(request->faults, "timezone", fault);
}

Jsonb *
http_usage_series(HttpCall *call)
{
	Asked asked = {0};
	UsageSteps steps = {0};

	read_asked(&call->request, &asked);
	read_steps(&call->request, &steps);
	end_parameters(&call->request);
	return usage_series(account_current(), &call->id, asked.customers, asked.start, asked.end, steps,
						asked.has_as_of ? &asked.as_of : NULL, asked.breakdown);
}

/* The largest value first, or the customers from A to Z, where the other direction is not asked for. */
static void
read_customer_order(HttpRequest *request, UsageCustomerPage *page)
{
	const char *sort_by = http_parameter(request, "sortBy");

	page->by_value = sort_by == NULL || strcmp(sort_by, "value") == 0;
	if (!page->by_value && strcmp(sort_by, "customer") != 0)
		request->faults = fault_add(request->faults, "sortBy", "must be \"value\" or \"customer\"");
	page->descending = page->by_value;
	http_read_direction(request, &page->descending);
}

Jsonb *
http_usage_by_customer(HttpCall *call)
{
	HttpRequest *request = &call->request;
	UsageCustomerPage page = {0};
	TimestampTz start = 0;
	TimestampTz end = 0;
	bool has_as_of;
	TimestampTz as_of;
	const MetricBreakdown *breakdown;

	http_read_period(request, &start, &end);
	http_read_timestamp(request, "asOf", &has_as_of, &as_of);
	breakdown = read_breakdown(request);
	http_read_place_page(request, &page.page);
	read_customer_order(request, &page);
	http_parameters_end(request);
	return usage_by_customer_page(account_current(), &call->id, start, end, has_as_of ? &as_of : NULL, breakdown, &page,
								  request->faults);
}

Jsonb *
http_usage_changes(HttpCall *call)
{
	HttpRequest *request = &call->request;
	List *customers = read_customers(request);
	PlacePage page = {0};
	TimestampTz start = 0;
	TimestampTz end = 0;
	TimestampTz since = 0;

	http_read_period(request, &start, &end);
	http_read_required_timestamp(request, "since", &since);
	http_read_place_page(request, &page);
	http_parameters_end(request);
	return usage_changes(account_current(), &call->id, customers, start, end, since, &page, request->faults);
}

Jsonb *
http_usage_explain(HttpCall *call)
{
	pg_uuid_t metric_id;

	(void) http_read_required_uuid(&call->request, "usageMetricId", &metric_id);
	end_parameters(&call->request);
	return usage_explain(account_current(), &metric_id, &call->id);
}
