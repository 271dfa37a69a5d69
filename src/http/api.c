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
#include "alert/definition.h"
#include "alert/event.h"
#include "alert/list.h"
#include "base/json_elements.h"
#include "base/json_read.h"
#include "base/timestamp.h"
#include "base/uuid_v7.h"
#include "customer/alias.h"
#include "endpoint/request.h"
#include "endpoint/response.h"
#include "event/batch.h"
#include "event/check.h"
#include "event/functions.h"
#include "event/history.h"
#include "event/json.h"
#include "event/list.h"
#include "fmgr.h"
#include "http/authenticate.h"
#include "http/openapi.h"
#include "limit/allowance.h"
#include "limit/definition.h"
#include "limit/list.h"
#include "mb/pg_wchar.h"
#include "metric/definition.h"
#include "metric/list.h"
#include "metric/value.h"
#include "usage/calculate.h"
#include "utils/builtins.h"

/* A call of the API: the request, what its path and body hold, and the answer. */
typedef struct HttpCall
{
	HttpRequest request;
	bytea *body;         /* NULL for GET */
	pg_uuid_t id;        /* the {id} of the path */
	const char *allowed; /* the path's methods, where they are asked for */
} HttpCall;

/* Answers with JSON, or NULL where there is nothing of that id. */
typedef Jsonb *(*HttpHandler)(HttpCall *call);

typedef struct HttpRoute
{
	const char *method;
	const char *path;
	int status;
	HttpHandler handler; /* NULL: the description of the API itself */
} HttpRoute;

/* Bodies ------------------------------------------------------------------ */

/* So much of the parser's words, in bytes: they repeat what it could not read. */
#define MAX_PARSER_BYTES 200

static const char *
clipped(const char *text)
{
	int length = (int) strlen(text);
	int clipped_length = pg_mbcliplen(text, length, MAX_PARSER_BYTES);

	return clipped_length == length ? text : psprintf("%.*s...", clipped_length, text);
}

/* What is wrong with text that the server's parser could not read. */
static const char *
parser_fault(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_STATEMENT_TOO_COMPLEX)
		return "is nested too deeply";
	return psprintf("is not JSON: %s%s%s", clipped(error->message), error->detail != NULL ? ": " : "",
					error->detail != NULL ? clipped(error->detail) : "");
}

/* Calls the server's parser.  Returns the JSON, or NULL and what is wrong with the text, whose bytes may be any but zero. */
static Jsonb *
parse_json(const char *text, int encoding, const char **fault)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum json = (Datum) 0;
	const char *volatile said = NULL;

	PG_TRY();
	{
		json = DirectFunctionCall1(jsonb_in, CStringGetDatum(pg_any_to_server(text, (int) strlen(text), encoding)));
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_PROGRAM_LIMIT_EXCEEDED &&
			error->sqlerrcode != ERRCODE_FEATURE_NOT_SUPPORTED) /* escapes, in a database without an encoding */
			PG_RE_THROW();
		FlushErrorState();
		said = parser_fault(error);
	}
	PG_END_TRY();
	*fault = said;
	return said == NULL ? DatumGetJsonbP(json) : NULL;
}

/* The body's bytes as JSON; NULL, and what is wrong with them, where they are none. */
static Jsonb *
parse_body(HttpCall *call, const char **fault)
{
	const char *bytes = VARDATA_ANY(call->body);
	int length = VARSIZE_ANY_EXHDR(call->body);

	/* The mark that some editors put before UTF-8: JSON is not to have it, and who reads may take it (RFC 8259, 8.1). */
	if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
	{
		bytes += 3;
		length -= 3;
	}
	if (length == 0)
		*fault = "is empty.";
	else if (!pg_verify_mbstr(PG_UTF8, bytes, length, true))
		*fault = "is not text in UTF-8.";
	else
		return parse_json(pnstrdup(bytes, length), PG_UTF8, fault);
	return NULL;
}

static void
refuse_body(const char *fault)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("invalid body"), errdetail("The body %s", fault)));
}

/* The body as JSON; refused where it is none. */
static Jsonb *
body_json(HttpCall *call)
{
	const char *fault;
	Jsonb *json = parse_body(call, &fault);

	if (json == NULL)
		refuse_body(fault);
	return json;
}

/* Parameters -------------------------------------------------------------- */

/* An integer from 0 on; the fault of others is said by who knows the range. */
static void
read_integer(HttpRequest *request, const char *name, int *value)
{
	const char *text = http_parameter(request, name);

	if (text == NULL)
		return;
	if (*text == '\0' || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
		*value = -1;
	else
		*value = atoi(text);
}

static void
read_boolean(HttpRequest *request, const char *name, bool *value)
{
	const char *text = http_parameter(request, name);

	if (text == NULL)
		return;
	*value = strcmp(text, "true") == 0;
	if (!*value && strcmp(text, "false") != 0)
		request->faults = fault_add(request->faults, name, "must be \"true\" or \"false\"");
}

/* An offset's "+" that was sent as it is, which in a query means a space. */
static const char *
with_plus(const char *text)
{
	char *copy = pstrdup(text);
	char *space = strrchr(copy, ' ');

	/* The first one, behind the date, may be the one before the time. */
	if (space != NULL && space - copy > (int) strlen("2022-10-01T"))
		*space = '+';
	return copy;
}

static void
read_timestamp(HttpRequest *request, const char *name, bool *given, TimestampTz *value)
{
	const char *text = http_parameter(request, name);
	const char *fault;

	*given = text != NULL;
	if (text == NULL)
		return;
	fault = timestamp_from_text(slice_from_cstring(with_plus(text)), value);
	if (fault != NULL)
		request->faults =
			fault_add(request->faults, name, psprintf("%s: %s", fault, fault_quote(slice_from_cstring(text))));
}

/* A moment, or a date; false where there is none, which is a fault already. */
static bool
read_required_moment(HttpRequest *request, const char *name, TimestampTz *value, bool *is_date)
{
	const char *text = http_parameter(request, name);
	const char *fault;

	if (text == NULL)
	{
		request->faults = fault_add(request->faults, name, "is missing");
		return false;
	}
	fault = timestamp_or_date_from_text(slice_from_cstring(with_plus(text)), value, is_date);
	if (fault == NULL)
		return true;
	request->faults =
		fault_add(request->faults, name, psprintf("%s: %s", fault, fault_quote(slice_from_cstring(text))));
	return false;
}

/*
 * The period between the two parameters.  The end is inclusive for the client: of
 * a date the whole day, and of a moment the least step of time, is still inside.
 */
static void
read_period(HttpRequest *request, TimestampTz *start, TimestampTz *end)
{
	bool is_date;
	bool has_start = read_required_moment(request, "periodStart", start, &is_date);
	bool has_end = read_required_moment(request, "periodEnd", end, &is_date);

	if (!has_start || !has_end)
		return;
	*end += is_date ? USECS_PER_DAY : 1;
	if (*end <= *start)
		request->faults = fault_add(request->faults, "periodEnd", "must not be before \"periodStart\"");
}

/* An id; NULL where it is not given. */
static const pg_uuid_t *
read_id(HttpRequest *request, const char *name)
{
	const char *text = http_parameter(request, name);
	pg_uuid_t *id = palloc0(sizeof(pg_uuid_t));

	if (text == NULL)
		return NULL;
	if (!uuid_v7_from_text(slice_from_cstring(text), id))
		request->faults =
			fault_add(request->faults, name, psprintf("must be a UUID, not %s", fault_quote(slice_from_cstring(text))));
	return id;
}

/* A JSON object; NULL where it is not given. */
static Jsonb *
read_object(HttpRequest *request, const char *name)
{
	const char *text = http_parameter(request, name);
	const char *fault;
	Jsonb *json;

	if (text == NULL)
		return NULL;
	json = parse_json(text, GetDatabaseEncoding(), &fault);
	if (json != NULL && !json_is_object(json))
		fault = psprintf("must be a JSON object, not %s", json_document_kind(json));
	if (fault != NULL && fault[strlen(fault) - 1] == '.')
		fault = pnstrdup(fault, strlen(fault) - 1); /* faults are told with one of their own */
	if (fault != NULL)
		request->faults = fault_add(request->faults, name, fault);
	return json;
}

/* A text; data is NULL where there is none, which is a fault. */
static Slice
read_required_text(HttpRequest *request, const char *name)
{
	const char *text = http_parameter(request, name);

	if (text != NULL)
		return slice_from_cstring(text);
	request->faults = fault_add(request->faults, name, "is missing");
	return (Slice){NULL, 0};
}

/* An id; false where there is none, which is a fault. */
static bool
read_required_id(HttpRequest *request, const char *name, pg_uuid_t *id)
{
	Slice text = read_required_text(request, name);

	if (text.data == NULL)
		return false;
	if (uuid_v7_from_text(text, id))
		return true;
	request->faults = fault_add(request->faults, name, psprintf("must be a UUID, not %s", fault_quote(text)));
	return false;
}

/* A number; NULL where it is none, which is a fault. */
static Numeric
read_number(HttpRequest *request, const char *name, int64 otherwise)
{
	const char *text = http_parameter(request, name);
	Numeric number;

	if (text == NULL)
		return int64_to_numeric(otherwise);
	number = metric_number_from_text(slice_from_cstring(text));
	if (number == NULL)
		request->faults = fault_add(request->faults, name,
									psprintf("must be a number, not %s", fault_quote(slice_from_cstring(text))));
	return number;
}

static void
read_page(HttpRequest *request, ListPage *page)
{
	read_integer(request, "limit", &page->limit);
	page->after = http_parameter(request, "after");
	page->before = http_parameter(request, "before");
}

/* So many events at once: what a refused one takes of memory is some kB, whatever its length. */
#define MAX_BATCH 20000

/* Handlers ---------------------------------------------------------------- */

static Jsonb *
post_usage_event(HttpCall *call)
{
	return event_create(account_current(), body_json(call));
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
	Jsonb *body = parse_body(call, &fault);
	Slice *elements;
	int count;

	if (body != NULL)
	{
		require_batch_of(JB_ROOT_COUNT(body));
		event_batch_from_json(account_current(), body, batch);
		return;
	}
	if (!json_elements(bytes, &elements, &count))
		refuse_body(fault);
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

	read_page(request, &list.page);
	read_integer(request, "offset", &list.page.offset);
	if (sort_by != NULL)
		request->faults = list_page_set_order(request->faults, &list.page, sort_by);
	if (sort_order != NULL)
		request->faults = list_page_set_direction(request->faults, &list.page, sort_order);
	list.customer_aliases = http_parameter_all(request, "customerAlias");
	list.has_customer_aliases = list.customer_aliases != NIL;
	read_boolean(request, "unmappedAliasesOnly", &list.unmapped_aliases_only);
	list.event_type = http_parameter(request, "eventType");
	list.event_id = http_parameter(request, "eventId");
	read_timestamp(request, "eventTimestampBefore", &list.has_timestamp_before, &list.timestamp_before);
	read_timestamp(request, "eventTimestampAfter", &list.has_timestamp_after, &list.timestamp_after);
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

	read_page(request, &page);
	http_parameters_end(request);
	return customer_alias_list(account_current(), &page, value, request->faults);
}

static Jsonb *
post_customer_alias(HttpCall *call)
{
	return customer_alias_create(account_current(), body_json(call));
}

static Jsonb *
put_customer_alias(HttpCall *call)
{
	return customer_alias_update(account_current(), &call->id, body_json(call));
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

	read_page(request, &list.page);
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
	return metric_definition_create(account_current(), body_json(call));
}

static Jsonb *
get_usage_metric_of_id(HttpCall *call)
{
	return metric_definition_get(account_current(), &call->id);
}

static Jsonb *
put_usage_metric(HttpCall *call)
{
	return metric_definition_update(account_current(), &call->id, body_json(call));
}

static Jsonb *
delete_usage_metric_of_id(HttpCall *call)
{
	return metric_definition_delete(account_current(), &call->id);
}

static Jsonb *
get_usage_metric_value(HttpCall *call)
{
	HttpRequest *request = &call->request;
	bool has_aliases;
	List *aliases = http_parameter_list(request, "customerAliases", &has_aliases);
	TimestampTz start = 0;
	TimestampTz end = 0;
	bool has_as_of;
	TimestampTz as_of;
	Jsonb *parameters;

	if (!has_aliases)
		request->faults = fault_add(request->faults, "customerAliases", "is missing");
	read_period(request, &start, &end);
	read_timestamp(request, "asOf", &has_as_of, &as_of);
	parameters = read_object(request, "customParameters");
	http_parameters_end(request);
	faults_report_request(request->faults, "invalid parameters of a calculation");

	return usage_calculate(account_current(), &call->id, aliases, start, end, has_as_of ? &as_of : NULL, parameters);
}

static Jsonb *
get_usage_alerts(HttpCall *call)
{
	HttpRequest *request = &call->request;
	AlertList list = {.page = LIST_PAGE_DEFAULTS};

	read_page(request, &list.page);
	list.metric_id = read_id(request, "usageMetricId");
	list.customer = http_parameter(request, "customer");
	http_parameters_end(request);
	return alert_list_read(account_current(), &list, request->faults);
}

static Jsonb *
post_usage_alert(HttpCall *call)
{
	return alert_definition_create(account_current(), body_json(call));
}

static Jsonb *
get_usage_alert_of_id(HttpCall *call)
{
	return alert_definition_get(account_current(), &call->id);
}

static Jsonb *
put_usage_alert(HttpCall *call)
{
	return alert_definition_update(account_current(), &call->id, body_json(call));
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

	read_page(request, &list.page);
	list.alert_id = read_id(request, "usageAlertId");
	list.customer = http_parameter(request, "customer");
	list.state = http_parameter(request, "state");
	http_parameters_end(request);
	return alert_event_list_read(account_current(), &list, request->faults);
}

static Jsonb *
get_usage_limits(HttpCall *call)
{
	HttpRequest *request = &call->request;
	LimitList list = {.page = LIST_PAGE_DEFAULTS};

	read_page(request, &list.page);
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
	return limit_definition_create(account_current(), body_json(call));
}

static Jsonb *
get_usage_limit_of_id(HttpCall *call)
{
	return limit_definition_get(account_current(), &call->id);
}

static Jsonb *
put_usage_limit(HttpCall *call)
{
	return limit_definition_update(account_current(), &call->id, body_json(call));
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

	question.customer = read_required_text(request, "customer");
	question.has_metric_id = read_required_id(request, "usageMetricId", &question.metric_id);
	question.amount = read_number(request, "amount", 1);
	read_timestamp(request, "at", &has_moment, &question.at);
	http_parameters_end(request);
	return limit_allowance(account_current(), &question, request->faults);
}

/* Routes ------------------------------------------------------------------ */

static const HttpRoute routes[] = {
	{"GET", "/", 200, NULL},
	{"POST", "/usage-events", 201, post_usage_event},
	{"POST", "/usage-events/batch", 200, post_usage_event_batch},
	{"GET", "/usage-events", 200, get_usage_events},
	{"GET", "/usage-events/{id}", 200, get_usage_event},
	{"GET", "/usage-events/{id}/history", 200, get_usage_event_versions},
	{"GET", "/customer-aliases", 200, get_customer_aliases},
	{"POST", "/customer-aliases", 201, post_customer_alias},
	{"PUT", "/customer-aliases/{id}", 200, put_customer_alias},
	{"DELETE", "/customer-aliases/{id}", 200, delete_customer_alias_of_id},
	{"GET", "/usage-metrics", 200, get_usage_metrics},
	{"POST", "/usage-metrics", 201, post_usage_metric},
	{"GET", "/usage-metrics/{id}", 200, get_usage_metric_of_id},
	{"PUT", "/usage-metrics/{id}", 200, put_usage_metric},
	{"DELETE", "/usage-metrics/{id}", 200, delete_usage_metric_of_id},
	{"GET", "/usage-metrics/{id}/calculate", 200, get_usage_metric_value},
	{"GET", "/usage-alerts", 200, get_usage_alerts},
	{"POST", "/usage-alerts", 201, post_usage_alert},
	{"GET", "/usage-alerts/{id}", 200, get_usage_alert_of_id},
	{"PUT", "/usage-alerts/{id}", 200, put_usage_alert},
	{"DELETE", "/usage-alerts/{id}", 200, delete_usage_alert_of_id},
	{"GET", "/usage-alert-events", 200, get_usage_alert_events},
	{"GET", "/usage-limits", 200, get_usage_limits},
	{"POST", "/usage-limits", 201, post_usage_limit},
	{"GET", "/usage-limits/check", 200, get_usage_limit_check},
	{"GET", "/usage-limits/{id}", 200, get_usage_limit_of_id},
	{"PUT", "/usage-limits/{id}", 200, put_usage_limit},
	{"DELETE", "/usage-limits/{id}", 200, delete_usage_limit_of_id},
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
