/*
 * sql/list_page.h
 *		Pages of a list, and the cursors that lead from one to the next.
 */
#ifndef USAGE_EVENTS_SQL_LIST_PAGE_H
#define USAGE_EVENTS_SQL_LIST_PAGE_H

#include "base/fault.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "sql/query.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* Which list, and what it is sorted by; ids ascend in the order in which things were created. */
typedef enum ListOrder
{
	LIST_EVENTS_BY_ID,
	LIST_EVENTS_BY_TIMESTAMP, /* and id */
	LIST_ALIASES_BY_ID,
	LIST_METRICS_BY_ID,
	LIST_REJECTED_BY_ID,
	LIST_PORTAL_TOKENS_BY_ID,
	LIST_LIMITS_BY_ID,
	LIST_ALERTS_BY_ID,
	LIST_ALERT_EVENTS_BY_ID,
	LIST_METRIC_VERSIONS_BY_ID
} ListOrder;

/* A place in a list. */
typedef struct ListKey
{
	TimestampTz timestamp; /* zero where the list is by id alone */
	pg_uuid_t id;
} ListKey;

/* Asked of every list. */
typedef struct ListPage
{
	int limit;
	int offset; /* from the cursor, or from the begin */
	const char *after;
	const char *before;
	ListOrder order;
	bool descending;
	uint32 filters; /* a hash of what else the list depends on */

	/* From here on as list_page_check() finds it in the cursor. */
	bool has_key;  /* false: the first page */
	bool backward; /* the page before the key */
	ListKey key;
	pg_uuid_t newest; /* the newest id that was there when the first page was read */
	int64 total;      /* of that moment; TOTAL_UNKNOWN if not counted */
} ListPage;

/* Reads an item from a row of the last statement, and its place in the list. */
typedef Jsonb *(*ListItemReader)(uint64 row, const pg_uuid_t *account_id, ListKey *key);

#define LIST_DEFAULT_LIMIT 20
#define LIST_MAX_LIMIT 100
#define LIST_MAX_OFFSET 10000
#define TOTAL_UNKNOWN (-1)

#define LIST_PAGE_DEFAULTS \
	{ \
		.limit = LIST_DEFAULT_LIMIT, .descending = true, .total = TOTAL_UNKNOWN \
	}

extern void list_page_init(void);
extern int list_page_total_limit(void);
extern int list_page_lookup_limit(void);
extern List *list_page_set_order(List *faults, ListPage *page, const char *sort_by);
extern List *list_page_set_direction(List *faults, ListPage *page, const char *sort_order);
extern List *list_page_check(List *faults, ListPage *page);
extern void list_page_faults_report(const List *faults);
extern void list_page_count(ListPage *page, SqlQuery *query);
extern void list_page_append_order(const ListPage *page, SqlQuery *query);
extern Jsonb *list_page_answer(const ListPage *page, const pg_uuid_t *account_id, ListItemReader read_item,
							   MemoryContext context);

#endif /* USAGE_EVENTS_SQL_LIST_PAGE_H */
