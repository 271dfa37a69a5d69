/*
 * metric/total_cells.h
 *		What the parts of a total share: its cells, and how they are found and kept.
 *
 * Only total.c and its parts, total_*.c, include it.
 */
#ifndef USAGE_EVENTS_METRIC_TOTAL_CELLS_H
#define USAGE_EVENTS_METRIC_TOTAL_CELLS_H

#include "metric/total.h"

/* Longer texts have a digest as their key: an index takes no key of any length. */
#define MAX_KEY_TEXT 200

/* Those of the groups' properties and of a value, each with its kind, and the zeros between. */
#define MAX_KEY ((METRIC_MAX_GROUPINGS + 1) * (1 + MAX_KEY_TEXT) + METRIC_MAX_GROUPINGS)

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
	uint8 stored; /* MetricCellStored */
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
	TimestampTz until;
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

/* Most totals have few: of a customer, of a step. */
#define INITIAL_CELLS 1

/* Makes a cell to be looked for of a part of a key: of any length, if somebody has written rows by hand. */
static inline KeptCell *
total_make_probe(const char *key, int length, int group_key_length, Probe *room)
{
	Probe *probe = room;

	if (length > MAX_KEY)
		probe = palloc(sizeof(KeptCell) + length);
	probe->cell = (KeptCell){length, group_key_length, CELL_VALUE, METRIC_CELL_NOT_STORED};
	memcpy((char *) probe + sizeof(KeptCell), key, length);
	return &probe->cell;
}

static inline bool
metric_cell_has_value_key(const MetricCell *cell)
{
	return cell->key.length > cell->group_key_length + 1;
}

extern void total_forget_cells(MetricTotal *total);
extern KeptCell *total_next_kept(const MetricTotal *total, uint64 *place);
extern KeptCell *total_find_or_keep(MetricTotal *total, CellKind kind, KeptCell *probe, bool *is_new);
extern KeptGroup *total_find_group(const MetricTotal *total, const MetricCell *cell);
extern KeptGroup *total_keep_group(MetricTotal *total, const MetricCell *cell);
extern Numeric total_keep_number(MetricTotal *total, Numeric number);
extern bool total_read_cell(const MetricTotal *total, const KeptCell *kept, MetricCell *cell);

extern void total_make_key(const Metric *metric, MetricVerdict verdict, const MetricValue *value, Probe *probe);
extern void total_combine(MetricTotal *total, KeptGroup *group, const MetricCell *other);

#endif /* USAGE_EVENTS_METRIC_TOTAL_CELLS_H */
