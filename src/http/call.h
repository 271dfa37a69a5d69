/*
 * http/call.h
 *		A call of the API: the request, and what its path, parameters and body hold.
 */
#ifndef USAGE_EVENTS_HTTP_CALL_H
#define USAGE_EVENTS_HTTP_CALL_H

#include "base/fault.h"
#include "datatype/timestamp.h"
#include "endpoint/request.h"
#include "sql/list_page.h"
#include "sql/place_page.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

/* A call of the API: the request, what its path and body hold, and the answer. */
typedef struct HttpCall
{
	HttpRequest request;
	bytea *body;            /* NULL for GET */
	pg_uuid_t id;           /* the {id} of the path */
	const char *event_type; /* its {eventType} */
	const char *allowed;    /* the path's methods, where they are asked for */
} HttpCall;

/* Answers with JSON, or NULL where there is nothing of that id. */
typedef Jsonb *(*HttpHandler)(HttpCall *call);

extern Jsonb *http_parse_json(const char *text, int encoding, const char **fault);
extern Jsonb *http_body_parse(HttpCall *call, const char **fault);
extern void http_body_refuse(const char *fault);
extern Jsonb *http_body_json(HttpCall *call);
extern ArrayType *http_body_ids(HttpCall *call);

extern void http_read_integer(HttpRequest *request, const char *name, int *value);
extern void http_read_boolean(HttpRequest *request, const char *name, bool *value);
extern void http_read_timestamp(HttpRequest *request, const char *name, bool *given, TimestampTz *value);
extern void http_read_period(HttpRequest *request, TimestampTz *start, TimestampTz *end);
extern void http_read_required_timestamp(HttpRequest *request, const char *name, TimestampTz *value);
extern Slice http_read_required_text(HttpRequest *request, const char *name);
extern const pg_uuid_t *http_read_uuid(HttpRequest *request, const char *name);
extern bool http_read_required_uuid(HttpRequest *request, const char *name, pg_uuid_t *value);
extern const char *http_read_required(HttpRequest *request, const char *name);
extern Numeric http_read_number(HttpRequest *request, const char *name, int64 otherwise);
extern void http_read_direction(HttpRequest *request, bool *descending);
extern Jsonb *http_read_object(HttpRequest *request, const char *name);
extern void http_read_page(HttpRequest *request, ListPage *page);
extern void http_read_place_page(HttpRequest *request, PlacePage *page);

#endif /* USAGE_EVENTS_HTTP_CALL_H */
