/*
 * usage/by_customer.h
 *		What a metric says of each customer.
 */
#ifndef USAGE_EVENTS_USAGE_BY_CUSTOMER_H
#define USAGE_EVENTS_USAGE_BY_CUSTOMER_H

#include "metric/total.h"
#include "sql/place_page.h"
#include "usage/question.h"

/* Customers in the order of "C", and a total of each. */
typedef struct CustomerTotals
{
	Slice *customers;
	MetricTotal *totals;
	int count;
} CustomerTotals;

extern void usage_by_customer(const UsageQuestion *question, TimestampTz start, TimestampTz end,
							  CustomerTotals *result);

/* A page of the customers, and what they are sorted by: their names, if not by value. */
typedef struct UsageCustomerPage
{
	PlacePage page;
	bool by_value;
	bool descending;
} UsageCustomerPage;

extern Jsonb *usage_by_customer_page(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, TimestampTz start,
									 TimestampTz end, const TimestampTz *as_of, const MetricBreakdown *breakdown,
									 UsageCustomerPage *page, List *faults);

#endif /* USAGE_EVENTS_USAGE_BY_CUSTOMER_H */
