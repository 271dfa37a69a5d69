/*
 * endpoint/response.h
 *		Answers to HTTP requests: status, headers, errors.
 */
#ifndef USAGE_EVENTS_ENDPOINT_RESPONSE_H
#define USAGE_EVENTS_ENDPOINT_RESPONSE_H

#include "fmgr.h"
#include "utils/jsonb.h"

/* The version of the API that is spoken here. */
#define HTTP_API_VERSION "2024-07-30"

/* PostgREST's own SQLSTATEs: the status is in their name. */
#define ERRCODE_HTTP_UNAUTHORIZED MAKE_SQLSTATE('P', 'T', '4', '0', '1')
#define ERRCODE_HTTP_NOT_FOUND MAKE_SQLSTATE('P', 'T', '4', '0', '4')
#define ERRCODE_HTTP_METHOD_NOT_ALLOWED MAKE_SQLSTATE('P', 'T', '4', '0', '5')
#define ERRCODE_HTTP_UNSUPPORTED_MEDIA_TYPE MAKE_SQLSTATE('P', 'T', '4', '1', '5')

extern void http_response_init(void);

extern void http_refuse_unauthenticated(void);
extern void http_set_status(int status);
extern void http_set_headers(void);
extern void http_set_allowed(const char *methods);
extern void http_refuse_method(const char *methods);
extern void http_refuse_encoding(void);
extern void http_retry_after(int64 seconds);
extern void http_retry_never(void);

extern Datum http_respond(PGFunction function, FunctionCallInfo fcinfo);
extern Datum http_answer_or_null(FunctionCallInfo fcinfo, Jsonb *json);
extern Datum http_endpoint(PGFunction function, FunctionCallInfo fcinfo, const char *name, int status);

#endif /* USAGE_EVENTS_ENDPOINT_RESPONSE_H */
