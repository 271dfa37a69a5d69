/*
 * endpoint/response.c
 *		Answers to HTTP requests: status, headers, errors.
 *
 * PostgREST takes the status and the headers of an answer from settings of the
 * transaction, and those of an error from an error of SQLSTATE PGRST, whose
 * message and detail are JSON.  Every other error it would translate by a table
 * of its own, under which a missing privilege becomes 401 and a lost race 409.
 * So errors that end a request are caught at its border, and raised again as
 * what they mean to the client: 400 for what the client can change, 500 for the rest.
 *
 * Nothing that a client sent comes into a header or the status line: these are
 * constants.  A trigger of the user's that speaks to PostgREST by such an error
 * itself is not trusted with them.
 *
 * Such an error is an answer.  It is not logged: the cause of one that is ours is
 * logged by itself, and what clients do wrong would fill the log, for whoever
 * sends requests without credentials as well.
 */
#include "postgres.h"

#include "endpoint/response.h"

#include "base/memory_budget.h"
#include "endpoint/request.h"
#include "lib/stringinfo.h"
#include "utils/guc.h"
#include "utils/json.h"

#define ERRCODE_PGRST MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T')

/* usage_events.log_refused_requests */
static bool log_refused_requests = false;

static emit_log_hook_type previous_emit_log_hook;

/* Whether the error that is raised next is an answer. */
static bool answering = false;

/* The header that the refusal being raised has, of our own making: name and value as JSON; NULL of others. */
static const char *refusal_header = NULL;

/* Whether it is that of a usage limit. */
static bool is_over_limit = false;

static void
leave_out_answer(ErrorData *error)
{
	if (answering && error->sqlerrcode == ERRCODE_PGRST && !log_refused_requests)
		error->output_to_server = false;
	answering = false;
	if (previous_emit_log_hook != NULL)
		previous_emit_log_hook(error);
}

void
http_response_init(void)
{
	DefineCustomBoolVariable("usage_events.log_refused_requests",
							 "Logs requests over HTTP that were answered with an error.",
							 "The cause of an internal error is logged in any case.", &log_refused_requests, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	previous_emit_log_hook = emit_log_hook;
	emit_log_hook = leave_out_answer;
}

static void
set_for_transaction(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

/* 200 need not be set: a function that only reads may run in parallel, where nothing can be. */
void
http_set_status(int status)
{
	if (status != 200)
		set_for_transaction("response.status", psprintf("%d", status));
}

/* The headers of every answer that is no error. */
void
http_set_headers(void)
{
	set_for_transaction("response.headers", "[{\"Sequence-Version\":\"" HTTP_API_VERSION "\"}]");
}

/* The headers of an answer that says which methods there are. */
void
http_set_allowed(const char *methods)
{
	set_for_transaction("response.headers",
						psprintf("[{\"Sequence-Version\":\"" HTTP_API_VERSION "\"},{\"Allow\":\"%s\"}]", methods));
}

void
http_refuse_method(const char *methods)
{
	refusal_header = psprintf("\"Allow\":\"%s\"", methods);
	ereport(ERROR, (errcode(ERRCODE_HTTP_METHOD_NOT_ALLOWED), errmsg("method not allowed"),
					errdetail("This path has: %s.", methods)));
}

void
http_refuse_encoding(void)
{
	refusal_header = "\"Accept-Encoding\":\"identity\"";
	ereport(ERROR, (errcode(ERRCODE_HTTP_UNSUPPORTED_MEDIA_TYPE), errmsg("body is compressed"),
					errhint("Send it as it is, without \"Content-Encoding\".")));
}

/* A limit's refusal follows, whose SQLSTATE the server uses for limits of its own as well; it ends in so many seconds. */
void
http_retry_after(int64 seconds)
{
	is_over_limit = true;
	refusal_header = psprintf("\"Retry-After\":\"" INT64_FORMAT "\"", seconds);
}

/* The same of one that no time ends. */
void
http_retry_never(void)
{
	is_over_limit = true;
}

/* The status in a SQLSTATE that PostgREST would read as one (PT404), or 0; of those that the API has. */
static int
status_in_sqlstate(const char *sqlstate)
{
	if (strncmp(sqlstate, "PT", 2) != 0)
		return 0;
	if (strcmp(sqlstate, "PT401") == 0 || strcmp(sqlstate, "PT404") == 0 || refusal_header != NULL)
		return atoi(sqlstate + 2);
	return sqlstate[2] == '4' ? 400 : 500;
}

/* The client's fault, or ours? */
static int
status_of_error(int code)
{
	int status = status_in_sqlstate(unpack_sql_state(code));

	if (status != 0)
		return status;
	if (ERRCODE_TO_CATEGORY(code) == ERRCODE_DATA_EXCEPTION)
		return 400;
	if (code == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED && is_over_limit)
		return 429;
	switch (code)
	{
			/* A rule of the administrator's own on the tables, or usage_events.on_conflict = refuse. */
		case ERRCODE_UNIQUE_VIOLATION:
		case ERRCODE_CHECK_VIOLATION:
		case ERRCODE_EXCLUSION_VIOLATION:
		case ERRCODE_FOREIGN_KEY_VIOLATION:
		case ERRCODE_RAISE_EXCEPTION:
			/* More than a server can hold in one value, or JSON that is nested too deeply. */
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_STATEMENT_TOO_COMPLEX:
			return 400;
		default:
			return 500;
	}
}

/* Whether the same request may well succeed when it is sent again. */
static bool
is_temporary(int code)
{
	switch (ERRCODE_TO_CATEGORY(code))
	{
		case MAKE_SQLSTATE('4', '0', '0', '0', '0'): /* lost a race, or in a deadlock */
		case MAKE_SQLSTATE('5', '3', '0', '0', '0'): /* out of memory, disk, or connections */
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'): /* cancelled, or shut down */
			return true;
		default:
			return code == ERRCODE_LOCK_NOT_AVAILABLE;
	}
}

/* Adds a member to a JSON object that is open. */
static void
add_member(StringInfo json, const char *name, const char *value)
{
	if (value == NULL)
		return;
	if (json->data[json->len - 1] != '{')
		appendStringInfoChar(json, ',');
	escape_json(json, name);
	appendStringInfoChar(json, ':');
	escape_json(json, value);
}

/* Raises the error again as one that tells PostgREST what to answer. */
static void
report_to_client(ErrorData *error)
{
	int status = status_of_error(error->sqlerrcode);
	const char *sqlstate = unpack_sql_state(error->sqlerrcode);
	StringInfoData body;
	StringInfoData answer;

	initStringInfo(&body);
	appendStringInfoChar(&body, '{');
	add_member(&body, "code", status_in_sqlstate(sqlstate) != 0 ? psprintf("%d", status) : sqlstate);
	if (status < 500)
	{
		add_member(&body, "message", error->message);
		add_member(&body, "details", error->detail);
		add_member(&body, "hint", error->hint);
	}
	else
	{
		/* What is the matter with the server is the administrator's to read. */
		add_member(&body, "message", "internal server error");
		if (is_temporary(error->sqlerrcode))
			add_member(&body, "hint", "Send the request again.");
	}
	appendStringInfoChar(&body, '}');

	initStringInfo(&answer);
	appendStringInfo(&answer, "{\"status\":%d,\"headers\":{\"Sequence-Version\":\"" HTTP_API_VERSION "\"", status);
	if (status == 401)
		appendStringInfoString(&answer, ",\"WWW-Authenticate\":\"Basic realm=\\\"usage_events\\\"\"");
	if (refusal_header != NULL)
		appendStringInfo(&answer, ",%s", refusal_header);
	appendStringInfoString(&answer, "}}");

	if (status >= 500)
	{
		error->elevel = LOG;
		ThrowErrorData(error);
	}
	answering = true;
	ereport(ERROR, (errcode(ERRCODE_PGRST), errmsg_internal("%s", body.data), errdetail_internal("%s", answer.data)));
}

/*
 * PostgREST without the pre-request must not serve the default account to
 * everybody.  Read from a view the error is PostgREST's to translate, which makes
 * the message the reason phrase of the status: it is a constant.
 */
void
http_refuse_unauthenticated(void)
{
	ereport(ERROR, (errcode(ERRCODE_HTTP_UNAUTHORIZED), errmsg("request was not authenticated"),
					errdetail("No API key was checked in this request."),
					errhint("PostgREST's db-pre-request must be usage_events.authenticate_request.")));
}

/* Calls the function, whose errors are the request's. */
Datum
http_respond(PGFunction function, FunctionCallInfo fcinfo)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	memory_budget_begin();
	refusal_header = NULL;
	is_over_limit = false;
	answering = false;
	PG_TRY();
	{
		result = function(fcinfo);
		if (fcinfo->isnull)
			ereport(ERROR, (errcode(ERRCODE_HTTP_NOT_FOUND), errmsg("not found")));
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		report_to_client(error);
	}
	PG_END_TRY();
	return result;
}

/* What a function answers that may have found nothing. */
Datum
http_answer_or_null(FunctionCallInfo fcinfo, Jsonb *json)
{
	if (json == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(json);
}

/*
 * Calls a function that is a door for SQL as well as for HTTP: where the request
 * is a call of just this function, its success has that status.
 */
Datum
http_endpoint(PGFunction function, FunctionCallInfo fcinfo, const char *name, int status)
{
	Datum result;

	memory_budget_begin();
	if (!http_request_is_for(name))
	{
		memory_budget_begin();
		return function(fcinfo);
	}

	result = http_respond(function, fcinfo);
	http_set_status(status);
	return result;
}
