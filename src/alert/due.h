/*
 * alert/due.h
 *		Which customers and periods a refresh has still to look at.
 */
#ifndef USAGE_EVENTS_ALERT_DUE_H
#define USAGE_EVENTS_ALERT_DUE_H

#include "alert/alert.h"
#include "base/slice.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* In place of a period's begin: the one that is now. */
#define ALERT_PERIOD_NOW DT_NOBEGIN

extern void alert_due_init(void);
extern TimestampTz alert_due_oldest_end(void);
extern Slice alert_due_customer_of(const pg_uuid_t *account_id, Slice alias);
extern void alert_due_put_off(const UsageAlert *alert);
extern void alert_due_take_marks(const pg_uuid_t *account_id, Slice event_type, Slice alias, const TimestampTz *seconds,
								 int count);
extern void alert_due_alias_changed(const pg_uuid_t *account_id, Slice customer_id, Slice value);

#endif /* USAGE_EVENTS_ALERT_DUE_H */
