/*
 * rollup/watch.h
 *		Changes that do not come through our own statements.
 */
#ifndef USAGE_EVENTS_ROLLUP_WATCH_H
#define USAGE_EVENTS_ROLLUP_WATCH_H

/*
 * In which state the trigger on events is, as SQL.  "always" is how it was made, also in a database that pg_upgrade
 * has moved.  A restore of data alone may turn all triggers off and on, which leaves it
 * another: each time of its own.  "off" while it does not fire; "none" where there
 * is none, as on a Citus cluster.
 */
#define EVENTS_WATCH \
	"COALESCE((SELECT CASE WHEN t.tgenabled OPERATOR(pg_catalog.=) 'A' THEN 'always'" \
	" WHEN t.tgenabled OPERATOR(pg_catalog.=) 'O' THEN t.xmin::pg_catalog.text ELSE 'off' END" \
	" FROM pg_catalog.pg_trigger AS t" \
	" WHERE t.tgrelid OPERATOR(pg_catalog.=) 'usage_events.event'::pg_catalog.regclass" \
	" AND t.tgname OPERATOR(pg_catalog.=) 'usage_events_watch'), 'none')"

/*
 * Whether the account $1 has marks, as SQL: its row of no type says since which state of the
 * trigger, and another that something was changed without them.
 */
#define MARKS_ARE_KEPT \
	"EXISTS (SELECT FROM usage_events.dirty_bucket AS d WHERE d.account_id OPERATOR(pg_catalog.=) $1" \
	" AND d.event_type OPERATOR(pg_catalog.=) ''::pg_catalog.text AND d.watched_by OPERATOR(pg_catalog.=) " EVENTS_WATCH \
	") AND NOT EXISTS (SELECT FROM usage_events.dirty_bucket AS d WHERE d.account_id OPERATOR(pg_catalog.=) $1" \
	" AND d.event_type OPERATOR(pg_catalog.=) ''::pg_catalog.text AND d.seconds OPERATOR(pg_catalog.<) 0::smallint)"

extern void rollup_watch_begin_anew(void);

#endif /* USAGE_EVENTS_ROLLUP_WATCH_H */
