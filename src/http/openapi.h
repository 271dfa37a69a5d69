/*
 * http/openapi.h
 *		The HTTP API, described.
 */
#ifndef USAGE_EVENTS_HTTP_OPENAPI_H
#define USAGE_EVENTS_HTTP_OPENAPI_H

extern const char *openapi_text(void);

#endif /* USAGE_EVENTS_HTTP_OPENAPI_H */
