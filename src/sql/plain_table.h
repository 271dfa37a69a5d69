/*
 * sql/plain_table.h
 *		Whether a row that is written to one of our tables is all that a statement would do.
 */
#ifndef USAGE_EVENTS_SQL_PLAIN_TABLE_H
#define USAGE_EVENTS_SQL_PLAIN_TABLE_H

#include "utils/rel.h"

extern bool plain_table_is(Relation table, int16 trigger_type);

#endif /* USAGE_EVENTS_SQL_PLAIN_TABLE_H */
