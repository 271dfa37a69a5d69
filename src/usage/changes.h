/*
 * usage/changes.h
 *		Which events make a metric say something else than at a past moment.
 */
#ifndef USAGE_EVENTS_USAGE_CHANGES_H
#define USAGE_EVENTS_USAGE_CHANGES_H

#include "datatype/timestamp.h"
#include "sql/place_page.h"
#include "utils/uuid.h"

extern Jsonb *usage_changes(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const List *customers,
							TimestampTz start, TimestampTz end, TimestampTz since, PlacePage *page, List *faults);

#endif /* USAGE_EVENTS_USAGE_CHANGES_H */
