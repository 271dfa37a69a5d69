/*
 * sql/place_page.h
 *		Pages of lists in an order of their own: by a text, by a value, or by more than one id.
 */
#ifndef USAGE_EVENTS_SQL_PLACE_PAGE_H
#define USAGE_EVENTS_SQL_PLACE_PAGE_H

#include "base/json_build.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/*
 * A list whose items come one after the other, each with its place: bytes that say
 * where in the order it stands.
 *
 *	faults = place_page_check(faults, &page);
 *	place_page_begin(&page);
 *	place_page_add(&page, place, item);		for each after the page's place or, backward, before it
 *	place_page_end(&page, &answer, total);
 */
typedef struct PlacePage
{
	int limit;
	const char *after;
	const char *before;
	uint32 list; /* a hash of what the list depends on */

	/* As place_page_check() finds it in the cursor. */
	bool has_place; /* false: the first page */
	bool backward;  /* the page before the place */
	Slice place;

	/* The last limit + 1 that were added or, forward, the first. */
	MemoryContext context;
	Jsonb **items;
	Slice *places;
	int64 added;
} PlacePage;

extern List *place_page_check(List *faults, PlacePage *page);
extern void place_page_begin(PlacePage *page);
extern bool place_page_is_full(const PlacePage *page);
extern void place_page_add(PlacePage *page, Slice place, const Jsonb *item);
extern void place_page_end(PlacePage *page, JsonObject *answer, int64 total);

#endif /* USAGE_EVENTS_SQL_PLACE_PAGE_H */
