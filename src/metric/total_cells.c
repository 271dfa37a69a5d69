/*
 * metric/total_cells.c
 *		The cells of a total: their memory, their table, and what rows have of them.
 */
#include "postgres.h"

#include "metric/total_cells.h"

#include "base/memory_budget.h"
#include "common/hashfn.h"
#include "miscadmin.h"

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

Numeric
total_keep_number(MetricTotal *total, Numeric number)
{
	Size size = VARSIZE_ANY((Pointer) number);

	return memcpy(allocate(total, size), number, size);
}

static void
forget_value(KeptCell *cell)
{
	if (cell->kind == CELL_GROUP && ((KeptGroup *) cell)->number.value != NULL)
		pfree(((KeptGroup *) cell)->number.value);
}

/* The next cell from that place on, in no order; the group of all comes first. */
KeptCell *
total_next_kept(const MetricTotal *total, uint64 *place)
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
void
total_forget_cells(MetricTotal *total)
{
	uint64 place = 0;
	KeptCell *cell;

	while ((cell = total_next_kept(total, &place)) != NULL)
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

/* Tables of cells ----------------------------------------------------------- */

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
KeptCell *
total_find_or_keep(MetricTotal *total, CellKind kind, KeptCell *probe, bool *is_new)
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
KeptGroup *
total_find_group(const MetricTotal *total, const MetricCell *cell)
{
	Probe room;
	CellEntry *entry;

	if (metric_grouping_count(total->metric) == 0)
		return (KeptGroup *) total->only;
	if (total->cells == NULL)
		return NULL;
	entry = kept_cells_lookup(total->cells, total_make_probe(cell->key.data, cell->group_key_length + 1,
															 cell->group_key_length, &room));
	return entry == NULL ? NULL : (KeptGroup *) entry->cell;
}

/* The group of the cell, a new one where there is none. */
KeptGroup *
total_keep_group(MetricTotal *total, const MetricCell *cell)
{
	Probe room;
	KeptCell *probe = total_make_probe(cell->key.data, cell->group_key_length + 1, cell->group_key_length, &room);
	KeptCell *kept;
	bool is_new;

	if (metric_grouping_count(total->metric) == 0)
	{
		if (total->only == NULL)
			total->only = keep_cell(total, CELL_GROUP, probe);
		return (KeptGroup *) total->only;
	}
	kept = total_find_or_keep(total, CELL_GROUP, probe, &is_new);
	if (is_new)
	{
		total->group_count++;
		((KeptGroup *) kept)->group_value = keep_text(total, cell->group_value);
	}
	return (KeptGroup *) kept;
}

/* Cells as rows ------------------------------------------------------------- */

/* Whether nothing is known of it: neither an event nor, where values are kept, a value. */
bool
metric_cell_is_empty(const MetricCell *cell)
{
	return cell->event_count == 0 && cell->skipped_count == 0 && !metric_cell_has_value_key(cell);
}

/* How many cells there are: groups, and values. */
int64
metric_total_cell_count(const MetricTotal *total)
{
	return (total->cells != NULL ? total->cells->members : 0) + (total->only != NULL ? 1 : 0);
}

/* What a row of the cell has; false if it has none. */
bool
total_read_cell(const MetricTotal *total, const KeptCell *kept, MetricCell *cell)
{
	const KeptGroup *group;

	*cell = (MetricCell){.key = {kept_key(kept), kept->key_length}, .group_key_length = kept->group_key_length};
	if (kept->kind != CELL_GROUP)
		cell->group_value = total_find_group(total, cell)->group_value;
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
	cell->until = group->until;
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
	while ((iterator->kept = total_next_kept(iterator->total, &iterator->place)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (total_read_cell(iterator->total, iterator->kept, cell))
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
		entry = kept_cells_lookup(total->cells, total_make_probe(key.data, key.length, 0, &room));
	return entry == NULL ? NULL : entry->cell;
}

/* Finds what a row of that key has; false if there is none. */
bool
metric_total_find_cell(const MetricTotal *total, Slice key, MetricCell *cell)
{
	KeptCell *kept = find_kept(total, key);

	return kept != NULL && total_read_cell(total, kept, cell);
}

/* Notes what is stored of a cell. */
void
metric_total_set_stored(MetricTotal *total, Slice key, MetricCellStored stored)
{
	KeptCell *kept = find_kept(total, key);

	if (kept != NULL)
		kept->stored = stored;
}

void
metric_total_set_none_stored(MetricTotal *total)
{
	uint64 place = 0;
	KeptCell *cell;

	while ((cell = total_next_kept(total, &place)) != NULL)
		cell->stored = METRIC_CELL_NOT_STORED;
}

/* Of the cell that came last. */
MetricCellStored
metric_total_stored(const MetricCellIterator *iterator)
{
	return iterator->kept->stored;
}
