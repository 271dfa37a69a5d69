/*
 * http/csv.h
 *		Answers as CSV, for spreadsheets.
 */
#ifndef USAGE_EVENTS_HTTP_CSV_H
#define USAGE_EVENTS_HTTP_CSV_H

#include "endpoint/request.h"

extern bool http_csv_is_preferred(const char *accept);
extern bool http_csv_is_asked_for(HttpRequest *request);
extern text *http_csv_write(Jsonb *answer, const char *columns);

#endif /* USAGE_EVENTS_HTTP_CSV_H */
