/*
 * limit/in_force.h
 *		Which BLOCK limits hold for events of a type and an alias.
 */
#ifndef USAGE_EVENTS_LIMIT_IN_FORCE_H
#define USAGE_EVENTS_LIMIT_IN_FORCE_H

#include "limit/scope.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

/* A limit, as it holds for the events of an alias. */
typedef struct LimitInForce
{
	pg_uuid_t id;
	pg_uuid_t version_id;
	LimitScope scope;
	Slice customer; /* whose use is limited: the limit's, or that of a limit for each customer */
	Numeric most;
} LimitInForce;

/* Events of a type that come under an alias, and what holds for them. */
typedef struct LimitedAlias
{
	Slice event_type;
	Slice alias;
	Slice owner; /* the customer whose alias it is, or the alias itself */
	LimitInForce *limits;
	int count;
} LimitedAlias;

extern void limit_in_force_init(void);
extern void limit_in_force_changed(void);
extern bool limit_in_force_may_hold(const pg_uuid_t *account_id, Slice event_type, Slice alias);
extern int limit_in_force_find(const pg_uuid_t *account_id, LimitedAlias *aliases, int count);
extern int limit_in_force_compare(const void *a, const void *b);

#endif /* USAGE_EVENTS_LIMIT_IN_FORCE_H */
