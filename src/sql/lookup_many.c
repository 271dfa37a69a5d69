/*
 * sql/lookup_many.c
 *		Rows of many keys at once, in the order in which they are stored.
 *
 * Along an index rows come in the order of its keys, which is hardly ever that of the table: each is on another page, which has
 * to be looked up, locked and cleaned, and most of what it takes to read a row is that.  So the places of rows are gathered from
 * the index first, for all keys, and then each page is visited once.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "base/compat.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "sql/lookup.h"
#include "sql/row.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Places are gathered so many at a time: half a megabyte. */
#define PLACES_AT_A_TIME 32768

typedef struct FoundPlace
{
	uint64 tid; /* the page, and the row on it */
	int key;
} FoundPlace;

#define ST_SORT sort_places
#define ST_ELEMENT_TYPE FoundPlace
#define ST_COMPARE(a, b) ((a)->tid < (b)->tid ? -1 : (a)->tid > (b)->tid)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct ManySearch
{
	Lookup *lookup;
	Relation table;
	Snapshot snapshot;
	struct IndexFetchTableData *fetch;
	TupleTableSlot *slot;
	FoundPlace *places;
	int count;
	int capacity;
	void (*take_row)(int key, uint64 row, void *argument);
	void *argument;
} ManySearch;

static uint64
place_of(const ItemPointerData *tid)
{
	return ((uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16) | ItemPointerGetOffsetNumberNoCheck(tid);
}

/* Hands out the rows that have been gathered. */
static void
read_places(ManySearch *search)
{
	sort_places(search->places, search->count);
	for (int i = 0; i < search->count; i++)
	{
		const FoundPlace *place = &search->places[i];
		ItemPointerData tid;
		bool is_chain = false;

		CHECK_FOR_INTERRUPTS();
		ItemPointerSet(&tid, (BlockNumber) (place->tid >> 16), (OffsetNumber) (place->tid & 0xffff));
		if (!table_index_fetch_tuple(search->fetch, &tid, search->snapshot, search->slot, &is_chain, NULL))
			continue;
		row_stream(search->slot, search->lookup->attributes);
		search->take_row(place->key, ROW_STREAMED, search->argument);
		row_stream_end();
	}
	search->count = 0;
}

static void
note_place(ManySearch *search, const ItemPointerData *tid, int key)
{
	if (search->count == PLACES_AT_A_TIME)
		read_places(search);
	if (search->count == search->capacity)
	{
		search->capacity *= 2;
		search->places = repalloc(search->places, sizeof(FoundPlace) * search->capacity);
	}
	search->places[search->count++] = (FoundPlace){place_of(tid), key};
}

static void
search_keys(ManySearch *search, int count, void (*set_arguments)(int key, Datum *arguments, void *argument))
{
	const Lookup *lookup = search->lookup;
	Relation index = index_open(lookup->index_id, AccessShareLock);
	IndexScanDesc scan = index_begin_search(search->table, index, search->snapshot, lookup->key_count);
	ScanKeyData keys[LOOKUP_MAX_KEYS];
	Datum arguments[LOOKUP_MAX_KEYS];
	const ItemPointerData *tid;

	memcpy(keys, lookup->scan_keys, sizeof(ScanKeyData) * lookup->key_count);
	for (int i = 0; i < lookup->key_count; i++)
		keys[i].sk_attno = lookup->key_places[i];
	for (int key = 0; key < count; key++)
	{
		CHECK_FOR_INTERRUPTS();
		set_arguments(key, arguments, search->argument);
		for (int i = 0; i < lookup->key_count; i++)
			keys[i].sk_argument = arguments[i];
		index_rescan(scan, keys, lookup->key_count, NULL, 0);
		while ((tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
			note_place(search, tid, key);
	}
	index_endscan(scan);
	index_close(index, NoLock);
	read_places(search);
}

/* No row is streamed any more after an error. */
static void
search_keys_or_end(ManySearch *search, int count, void (*set_arguments)(int key, Datum *arguments, void *argument))
{
	PG_TRY();
	{
		search_keys(search, count, set_arguments);
	}
	PG_CATCH();
	{
		row_stream_end();
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * Hands out the rows of many keys, in no order, as lookup_rows() does those of one; a function says what each key's values are.  Of a
 * lookup of all rows, under the active snapshot.  Returns false, and has done nothing, if only a statement may read them.
 */
bool
lookup_rows_of_many(Lookup *lookup, int count, void (*set_arguments)(int key, Datum *arguments, void *argument),
					void (*take_row)(int key, uint64 row, void *argument), void *argument)
{
	ManySearch search = {.lookup = lookup, .capacity = 256, .take_row = take_row, .argument = argument};
	Datum arguments[LOOKUP_MAX_KEYS];

	Assert(lookup->max_rows == 0 && !lookup->takes_snapshot);
	if (row_is_streamed())
		elog(ERROR, "a lookup may not run while rows of another are streamed");
	if (count == 0)
		return true;
	set_arguments(0, arguments, argument);
	if (!lookup_is_searchable(lookup, arguments))
		return false;
	search.table = relation_open(lookup->told.relation, NoLock);
	search.snapshot = GetActiveSnapshot();
	search.fetch = table_begin_fetch(search.table);
	search.slot = table_slot_create(search.table, NULL);
	search.places = palloc(sizeof(FoundPlace) * search.capacity);
	search_keys_or_end(&search, count, set_arguments);
	table_index_fetch_end(search.fetch);
	ExecDropSingleTupleTableSlot(search.slot);
	relation_close(search.table, NoLock);
	pfree(search.places);
	return true;
}
