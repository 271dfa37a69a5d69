/*
 * customer/scope.h
 *		The aliases of the one customer whom the key of a request sees.
 */
#ifndef USAGE_EVENTS_CUSTOMER_SCOPE_H
#define USAGE_EVENTS_CUSTOMER_SCOPE_H

#include "base/slice.h"
#include "nodes/pg_list.h"
#include "utils/uuid.h"

/* Both are for a request whose key is of one customer: see key_scope_customer(). */
extern List *customer_scope_aliases(const pg_uuid_t *account_id, const List *asked, bool is_asked);
extern bool customer_scope_has(const pg_uuid_t *account_id, Slice alias);

#endif /* USAGE_EVENTS_CUSTOMER_SCOPE_H */
