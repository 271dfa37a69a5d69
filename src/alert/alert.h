/*
 * alert/alert.h
 *		Usage alerts as they are stored.
 */
#ifndef USAGE_EVENTS_ALERT_ALERT_H
#define USAGE_EVENTS_ALERT_ALERT_H

#include "limit/scope.h"
#include "utils/numeric.h"

/* A version of an alert. */
typedef struct UsageAlert
{
	pg_uuid_t account_id;
	pg_uuid_t id;         /* the same in all versions */
	pg_uuid_t version_id; /* of version 7, ascending with each update */
	LimitScope scope;
	Numeric *thresholds; /* ascending */
	int threshold_count;
	bool is_below; /* the direction */
	TimestampTz created_at;
	TimestampTz updated_at;
	bool is_deleted;
	TimestampTz deleted_at;
} UsageAlert;

/* The columns of a row that alert_read_row() reads, the first ones of the row. */
#define ALERT_ROW_COLUMNS \
	"id, version_id, " LIMIT_SCOPE_COLUMNS ", thresholds, direction, created_at, updated_at, deleted_at"

extern void alert_read_row(uint64 row, const pg_uuid_t *account_id, UsageAlert *alert, MemoryContext context);
extern bool alert_get(const pg_uuid_t *account_id, const pg_uuid_t *id, UsageAlert *alert);
extern int alert_compare(Numeric a, Numeric b);
extern Datum alert_thresholds_datum(const UsageAlert *alert);
extern Slice alert_direction_name(const UsageAlert *alert);

#endif /* USAGE_EVENTS_ALERT_ALERT_H */
