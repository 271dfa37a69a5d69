/*
 * limit/look.h
 *		Events that are written: what limits measure of them, and what the metrics say with them.
 */
#ifndef USAGE_EVENTS_LIMIT_LOOK_H
#define USAGE_EVENTS_LIMIT_LOOK_H

#include "event/guard.h"
#include "limit/entered.h"
#include "limit/measure.h"

/* An event that one of the measures measures. */
typedef struct Effect
{
	Measure *measure;
	EventPut *put; /* which has it come, or go */
	const UsageEvent *event;
	Numeric amount;  /* what it is by itself */
	MetricPart part; /* the same while events are counted whose values do not just add up */
	Numeric before;  /* what there was without it, for as long as it is looked at */
} Effect;

/* Effects, in the order of their puts. */
typedef struct Effects
{
	Effect *items;
	int count;
	int capacity;
} Effects;

/* A look at events that are written. */
typedef struct Look
{
	Entered *entered;
	uint64 state; /* of what is in force, before anything is read */
	MemoryContext of_refusals;
	EventPut *puts;
	int count;
	LimitedAlias *aliases;
	int alias_count;
	List *metrics;
	Measure *measures;
	int measure_count;
	Effects effects; /* of the events that are written, or would be if those did not fit that they rest on */
	Effects leaving; /* of what was stored before and is replaced, by the event that replaces it */
	Snapshot now;    /* which shows the events */
} Look;

extern void look_gather(Look *look);
extern void look_end(Look *look);
extern void look_add_effect(Effects *effects, Effect effect);
extern bool look_is_written(const EventPut *put);
extern const EventPut *look_rests_on(const Look *look, const EventPut *put);

#endif /* USAGE_EVENTS_LIMIT_LOOK_H */
