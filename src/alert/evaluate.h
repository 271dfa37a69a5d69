/*
 * alert/evaluate.h
 *		Whether a customer's value has crossed thresholds.
 */
#ifndef USAGE_EVENTS_ALERT_EVALUATE_H
#define USAGE_EVENTS_ALERT_EVALUATE_H

#include "alert/alert.h"
#include "metric/metric.h"

/* What an account's alerts record in one refresh, which alone does so. */
typedef struct AlertRecorder
{
	const pg_uuid_t *account_id;
	int64 last_number; /* of an event; 0: not looked up yet */
	bool has_recorded;
} AlertRecorder;

extern void alert_evaluate(AlertRecorder *recorder, const UsageAlert *alert, const Metric *metric, Slice customer,
						   TimestampTz moment);

#endif /* USAGE_EVENTS_ALERT_EVALUATE_H */
