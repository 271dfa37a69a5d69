/*
 * http/api.c
 *		The HTTP API: which path does what.
 *
 * A proxy sends every GET to usage_api_read() and every other request to
 * usage_api_write(), with the client's request line in a header and the body as
 * it came.  So all that the API knows of paths and parameters stands here, and
 * every refusal is in our words; and PostgREST's own reading of query strings,
 * which could filter away the answer to a request that was served, has nothing
 * to read.
 */
#include "postgres.h"

#include "access/xact.h"
#include "account/account.h"
#include "account/key_scope.h"
#include "account/portal_token.h"
#include "alert/definition.h"
#include "alert/event.h"
#include "alert/list.h"
#include "base/json_elements.h"
#include "base/json_read.h"
#include "base/uuid_v7.h"
#include "customer/alias.h"
#include "endpoint/response.h"
#include "event/batch.h"
#include "event/check.h"
#include "event/customers.h"
#include "event/functions.h"
#include "event/history.h"
#include "event/json.h"
#include "event/list.h"
#include "event/rejected_list.h"
#include "event/sample.h"
#include "fmgr.h"
#include "http/authenticate.h"
#include "http/call.h"
#include "http/csv.h"
#include "http/openapi.h"
#include "http/usage.h"
#include "limit/allowance.h"
#include "limit/definition.h"
#include "limit/list.h"
#include "mb/pg_wchar.h"
#include "metric/definition.h"
#include "metric/list.h"
#include "metric/versions.h"
#include "usage/status.h"
#include "utils/builtins.h"

typedef struct HttpRoute
{
	const char *method;
	const char *path;
	int status;
	HttpHandler handler; /* NULL: the description of the API itself */
	int keys;            /* RouteKeys: which it is for, beside full ones */
	const char *columns; /* of a list as CSV; NULL: it has no such form */
} HttpRoute;

/* So many events at once: what a refused one takes of memory is some kB, whatever its length. */
#define MAX_BATCH 20000

/* Handlers ---------------------------------------------------------------- */

/* No parameter but that of the answer's format. */
static void
end_list_parameters(HttpCall *call)
{
	http_parameters_end(&call->request);
	list_page_faults_report(call->request.faults);
}

static Jsonb *
post_usage_event(HttpCall *call)
{
	return event_create(account_current(), http_body_json(call));
}

static void
require_batch_of(uint32 count)
{
	if (count > MAX_BATCH)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid batch of usage events"),
						errdetail("A batch has at most %d events over HTTP, not %u.", MAX_BATCH, count),
						errhint("Send several.")));
}

/* Reads the batch in the body: as a whole, and where that is no JSON, each element by itself. */
static void
read_batch(HttpCall *call, EventBatch *batch)
{
	Slice bytes = {VARDATA_ANY(call->body), VARSIZE_ANY_EXHDR(call->body)};
	const char *fault;
	Jsonb *body = http_body_parse(call, &fault);
	Slice *elements;
	int count;

	if (body != NULL)
	{
		require_batch_of(JB_ROOT_COUNT(body));
		event_batch_from_json(account_current(), body, batch);
		return;
	}
	if (!json_elements(bytes, &elements, &count))
		http_body_refuse(fault);
	require_batch_of(count);
	event_batch_from_elements(account_current(), elements, count, PG_UTF8, batch);
}

static Jsonb *
post_usage_event_batch(HttpCall *call)
{
	EventBatch batch;

	read_batch(call, &batch);
	event_batch_store(&batch);
	return event_batch_outcomes(&batch);
}

static Jsonb *
get_usage_events(HttpCall *call)
{
	HttpRequest *request = &call->request;
	EventList list = {.page = LIST_PAGE_DEFAULTS};
	const char *sort_by = http_parameter(request, "sortBy");
	const char *sort_order = http_parameter(request, "sortOrder");

	http_read_page(request, &list.page);
	http_read_integer(request, "offset", &list.page.offset);
	if (sort_by != NULL)
		request->faults = list_page_set_order(request->faults, &list.page, sort_by);
	if (sort_order != NULL)
		request->faults = list_page_set_direction(request->faults, &list.page, sort_order);
	list.customer_aliases = http_parameter_all(request, "customerAlias");
	list.has_customer_aliases = list.customer_aliases != NIL;
	http_read_boolean(request, "unmappedAliasesOnly", &list.unmapped_aliases_only);
	list.event_type = http_parameter(request, "eventType");
	list.event_id = http_parameter(request, "eventId");
	http_read_timestamp(request, "eventTimestampBefore", &list.has_timestamp_before, &list.timestamp_before);
	http_read_timestamp(request, "eventTimestampAfter", &list.has_timestamp_after, &list.timestamp_after);
	http_parameters_end(request);

	return event_list_read(account_current(), &list, request->faults);
}

static Jsonb *
get_usage_event(HttpCall *call)
{
	UsageEvent event;
	char id[UUID_TEXT_LENGTH + 1];

	if (event_store_get(account_current(), &call->id, &event))
		return event_json_write(&event);
	if (event_history_read(account_current(), &call->id) == NULL)
		return NULL;

	uuid_v7_to_text(&call->id, id);
	ereport(ERROR, (errcode(ERRCODE_HTTP_NOT_FOUND), errmsg("not found"),
					errdetail("This version of the event was superseded."),
					errhint("GET /usage-events/%s/history has all versions.", id)));
}

static Jsonb *
get_usage_event_versions(HttpCall *call)
{
	end_list_parameters(call);
	return event_history_read(account_current(), &call->id);
}

static Jsonb *
get_customer_aliases(HttpCall *call)
{
	HttpRequest *request = &call->request;
	ListPage page = LIST_PAGE_DEFAULTS;
	const char *value = http_parameter(request, "value");

	http_read_page(request, &page);
	http_parameters_end(request);
	return customer_alias_list(account_current(), &page, value, request->faults);
}

static Jsonb *
post_customer_alias(HttpCall *call)
{
	return customer_alias_create(account_current(), http_body_json(call));
}

static Jsonb *
put_customer_alias(HttpCall *call)
{
	return customer_alias_update(account_current(), &call->id, http_body_json(call));
}

static Jsonb *
delete_customer_alias_of_id(HttpCall *call)
{
	return customer_alias_delete(account_current(), &call->id);
}

static void
read_filter(HttpRequest *request, const char *name, TextFilter *filter)
{
	filter->texts = http_parameter_list(request, name, &filter->given);
}

static Jsonb *
get_usage_metrics(HttpCall *call)
{
	HttpRequest *request = &call->request;
	MetricList list = {.page = LIST_PAGE_DEFAULTS};

	http_read_page(request, &list.page);
	list.name = http_parameter(request, "name");
	list.id = http_parameter(request, "id");
	read_filter(request, "eventType", &list.event_types);
	read_filter(request, "eventProperty", &list.event_properties);
	read_filter(request, "aggregationType", &list.aggregation_types);
	http_parameters_end(request);
	return metric_list_read(account_current(), &list, request->faults);
}

static Jsonb *
post_usage_metric(HttpCall *call)
{
	return metric_definition_create(account_current(), http_body_json(call));
}

static Jsonb *
get_usage_metric_of_id(HttpCall *call)
{
	return metric_definition_get(account_current(), &call->id);
}

static Jsonb *
put_usage_metric(HttpCall *call)
{
	return metric_definition_update(account_current(), &call->id, http_body_json(call));
}

static Jsonb *
delete_usage_metric_of_id(HttpCall *call)
{
	return metric_definition_delete(account_current(), &call->id);
}

static Jsonb *
get_usage_metric_versions(HttpCall *call)
{
	ListPage page = LIST_PAGE_DEFAULTS;

	http_read_page(&call->request, &page);
	http_parameters_end(&call->request);
	return metric_versions_read(account_current(), &call->id, &page, call->request.faults);
}

static Jsonb *
get_rejected_usage_events(HttpCall *call)
{
	ListPage page = LIST_PAGE_DEFAULTS;

	http_read_page(&call->request, &page);
	http_parameters_end(&call->request);
	return rejected_event_list(account_current(), &page, call->request.faults);
}

static Jsonb *
post_rejected_usage_events_retry(HttpCall *call)
{
	return rejected_event_retry(account_current(), http_body_ids(call));
}

static Jsonb *
delete_rejected_usage_event_of_id(HttpCall *call)
{
	return rejected_event_delete(account_current(), &call->id);
}

static Jsonb *
get_customers(HttpCall *call)
{
	PlacePage page = {0};

	http_read_place_page(&call->request, &page);
	http_parameters_end(&call->request);
	return event_customers_list(account_current(), &page, call->request.faults);
}

static Jsonb *
get_usage_event_types(HttpCall *call)
{
	end_list_parameters(call);
	return event_sample_types(account_current());
}

static Jsonb *
get_usage_event_properties(HttpCall *call)
{
	end_list_parameters(call);
	return event_sample_properties(account_current(), slice_from_cstring(call->event_type));
}

static Jsonb *
get_status(HttpCall *call pg_attribute_unused())
{
	return usage_status(account_current());
}

static Jsonb *
get_usage_alerts(HttpCall *call)
{
	HttpRequest *request = &call->request;
	AlertList list = {.page = LIST_PAGE_DEFAULTS};

	http_read_page(request, &list.page);
	list.metric_id = http_read_uuid(request, "usageMetricId");
	list.customer = http_parameter(request, "customer");
	http_parameters_end(request);
	return alert_list_read(account_current(), &list, request->faults);
}

static Jsonb *
post_usage_alert(HttpCall *call)
{
	return alert_definition_create(account_current(), http_body_json(call));
}

static Jsonb *
get_usage_alert_of_id(HttpCall *call)
{
	return alert_definition_get(account_current(), &call->id);
}

static Jsonb *
put_usage_alert(HttpCall *call)
{
	return alert_definition_update(account_current(), &call->id, http_body_json(call));
}

static Jsonb *
delete_usage_alert_of_id(HttpCall *call)
{
	return alert_definition_delete(account_current(), &call->id);
}

static Jsonb *
get_usage_alert_events(HttpCall *call)
{
	HttpRequest *request = &call->request;
	AlertEventList list = {.page = LIST_PAGE_DEFAULTS};

	http_read_page(request, &list.page);
	list.alert_id = http_read_uuid(request, "usageAlertId");
	list.customer = http_parameter(request, "customer");
	list.state = http_parameter(request, "state");
	http_parameters_end(request);
	return alert_event_list_read(account_current(), &list, request->faults);
}

static Jsonb *
get_portal_tokens(HttpCall *call)
{
	HttpRequest *request = &call->request;
	ListPage page = LIST_PAGE_DEFAULTS;
	const char *customer = http_parameter(request, "customer");

	http_read_page(request, &page);
	http_parameters_end(request);
	return portal_token_list(account_current(), &page, customer, request->faults);
}

static Jsonb *
post_portal_token(HttpCall *call)
{
	return portal_token_create(account_current(), http_body_json(call));
}

static Jsonb *
delete_portal_token_of_id(HttpCall *call)
{
	return portal_token_end(account_current(), &call->id);
}

static Jsonb *
get_usage_limits(HttpCall *call)
{
	HttpRequest *request = &call->request;
	LimitList list = {.page = LIST_PAGE_DEFAULTS};

	http_read_page(request, &list.page);
	list.name = http_parameter(request, "name");
	list.usage_metric_id = http_parameter(request, "usageMetricId");
	list.customer = http_parameter(request, "customer");
	list.period = http_parameter(request, "period");
	list.mode = http_parameter(request, "mode");
	http_parameters_end(request);
	return limit_list_read(account_current(), &list, request->faults);
}

static Jsonb *
post_usage_limit(HttpCall *call)
{
	return limit_definition_create(account_current(), http_body_json(call));
}

static Jsonb *
get_usage_limit_of_id(HttpCall *call)
{
	return limit_definition_get(account_current(), &call->id);
}

static Jsonb *
put_usage_limit(HttpCall *call)
{
	return limit_definition_update(account_current(), &call->id, http_body_json(call));
}

static Jsonb *
delete_usage_limit_of_id(HttpCall *call)
{
	return limit_definition_delete(account_current(), &call->id);
}

static Jsonb *
get_usage_limit_check(HttpCall *call)
{
	HttpRequest *request = &call->request;
	LimitQuestion question = {.at = GetCurrentTransactionStartTimestamp()};
	bool has_moment;

	question.customer = http_read_required_text(request, "customer");
	question.has_metric_id = http_read_required_uuid(request, "usageMetricId", &question.metric_id);
	question.amount = http_read_number(request, "amount", 1);
	http_read_timestamp(request, "at", &has_moment, &question.at);
	http_parameters_end(request);
	return limit_allowance(account_current(), &question, request->faults);
}

/* Routes ------------------------------------------------------------------ */

#define EVENT_CSV "id,customerEventId,customerAlias,eventType,eventTimestamp,eventProperties,sequenceAccountId"
#define METRIC_CSV \
	"id,name,description,metricType,eventType,aggregationType,aggregationProperty,percentile,groupingProperty,unit," \
	"propertyFilters,propertiesToNegate,caseSensitive,createdAt,sequenceAccountId"
#define LIMIT_CSV \
	"id,name,usageMetricId,customer,period,timezone,anchor,limit,mode,createdAt,updatedAt,sequenceAccountId"
#define ALERT_CSV \
	"id,name,usageMetricId,customer,period,timezone,anchor,thresholds,direction,createdAt,sequenceAccountId"
#define ALERT_EVENT_CSV "id,usageAlertId,customer,periodStart,threshold,value,state,occurredAt"
#define TOKEN_CSV "id,customer,usageMetricIds,createdAt,expiresAt,sequenceAccountId"
#define VALUE_CSV "eventCount,value,skippedEventCount"

static const HttpRoute routes[] = {
	{"GET", "/", 200, NULL, KEYS_ALL, NULL},
	{"POST", "/usage-events", 201, post_usage_event, KEYS_INGEST, NULL},
	{"POST", "/usage-events/batch", 200, post_usage_event_batch, KEYS_INGEST, NULL},
	{"GET", "/usage-events", 200, get_usage_events, KEYS_READ | KEYS_OF_CUSTOMER, EVENT_CSV},
	{"GET", "/usage-events/{id}", 200, get_usage_event, KEYS_READ | KEYS_OF_CUSTOMER, NULL},
	{"GET", "/usage-events/{id}/history", 200, get_usage_event_versions, KEYS_READ,
	 EVENT_CSV ",supersededAt,supersededBy"},
	{"GET", "/usage-events/{id}/explain", 200, http_usage_explain, KEYS_READ, NULL},
	{"GET", "/rejected-usage-events", 200, get_rejected_usage_events, KEYS_READ, "id,rejectedAt,body,faults"},
	{"POST", "/rejected-usage-events/retry", 200, post_rejected_usage_events_retry, KEYS_FULL_ALONE, NULL},
	{"DELETE", "/rejected-usage-events/{id}", 200, delete_rejected_usage_event_of_id, KEYS_FULL_ALONE, NULL},
	{"GET", "/usage-event-types", 200, get_usage_event_types, KEYS_READ, "eventType,eventCount,lastEventTimestamp"},
	{"GET", "/usage-event-types/{eventType}/properties", 200, get_usage_event_properties, KEYS_READ,
	 "name,types,eventCount,examples"},
	{"GET", "/customers", 200, get_customers, KEYS_READ, "customerAlias,customerId,lastEventTimestamp"},
	{"GET", "/status", 200, get_status, KEYS_READ, NULL},
	{"GET", "/customer-aliases", 200, get_customer_aliases, KEYS_READ,
	 "id,customerId,value,label,createdAt,sequenceAccountId"},
	{"POST", "/customer-aliases", 201, post_customer_alias, KEYS_FULL_ALONE, NULL},
	{"PUT", "/customer-aliases/{id}", 200, put_customer_alias, KEYS_FULL_ALONE, NULL},
	{"DELETE", "/customer-aliases/{id}", 200, delete_customer_alias_of_id, KEYS_FULL_ALONE, NULL},
	{"GET", "/usage-metrics", 200, get_usage_metrics, KEYS_READ | KEYS_OF_METRICS, METRIC_CSV},
	{"POST", "/usage-metrics", 201, post_usage_metric, KEYS_FULL_ALONE, NULL},
	{"GET", "/usage-metrics/{id}", 200, get_usage_metric_of_id, KEYS_READ | KEYS_OF_METRICS, NULL},
	{"PUT", "/usage-metrics/{id}", 200, put_usage_metric, KEYS_FULL_ALONE, NULL},
	{"DELETE", "/usage-metrics/{id}", 200, delete_usage_metric_of_id, KEYS_FULL_ALONE, NULL},
	{"GET", "/usage-metrics/{id}/versions", 200, get_usage_metric_versions, KEYS_READ,
	 "versionId,inForceSince,supersededAt,deletedAt," METRIC_CSV},
	{"GET", "/usage-metrics/{id}/calculate", 200, http_usage_calculate, KEYS_READ | KEYS_OF_CUSTOMER | KEYS_OF_METRICS,
	 NULL},
	{"GET", "/usage-metrics/{id}/series", 200, http_usage_series, KEYS_READ | KEYS_OF_CUSTOMER | KEYS_OF_METRICS,
	 "periodStart,periodEnd," VALUE_CSV},
	{"GET", "/usage-metrics/{id}/by-customer", 200, http_usage_by_customer, KEYS_READ | KEYS_OF_METRICS,
	 "customer," VALUE_CSV},
	{"GET", "/usage-metrics/{id}/changes", 200, http_usage_changes, KEYS_READ | KEYS_OF_METRICS,
	 "customerEventId,oldEventId,newEventId,oldValue,newValue,changedAt,change"},
	{"GET", "/usage-limits", 200, get_usage_limits, KEYS_READ, LIMIT_CSV},
	{"POST", "/usage-limits", 201, post_usage_limit, KEYS_FULL_ALONE, NULL},
	{"GET", "/usage-limits/check", 200, get_usage_limit_check, KEYS_READ, NULL},
	{"GET", "/usage-limits/{id}", 200, get_usage_limit_of_id, KEYS_READ, NULL},
	{"PUT", "/usage-limits/{id}", 200, put_usage_limit, KEYS_FULL_ALONE, NULL},
	{"DELETE", "/usage-limits/{id}", 200, delete_usage_limit_of_id, KEYS_FULL_ALONE, NULL},
	{"GET", "/usage-alerts", 200, get_usage_alerts, KEYS_READ, ALERT_CSV},
	{"POST", "/usage-alerts", 201, post_usage_alert, KEYS_FULL_ALONE, NULL},
	{"GET", "/usage-alerts/{id}", 200, get_usage_alert_of_id, KEYS_READ, NULL},
	{"PUT", "/usage-alerts/{id}", 200, put_usage_alert, KEYS_FULL_ALONE, NULL},
	{"DELETE", "/usage-alerts/{id}", 200, delete_usage_alert_of_id, KEYS_FULL_ALONE, NULL},
	{"GET", "/usage-alert-events", 200, get_usage_alert_events, KEYS_READ, ALERT_EVENT_CSV},
	{"GET", "/portal-tokens", 200, get_portal_tokens, KEYS_FULL_ALONE, TOKEN_CSV},
	{"POST", "/portal-tokens", 201, post_portal_token, KEYS_FULL_ALONE, NULL},
	{"DELETE", "/portal-tokens/{id}", 200, delete_portal_token_of_id, KEYS_FULL_ALONE, NULL},
};

/* What stands in a path at its places of {id} and {eventType}; NULL where it has none. */
typedef struct PathNames
{
	const char *id;
	const char *event_type;
} PathNames;

/* Whether the path is the route's, and the names in it. */
static bool
path_matches(const HttpRoute *route, const List *segments, PathNames *names)
{
	const char *at = route->path;
	ListCell *cell;

	*names = (PathNames){NULL, NULL};
	foreach(cell, segments)
	{
		const char *segment = lfirst(cell);
		int length;

		if (*at++ != '/' || *at == '\0')
			return false;
		length = (int) strcspn(at, "/");
		if (strncmp(at, "{id}", length) == 0)
			names->id = segment;
		else if (strncmp(at, "{eventType}", length) == 0)
			names->event_type = segment;
		else if (strncmp(at, segment, length) != 0 || segment[length] != '\0')
			return false;
		at += length;
	}
	return *at == '\0' || (segments == NIL && strcmp(at, "/") == 0);
}

/* A route of the request's path, whatever its method; the error 404 if there is none. */
static const HttpRoute *
find_path(const List *segments, PathNames *names)
{
	for (size_t i = 0; i < lengthof(routes); i++)
		if (path_matches(&routes[i], segments, names))
			return &routes[i];
	ereport(ERROR,
			(errcode(ERRCODE_HTTP_NOT_FOUND), errmsg("there is no such path"), errhint("GET / describes the API.")));
}

/* The methods of a path, as a header names them. */
static const char *
allowed_methods(const char *path)
{
	StringInfoData methods;

	initStringInfo(&methods);
	for (size_t i = 0; i < lengthof(routes); i++)
		if (strcmp(routes[i].path, path) == 0)
			appendStringInfo(&methods, "%s, ", strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method);
	appendStringInfoString(&methods, "OPTIONS");
	return methods.data;
}

/* The path's route of that method, or NULL.  GET, and nothing else, comes without a body. */
static const HttpRoute *
find_method(const char *path, const char *method, bool has_body)
{
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (size_t i = 0; i < lengthof(routes); i++)
		if (strcmp(routes[i].path, path) == 0 && strcmp(routes[i].method, method) == 0 &&
			has_body != (strcmp(method, "GET") == 0))
			return &routes[i];
	return NULL;
}

/* The route of the request, or NULL where it asks which there are. */
static const HttpRoute *
find_route(HttpCall *call)
{
	const char *method = call->request.method;
	PathNames names;
	const char *path = find_path(call->request.segments, &names)->path;
	const HttpRoute *route = find_method(path, method, call->body != NULL);

	if (route == NULL && call->body != NULL && strcmp(method, "OPTIONS") == 0)
	{
		call->allowed = allowed_methods(path);
		return NULL;
	}
	if (route == NULL)
	{
		http_refuse_method(allowed_methods(path));
		pg_unreachable();
	}
	key_scope_require(route->keys);
	if (names.id != NULL && !uuid_v7_from_text(slice_from_cstring(names.id), &call->id))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid id"),
				 errdetail("The id in the path must be a UUID, not %s.", fault_quote(slice_from_cstring(names.id)))));
	call->event_type = names.event_type;
	return route;
}

/* So large an answer is a mistake, or an attack: numbers such as 1e131071 are short until they are written out. */
#define MAX_ANSWER_BYTES ((Size) 256 * 1024 * 1024)

static void
require_moderate_size(const Jsonb *answer)
{
	if (json_written_size(&answer->root, VARSIZE(answer), MAX_ANSWER_BYTES) > MAX_ANSWER_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("answer is too large"),
						errdetail("It takes more than %d MB.", (int) (MAX_ANSWER_BYTES / (1024 * 1024))),
						errhint("Ask for less: a shorter period, or fewer at a time.")));
}

/* What would have to be unpacked first is told so, instead of being called no JSON. */
static void
require_plain_body(void)
{
	const char *encoding = http_header(http_request_headers(), "content-encoding");

	if (*encoding != '\0' && pg_strcasecmp(encoding, "identity") != 0)
		http_refuse_encoding();
}

/* The cursor of a page before or after this one; NULL where there is none, or no pages. */
static const char *
page_cursor(Jsonb *answer, const char *name)
{
	JsonbValue pagination;
	JsonbValue cursor;
	Slice text;

	if (!json_member(answer, "pagination", &pagination) ||
		getKeyJsonValueFromContainer(pagination.val.binary.data, name, (int) strlen(name), &cursor) == NULL ||
		cursor.type != jbvString)
		return NULL;
	text = json_string(&cursor);
	return pnstrdup(text.data, text.length);
}

/* The answer's text; what CSV has no place for comes in its headers. */
static text *
write_answer(Jsonb *answer, const HttpRoute *route, bool as_csv)
{
	require_moderate_size(answer);
	http_set_status(route->status);
	if (!as_csv)
		return cstring_to_text(JsonbToCString(NULL, &answer->root, VARSIZE(answer)));
	http_set_csv(page_cursor(answer, "after"), page_cursor(answer, "before"));
	return http_csv_write(answer, route->columns);
}

/* A route and its call; the answer comes to stand beside them. */
typedef struct Service
{
	const HttpRoute *route;
	HttpCall *call;
	Jsonb *answer;
} Service;

static void
handle(void *argument)
{
	Service *service = argument;

	service->answer = service->route->handler(service->call);
}

/* Serves the request; the body is NULL for GET. */
static Datum
serve(FunctionCallInfo fcinfo, bytea *body)
{
	HttpCall call = {.body = body};
	const HttpRoute *route;
	Service service;
	bool as_csv;

	http_require_authenticated();
	http_set_json();
	http_request_read(&call.request);
	route = find_route(&call);
	if (route == NULL)
	{
		http_set_allowed(call.allowed);
		PG_RETURN_TEXT_P(cstring_to_text(psprintf("{\"methods\": \"%s\"}", call.allowed)));
	}
	if (body != NULL)
		require_plain_body();
	if (route->handler == NULL)
		PG_RETURN_TEXT_P(cstring_to_text(openapi_text()));

	as_csv = route->columns != NULL && http_csv_is_asked_for(&call.request);
	service = (Service){route, &call, NULL};
	key_scope_do(handle, &service);
	if (service.answer == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(write_answer(service.answer, route, as_csv));
}

static Datum
serve_read(PG_FUNCTION_ARGS)
{
	return serve(fcinfo, NULL);
}

static Datum
serve_write(PG_FUNCTION_ARGS)
{
	return serve(fcinfo, PG_ARGISNULL(0) ? (bytea *) cstring_to_text("") : PG_GETARG_BYTEA_PP(0));
}

/* usage_api_read() */
PG_FUNCTION_INFO_V1(usage_api_read);
Datum
usage_api_read(PG_FUNCTION_ARGS)
{
	return http_respond(serve_read, fcinfo);
}

/* usage_api_write(bytea) */
PG_FUNCTION_INFO_V1(usage_api_write);
Datum
usage_api_write(PG_FUNCTION_ARGS)
{
	return http_respond(serve_write, fcinfo);
}
