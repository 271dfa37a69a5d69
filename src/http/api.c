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

#include "account/account.h"
#include "base/json_elements.h"
#include "base/json_read.h"
#include "base/uuid_v7.h"
#include "customer/alias.h"
#include "endpoint/response.h"
#include "event/batch.h"
#include "event/check.h"
#include "event/functions.h"
#include "event/history.h"
#include "event/json.h"
#include "event/list.h"
#include "fmgr.h"
#include "http/authenticate.h"
#include "http/call.h"
#include "http/openapi.h"
#include "http/usage.h"
#include "mb/pg_wchar.h"
#include "metric/definition.h"
#include "metric/list.h"
#include "utils/builtins.h"

typedef struct HttpRoute
{
	const char *method;
	const char *path;
	int status;
	HttpHandler handler; /* NULL: the description of the API itself */
} HttpRoute;

/* So many events at once: what a refused one takes of memory is some kB, whatever its length. */
#define MAX_BATCH 20000

/* Handlers ---------------------------------------------------------------- */

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

/* Routes ------------------------------------------------------------------ */

static const HttpRoute routes[] = {
	{"GET", "/", 200, NULL},
	{"POST", "/usage-events", 201, post_usage_event},
	{"POST", "/usage-events/batch", 200, post_usage_event_batch},
	{"GET", "/usage-events", 200, get_usage_events},
	{"GET", "/usage-events/{id}", 200, get_usage_event},
	{"GET", "/usage-events/{id}/history", 200, get_usage_event_versions},
	{"GET", "/usage-events/{id}/explain", 200, http_usage_explain},
	{"GET", "/customer-aliases", 200, get_customer_aliases},
	{"POST", "/customer-aliases", 201, post_customer_alias},
	{"PUT", "/customer-aliases/{id}", 200, put_customer_alias},
	{"DELETE", "/customer-aliases/{id}", 200, delete_customer_alias_of_id},
	{"GET", "/usage-metrics", 200, get_usage_metrics},
	{"POST", "/usage-metrics", 201, post_usage_metric},
	{"GET", "/usage-metrics/{id}", 200, get_usage_metric_of_id},
	{"PUT", "/usage-metrics/{id}", 200, put_usage_metric},
	{"DELETE", "/usage-metrics/{id}", 200, delete_usage_metric_of_id},
	{"GET", "/usage-metrics/{id}/calculate", 200, http_usage_calculate},
	{"GET", "/usage-metrics/{id}/series", 200, http_usage_series},
	{"GET", "/usage-metrics/{id}/by-customer", 200, http_usage_by_customer},
	{"GET", "/usage-metrics/{id}/changes", 200, http_usage_changes},
};

/* Whether the path is the route's; `id` is the segment at its place of {id}. */
static bool
path_matches(const HttpRoute *route, const List *segments, const char **id)
{
	const char *at = route->path;
	ListCell *cell;

	*id = NULL;
	foreach(cell, segments)
	{
		const char *segment = lfirst(cell);
		int length;

		if (*at++ != '/' || *at == '\0')
			return false;
		length = (int) strcspn(at, "/");
		if (strncmp(at, "{id}", length) == 0)
			*id = segment;
		else if (strncmp(at, segment, length) != 0 || segment[length] != '\0')
			return false;
		at += length;
	}
	return *at == '\0' || (segments == NIL && strcmp(at, "/") == 0);
}

/* A route of the request's path, whatever its method; the error 404 if there is none. */
static const HttpRoute *
find_path(const List *segments, const char **id)
{
	for (size_t i = 0; i < lengthof(routes); i++)
		if (path_matches(&routes[i], segments, id))
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
	const char *id;
	const char *path = find_path(call->request.segments, &id)->path;
	const HttpRoute *route = find_method(path, method, call->body != NULL);

	if (route == NULL && call->body != NULL && strcmp(method, "OPTIONS") == 0)
	{
		call->allowed = allowed_methods(path);
		return NULL;
	}
	if (route == NULL)
		http_refuse_method(allowed_methods(path));
	if (id != NULL && !uuid_v7_from_text(slice_from_cstring(id), &call->id))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid id"),
						errdetail("The id in the path must be a UUID, not %s.", fault_quote(slice_from_cstring(id)))));
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

/* Serves the request; the body is NULL for GET. */
static Datum
serve(FunctionCallInfo fcinfo, bytea *body)
{
	HttpCall call = {.body = body};
	const HttpRoute *route;
	Jsonb *answer;

	http_require_authenticated();
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

	answer = route->handler(&call);
	if (answer == NULL)
		PG_RETURN_NULL();
	require_moderate_size(answer);
	http_set_status(route->status);
	PG_RETURN_TEXT_P(cstring_to_text(JsonbToCString(NULL, &answer->root, VARSIZE(answer))));
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
