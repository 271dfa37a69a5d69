/*
 * sql/place_page.c
 *		Pages of lists in an order of their own: by a text, by a value, or by more than one id.
 *
 * As in list_page.c a cursor names the place of an item, not its number, so that the
 * next page goes on there whatever has come meanwhile; to clients it is opaque, it
 * gives no access, and it is not believed.
 */
#include "postgres.h"

#include "sql/place_page.h"

#include "base/base64.h"
#include "base/fault.h"
#include "base/memory_budget.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"
#include "sql/list_page.h"
#include "utils/memutils.h"

#define CURSOR_VERSION 2

/* What stands around the place: version and list; checksum. */
#define HEAD_SIZE (1 + (int) sizeof(uint32))
#define CHECKSUM_SIZE ((int) sizeof(uint32))

static uint32
checksum(const char *bytes, int length)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, bytes, length);
	FIN_CRC32C(crc);
	return pg_hton32((uint32) crc);
}

static Slice
cursor_to_text(const PlacePage *page, Slice place)
{
	StringInfoData bytes;
	uint32 crc;

	initStringInfo(&bytes);
	appendStringInfoChar(&bytes, CURSOR_VERSION);
	appendBinaryStringInfo(&bytes, (const char *) &page->list, sizeof(page->list));
	appendBinaryStringInfo(&bytes, place.data, place.length);
	crc = checksum(bytes.data, bytes.len);
	appendBinaryStringInfo(&bytes, (const char *) &crc, sizeof(crc));
	return slice_from_cstring(base64_encode_for_url(bytes.data, bytes.len));
}

/* Reads a cursor into the page.  Returns the fault, or NULL. */
static const char *
cursor_from_text(const char *text, PlacePage *page)
{
	Slice decoded;
	uint32 crc;

	if (!base64_decode(slice_from_cstring(text), &decoded) || decoded.length < HEAD_SIZE + CHECKSUM_SIZE ||
		decoded.data[0] != CURSOR_VERSION)
		return "is not a cursor of this list";
	memcpy(&crc, decoded.data + decoded.length - CHECKSUM_SIZE, CHECKSUM_SIZE);
	if (crc != checksum(decoded.data, decoded.length - CHECKSUM_SIZE))
		return "is not a cursor of this list";
	if (memcmp(decoded.data + 1, &page->list, sizeof(page->list)) != 0)
		return "is a cursor of a list with other filters or another order";
	page->has_place = true;
	page->place = (Slice){decoded.data + HEAD_SIZE, decoded.length - HEAD_SIZE - CHECKSUM_SIZE};
	return NULL;
}

/* Checks the rules of every page, and reads its cursor. */
List *
place_page_check(List *faults, PlacePage *page)
{
	const char *fault = NULL;

	if (page->limit < 1 || page->limit > LIST_MAX_LIMIT)
		faults = fault_add(faults, "limit", psprintf("must be an integer from 1 to %d", LIST_MAX_LIMIT));
	if (page->after != NULL && page->before != NULL)
		return fault_add(faults, "before", "cannot be combined with \"after\"");

	if (page->after != NULL && (fault = cursor_from_text(page->after, page)) != NULL)
		faults = fault_add(faults, "after", fault);
	if (page->before != NULL && (fault = cursor_from_text(page->before, page)) != NULL)
		faults = fault_add(faults, "before", fault);
	page->backward = page->before != NULL;
	return faults;
}

void
place_page_begin(PlacePage *page)
{
	page->context = CurrentMemoryContext;
	page->items = palloc0(sizeof(Jsonb *) * (page->limit + 1));
	page->places = palloc0(sizeof(Slice) * (page->limit + 1));
	page->added = 0;
}

/* Whether no more items need be added: backward, the last ones count. */
bool
place_page_is_full(const PlacePage *page)
{
	return !page->backward && page->added > page->limit;
}

/* Adds an item, both copied. */
void
place_page_add(PlacePage *page, Slice place, const Jsonb *item)
{
	int at = (int) (page->added % (page->limit + 1));
	MemoryContext context;
	char *copy;

	if (place_page_is_full(page))
		return;
	memory_budget_grow(VARSIZE(item) + place.length);
	context = MemoryContextSwitchTo(page->context);
	if (page->added > page->limit)
	{
		pfree(page->items[at]);
		pfree(unconstify(char *, page->places[at].data));
	}
	copy = palloc(place.length + 1);
	memcpy(copy, place.data, place.length);
	page->places[at] = (Slice){copy, place.length};
	page->items[at] = json_copy(item);
	page->added++;
	MemoryContextSwitchTo(context);
}

/* Where the item is kept that comes in this place of the page. */
static int
slot(const PlacePage *page, int place, int count)
{
	return (int) ((page->backward ? page->added - count + place : place) % (page->limit + 1));
}

static Jsonb *
pagination_to_json(const PlacePage *page, int count, bool has_more, int64 total)
{
	JsonObject pagination = {0};
	Slice after = {0};
	Slice before = {0};

	if (count > 0 && (page->backward || has_more))
		after = cursor_to_text(page, page->places[slot(page, count - 1, count)]);
	if (count > 0 && (page->backward ? has_more : page->has_place))
		before = cursor_to_text(page, page->places[slot(page, 0, count)]);
	json_add_text_or_null(&pagination, SLICE("after"), after);
	json_add_text_or_null(&pagination, SLICE("before"), before);
	if (total == TOTAL_UNKNOWN)
		json_add_null(&pagination, SLICE("totalResultSize"));
	else
		json_add_integer(&pagination, SLICE("totalResultSize"), total);
	return json_make_object(&pagination);
}

/* Adds "items" and "pagination" to the answer. */
void
place_page_end(PlacePage *page, JsonObject *answer, int64 total)
{
	bool has_more = page->added > page->limit;
	int count = has_more ? page->limit : (int) page->added;
	JsonArray items;

	json_array_begin(&items);
	for (int place = 0; place < count; place++)
	{
		json_array_next(&items);
		json_array_add(&items, page->items[slot(page, place, count)]);
	}
	json_add_json(answer, SLICE("items"), json_array_end(&items));
	json_add_json(answer, SLICE("pagination"), pagination_to_json(page, count, has_more, total));
}
