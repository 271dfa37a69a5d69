/*
 * limit/scope.h
 *		What limits and alerts have in common: which metric, whose use, of which periods.
 */
#ifndef USAGE_EVENTS_LIMIT_SCOPE_H
#define USAGE_EVENTS_LIMIT_SCOPE_H

#include "base/json_build.h"
#include "base/period.h"
#include "nodes/pg_list.h"

typedef struct LimitScope
{
	Slice name;
	pg_uuid_t metric_id;
	Slice customer;    /* an alias, or a customer's id; absent: every customer */
	PeriodRule period; /* its zone is NULL where this server knows none of that name */
	Slice zone_name;
} LimitScope;

/* The columns that limit_scope_read_row() reads, and those that limit_scope_set_arguments() is for, in this order. */
#define LIMIT_SCOPE_COLUMNS "name, metric_id, customer, period, timezone, anchor"
#define LIMIT_SCOPE_COLUMN_COUNT 6
#define LIMIT_SCOPE_TYPES TEXTOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID

/* What a client may send of it; also those of an answer, as a client may send back what it got. */
#define LIMIT_SCOPE_FIELDS "name", "usageMetricId", "customer", "period", "timezone", "anchor"

extern List *limit_scope_check(List *faults, const pg_uuid_t *account_id, Jsonb *body, LimitScope *scope);
extern void limit_scope_to_json(JsonObject *object, const LimitScope *scope);
extern bool limit_scope_equal(const LimitScope *a, const LimitScope *b);
extern void limit_scope_read_row(uint64 row, int first_column, LimitScope *scope);
extern void limit_scope_require_zone(const LimitScope *scope);
extern void limit_scope_set_arguments(Datum *arguments, char *nulls, int first, const LimitScope *scope);

#endif /* USAGE_EVENTS_LIMIT_SCOPE_H */
