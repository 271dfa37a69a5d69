/*
 * metric_total.c
 *		What many events are to a metric: counts, values, groups.
 *
 * A total is the same in whatever order its events come, and from whatever parts
 * it is added up: single events, rows of rollups, other totals.  That is what
 * makes rollups exact.  It has a cell for each group and, of a UNIQUE metric, for
 * each value.
 */
#include "postgres.h"

#include "metric_total.h"

#include "common/cryptohash.h"
#include "common/hashfn.h"
#include "common/sha2.h"
#include "event_id.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Longer texts have a digest as their key: an index takes no key of any length. */
#define MAX_KEY_TEXT 200

#define SH_PREFIX metric_cells
#define SH_ELEMENT_TYPE MetricCell
#define SH_KEY_TYPE EventText
#define SH_KEY key
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key).data, (key).length)
#define SH_EQUAL(table, a, b) ((a).length == (b).length && memcmp((a).data, (b).data, (a).length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, cell) (cell)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Most totals have one: of a customer, of a step, of a group. */
#define INITIAL_CELLS 1

void
metric_total_init(MetricTotal *total, const Metric *metric, MemoryContext context)
{
	total->metric = metric;
	total->context = context;
	total->cells = NULL;
	total->long_groups = NULL;
}

/* Empties it; what it held is the context's to free. */
void
metric_total_reset(MetricTotal *total)
{
	total->cells = NULL;
	total->long_groups = NULL;
}

/* Keys -------------------------------------------------------------------- */

static void
append_digest(StringInfo key, EventText text)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	uint8 digest[PG_SHA256_DIGEST_LENGTH];

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) text.data, text.length) < 0 ||
		pg_cryptohash_final(context, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute a SHA-256");
	pg_cryptohash_free(context);
	for (size_t i = 0; i < sizeof(digest); i++)
		appendStringInfo(key, "%02x", digest[i]);
}

/* The kind of key comes first, so that no text can look like another kind's. */
static void
append_key(StringInfo key, EventText text)
{
	if (text.data == NULL)
		appendStringInfoChar(key, 'n');
	else if (text.length > MAX_KEY_TEXT)
	{
		appendStringInfoChar(key, 'h');
		append_digest(key, text);
	}
	else
	{
		appendStringInfoChar(key, 'v');
		appendBinaryStringInfo(key, text.data, text.length);
	}
}

/* Cells ------------------------------------------------------------------- */

static EventText
copy_text(EventText text)
{
	char *copy;

	if (text.data == NULL)
		return text;
	copy = palloc(Max(text.length, 1));
	memcpy(copy, text.data, text.length);
	return (EventText){copy, text.length};
}

/*
 * The value of a group, in the total's memory.  A UNIQUE metric has a cell for each
 * value in a group: those of a group with a long name share it.
 */
static EventText
keep_group_value(MetricTotal *total, EventText group_key, EventText value)
{
	MetricCell *group;
	bool found;

	if (value.length <= MAX_KEY_TEXT || total->metric->aggregation != METRIC_UNIQUE)
		return copy_text(value);
	if (total->long_groups == NULL)
		total->long_groups = metric_cells_create(total->context, INITIAL_CELLS, NULL);
	group = metric_cells_insert(total->long_groups, group_key, &found);
	if (!found)
	{
		group->key = copy_text(group_key);
		group->group_value = copy_text(value);
	}
	return group->group_value;
}

/* The cell of the key; a new one is empty. */
static MetricCell *
find_cell(MetricTotal *total, EventText key, int group_key_length, EventText group_value)
{
	MetricCell *cell;
	bool found;

	if (total->cells == NULL)
		total->cells = metric_cells_create(total->context, INITIAL_CELLS, NULL);
	cell = metric_cells_insert(total->cells, key, &found);
	if (!found)
	{
		MemoryContext context = MemoryContextSwitchTo(total->context);

		cell->key = copy_text(key);
		cell->group_key_length = group_key_length;
		cell->group_value = keep_group_value(total, (EventText){key.data, group_key_length}, group_value);
		cell->event_count = cell->skipped_count = 0;
		cell->value = NULL;
		cell->is_stored = false;
		MemoryContextSwitchTo(context);
	}
	return cell;
}

static Numeric
add_numbers(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a), NumericGetDatum(b)));
}

static int
scale_of(Numeric number)
{
	return DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(number)));
}

/* Of equal numbers, that with more zeros after the point is above: 1.50 or 1.5 is not a matter of who came first. */
static int
compare_extremes(Numeric a, Numeric b)
{
	int result = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));

	return result != 0 ? result : scale_of(a) - scale_of(b);
}

static Numeric
copy_number(Numeric number)
{
	Numeric copy = palloc(VARSIZE_ANY((Pointer) number));

	memcpy(copy, number, VARSIZE_ANY((Pointer) number));
	return copy;
}

static void
set_value(MetricTotal *total, MetricCell *cell, Numeric value, bool is_ours)
{
	MemoryContext context = MemoryContextSwitchTo(total->context);

	if (!is_ours)
		value = copy_number(value);
	if (cell->value != NULL)
		pfree(cell->value);
	cell->value = value;
	MemoryContextSwitchTo(context);
}

/* Takes a value in: one event's, or that of a cell. */
static void
combine_value(MetricTotal *total, MetricCell *cell, Numeric value, TimestampTz timestamp, const pg_uuid_t *id)
{
	MemoryContext context;
	Numeric sum;

	switch (total->metric->aggregation)
	{
		case METRIC_SUM:
		case METRIC_AVERAGE:
			if (cell->value == NULL)
				break;
			context = MemoryContextSwitchTo(total->context);
			sum = add_numbers(cell->value, value);
			MemoryContextSwitchTo(context);
			set_value(total, cell, sum, true);
			return;
		case METRIC_MAX:
			if (cell->value != NULL && compare_extremes(cell->value, value) >= 0)
				return;
			break;
		case METRIC_MIN:
			if (cell->value != NULL && compare_extremes(value, cell->value) >= 0)
				return;
			break;
		case METRIC_LATEST:
			if (cell->value != NULL &&
				(cell->latest_timestamp > timestamp ||
				 (cell->latest_timestamp == timestamp && event_id_compare(&cell->latest_id, id) >= 0)))
				return;
			cell->latest_timestamp = timestamp;
			cell->latest_id = *id;
			break;
		default:
			return;
	}
	set_value(total, cell, value, false);
}

/* Before they are counted. */
static void
take_age(MetricCell *cell, const pg_uuid_t *oldest_id, const pg_uuid_t *newest_id)
{
	bool is_first = cell->event_count + cell->skipped_count == 0;

	if (is_first || event_id_compare(oldest_id, &cell->oldest_id) < 0)
		cell->oldest_id = *oldest_id;
	if (is_first || event_id_compare(newest_id, &cell->newest_id) > 0)
		cell->newest_id = *newest_id;
}

static void
take_ids(MetricCell *cell, const pg_uuid_t *min_id, const pg_uuid_t *max_id)
{
	if (cell->event_count == 0 || event_id_compare(min_id, &cell->min_id) < 0)
		cell->min_id = *min_id;
	if (cell->event_count == 0 || event_id_compare(max_id, &cell->max_id) > 0)
		cell->max_id = *max_id;
}

/* Adds an event of the metric's type, if it counts or is skipped. */
void
metric_total_add_event(MetricTotal *total, const MetricMatcher *matcher, const pg_uuid_t *id, TimestampTz timestamp,
					   Jsonb *properties)
{
	MetricValue value;
	MetricVerdict verdict = metric_value_read(matcher, properties, false, &value);
	MetricCell *cell;
	StringInfoData key;
	int group_key_length;
	char key_buffer[2] = {0};

	if (verdict == METRIC_FILTERS)
		return;

	if (!total->metric->is_grouped && total->metric->aggregation != METRIC_UNIQUE)
		cell = find_cell(total, (EventText){key_buffer, 1}, 0, (EventText){NULL, 0});
	else
	{
		initStringInfo(&key);
		if (total->metric->is_grouped)
			append_key(&key, value.group);
		group_key_length = key.len;
		appendStringInfoChar(&key, '\0');
		if (total->metric->aggregation == METRIC_UNIQUE && verdict == METRIC_COUNTS)
			append_key(&key, value.unique);
		cell = find_cell(total, (EventText){key.data, key.len}, group_key_length, value.group);
		pfree(key.data);
	}

	take_age(cell, id, id);
	if (verdict == METRIC_SKIPS)
	{
		cell->skipped_count++;
		return;
	}
	take_ids(cell, id, id);
	cell->event_count++;
	if (value.number != NULL)
		combine_value(total, cell, value.number, timestamp, id);
}

/* Adds a cell of another total, perhaps from a rollup; an empty one leaves no trace. */
void
metric_total_add_cell(MetricTotal *total, const MetricCell *other)
{
	MetricCell *cell;

	if (other->event_count == 0 && other->skipped_count == 0)
		return;
	cell = find_cell(total, other->key, other->group_key_length, other->group_value);
	take_age(cell, &other->oldest_id, &other->newest_id);
	if (other->event_count > 0)
		take_ids(cell, &other->min_id, &other->max_id);
	cell->event_count += other->event_count;
	cell->skipped_count += other->skipped_count;
	if (other->value != NULL)
		combine_value(total, cell, other->value, other->latest_timestamp, &other->latest_id);
}

void
metric_total_add(MetricTotal *total, const MetricTotal *other)
{
	ListCell *item;

	foreach(item, metric_total_cells(other))
		metric_total_add_cell(total, lfirst(item));
}

/* The cells, in no order; they are the total's, and move when it grows. */
List *
metric_total_cells(const MetricTotal *total)
{
	List *cells = NIL;
	metric_cells_iterator iterator;
	MetricCell *cell;

	if (total->cells == NULL)
		return NIL;
	metric_cells_start_iterate(total->cells, &iterator);
	while ((cell = metric_cells_iterate(total->cells, &iterator)) != NULL)
		cells = lappend(cells, cell);
	return cells;
}

/* The cell of the key, or NULL. */
MetricCell *
metric_total_find_cell(const MetricTotal *total, EventText key)
{
	return total->cells == NULL ? NULL : metric_cells_lookup(total->cells, key);
}

int64
metric_total_cell_count(const MetricTotal *total)
{
	return list_length(metric_total_cells(total));
}

/* How many events it has, skipped ones too. */
int64
metric_total_events(const MetricTotal *total)
{
	int64 events = 0;
	ListCell *item;

	foreach(item, metric_total_cells(total))
	{
		const MetricCell *cell = lfirst(item);

		events += cell->event_count + cell->skipped_count;
	}
	return events;
}

/* The result -------------------------------------------------------------- */

static bool
has_unique_value(const MetricCell *cell)
{
	return cell->key.length > cell->group_key_length + 1;
}

/* The key that a cell has in the total over some cells: of all groups, or of its group. */
static EventText
key_without_group(const MetricCell *cell)
{
	return (EventText){cell->key.data + cell->group_key_length, cell->key.length - cell->group_key_length};
}

/* What is answered for these cells, which are of one group, or stripped of their groups. */
static Numeric
value_of_cells(const Metric *metric, const MetricTotal *total)
{
	int64 event_count = 0;
	int64 unique_count = 0;
	Numeric value = NULL;
	ListCell *item;

	foreach(item, metric_total_cells(total))
	{
		const MetricCell *cell = lfirst(item);

		event_count += cell->event_count;
		unique_count += has_unique_value(cell);
		if (cell->value != NULL)
			value = cell->value;
	}
	switch (metric->aggregation)
	{
		case METRIC_COUNT:
			return int64_to_numeric(event_count);
		case METRIC_UNIQUE:
			return int64_to_numeric(unique_count);
		case METRIC_SUM:
			return value != NULL ? value : int64_to_numeric(0);
		case METRIC_AVERAGE:
			if (value == NULL)
				return NULL;
			return DatumGetNumeric(DirectFunctionCall2(numeric_div, NumericGetDatum(value),
													   NumericGetDatum(int64_to_numeric(event_count))));
		default:
			return value;
	}
}

/* Adds the cell to a total in which it has no group. */
static void
add_without_group(MetricTotal *total, const MetricCell *cell)
{
	MetricCell stripped = *cell;

	stripped.key = key_without_group(cell);
	stripped.group_key_length = 0;
	stripped.group_value = (EventText){NULL, 0};
	metric_total_add_cell(total, &stripped);
}

static int
compare_group_values(const void *a, const void *b)
{
	EventText first = ((const MetricGroup *) a)->value;
	EventText second = ((const MetricGroup *) b)->value;
	int result;

	if (first.data == NULL || second.data == NULL)
		return (first.data == NULL) - (second.data == NULL);
	result = memcmp(first.data, second.data, Min(first.length, second.length));
	return result != 0 ? result : first.length - second.length;
}

static int
compare_cell_groups(const ListCell *a, const ListCell *b)
{
	const MetricCell *first = lfirst(a);
	const MetricCell *second = lfirst(b);
	int result = memcmp(first->key.data, second->key.data, Min(first->group_key_length, second->group_key_length));

	return result != 0 ? result : first->group_key_length - second->group_key_length;
}

/* A group whose events are all skipped is none. */
static void
keep_counted_groups(MetricResult *result)
{
	int kept = 0;

	for (int i = 0; i < result->group_count; i++)
	{
		if (result->groups[i].event_count > 0)
			result->groups[kept++] = result->groups[i];
	}
	result->group_count = kept;
}

/* One group after the other, each from its cells. */
static void
make_groups(const MetricTotal *total, MetricResult *result)
{
	List *cells = metric_total_cells(total);
	const MetricCell *previous = NULL;
	MetricTotal group;
	MetricGroup *current = NULL;
	ListCell *item;

	list_sort(cells, compare_cell_groups);
	result->groups = palloc0(sizeof(MetricGroup) * Max(list_length(cells), 1));
	foreach(item, cells)
	{
		const MetricCell *cell = lfirst(item);

		if (previous == NULL || previous->group_key_length != cell->group_key_length ||
			memcmp(previous->key.data, cell->key.data, cell->group_key_length) != 0)
		{
			if (current != NULL)
				current->result = value_of_cells(total->metric, &group);
			current = &result->groups[result->group_count++];
			current->value = cell->group_value;
			metric_total_init(&group, total->metric, CurrentMemoryContext);
		}
		current->event_count += cell->event_count;
		add_without_group(&group, cell);
		previous = cell;
	}
	if (current != NULL)
		current->result = value_of_cells(total->metric, &group);
	keep_counted_groups(result);
	qsort(result->groups, result->group_count, sizeof(MetricGroup), compare_group_values);
}

/* What the metric says of the events in the total. */
void
metric_total_result(const MetricTotal *total, MetricResult *result)
{
	MetricTotal whole = *total;
	ListCell *item;

	memset(result, 0, sizeof(MetricResult));
	if (total->metric->is_grouped)
	{
		metric_total_init(&whole, total->metric, CurrentMemoryContext);
		foreach(item, metric_total_cells(total))
			add_without_group(&whole, lfirst(item));
	}
	foreach(item, metric_total_cells(&whole))
	{
		const MetricCell *cell = lfirst(item);

		if (cell->event_count > 0)
		{
			MetricCell ids = {.event_count = result->event_count, .min_id = result->min_id, .max_id = result->max_id};

			take_ids(&ids, &cell->min_id, &cell->max_id);
			result->min_id = ids.min_id;
			result->max_id = ids.max_id;
		}
		result->event_count += cell->event_count;
		result->skipped_count += cell->skipped_count;
	}
	result->value = value_of_cells(total->metric, &whole);
	if (total->metric->is_grouped)
		make_groups(total, result);
}
