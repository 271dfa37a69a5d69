/*
 * alert/retire.c
 *		What alerts have left behind, and nobody needs any more: a refresh deletes some of it at a time.
 *
 * That is events that are older than usage_events.usage_alert_retention, what was said of periods that
 * ended so long ago, what is left of deleted alerts, and deliveries up to which a consumer has acknowledged all.
 */
#include "postgres.h"

#include "alert/retire.h"

#include "alert/due.h"
#include "catalog/pg_type.h"
#include "sql/statement.h"
#include "utils/timestamp.h"

#define ROWS_AT_A_TIME "1000"

static Statement delete_events = {
	.sql = "DELETE FROM usage_events.usage_alert_event WHERE account_id " EQ " $1"
		   " AND id " EQ " ANY (ARRAY(SELECT id FROM (SELECT id, occurred_at FROM usage_events.usage_alert_event"
		   " WHERE account_id " EQ " $1 ORDER BY number LIMIT " ROWS_AT_A_TIME ") AS oldest"
		   " WHERE oldest.occurred_at " LT " $2))",
	.argument_count = 2,
	.argument_types = {UUIDOID, TIMESTAMPTZOID},
};

static Statement delete_states = {
	.sql = "DELETE FROM usage_events.usage_alert_state WHERE account_id " EQ " $1"
		   " AND ctid " EQ " ANY (ARRAY(SELECT ctid FROM usage_events.usage_alert_state"
		   " WHERE account_id " EQ " $1 AND period_end " LT " $2 LIMIT " ROWS_AT_A_TIME "))",
	.argument_count = 2,
	.argument_types = {UUIDOID, TIMESTAMPTZOID},
};

/* As long as an alert that is deleted has its progress, it may have states. */
#define DELETED_ALERTS \
	"ARRAY(SELECT p.usage_alert_id FROM usage_events.usage_alert_progress AS p WHERE p.account_id " EQ " $1" \
	" AND NOT EXISTS (SELECT FROM usage_events.usage_alert AS a WHERE a.account_id " EQ " $1" \
	" AND a.id " EQ " p.usage_alert_id AND a.deleted_at IS NULL))"

static Statement delete_states_of_deleted = {
	.sql = "DELETE FROM usage_events.usage_alert_state WHERE account_id " EQ " $1"
		   " AND ctid " EQ " ANY (ARRAY(SELECT ctid FROM usage_events.usage_alert_state"
		   " WHERE account_id " EQ " $1 AND usage_alert_id " EQ " ANY (" DELETED_ALERTS ") LIMIT " ROWS_AT_A_TIME "))",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

static Statement delete_progress_of_deleted = {
	.sql = "DELETE FROM usage_events.usage_alert_progress WHERE account_id " EQ " $1"
		   " AND usage_alert_id " EQ " ANY (" DELETED_ALERTS ")",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* The first event that the consumer c has not acknowledged, of those after the place where it was before. */
#define FIRST_OPEN \
	"(SELECT e.number FROM usage_events.usage_alert_event AS e" \
	" WHERE e.account_id " EQ " $1 AND e.number " GT " c.acknowledged_through" \
	" AND NOT EXISTS (SELECT FROM usage_events.usage_alert_delivery AS d WHERE d.account_id " EQ " $1" \
	" AND d.consumer " EQ " c.consumer AND d.event_number " EQ " e.number AND d.acknowledged_at IS NOT NULL)" \
	" ORDER BY e.number LIMIT 1)"

/* Only what it has acknowledged is passed: an event that has no number yet gets a higher one. */
static Statement advance_consumers = {
	.sql = "UPDATE usage_events.usage_alert_consumer AS u SET acknowledged_through = n.number"
		   " FROM (SELECT c.consumer, (SELECT pg_catalog.max(e.number) FROM usage_events.usage_alert_event AS e"
		   " WHERE e.account_id " EQ " $1 AND e.number " GT " c.acknowledged_through"
		   " AND e.number " LT " (SELECT COALESCE(" FIRST_OPEN ", 9223372036854775807))) AS number"
		   " FROM usage_events.usage_alert_consumer AS c WHERE c.account_id " EQ " $1) AS n"
		   " WHERE u.account_id " EQ " $1 AND u.consumer " EQ " n.consumer AND n.number IS NOT NULL",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Also those of events that were deleted: all up to the oldest that is there. */
static Statement delete_deliveries = {
	.sql = "DELETE FROM usage_events.usage_alert_delivery WHERE account_id " EQ " $1"
		   " AND ctid " EQ " ANY (ARRAY(SELECT d.ctid FROM usage_events.usage_alert_delivery AS d"
		   " JOIN usage_events.usage_alert_consumer AS c ON c.account_id " EQ " d.account_id"
		   " AND c.consumer " EQ " d.consumer WHERE d.account_id " EQ " $1"
		   " AND d.event_number " LE " GREATEST(c.acknowledged_through,"
		   " (SELECT COALESCE(pg_catalog.min(e.number) " MINUS " 1, 9223372036854775807)"
		   " FROM usage_events.usage_alert_event AS e WHERE e.account_id " EQ " $1))"
		   " LIMIT " ROWS_AT_A_TIME " FOR UPDATE OF d SKIP LOCKED))",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Whether it has deleted something. */
static bool
delete_old(Statement *statement, const pg_uuid_t *account_id, TimestampTz moment)
{
	statement_execute(statement, (Datum[]){UUIDPGetDatum(account_id), TimestampTzGetDatum(moment)}, NULL);
	return SPI_processed > 0;
}

static bool
do_for_account(Statement *statement, const pg_uuid_t *account_id)
{
	statement_execute(statement, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	return SPI_processed > 0;
}

/* What is over has to be gone before the place of the alert that says so. */
static bool
delete_of_deleted(const pg_uuid_t *account_id)
{
	return do_for_account(&delete_states_of_deleted, account_id) ||
		   do_for_account(&delete_progress_of_deleted, account_id);
}

/* Deletes some, while no other refresh is at the account's alerts; connected to SPI.  Returns how many steps that was. */
int64
alert_retire(const pg_uuid_t *account_id)
{
	TimestampTz oldest_end = alert_due_oldest_end();
	int64 steps = 0;

	if (!TIMESTAMP_IS_NOBEGIN(oldest_end))
	{
		steps += delete_old(&delete_events, account_id, oldest_end) ? 1 : 0;
		steps += delete_old(&delete_states, account_id, oldest_end) ? 1 : 0;
	}
	steps += delete_of_deleted(account_id) ? 1 : 0;
	steps += do_for_account(&advance_consumers, account_id) ? 1 : 0;
	steps += do_for_account(&delete_deliveries, account_id) ? 1 : 0;
	return steps;
}
