/*
 * alert/known.c
 *		Whether an account has alerts: what each backend remembers, so that where there are none a
 *		refresh has nothing to ask.
 *
 * Whoever makes an alert tells all backends, as event/mark.c does of types that are marked:
 * a message goes out a moment after the alert can be seen, and before locks are released.  A refresh that
 * has not heard of an alert takes marks away and notes nothing for it.  So nobody looks at
 * the customers of a new alert before all have heard of it: what was changed before that
 * is seen then, and what is changed later is noted.
 */
#include "postgres.h"

#include "alert/known.h"

#include "base/compat.h"
#include "catalog/pg_type.h"
#include "sql/own_lock.h"
#include "sql/told_any.h"
#include "utils/inval.h"

/* Deleted ones too: what they have left is for a refresh to delete. */
static ToldAny alerts = {
	.told = {.table = "usage_alert"},
	.find =
		{
			.sql = "SELECT WHERE EXISTS (SELECT FROM usage_events.usage_alert WHERE account_id " EQ " $1)",
			.argument_count = 1,
			.argument_types = {UUIDOID},
		},
};

/* The transaction of this backend that last made an alert. */
static LocalTransactionId changed_by = InvalidLocalTransactionId;

void
alert_known_init(void)
{
	told_init(&alerts.told);
}

/* To be called by a transaction that has made an alert. */
void
alert_known_changed(const pg_uuid_t *account_id)
{
	own_lock_share_of_account(OWN_LOCK_KNOWN_ALERTS, account_id);
	told_tell(&alerts.told);
	changed_by = current_local_transaction_id();
}

/* Waits for nothing, and returns whether all backends have been told of all alerts that could be seen before this call. */
bool
alert_known_are_told(const pg_uuid_t *account_id)
{
	return changed_by != current_local_transaction_id() &&
		   own_lock_is_free_of_account(OWN_LOCK_KNOWN_ALERTS, account_id);
}

bool
alert_known_has_alerts(const pg_uuid_t *account_id)
{
	AcceptInvalidationMessages();
	return told_any(&alerts, account_id);
}
