/*
 * metric/total.c
 *		What many events are to a metric: counts, values, groups.
 *
 * A total is the same in whatever order its events come, and from whatever parts
 * it is added up: single events, rows of rollups, other totals.  That is what
 * makes rollups exact.
 *
 * It has a cell for each group; a metric that is not grouped has one group, and no
 * table of them.  Of a kind that keeps values there is also a cell for each, where it can
 * be only its key: it is just counted, and a row of a rollup that says no more is not
 * written anew for each event.  Clients determine how many cells there are and how long their
 * numbers, so all of it is bounded:
 *
 *	answers		usage_events.max_groups, usage_events.max_sum_digits, and the memory of a
 *				call; what is over is refused
 *	rollups		usage_events.max_rollup_rows, since all rows of a bucket are read for one
 *				late event, and bytes; what is over is not rolled up, and read from shorter
 *				buckets or from the events
 */
#include "postgres.h"

#include "metric/total.h"

#include <limits.h>

#include "base/json_read.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "common/cryptohash.h"
#include "common/hashfn.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "metric/breakdown.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* Longer texts have a digest as their key: an index takes no key of any length. */
#define MAX_KEY_TEXT 200

/* Those of the groups' properties and of a value, each with its kind, and the zeros between. */
#define MAX_KEY ((METRIC_MAX_GROUPINGS + 1) * (1 + MAX_KEY_TEXT) + METRIC_MAX_GROUPINGS)

/* A bucket of more bytes has no rows: a refresh holds a total of each level at the same time. */
#define MAX_ROW_BYTES ((Size) 24 * 1024 * 1024)

static int max_groups = 100000;
static int max_sum_digits = 20000;
static int max_rollup_rows = 50000;

/* Cells ------------------------------------------------------------------- */

typedef enum CellKind
{
	CELL_GROUP,
	CELL_VALUE,
	CELL_COUNTED
} CellKind;

/* What all kinds begin with; their keys follow at their ends. */
struct KeptCell
{
	int key_length;
	int group_key_length;
	uint8 kind;
	bool is_stored; /* the bucket's row is like this */
};

typedef struct KeptGroup
{
	KeptCell cell;
	int64 event_count;
	int64 skipped_count;
	int64 value_count;     /* different ones, of a kind that keeps values */
	MetricCounted *values; /* of a kind that keeps counts, for its result */
	Slice group_value;
	MetricNumber number; /* combined of all */
	pg_uuid_t min_id;
	pg_uuid_t max_id;
	pg_uuid_t oldest_id;
	pg_uuid_t newest_id;
} KeptGroup;

typedef struct KeptCounted
{
	KeptCell cell;
	MetricCounted counted;
} KeptCounted;

static const Size kept_sizes[] = {
	[CELL_GROUP] = sizeof(KeptGroup),
	[CELL_VALUE] = sizeof(KeptCell),
	[CELL_COUNTED] = sizeof(KeptCounted),
};

static inline const char *
kept_key(const KeptCell *cell)
{
	return (const char *) cell + kept_sizes[cell->kind];
}

/* A cell that is looked for: only its key. */
typedef struct Probe
{
	KeptCell cell;
	char key[MAX_KEY];
} Probe;

typedef struct CellEntry
{
	KeptCell *cell;
	uint32 hash;
	char status;
} CellEntry;

#define SH_PREFIX kept_cells
#define SH_ELEMENT_TYPE CellEntry
#define SH_KEY_TYPE KeptCell *
#define SH_KEY cell
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) kept_key(key), (key)->key_length)
#define SH_EQUAL(table, a, b) \
	((a)->key_length == (b)->key_length && memcmp(kept_key(a), kept_key(b), (a)->key_length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Most totals have few: of a customer, of a step. */
#define INITIAL_CELLS 1

void
metric_total_settings_init(void)
{
	DefineCustomIntVariable("usage_events.max_groups", "How many groups an answer may have.",
							"An answer that would have more is refused.", &max_groups, 100000, 1, INT_MAX, PGC_SUSET, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("usage_events.max_sum_digits",
							"How many digits a sum or an average may have, before and after the point.",
							"An answer that would have more is refused.", &max_sum_digits, 20000, 20, 150000, PGC_SUSET,
							0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"usage_events.max_rollup_rows", "How many rows the rollup of a bucket may have.",
		"Each group and, of a UNIQUE metric, each value has a row. A bucket with more is not rolled "
		"up as a whole, but read from shorter ones, or from its events.",
		&max_rollup_rows, 50000, 1, 1000000, PGC_SUSET, 0, NULL, NULL, NULL);
}

int
metric_total_max_rows(void)
{
	return max_rollup_rows;
}

/* A total for an answer. */
void
metric_total_init(MetricTotal *total, const Metric *metric, MemoryContext context)
{
	*total = (MetricTotal){.metric = metric, .context = context};
}

/* A total for one event alone, which may have a number that is too long to be added up. */
void
metric_total_init_for_event(MetricTotal *total, const Metric *metric, MemoryContext context)
{
	*total = (MetricTotal){.metric = metric, .context = context, .is_for_event = true};
}

/* A total for the rows of rollups. */
void
metric_total_init_for_rows(MetricTotal *total, const Metric *metric, MemoryContext context)
{
	*total = (MetricTotal){.metric = metric, .context = context, .is_for_rows = true};
}

/* Memory ------------------------------------------------------------------ */

/* Cells are small, and many: they lie side by side in blocks, of which each is twice as large as the one before. */
struct MemoryBlock
{
	MemoryBlock *next;
	Size size;
	Size used;
};

#define FIRST_BLOCK ((Size) 256)
#define LARGEST_BLOCK ((Size) 256 * 1024)

static void
add_block(MetricTotal *total, Size needed)
{
	Size size = total->blocks == NULL ? FIRST_BLOCK : Min(2 * total->blocks->size, LARGEST_BLOCK);
	MemoryBlock *block;

	size = Max(size, MAXALIGN(sizeof(MemoryBlock)) + needed);
	memory_budget_grow(size);
	block = MemoryContextAlloc(total->context, size);
	*block = (MemoryBlock){total->blocks, size, MAXALIGN(sizeof(MemoryBlock))};
	total->blocks = block;
	total->size += size;
}

static void *
allocate(MetricTotal *total, Size size)
{
	void *result;

	size = MAXALIGN(size);
	if (total->blocks == NULL || total->blocks->size - total->blocks->used < size)
		add_block(total, size);
	result = (char *) total->blocks + total->blocks->used;
	total->blocks->used += size;
	return result;
}

static Slice
keep_text(MetricTotal *total, Slice text)
{
	char *copy;

	if (text.data == NULL)
		return text;
	copy = allocate(total, Max(text.length, 1));
	memcpy(copy, text.data, text.length);
	return (Slice){copy, text.length};
}

static void
forget_value(KeptCell *cell)
{
	if (cell->kind == CELL_GROUP && ((KeptGroup *) cell)->number.value != NULL)
		pfree(((KeptGroup *) cell)->number.value);
}

/* The next cell from that place on, in no order; the group of all comes first. */
static KeptCell *
next_kept(const MetricTotal *total, uint64 *place)
{
	if (*place == 0)
	{
		(*place)++;
		if (total->only != NULL)
			return total->only;
	}
	while (total->cells != NULL && *place <= total->cells->size)
	{
		const CellEntry *entry = &total->cells->data[(*place)++ - 1];

		if (entry->status == kept_cells_SH_IN_USE)
			return entry->cell;
	}
	return NULL;
}

/* Frees all cells. */
static void
forget_cells(MetricTotal *total)
{
	uint64 place = 0;
	KeptCell *cell;

	while ((cell = next_kept(total, &place)) != NULL)
		forget_value(cell);
	if (total->cells != NULL)
		kept_cells_destroy(total->cells);
	total->cells = NULL;
	total->only = NULL;
	while (total->blocks != NULL)
	{
		MemoryBlock *block = total->blocks;

		total->blocks = block->next;
		pfree(block);
	}
	total->size = 0;
}

/* Empties it. */
void
metric_total_clear(MetricTotal *total)
{
	bool is_for_rows = total->is_for_rows;

	forget_cells(total);
	metric_total_init(total, total->metric, total->context);
	total->is_for_rows = is_for_rows;
}

/* From now on it only counts events. */
void
metric_total_set_over(MetricTotal *total)
{
	Assert(total->is_for_rows);
	if (total->is_over)
		return;
	total->is_over = true;
	forget_cells(total);
}

/* Refuses an answer, and leaves a rollup without rows. */
static void
check_size(MetricTotal *total)
{
	if (total->is_for_rows)
	{
		if (metric_total_cell_count(total) > max_rollup_rows || total->size > MAX_ROW_BYTES)
			metric_total_set_over(total);
	}
	else if (total->group_count > max_groups)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("usage metric has too many groups for one answer"),
				 errdetail("An answer may have %d groups (usage_events.max_groups).", max_groups),
				 errhint("Ask for a shorter period or fewer customers at a time, group by another "
						 "property, or have usage_events.max_groups raised.")));
}

/* Keys -------------------------------------------------------------------- */

static void
append_digest(Probe *probe, Slice text)
{
	static const char digits[] = "0123456789abcdef";
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	uint8 digest[PG_SHA256_DIGEST_LENGTH];

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) text.data, text.length) < 0 ||
		pg_cryptohash_final(context, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute a SHA-256");
	pg_cryptohash_free(context);
	for (size_t i = 0; i < sizeof(digest); i++)
	{
		probe->key[probe->cell.key_length++] = digits[digest[i] >> 4];
		probe->key[probe->cell.key_length++] = digits[digest[i] & 0xf];
	}
}

/* The kind of key comes first, so that no text can look like another kind's. */
static void
append_key(Probe *probe, Slice text, Numeric long_number)
{
	if (long_number != NULL)
	{
		probe->key[probe->cell.key_length++] = 'd';
		append_digest(probe, (Slice){VARDATA_ANY(long_number), VARSIZE_ANY_EXHDR(long_number)});
	}
	else if (text.data == NULL)
		probe->key[probe->cell.key_length++] = 'n';
	else if (text.length > MAX_KEY_TEXT)
	{
		probe->key[probe->cell.key_length++] = 'h';
		append_digest(probe, text);
	}
	else
	{
		probe->key[probe->cell.key_length++] = 'v';
		memcpy(probe->key + probe->cell.key_length, text.data, text.length);
		probe->cell.key_length += text.length;
	}
}

/* Of a number, as it is written: 1.50 and 1.5 are two values, since an answer that is one of them is to be the same each time. */
static void
append_number_key(Probe *probe, Numeric number)
{
	if (json_number_length(number) > MAX_KEY_TEXT)
		append_key(probe, (Slice){NULL, 0}, number);
	else
		append_key(probe,
				   slice_from_cstring(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)))),
				   NULL);
}

/* The key of an event's cell. */
static void
make_key(const Metric *metric, MetricVerdict verdict, const MetricValue *value, Probe *probe)
{
	probe->cell = (KeptCell){.kind = CELL_VALUE};
	for (int i = 0; i < metric_grouping_count(metric); i++)
	{
		if (i > 0)
			probe->key[probe->cell.key_length++] = '\0';
		append_key(probe, value->groupings[i].text, value->groupings[i].long_number);
	}
	probe->cell.group_key_length = probe->cell.key_length;
	probe->key[probe->cell.key_length++] = '\0';
	if (metric->kind->keeps == METRIC_KEEPS_NO_VALUES || verdict != METRIC_COUNTS)
		return;
	if (value->number != NULL)
		append_number_key(probe, value->number);
	else
		append_key(probe, value->unique, value->long_unique);
}

static bool
has_value_key(const MetricCell *cell)
{
	return cell->key.length > cell->group_key_length + 1;
}

/* Whether nothing is known of it: neither an event nor, where values are kept, a value. */
bool
metric_cell_is_empty(const MetricCell *cell)
{
	return cell->event_count == 0 && cell->skipped_count == 0 && !has_value_key(cell);
}

/* Tables of cells ----------------------------------------------------------- */

/* Makes a cell to be looked for of a part of a key: of any length, if somebody has written rows by hand. */
static KeptCell *
make_probe(const char *key, int length, int group_key_length, Probe *room)
{
	Probe *probe = room;

	if (length > MAX_KEY)
		probe = palloc(sizeof(KeptCell) + length);
	probe->cell = (KeptCell){length, group_key_length, CELL_VALUE, false};
	memcpy((char *) probe + sizeof(KeptCell), key, length);
	return &probe->cell;
}

/* A new cell of that kind and key, empty. */
static KeptCell *
keep_cell(MetricTotal *total, CellKind kind, const KeptCell *probe)
{
	KeptCell *cell = allocate(total, kept_sizes[kind] + probe->key_length);

	memset(cell, 0, kept_sizes[kind]);
	*cell = *probe;
	cell->kind = kind;
	memcpy((char *) cell + kept_sizes[kind], kept_key(probe), probe->key_length);
	return cell;
}

static Size
table_size(const MetricTotal *total)
{
	return total->cells == NULL ? 0 : sizeof(CellEntry) * total->cells->size;
}

/* The cell of the key; a new one is empty, and of that kind. */
static KeptCell *
find_or_keep(MetricTotal *total, CellKind kind, KeptCell *probe, bool *is_new)
{
	Size size_before = table_size(total);
	CellEntry *entry;
	bool found;

	if (total->cells == NULL)
		total->cells = kept_cells_create(total->context, INITIAL_CELLS, NULL);
	else if (total->cells->members >= total->cells->grow_threshold)
		memory_budget_grow(2 * size_before);
	entry = kept_cells_insert(total->cells, probe, &found);
	total->size += table_size(total) - size_before;
	if (!found)
		entry->cell = keep_cell(total, kind, probe);
	*is_new = !found;
	return entry->cell;
}

/* The group of the cell, or NULL. */
static KeptGroup *
find_group(const MetricTotal *total, const MetricCell *cell)
{
	Probe room;
	CellEntry *entry;

	if (metric_grouping_count(total->metric) == 0)
		return (KeptGroup *) total->only;
	if (total->cells == NULL)
		return NULL;
	entry = kept_cells_lookup(total->cells,
							  make_probe(cell->key.data, cell->group_key_length + 1, cell->group_key_length, &room));
	return entry == NULL ? NULL : (KeptGroup *) entry->cell;
}

/* The group of the cell, a new one where there is none. */
static KeptGroup *
keep_group(MetricTotal *total, const MetricCell *cell)
{
	Probe room;
	KeptCell *probe = make_probe(cell->key.data, cell->group_key_length + 1, cell->group_key_length, &room);
	KeptCell *kept;
	bool is_new;

	if (metric_grouping_count(total->metric) == 0)
	{
		if (total->only == NULL)
			total->only = keep_cell(total, CELL_GROUP, probe);
		return (KeptGroup *) total->only;
	}
	kept = find_or_keep(total, CELL_GROUP, probe, &is_new);
	if (is_new)
	{
		total->group_count++;
		((KeptGroup *) kept)->group_value = keep_text(total, cell->group_value);
	}
	return (KeptGroup *) kept;
}

/* Values ------------------------------------------------------------------ */

static void
set_value(MetricTotal *total, KeptGroup *group, Numeric value)
{
	Size size = VARSIZE_ANY((Pointer) value);
	Numeric copy;

	memory_budget_grow(size);
	copy = MemoryContextAlloc(total->context, size);
	memcpy(copy, value, size);
	total->size += size;
	if (group->number.value != NULL)
	{
		total->size -= VARSIZE_ANY((Pointer) group->number.value);
		pfree(group->number.value);
	}
	group->number.value = copy;
}

/* Whether a sum has more digits than it may. */
static bool
is_too_long(Numeric sum)
{
	int scale = metric_number_scale(sum);

	return scale > max_sum_digits || json_number_has_digits(sum, max_sum_digits - scale + 1);
}

/* Long sums take time and memory in each step, however short their numbers are to send: 1e60000 and 1. */
static void
set_sum(MetricTotal *total, KeptGroup *group, Numeric sum)
{
	if (total->is_for_event || !is_too_long(sum))
		set_value(total, group, sum);
	else if (total->is_for_rows)
		metric_total_set_over(total);
	else
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("sum of the usage metric has too many digits"),
				 errdetail("It may have %d digits (usage_events.max_sum_digits).", max_sum_digits),
				 errhint("Correct the events that have such numbers, or have usage_events.max_sum_digits raised.")));
}

/* Takes a value in: one event's, or that of a cell. */
static void
combine_value(MetricTotal *total, KeptGroup *group, const MetricCell *other)
{
	const MetricKind *kind = total->metric->kind;
	MetricNumber next = {other->value, other->latest_timestamp, other->latest_id};
	Numeric combined = kind->combine(&group->number, &next);

	if (combined == group->number.value)
		return;
	if (kind->keeps_event)
	{
		group->number.timestamp = next.timestamp;
		group->number.id = next.id;
	}
	if (kind->makes_long_numbers)
		set_sum(total, group, combined);
	else
		set_value(total, group, combined);
	if (combined != next.value)
		pfree(combined);
}

/* Widens from min to max by others; is_first: there is nothing yet. */
static void
take_ids(bool is_first, pg_uuid_t *min_id, pg_uuid_t *max_id, const pg_uuid_t *other_min, const pg_uuid_t *other_max)
{
	if (is_first || uuid_v7_compare(other_min, min_id) < 0)
		*min_id = *other_min;
	if (is_first || uuid_v7_compare(other_max, max_id) > 0)
		*max_id = *other_max;
}

static void
combine(MetricTotal *total, KeptGroup *group, const MetricCell *other)
{
	if (other->event_count + other->skipped_count > 0)
		take_ids(group->event_count + group->skipped_count == 0, &group->oldest_id, &group->newest_id,
				 &other->oldest_id, &other->newest_id);
	if (other->event_count > 0)
		take_ids(group->event_count == 0, &group->min_id, &group->max_id, &other->min_id, &other->max_id);
	group->event_count += other->event_count;
	group->skipped_count += other->skipped_count;
	if (other->value != NULL)
		combine_value(total, group, other);
}

/* Adding up ----------------------------------------------------------------- */

static Numeric
keep_number(MetricTotal *total, Numeric number)
{
	Size size = VARSIZE_ANY((Pointer) number);

	return memcpy(allocate(total, size), number, size);
}

static void
count_number(MetricTotal *total, MetricCounted *counted, const MetricCell *cell)
{
	/* Another's rows, written by hand. */
	if (cell->value == NULL)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid rollup of a usage metric: a value is missing"),
						errhint("Truncate usage_events.metric_rollup, which is built anew.")));
	if (counted->number == NULL)
		counted->number = keep_number(total, cell->value);
	counted->event_count += cell->value_event_count;
}

static void
add_value(MetricTotal *total, KeptGroup *group, const MetricCell *cell)
{
	CellKind kind = total->metric->kind->keeps == METRIC_KEEPS_COUNTS ? CELL_COUNTED : CELL_VALUE;
	Probe room;
	bool is_new;
	KeptCell *kept =
		find_or_keep(total, kind, make_probe(cell->key.data, cell->key.length, cell->group_key_length, &room), &is_new);

	group->value_count += is_new;
	if (kind == CELL_COUNTED)
		count_number(total, &((KeptCounted *) kept)->counted, cell);
}

/* Adds a cell: an event's, another total's, or a rollup's; an empty one leaves no trace. */
void
metric_total_add_cell(MetricTotal *total, const MetricCell *cell)
{
	KeptGroup *group;

	CHECK_FOR_INTERRUPTS();
	total->event_count += cell->event_count + cell->skipped_count;
	if (total->is_over || metric_cell_is_empty(cell))
		return;
	group = keep_group(total, cell);
	if (has_value_key(cell))
		add_value(total, group, cell);
	combine(total, group, cell);
	check_size(total);
}

/* How the group is told that an event is the first of: what is written out only once. */
static Slice
new_group_value(const Metric *metric, const MetricValue *value)
{
	if (metric_breakdown_groups(metric))
		return metric_breakdown_text(metric->breakdown, value);
	return metric_number_text(value->groupings[0].long_number);
}

/* Adds an event that is of that value, or is skipped. */
static void
add_event(MetricTotal *total, MetricVerdict verdict, const MetricValue *value, const pg_uuid_t *id,
		  TimestampTz timestamp)
{
	MetricCell cell;
	Probe probe;

	make_key(total->metric, verdict, value, &probe);
	cell = (MetricCell){
		.key = {probe.key, probe.cell.key_length},
		.group_key_length = probe.cell.group_key_length,
		.group_value = value->groupings[0].text,
		.event_count = verdict == METRIC_COUNTS,
		.skipped_count = verdict == METRIC_SKIPS,
		.value_event_count = verdict == METRIC_COUNTS,
		.value = verdict == METRIC_COUNTS ? value->number : NULL,
		.latest_timestamp = timestamp,
		.latest_id = *id,
		.min_id = *id,
		.max_id = *id,
		.oldest_id = *id,
		.newest_id = *id,
	};
	if ((value->groupings[0].long_number != NULL || metric_breakdown_groups(total->metric)) &&
		find_group(total, &cell) == NULL)
		cell.group_value = new_group_value(total->metric, value);
	metric_total_add_cell(total, &cell);
}

/* Adds an event of the metric's type, if it counts or is skipped. */
void
metric_total_add_event(MetricTotal *total, const MetricMatcher *matcher, const pg_uuid_t *id, TimestampTz timestamp,
					   Jsonb *properties)
{
	MetricValue value;
	MetricVerdict verdict;

	if (total->is_over)
	{
		total->event_count++;
		return;
	}
	verdict = metric_value_read(matcher, properties, false, &value);
	if (verdict != METRIC_FILTERS)
		add_event(total, verdict, &value, id, timestamp);
}

/* Adds what an event would be that counts, has that number and is of no group: to say what would be if there were one. */
void
metric_total_add_number(MetricTotal *total, const pg_uuid_t *id, TimestampTz timestamp, Numeric number)
{
	MetricValue value = {.number = number};

	add_event(total, METRIC_COUNTS, &value, id, timestamp);
}

/* Adds another total of the same kind. */
void
metric_total_add(MetricTotal *total, const MetricTotal *other)
{
	MetricCellIterator iterator;
	MetricCell cell;

	if (other->is_over)
	{
		metric_total_set_over(total);
		total->event_count += other->event_count;
		return;
	}
	metric_total_first_cell(other, &iterator);
	while (metric_total_next_cell(&iterator, &cell))
		metric_total_add_cell(total, &cell);
}

/* The same with one that is not needed any more: it is empty afterwards. */
void
metric_total_move(MetricTotal *total, MetricTotal *other)
{
	if (total->event_count > 0)
		metric_total_add(total, other);
	else
	{
		MetricTotal empty = *total;

		*total = *other;
		*other = empty;
	}
	metric_total_clear(other);
}

/* Cells as rows ------------------------------------------------------------- */

/* How many cells there are: groups, and values. */
int64
metric_total_cell_count(const MetricTotal *total)
{
	return (total->cells != NULL ? total->cells->members : 0) + (total->only != NULL ? 1 : 0);
}

/* What a row of the cell has; false if it has none. */
static bool
read_cell(const MetricTotal *total, const KeptCell *kept, MetricCell *cell)
{
	const KeptGroup *group;

	*cell = (MetricCell){.key = {kept_key(kept), kept->key_length}, .group_key_length = kept->group_key_length};
	if (kept->kind != CELL_GROUP)
		cell->group_value = find_group(total, cell)->group_value;
	if (kept->kind == CELL_COUNTED)
	{
		const MetricCounted *counted = &((const KeptCounted *) kept)->counted;

		cell->value = counted->number;
		cell->value_event_count = counted->event_count;
	}
	if (kept->kind != CELL_GROUP)
		return true;
	group = (const KeptGroup *) kept;
	cell->group_value = group->group_value;
	cell->event_count = group->event_count;
	cell->skipped_count = group->skipped_count;
	cell->value = group->number.value;
	cell->latest_timestamp = group->number.timestamp;
	cell->latest_id = group->number.id;
	cell->min_id = group->min_id;
	cell->max_id = group->max_id;
	cell->oldest_id = group->oldest_id;
	cell->newest_id = group->newest_id;
	return !metric_cell_is_empty(cell);
}

void
metric_total_first_cell(const MetricTotal *total, MetricCellIterator *iterator)
{
	*iterator = (MetricCellIterator){total, 0, NULL};
}

bool
metric_total_next_cell(MetricCellIterator *iterator, MetricCell *cell)
{
	while ((iterator->kept = next_kept(iterator->total, &iterator->place)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (read_cell(iterator->total, iterator->kept, cell))
			return true;
	}
	return false;
}

static KeptCell *
find_kept(const MetricTotal *total, Slice key)
{
	Probe room;
	CellEntry *entry = NULL;

	if (total->only != NULL && key.length == 1)
		return total->only;
	if (total->cells != NULL)
		entry = kept_cells_lookup(total->cells, make_probe(key.data, key.length, 0, &room));
	return entry == NULL ? NULL : entry->cell;
}

/* Finds what a row of that key has; false if there is none. */
bool
metric_total_find_cell(const MetricTotal *total, Slice key, MetricCell *cell)
{
	KeptCell *kept = find_kept(total, key);

	return kept != NULL && read_cell(total, kept, cell);
}

/* Notes whether the row of a cell is there as it should be. */
void
metric_total_set_stored(MetricTotal *total, Slice key, bool is_stored)
{
	KeptCell *kept = find_kept(total, key);

	if (kept != NULL)
		kept->is_stored = is_stored;
}

void
metric_total_set_none_stored(MetricTotal *total)
{
	uint64 place = 0;
	KeptCell *cell;

	while ((cell = next_kept(total, &place)) != NULL)
		cell->is_stored = false;
}

/* Of the cell that came last. */
bool
metric_total_is_stored(const MetricCellIterator *iterator)
{
	return iterator->kept->is_stored;
}

/* The result -------------------------------------------------------------- */

typedef struct ValueEntry
{
	Slice key;
	uint32 hash;
	char status;
} ValueEntry;

#define SH_PREFIX values
#define SH_ELEMENT_TYPE ValueEntry
#define SH_KEY key
#include "base/slice_hash.h"

/* How many different values there are, in whatever groups. */
static int64
count_values(const MetricTotal *total)
{
	values_hash *values = values_create(CurrentMemoryContext, INITIAL_CELLS, NULL);
	uint64 place = 0;
	const KeptCell *cell;
	int64 count;

	while ((cell = next_kept(total, &place)) != NULL)
	{
		bool found;

		CHECK_FOR_INTERRUPTS();
		if (cell->kind != CELL_VALUE)
			continue;
		if (values->members >= values->grow_threshold)
			memory_budget_grow(2 * sizeof(ValueEntry) * values->size);
		(void) values_insert(values,
							 (Slice){kept_key(cell) + cell->group_key_length,
									 cell->key_length - cell->group_key_length},
							 &found);
	}
	count = values->members;
	values_destroy(values);
	return count;
}

static int
compare_counted(const void *a, const void *b, void *argument pg_attribute_unused())
{
	return metric_number_compare(((const MetricCounted *) a)->number, ((const MetricCounted *) b)->number);
}

static void
sort_counted(MetricCounted *values, int64 count)
{
	qsort_interruptible(values, count, sizeof(MetricCounted), compare_counted, NULL);
}

/* Says of each group where its values are to be: their end, since they come from there on backwards.  Returns the end of all. */
static MetricCounted *
place_counted(const MetricTotal *total, MetricCounted *values)
{
	uint64 place = 0;
	KeptCell *kept;

	while ((kept = next_kept(total, &place)) != NULL)
	{
		if (kept->kind != CELL_GROUP)
			continue;
		values += ((KeptGroup *) kept)->value_count;
		((KeptGroup *) kept)->values = values;
	}
	return values;
}

static void
fill_counted(const MetricTotal *total)
{
	uint64 place = 0;
	const KeptCell *kept;

	while ((kept = next_kept(total, &place)) != NULL)
	{
		MetricCell cell = {.key = {kept_key(kept), kept->key_length}, .group_key_length = kept->group_key_length};

		CHECK_FOR_INTERRUPTS();
		if (kept->kind == CELL_COUNTED)
			*--find_group(total, &cell)->values = ((const KeptCounted *) kept)->counted;
	}
}

/* Gives each group its values, ascending; those of all groups lie side by side.  Returns them, and how many there are. */
static MetricCounted *
gather_counted(const MetricTotal *total, int64 *count)
{
	Size size = sizeof(MetricCounted) * metric_total_cell_count(total);
	MetricCounted *values;
	uint64 place = 0;
	KeptCell *kept;

	memory_budget_grow(size);
	values = palloc_extended(Max(size, 1), MCXT_ALLOC_HUGE);
	*count = place_counted(total, values) - values;
	fill_counted(total);
	while ((kept = next_kept(total, &place)) != NULL)
	{
		if (kept->kind == CELL_GROUP)
			sort_counted(((KeptGroup *) kept)->values, ((KeptGroup *) kept)->value_count);
	}
	return values;
}

/* What is answered for a group, or for all. */
static Numeric
value_of_group(const Metric *metric, const KeptGroup *group)
{
	return metric->kind->result(&(MetricSum){
		.metric = metric,
		.event_count = group->event_count,
		.number = group->number.value,
		.value_count = group->value_count,
		.values = group->values,
	});
}

static int
compare_group_values(const void *a, const void *b)
{
	Slice first = ((const MetricGroup *) a)->value;
	Slice second = ((const MetricGroup *) b)->value;
	int result;

	if (first.data == NULL || second.data == NULL)
		return (first.data == NULL) - (second.data == NULL);
	result = memcmp(first.data, second.data, Min(first.length, second.length));
	return result != 0 ? result : first.length - second.length;
}

/* Adds up the groups, and makes the result of each; a group whose events are all skipped is none. */
static void
add_groups(const MetricTotal *total, KeptGroup *whole, MetricResult *result)
{
	MetricTotal sum;
	uint64 place = 0;
	const KeptCell *kept;
	MetricCell cell;

	metric_total_init(&sum, total->metric, CurrentMemoryContext);
	memory_budget_grow(sizeof(MetricGroup) * total->group_count);
	result->groups = palloc_extended(sizeof(MetricGroup) * Max(total->group_count, 1), MCXT_ALLOC_HUGE);
	while ((kept = next_kept(total, &place)) != NULL)
	{
		const KeptGroup *group = (const KeptGroup *) kept;

		CHECK_FOR_INTERRUPTS();
		if (kept->kind != CELL_GROUP || !read_cell(total, kept, &cell))
			continue;
		combine(&sum, whole, &cell);
		if (group->event_count > 0)
			result->groups[result->group_count++] =
				(MetricGroup){group->group_value, group->event_count, value_of_group(total->metric, group)};
	}
	if (total->metric->kind->keeps == METRIC_KEEPS_VALUES)
		whole->value_count = count_values(total);
	else if (total->metric->kind->keeps == METRIC_KEEPS_COUNTS)
		sort_counted(whole->values, whole->value_count);
	qsort(result->groups, result->group_count, sizeof(MetricGroup), compare_group_values);
}

/* What the metric says of the events in the total, which is one for an answer. */
void
metric_total_result(const MetricTotal *total, MetricResult *result)
{
	KeptGroup whole = {0};
	MetricCounted *counted = NULL;

	Assert(!total->is_for_rows);
	memset(result, 0, sizeof(MetricResult));
	if (total->metric->kind->keeps == METRIC_KEEPS_COUNTS)
		counted = whole.values = gather_counted(total, &whole.value_count);
	if (metric_grouping_count(total->metric) > 0)
		add_groups(total, &whole, result);
	else if (total->only != NULL)
		whole = *(const KeptGroup *) total->only;
	result->event_count = whole.event_count;
	result->skipped_count = whole.skipped_count;
	result->min_id = whole.min_id;
	result->max_id = whole.max_id;
	result->value = value_of_group(total->metric, &whole);
	if (counted != NULL)
		pfree(counted);
}
