/*
 * endpoint/request.c
 *		The HTTP request that the current transaction serves, as PostgREST hands it
 *		to the database.
 *
 * PostgREST puts the request's path and headers into settings of the transaction
 * (request.path, request.headers).  The path is the one of the function that it
 * calls; the one that the client asked for comes in the header Usage-Request,
 * set by the proxy: "GET /usage-events?limit=10".  Whoever may run SQL may set
 * all of these: they say what is asked for, never who asks.
 */
#include "postgres.h"

#include "endpoint/request.h"

#include "base/fault.h"
#include "base/json_read.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"

/* More than anybody needs, and few enough to be looked through. */
#define MAX_PARAMETERS 1000

/* A setting of the request; NULL where there is no request.  It is empty after one. */
static const char *
request_setting(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value == NULL || *value == '\0' ? NULL : value;
}

/* Whether the transaction serves a request at all. */
bool
http_request_is_there(void)
{
	return request_setting("request.path") != NULL;
}

/* Whether the request is a call of just that function: not one that comes to call it on its way. */
bool
http_request_is_for(const char *function)
{
	const char *path = request_setting("request.path");

	return path != NULL && strncmp(path, "/rpc/", 5) == 0 && strcmp(path + 5, function) == 0;
}

/* The headers of the request, by their names in lower case; an empty object where there are none. */
Jsonb *
http_request_headers(void)
{
	const char *headers = request_setting("request.headers");

	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(headers != NULL ? headers : "{}")));
}

/* A header by its name in lower case; empty if it is not there. */
const char *
http_header(Jsonb *headers, const char *name)
{
	JsonbValue value;
	Slice text;

	if (!json_is_object(headers) || !json_member(headers, name, &value) || value.type != jbvString)
		return "";
	text = json_string(&value);
	return pnstrdup(text.data, text.length);
}

static int
hex_digit(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	character |= 0x20;
	return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/*
 * Decodes percent-encoded text (RFC 3986), and in a query "+" as well.  Returns
 * NULL, with the fault, for what is no text in the end.
 */
static const char *
decode(const char *encoded, int length, bool plus_is_space, const char **fault)
{
	char *decoded = palloc(length + 1);
	int at = 0;

	for (int i = 0; i < length; i++)
	{
		char character = encoded[i];

		if (character == '+' && plus_is_space)
			character = ' ';
		else if (character == '%')
		{
			int high = i + 2 < length ? hex_digit(encoded[i + 1]) : -1;
			int low = i + 2 < length ? hex_digit(encoded[i + 2]) : -1;

			if (high < 0 || low < 0)
			{
				*fault = "has a \"%\" without two hexadecimal digits after it";
				return NULL;
			}
			character = (char) (high << 4 | low);
			i += 2;
		}
		decoded[at++] = character;
	}
	decoded[at] = '\0';

	if (!pg_verify_mbstr(PG_UTF8, decoded, at, true))
	{
		*fault = "is not text in UTF-8";
		return NULL;
	}
	return pg_any_to_server(decoded, at, PG_UTF8);
}

/* The parts between separators, all of them. */
static List *
split(const char *text, const char *end, char separator)
{
	List *parts = NIL;

	for (;;)
	{
		const char *next = memchr(text, separator, end - text);

		parts = lappend(parts, pnstrdup(text, (next != NULL ? next : end) - text));
		if (next == NULL)
			return parts;
		text = next + 1;
	}
}

/* A segment that cannot be decoded stays as it is: no path has one like it. */
static void
read_path(HttpRequest *request, const char *path, const char *end)
{
	ListCell *cell;

	foreach(cell, split(path, end, '/'))
	{
		char *encoded = lfirst(cell);
		const char *fault;
		const char *segment = decode(encoded, (int) strlen(encoded), false, &fault);

		if (*encoded != '\0')
			request->segments = lappend(request->segments, unconstify(char *, segment != NULL ? segment : encoded));
	}
}

static void
read_parameter(HttpRequest *request, const char *encoded)
{
	const char *equals = strchr(encoded, '=');
	const char *end = encoded + strlen(encoded);
	HttpParameter *parameter = palloc0(sizeof(HttpParameter));
	const char *fault = NULL;

	parameter->name = decode(encoded, (int) ((equals != NULL ? equals : end) - encoded), true, &fault);
	if (parameter->name == NULL)
	{
		request->faults = fault_add(request->faults, encoded, fault);
		return;
	}
	parameter->encoded = equals == NULL ? "" : equals + 1;
	parameter->value = decode(parameter->encoded, (int) strlen(parameter->encoded), true, &fault);
	if (parameter->value == NULL)
	{
		request->faults = fault_add(request->faults, parameter->name, fault);
		parameter->taken = true;
	}
	request->parameters = lappend(request->parameters, parameter);
}

/* Reads what the client asked for from the proxy's header. */
void
http_request_read(HttpRequest *request)
{
	const char *line = http_header(http_request_headers(), "usage-request");
	const char *target;
	const char *query;
	ListCell *cell;

	memset(request, 0, sizeof(HttpRequest));
	target = line + strcspn(line, " ");
	if (*target == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("request has no header \"Usage-Request\""),
						errhint("The proxy in front of PostgREST sends it: \"GET /usage-events\".")));

	request->method = pnstrdup(line, target - line);
	query = strchr(++target, '?');
	read_path(request, target, query != NULL ? query : target + strlen(target));
	if (query == NULL)
		return;

	foreach(cell, split(query + 1, query + strlen(query), '&'))
	{
		if (list_length(request->parameters) + list_length(request->faults) > MAX_PARAMETERS)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("too many parameters"),
							errdetail("A request has at most %d.", MAX_PARAMETERS)));
		if (*(char *) lfirst(cell) != '\0')
			read_parameter(request, lfirst(cell));
	}
}

/* Takes all parameters of that name: a list of texts. */
List *
http_parameter_all(HttpRequest *request, const char *name)
{
	List *values = NIL;
	ListCell *cell;

	foreach(cell, request->parameters)
	{
		HttpParameter *parameter = lfirst(cell);

		if (strcmp(parameter->name, name) != 0)
			continue;
		parameter->taken = true;
		if (parameter->value != NULL)
			values = lappend(values, unconstify(char *, parameter->value));
	}
	return values;
}

/* Takes the one parameter of that name; NULL if it is not there. */
const char *
http_parameter(HttpRequest *request, const char *name)
{
	List *values = http_parameter_all(request, name);

	if (list_length(values) > 1)
		request->faults = fault_add(request->faults, name, "must be given once");
	return values == NIL ? NULL : linitial(values);
}

/*
 * Takes the parameter of that name as a list of texts between commas, each of them
 * encoded by itself, so that it may have commas of its own.  An empty one is a
 * mistake: the list would be another than its sender thought.
 */
List *
http_parameter_list(HttpRequest *request, const char *name, bool *given)
{
	List *texts = NIL;
	ListCell *cell;

	*given = false;
	foreach(cell, request->parameters)
	{
		HttpParameter *parameter = lfirst(cell);
		ListCell *part;

		if (strcmp(parameter->name, name) != 0)
			continue;
		*given = true;
		parameter->taken = true;
		if (parameter->value == NULL)
			continue;
		foreach(part, split(parameter->encoded, parameter->encoded + strlen(parameter->encoded), ','))
		{
			const char *encoded = lfirst(part);
			const char *fault = "is empty, or has nothing between two commas";
			const char *text = *encoded != '\0' ? decode(encoded, (int) strlen(encoded), true, &fault) : NULL;

			if (text != NULL)
				texts = lappend(texts, unconstify(char *, text));
			else
				request->faults = fault_add(request->faults, name, fault);
		}
	}
	return texts;
}

/* A parameter that nobody took is a mistake: a filter that is not applied would show too much. */
void
http_parameters_end(HttpRequest *request)
{
	ListCell *cell;

	foreach(cell, request->parameters)
	{
		HttpParameter *parameter = lfirst(cell);

		if (!parameter->taken)
			request->faults = fault_add(request->faults, parameter->name, "is not a parameter of this path");
	}
}
