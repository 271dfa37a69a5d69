/*
 * sql/told.h
 *		What a backend remembers of a table until it is told that it has changed.
 *
 * A thing that is asked for with each event, and that hardly ever changes, is kept by the
 * backend that asked.  Whoever changes it sends the message that the server sends when
 * a table's definition has changed; it goes out as the change is committed, and every backend
 * takes it before it looks at tables again.
 *
 *	if (!told.is_known)
 *	{
 *		uint64 since = told_begin(&told);
 *
 *		...read it...
 *		told_end(&told, since);
 *	}
 *
 * Of rows that were read in the transaction's snapshot it is told_end_rows().
 */
#ifndef USAGE_EVENTS_SQL_TOLD_H
#define USAGE_EVENTS_SQL_TOLD_H

typedef struct Told
{
	const char *table; /* of the schema usage_events: whose message counts */
	bool is_known;
	Oid relation;
	uint64 times_forgotten;
	struct Told *next;
} Told;

extern void told_init(Told *told);
extern uint64 told_begin(Told *told);
extern void told_end(Told *told, uint64 since);
extern void told_end_rows(Told *told, uint64 since);
extern void told_tell(const Told *told);

#endif /* USAGE_EVENTS_SQL_TOLD_H */
