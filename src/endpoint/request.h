/*
 * endpoint/request.h
 *		The HTTP request that the current transaction serves.
 */
#ifndef USAGE_EVENTS_ENDPOINT_REQUEST_H
#define USAGE_EVENTS_ENDPOINT_REQUEST_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A parameter of the query string, decoded. */
typedef struct HttpParameter
{
	const char *name;
	const char *value;
	const char *encoded; /* the value as it came */
	bool taken;          /* somebody asked for it */
} HttpParameter;

typedef struct HttpRequest
{
	const char *method;
	List *segments;   /* of char *: the path between its slashes, decoded */
	List *parameters; /* of HttpParameter * */
	List *faults;     /* of the parameters */
} HttpRequest;

extern bool http_request_is_there(void);
extern bool http_request_is_for(const char *function);
extern Jsonb *http_request_headers(void);
extern const char *http_header(Jsonb *headers, const char *name);
extern void http_request_read(HttpRequest *request);

extern const char *http_parameter(HttpRequest *request, const char *name);
extern List *http_parameter_all(HttpRequest *request, const char *name);
extern List *http_parameter_list(HttpRequest *request, const char *name, bool *given);
extern void http_parameters_end(HttpRequest *request);

#endif /* USAGE_EVENTS_ENDPOINT_REQUEST_H */
