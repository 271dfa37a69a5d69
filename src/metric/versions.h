/*
 * metric/versions.h
 *		All versions of a usage metric, in pages.
 */
#ifndef USAGE_EVENTS_METRIC_VERSIONS_H
#define USAGE_EVENTS_METRIC_VERSIONS_H

#include "sql/list_page.h"

extern Jsonb *metric_versions_read(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, ListPage *page,
								   List *faults);

#endif /* USAGE_EVENTS_METRIC_VERSIONS_H */
