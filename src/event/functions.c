/*
 * event/functions.c
 *		The functions that people call for one event: arguments in, the pieces in
 *		order, the answer out.
 */
#include "postgres.h"

#include "event/functions.h"

#include "account/account.h"
#include "base/argument.h"
#include "base/json_read.h"
#include "base/memory_budget.h"
#include "endpoint/response.h"
#include "event/guard.h"
#include "event/json.h"
#include "event/read.h"
#include "fmgr.h"

/* Stores an event, or refuses it with all its faults.  Returns the answer: what is stored. */
Jsonb *
event_create(const pg_uuid_t *account_id, Jsonb *body)
{
	EventPut put;
	List *faults = event_read(account_id, body, &put.event);

	if (faults != NIL)
		event_faults_report(faults, NULL);
	event_guarded_put(account_id, &put);
	if (put.outcome == EVENT_REFUSED)
		event_conflicts_report(&put, 1, -1);
	return event_json_write(put.answer);
}

static Datum
create(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(event_create(account_current(), argument_jsonb(fcinfo, 0, "usage event")));
}

/* create_usage_event(jsonb) */
PG_FUNCTION_INFO_V1(create_usage_event);
Datum
create_usage_event(PG_FUNCTION_ARGS)
{
	return http_endpoint(create, fcinfo, "create_usage_event", 201);
}

/* usage_events.create_event(account_id uuid, event jsonb) */
PG_FUNCTION_INFO_V1(create_event);
Datum
create_event(PG_FUNCTION_ARGS)
{
	pg_uuid_t *account_id = account_argument(fcinfo, 0);
	Jsonb *answer;
	int nest_level = account_enter(account_id);

	memory_budget_begin();
	answer = event_create(account_id, argument_jsonb(fcinfo, 1, "usage event"));
	account_leave(nest_level);
	PG_RETURN_JSONB_P(answer);
}

static Datum
get(PG_FUNCTION_ARGS)
{
	UsageEvent event;
	Jsonb *json;

	if (!event_store_get(account_current(), PG_GETARG_UUID_P(0), &event))
		PG_RETURN_NULL();
	json = event_json_write(&event);
	json_answer_check(json, json_answer_add(0, json));
	PG_RETURN_JSONB_P(json);
}

/* get_usage_event(id uuid) */
PG_FUNCTION_INFO_V1(get_usage_event);
Datum
get_usage_event(PG_FUNCTION_ARGS)
{
	return http_endpoint(get, fcinfo, "get_usage_event", 200);
}
