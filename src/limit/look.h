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
	EventPut *put;
	Numeric amount; /* what it adds, by itself; a correction less what it replaces there */
	bool leaves;    /* it only takes away what it replaces, and comes elsewhere */
} Effect;

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
	Effect *effects; /* in the order of their events */
	int effect_count;
	int effect_capacity;
} Look;

/* So often a batch is counted anew because of events that rest on one that does not fit. */
#define LOOK_MAX_ROUNDS 10

extern void look_gather(Look *look);
extern bool look_is_written(const EventPut *put);
extern const EventPut *look_rests_on(const Look *look, const EventPut *put);
extern int look_compare_effects(const void *a, const void *b);

#endif /* USAGE_EVENTS_LIMIT_LOOK_H */
