/*
 * alert/known.h
 *		Whether an account has alerts.
 */
#ifndef USAGE_EVENTS_ALERT_KNOWN_H
#define USAGE_EVENTS_ALERT_KNOWN_H

#include "utils/uuid.h"

extern void alert_known_init(void);
extern void alert_known_changed(const pg_uuid_t *account_id);
extern bool alert_known_are_told(const pg_uuid_t *account_id);
extern bool alert_known_has_alerts(const pg_uuid_t *account_id);

#endif /* USAGE_EVENTS_ALERT_KNOWN_H */
