/*
 * event/list_query.h
 *		What statements of lists have in common: conditions, settings, and where a page goes on.
 */
#ifndef USAGE_EVENTS_EVENT_LIST_QUERY_H
#define USAGE_EVENTS_EVENT_LIST_QUERY_H

#include "event/list.h"
#include "sql/query.h"

extern const char *event_list_period(SqlQuery *query, const EventList *list);
extern const char *event_list_conditions(SqlQuery *query, const EventList *list);
extern bool event_list_descends(const ListPage *page);
extern void event_list_begin_query(SqlQuery *query, const pg_uuid_t *account_id);
extern int event_list_begin_settings(const EventList *list);
extern void event_list_execute(SqlQuery *query, const EventList *list);
extern void event_list_execute_merging(SqlQuery *query, const EventList *list);
extern void event_list_execute_in_order(SqlQuery *query, const EventList *list);
extern const char *event_list_beyond_key(SqlQuery *query, const ListPage *page, const char **newest);
extern void event_list_refuse_lookup(const char *message, const char *what, const char *hint);

#endif /* USAGE_EVENTS_EVENT_LIST_QUERY_H */
