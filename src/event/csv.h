/*
 * event/csv.h
 *		Events as rows of CSV.
 */
#ifndef USAGE_EVENTS_EVENT_CSV_H
#define USAGE_EVENTS_EVENT_CSV_H

#include "base/slice.h"

typedef struct CsvReader CsvReader;

extern CsvReader *csv_begin(Slice header, MemoryContext parent);
extern void csv_end(CsvReader *reader);
extern bool csv_is_open(const CsvReader *reader);
extern bool csv_read_line(CsvReader *reader, Slice line, text **body, const char **fault);
extern bool csv_split(Slice text, char separator, Slice **values, int *count);

#endif /* USAGE_EVENTS_EVENT_CSV_H */
