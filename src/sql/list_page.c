/*
 * sql/list_page.c
 *		Pages of a list, and the cursors that lead from one to the next.
 *
 * A cursor names the place of an item by the values that the list is sorted by,
 * so that the next page begins with a search in an index, however deep it is. It
 * carries along what was true when the first page was read: the newest id and the
 * total, so that all pages are of one list although events keep arriving.
 *
 * To clients it is opaque: base64 of the bytes below, with a checksum, so that a
 * damaged one is refused and does not lead astray.  It gives no access: whoever
 * holds one sees only rows of the own account with it.  And it is not believed:
 * whoever makes one up gets a page of another list of the same account, and no more work is
 * done for it than for a true one.  (Functions run as their callers, so there is no
 * secret with which cursors could be signed and which a caller could not read.)
 */
#include "postgres.h"

#include "sql/list_page.h"

#include <limits.h>

#include "base/base64.h"
#include "base/json_build.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"
#include "sql/row.h"
#include "utils/guc.h"

#define CURSOR_VERSION 1

/* version, order and direction, filters, key, newest, total, checksum */
#define CURSOR_SIZE (1 + 1 + 4 + 8 + UUID_LEN + UUID_LEN + 8 + 4)

static int total_limit = 10000;
static int lookup_limit = 200000;

void
list_page_init(void)
{
	DefineCustomIntVariable("usage_events.list_total_limit",
							"How many rows a list looks at to find its total; beyond, the total is null.",
							"The total is never an estimate.  Only the first page of a list counts.", &total_limit,
							10000, 0, INT_MAX / 2, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"usage_events.list_lookup_limit",
		"How many corrections, aliases, or pairs of a customer and a type a list looks through beside its events.",
		"A list that would have to look through more is refused.", &lookup_limit, 200000, 0, INT_MAX / 2, PGC_SUSET, 0,
		NULL, NULL, NULL);
}

int
list_page_total_limit(void)
{
	return total_limit;
}

int
list_page_lookup_limit(void)
{
	return lookup_limit;
}

/* Cursors ----------------------------------------------------------------- */

static void
put(char **at, const void *value, int length)
{
	memcpy(*at, value, length);
	*at += length;
}

static void
put_int64(char **at, int64 value)
{
	uint64 bytes = pg_hton64((uint64) value);

	put(at, &bytes, sizeof(bytes));
}

static const char *
take(const char **at, int length)
{
	const char *value = *at;

	*at += length;
	return value;
}

static int64
take_int64(const char **at)
{
	uint64 bytes;

	memcpy(&bytes, take(at, sizeof(bytes)), sizeof(bytes));
	return (int64) pg_ntoh64(bytes);
}

static uint32
checksum(const char *bytes, int length)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, bytes, length);
	FIN_CRC32C(crc);
	return (uint32) crc;
}

static char
order_byte(const ListPage *page)
{
	return (char) (page->order << 1 | (page->descending ? 1 : 0));
}

static char *
cursor_to_text(const ListPage *page, const ListKey *key)
{
	char bytes[CURSOR_SIZE];
	char *at = bytes;
	uint32 crc;

	*at++ = CURSOR_VERSION;
	*at++ = order_byte(page);
	put(&at, &page->filters, sizeof(page->filters));
	put_int64(&at, key->timestamp);
	put(&at, key->id.data, UUID_LEN);
	put(&at, page->newest.data, UUID_LEN);
	put_int64(&at, page->total);
	crc = pg_hton32(checksum(bytes, (int) (at - bytes)));
	put(&at, &crc, sizeof(crc));
	return base64_encode_for_url(bytes, CURSOR_SIZE);
}

/* Reads a cursor into the page.  Returns the fault, or NULL. */
static const char *
cursor_from_text(const char *text, ListPage *page)
{
	Slice decoded;
	const char *at;
	uint32 crc;

	if (!base64_decode(slice_from_cstring(text), &decoded) || decoded.length != CURSOR_SIZE ||
		decoded.data[0] != CURSOR_VERSION)
		return "is not a cursor of this list";
	memcpy(&crc, decoded.data + CURSOR_SIZE - sizeof(crc), sizeof(crc));
	if (pg_ntoh32(crc) != checksum(decoded.data, CURSOR_SIZE - sizeof(crc)))
		return "is not a cursor of this list";
	at = decoded.data + 2;
	if (decoded.data[1] != order_byte(page) ||
		memcmp(take(&at, sizeof(page->filters)), &page->filters, sizeof(page->filters)) != 0)
		return "is a cursor of a list with other filters or another order";

	page->key.timestamp = take_int64(&at);
	memcpy(page->key.id.data, take(&at, UUID_LEN), UUID_LEN);
	memcpy(page->newest.data, take(&at, UUID_LEN), UUID_LEN);
	page->total = take_int64(&at);
	page->has_key = true;
	return page->total < TOTAL_UNKNOWN ? "is not a cursor of this list" : NULL;
}

/* What is asked ----------------------------------------------------------- */

List *
list_page_set_order(List *faults, ListPage *page, const char *sort_by)
{
	if (strcmp(sort_by, "createdAt") == 0)
		page->order = LIST_EVENTS_BY_ID;
	else if (strcmp(sort_by, "eventTimestamp") == 0)
		page->order = LIST_EVENTS_BY_TIMESTAMP;
	else
		return fault_add(faults, "sortBy", "must be \"createdAt\" or \"eventTimestamp\"");
	return faults;
}

List *
list_page_set_direction(List *faults, ListPage *page, const char *sort_order)
{
	if (pg_strcasecmp(sort_order, "DESC") == 0)
		page->descending = true;
	else if (pg_strcasecmp(sort_order, "ASC") == 0)
		page->descending = false;
	else
		return fault_add(faults, "sortOrder", "must be \"ASC\" or \"DESC\"");
	return faults;
}

/* Checks the rules of every page, and reads its cursor. */
List *
list_page_check(List *faults, ListPage *page)
{
	const char *fault = NULL;

	if (page->limit < 1 || page->limit > LIST_MAX_LIMIT)
		faults = fault_add(faults, "limit", psprintf("must be an integer from 1 to %d", LIST_MAX_LIMIT));
	if (page->offset < 0 || page->offset > LIST_MAX_OFFSET)
		faults = fault_add(faults, "offset", psprintf("must be an integer from 0 to %d", LIST_MAX_OFFSET));
	if (page->after != NULL && page->before != NULL)
		return fault_add(faults, "before", "cannot be combined with \"after\"");

	if (page->after != NULL && (fault = cursor_from_text(page->after, page)) != NULL)
		faults = fault_add(faults, "after", fault);
	if (page->before != NULL && (fault = cursor_from_text(page->before, page)) != NULL)
		faults = fault_add(faults, "before", fault);
	page->backward = page->before != NULL;
	return faults;
}

/* Refuses to list, if there are faults. */
void
list_page_faults_report(const List *faults)
{
	faults_report_request(faults, "invalid parameters of a list");
}

/* Statements of lists that are sorted by id, and not kept as they were -------- */

/* Counts the rows of the statement, unless there are too many. */
void
list_page_count(ListPage *page, SqlQuery *query)
{
	const char *rows = pstrdup(query->sql.data);
	const char *limit = sql_query_argument(query, INT8OID, Int64GetDatum((int64) total_limit + 1));
	int64 total;

	resetStringInfo(&query->sql);
	sql_query_append(query, "SELECT pg_catalog.count(*) FROM (%s LIMIT %s) AS listed", rows, limit);
	sql_query_execute(query);
	total = DatumGetInt64(row_value_there(0, 1));
	page->total = total <= total_limit ? total : TOTAL_UNKNOWN;
}

/* Ends the statement's conditions with the place from which the page goes on, the newest first. */
void
list_page_append_order(const ListPage *page, SqlQuery *query)
{
	if (page->has_key)
		sql_query_append(query, " AND id OPERATOR(pg_catalog.%s) %s", page->backward ? ">" : "<",
						 sql_query_argument(query, UUIDOID, UUIDPGetDatum(&page->key.id)));
	sql_query_append(query, " ORDER BY id %s LIMIT %s", page->backward ? "ASC" : "DESC",
					 sql_query_argument(query, INT8OID, Int64GetDatum((int64) page->limit + 1)));
}

/* What is answered -------------------------------------------------------- */

/*
 * {"after", "before", "totalResultSize"} of items in the order of the list, of
 * which these are the places.  has_more: there is an item beyond them, in the
 * direction in which the page was read.
 */
static Jsonb *
pagination_to_json(const ListPage *page, const ListKey *keys, int count, bool has_more)
{
	bool has_following = page->backward || has_more;
	bool has_preceding = page->backward ? has_more : page->has_key || page->offset > 0;
	JsonObject pagination = {0};
	Slice after = {0};
	Slice before = {0};

	if (count > 0 && has_following)
		after = slice_from_cstring(cursor_to_text(page, &keys[count - 1]));
	if (count > 0 && has_preceding)
		before = slice_from_cstring(cursor_to_text(page, &keys[0]));

	json_add_text_or_null(&pagination, SLICE("after"), after);
	json_add_text_or_null(&pagination, SLICE("before"), before);
	if (page->total == TOTAL_UNKNOWN)
		json_add_null(&pagination, SLICE("totalResultSize"));
	else
		json_add_integer(&pagination, SLICE("totalResultSize"), page->total);
	return json_make_object(&pagination);
}

/*
 * {"items": [...], "pagination": {...}} of the rows of the last statement, which
 * has read one more than the page holds; in memory that outlives SPI.
 */
Jsonb *
list_page_answer(const ListPage *page, const pg_uuid_t *account_id, ListItemReader read_item, MemoryContext context)
{
	MemoryContext spi_context = MemoryContextSwitchTo(context);
	bool has_more = SPI_processed > (uint64) page->limit;
	int count = has_more ? page->limit : (int) SPI_processed;
	JsonArray items;
	ListKey *keys = palloc0(sizeof(ListKey) * Max(count, 1));
	JsonObject answer = {0};
	Jsonb *json;

	json_array_begin(&items);
	for (int place = 0; place < count; place++)
	{
		int row = page->backward ? count - 1 - place : place;

		json_array_next(&items);
		json_array_add(&items, read_item(row, account_id, &keys[place]));
		if (page->order != LIST_EVENTS_BY_TIMESTAMP)
			keys[place].timestamp = 0;
	}

	json_add_json(&answer, SLICE("items"), json_array_end(&items));
	json_add_json(&answer, SLICE("pagination"), pagination_to_json(page, keys, count, has_more));
	json = json_make_object(&answer);
	MemoryContextSwitchTo(spi_context);
	return json;
}
