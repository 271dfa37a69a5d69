/*
 * limit/limit.h
 *		The usage limit as every part of the extension sees it: how much of a metric a
 *		customer may use in a period.
 */
#ifndef USAGE_EVENTS_LIMIT_LIMIT_H
#define USAGE_EVENTS_LIMIT_LIMIT_H

#include "limit/customer.h"
#include "limit/scope.h"

/* A version of a limit. */
typedef struct UsageLimit
{
	pg_uuid_t account_id;
	pg_uuid_t id;         /* the same in all versions */
	pg_uuid_t version_id; /* of version 7, ascending with each update */
	LimitScope scope;
	Numeric limit; /* the most that the metric's value may be */
	bool blocks;   /* no event is taken that would go beyond; or it is only told */
	TimestampTz created_at;
	TimestampTz updated_at;
	bool is_deleted;
	TimestampTz deleted_at;
} UsageLimit;

/* The columns of a row that limit_read_row() reads. */
#define LIMIT_ROW_COLUMNS \
	"id, version_id, " LIMIT_SCOPE_COLUMNS ", limit_value, mode, created_at, updated_at, deleted_at"
#define LIMIT_ROW_COLUMN_COUNT (LIMIT_SCOPE_COLUMN_COUNT + 7)

extern const char *limit_mode_from_text(Slice text, bool *blocks);
extern Slice limit_mode_name(const UsageLimit *limit);
extern void limit_read_row(uint64 row, const pg_uuid_t *account_id, UsageLimit *limit);
extern bool limit_get(const pg_uuid_t *account_id, const pg_uuid_t *id, UsageLimit *limit);
extern List *limit_find_for_customer(const pg_uuid_t *account_id, const pg_uuid_t *metric_id,
									 const LimitCustomer *customer);

#endif /* USAGE_EVENTS_LIMIT_LIMIT_H */
