/*
 * customer/alias.h
 *		Aliases: names under which events come in, and the customers they belong to.
 */
#ifndef USAGE_EVENTS_CUSTOMER_ALIAS_H
#define USAGE_EVENTS_CUSTOMER_ALIAS_H

#include "base/slice.h"
#include "sql/list_page.h"

/* The alias of an event that is taken back: it belongs to no customer. */
#define VOID_ALIAS "VOID"

/* Is told that an account has given an alias to a customer, or taken one away, in the same transaction. */
typedef void (*CustomerAliasWatcher)(const pg_uuid_t *account_id);

extern void customer_alias_watch(CustomerAliasWatcher watcher);

/* NULL is the answer of those that take an id where no alias has it. */
extern Jsonb *customer_alias_create(const pg_uuid_t *account_id, Jsonb *body);
extern Jsonb *customer_alias_update(const pg_uuid_t *account_id, const pg_uuid_t *id, Jsonb *body);
extern Jsonb *customer_alias_delete(const pg_uuid_t *account_id, const pg_uuid_t *id);
extern Jsonb *customer_alias_list(const pg_uuid_t *account_id, ListPage *page, const char *value, List *faults);

#endif /* USAGE_EVENTS_CUSTOMER_ALIAS_H */
