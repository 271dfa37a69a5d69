/*
 * http/authenticate.h
 *		Who asks.
 */
#ifndef USAGE_EVENTS_HTTP_AUTHENTICATE_H
#define USAGE_EVENTS_HTTP_AUTHENTICATE_H

extern void http_require_authenticated(void);

#endif /* USAGE_EVENTS_HTTP_AUTHENTICATE_H */
