/*
 * metric/list.h
 *		Lists of usage metrics: filtered, in pages.
 */
#ifndef USAGE_EVENTS_METRIC_LIST_H
#define USAGE_EVENTS_METRIC_LIST_H

#include "sql/list_page.h"

/* A filter that is met by any of some texts. */
typedef struct TextFilter
{
	bool given;
	List *texts; /* of char * */
} TextFilter;

/* What is asked for; NULL and false where a filter is not given. */
typedef struct MetricList
{
	ListPage page;
	const char *name; /* a part of it, in upper or lower case */
	const char *id;   /* the same */
	TextFilter event_types;
	TextFilter event_properties; /* that are aggregated */
	TextFilter aggregation_types;
} MetricList;

extern Jsonb *metric_list_read(const pg_uuid_t *account_id, MetricList *list, List *faults);

#endif /* USAGE_EVENTS_METRIC_LIST_H */
