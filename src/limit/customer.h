/*
 * limit/customer.h
 *		Whose use is meant: a customer by any name, and all names that events come with.
 */
#ifndef USAGE_EVENTS_LIMIT_CUSTOMER_H
#define USAGE_EVENTS_LIMIT_CUSTOMER_H

#include "base/slice.h"
#include "utils/uuid.h"

typedef struct LimitCustomer
{
	Slice id; /* the customer's or, of an alias that is nobody's, the alias */
	Slice *aliases;
	int alias_count;
} LimitCustomer;

extern void limit_customer_find(const pg_uuid_t *account_id, Slice name, LimitCustomer *customer);

#endif /* USAGE_EVENTS_LIMIT_CUSTOMER_H */
