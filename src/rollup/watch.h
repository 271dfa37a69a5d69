/*
 * rollup/watch.h
 *		Changes that do not come through our own statements.
 */
#ifndef USAGE_EVENTS_ROLLUP_WATCH_H
#define USAGE_EVENTS_ROLLUP_WATCH_H

#include "sql/operator.h"

/*
 * In which state the trigger on events is, as SQL.  "always" is how it was made, also in a database that pg_upgrade
 * has moved.  A restore of data alone may turn all triggers off and on, which leaves it
 * another: each time of its own.  "off" while it does not fire; "none" where there
 * is none, as on a Citus cluster.
 */
#define EVENTS_WATCH \
	"COALESCE((SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_inherits AS i" \
	" WHERE i.inhrelid " EQ " t.tgrelid OR i.inhparent " EQ " t.tgrelid) THEN 'off'" \
	" WHEN t.tgenabled " EQ " 'A' THEN 'always'" \
	" WHEN t.tgenabled " EQ " 'O' THEN t.xmin::pg_catalog.text ELSE 'off' END" \
	" FROM pg_catalog.pg_trigger AS t" \
	" WHERE t.tgrelid " EQ " 'usage_events.event'::pg_catalog.regclass" \
	" AND t.tgname " EQ " 'usage_events_watch'), 'none')"

/*
 * Whether the account $1 has marks, as SQL: its row of no type says since which state of the
 * trigger, and another that something was changed without them.
 */
#define MARKS_ARE_KEPT \
	"EXISTS (SELECT FROM usage_events.dirty_bucket AS d WHERE d.account_id " EQ " $1" \
	" AND d.event_type " EQ " ''::pg_catalog.text AND d.watched_by " EQ " " EVENTS_WATCH \
	") AND NOT EXISTS (SELECT FROM usage_events.dirty_bucket AS d WHERE d.account_id " EQ " $1" \
	" AND d.event_type " EQ " ''::pg_catalog.text AND d.seconds " LT " 0::smallint)"

extern void rollup_watch_begin_anew(void);

#endif /* USAGE_EVENTS_ROLLUP_WATCH_H */
