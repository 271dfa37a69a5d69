/*
 * http/usage.h
 *		What metrics say, over HTTP.
 */
#ifndef USAGE_EVENTS_HTTP_USAGE_H
#define USAGE_EVENTS_HTTP_USAGE_H

#include "http/call.h"

extern Jsonb *http_usage_calculate(HttpCall *call);
extern Jsonb *http_usage_series(HttpCall *call);
extern Jsonb *http_usage_by_customer(HttpCall *call);
extern Jsonb *http_usage_changes(HttpCall *call);
extern Jsonb *http_usage_explain(HttpCall *call);

#endif /* USAGE_EVENTS_HTTP_USAGE_H */
