/*
 * usage/by_customer.h
 *		What a metric says of each customer.
 */
#ifndef USAGE_EVENTS_USAGE_BY_CUSTOMER_H
#define USAGE_EVENTS_USAGE_BY_CUSTOMER_H

#include "metric/total.h"
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

#endif /* USAGE_EVENTS_USAGE_BY_CUSTOMER_H */
