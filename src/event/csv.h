/*
 * event/csv.h
 *		Events as rows of CSV.
 */
#ifndef USAGE_EVENTS_EVENT_CSV_H
#define USAGE_EVENTS_EVENT_CSV_H

#include "event/event.h"

typedef struct CsvReader CsvReader;

extern CsvReader *csv_begin(EventText header, MemoryContext parent);
extern void csv_end(CsvReader *reader);
extern bool csv_is_open(const CsvReader *reader);
extern bool csv_read_line(CsvReader *reader, EventText line, text **body, const char **fault);
extern bool csv_split(EventText text, char separator, EventText **values, int *count);

#endif /* USAGE_EVENTS_EVENT_CSV_H */
