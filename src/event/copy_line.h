/*
 * event/copy_line.h
 *		The line of a COPY that is being read.
 */
#ifndef USAGE_EVENTS_EVENT_COPY_LINE_H
#define USAGE_EVENTS_EVENT_COPY_LINE_H

#include "base/slice.h"

extern bool copy_line_read(Slice *line);
extern void copy_line_require_kept(Slice line, Slice value);

#endif /* USAGE_EVENTS_EVENT_COPY_LINE_H */
