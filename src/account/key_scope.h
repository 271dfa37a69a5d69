/*
 * account/key_scope.h
 *		What the key of a request is good for.
 */
#ifndef USAGE_EVENTS_ACCOUNT_KEY_SCOPE_H
#define USAGE_EVENTS_ACCOUNT_KEY_SCOPE_H

#include "base/slice.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/uuid.h"

/* So many metrics of a key are few enough to be looked through. */
#define KEY_SCOPE_MAX_METRICS 100

typedef enum KeyAccess
{
	KEY_FULL,
	KEY_INGEST, /* sends events, and asks nothing */
	KEY_READ    /* asks, and changes nothing */
} KeyAccess;

typedef struct KeyScope
{
	pg_uuid_t account_id;
	KeyAccess access;
	Slice customer;        /* the one customer that it sees; data is NULL: all */
	pg_uuid_t *metric_ids; /* the metrics that it sees; NULL: all */
	int metric_count;
} KeyScope;

/* Which keys a route is for, beside full ones: for a read key all of what its scope has must be named. */
typedef enum RouteKeys
{
	KEYS_FULL_ALONE = 0,
	KEYS_INGEST = 1,
	KEYS_READ = 2,
	KEYS_OF_CUSTOMER = 4, /* the route answers such a key with what is the customer's */
	KEYS_OF_METRICS = 8,  /* the route knows no other metrics for such a key */
	KEYS_ALL = 15
} RouteKeys;

extern const char *key_access_name(KeyAccess access);
extern bool key_access_from_name(Slice name, KeyAccess *access);

extern const char *key_scope_count_fault(int count);
extern List *key_scope_check_metrics(List *faults, const char *name, ArrayType *metric_ids);
extern void key_scope_set_metrics(KeyScope *key, ArrayType *metric_ids);
extern void key_scope_end(void);
extern void key_scope_begin(const KeyScope *scope);
extern bool key_scope_is_closed(void);
extern void key_scope_refuse_closed(void);
extern void key_scope_require(int keys);
extern void key_scope_do(void (*act)(void *argument), void *argument);

extern const KeyScope *key_scope_current(void);
extern const Slice *key_scope_customer(void);
extern bool key_scope_has_metric(const pg_uuid_t *metric_id);
extern void key_scope_refuse_parameter(const char *name);
extern void key_scope_refuse_properties(const char *name);

#endif /* USAGE_EVENTS_ACCOUNT_KEY_SCOPE_H */
