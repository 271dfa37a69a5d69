/*
 * limit/list.h
 *		Lists of usage limits: filtered, in pages.
 */
#ifndef USAGE_EVENTS_LIMIT_LIST_H
#define USAGE_EVENTS_LIMIT_LIST_H

#include "sql/list_page.h"

/* What is asked for; NULL where a filter is not given. */
typedef struct LimitList
{
	ListPage page;
	const char *name;            /* a part of it, in upper or lower case */
	const char *usage_metric_id; /* a UUID */
	const char *customer;        /* as limits name one */
	const char *period;
	const char *mode;
} LimitList;

extern Jsonb *limit_list_read(const pg_uuid_t *account_id, LimitList *list, List *faults);

#endif /* USAGE_EVENTS_LIMIT_LIST_H */
