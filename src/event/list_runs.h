/*
 * event/list_runs.h
 *		Runs: the events of one alias and one type, in the order of time.
 */
#ifndef USAGE_EVENTS_EVENT_LIST_RUNS_H
#define USAGE_EVENTS_EVENT_LIST_RUNS_H

#include "base/slice.h"
#include "event/list.h"
#include "sql/query.h"

typedef struct EventRun
{
	Slice customer_alias;
	Slice event_type;
	TimestampTz first; /* of its events that are asked for, in the direction of the page */
} EventRun;

/* Those that have events of a list. */
typedef struct EventRuns
{
	EventRun *items;
	int count;
	int capacity;
	int looked_at; /* with those that have none */
} EventRuns;

/* Of events, within a FROM that has a run. */
#define EVENT_OF_RUN "customer_alias " EQ " run.customer_alias AND event_type " EQ " run.event_type"

extern void event_runs_append(SqlQuery *query, const EventList *list, bool descending);
extern bool event_runs_find(SqlQuery *query, const EventList *list, const char *asked_for, bool descending,
							EventRuns *runs);
extern void event_runs_keep_first(EventRuns *runs, bool descending, int count);
extern const char *event_runs_unnested(SqlQuery *query, const EventRuns *runs);

#endif /* USAGE_EVENTS_EVENT_LIST_RUNS_H */
