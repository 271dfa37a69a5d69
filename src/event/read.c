/*
 * event/read.c
 *		Events on their way into the store: each function that stores events reads them here.
 *
 * What an event has to be is the same everywhere (event/check.c).  What else is asked of one that
 * is to be stored depends on what its account has.
 */
#include "postgres.h"

#include "event/read.h"

#include "account/horizon.h"
#include "base/json_read.h"
#include "event/json.h"

/* Reads and checks an event for the account.  Returns its faults, NIL if there is none. */
List *
event_read_value(const pg_uuid_t *account_id, const JsonbValue *value, UsageEvent *event)
{
	List *faults = event_json_read_value(value, event);

	if (event->has_timestamp)
		faults = horizon_check(faults, account_id, event_field_names[FIELD_EVENT_TIMESTAMP].data, event->timestamp);
	return faults;
}

/* The same for an event that is a JSON document of its own. */
List *
event_read(const pg_uuid_t *account_id, Jsonb *json, UsageEvent *event)
{
	JsonbValue value = json_document(json);

	return event_read_value(account_id, &value, event);
}
