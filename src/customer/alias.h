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

/* Told that an alias has become a customer's, or is no longer, in the transaction that does it; connected to SPI. */
typedef void (*CustomerAliasWatch)(const pg_uuid_t *account_id, Slice customer_id, Slice value);

extern void customer_alias_watch(CustomerAliasWatch watch);

/* NULL is the answer of those that take an id where no alias has it. */
extern Jsonb *customer_alias_create(const pg_uuid_t *account_id, Jsonb *body);
extern Jsonb *customer_alias_update(const pg_uuid_t *account_id, const pg_uuid_t *id, Jsonb *body);
extern Jsonb *customer_alias_delete(const pg_uuid_t *account_id, const pg_uuid_t *id);
extern Jsonb *customer_alias_list(const pg_uuid_t *account_id, ListPage *page, const char *value, List *faults);

#endif /* USAGE_EVENTS_CUSTOMER_ALIAS_H */
