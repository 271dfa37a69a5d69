/*
 * event/import.h
 *		COPY usage_event_import FROM ...
 */
#ifndef USAGE_EVENTS_EVENT_IMPORT_H
#define USAGE_EVENTS_EVENT_IMPORT_H

extern void event_import_init(void);

#endif /* USAGE_EVENTS_EVENT_IMPORT_H */
