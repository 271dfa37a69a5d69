/*
 * sql/distribution.h
 *		Whether the tables are distributed over the nodes of a Citus cluster.
 */
#ifndef USAGE_EVENTS_SQL_DISTRIBUTION_H
#define USAGE_EVENTS_SQL_DISTRIBUTION_H

#include "utils/uuid.h"

extern void distribution_init(void);
extern bool distribution_has_table(Oid table);
extern bool distribution_is_on(void);
extern bool distribution_is_here(const pg_uuid_t *account_id);
extern void distribution_require_here(const pg_uuid_t *account_id);

#endif /* USAGE_EVENTS_SQL_DISTRIBUTION_H */
