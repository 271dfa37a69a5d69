/*
 * event/batch_functions.c
 *		The functions that people call for many events: arguments in, the pieces in
 *		order, the answers out.
 */
#include "postgres.h"

#include "account/account.h"
#include "base/json_build.h"
#include "base/memory_budget.h"
#include "endpoint/response.h"
#include "event/batch.h"
#include "event/json.h"
#include "fmgr.h"

static void
require_argument(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("batch of usage events must not be null"),
				 errhint("An aggregate over no rows is NULL: coalesce(jsonb_agg(...), '[]') is an empty batch.")));
}

/* Reads a batch for the account from the argument. */
static void
read_argument(FunctionCallInfo fcinfo, int number, const pg_uuid_t *account_id, EventBatch *batch)
{
	require_argument(fcinfo, number);
	event_batch_from_json(account_id, PG_GETARG_JSONB_P(number), batch);
}

/* What is stored for each event, in the order given. */
static Jsonb *
answers(const EventBatch *batch)
{
	JsonArray events;

	json_array_begin(&events);
	for (int i = 0; i < batch->count; i++)
	{
		json_array_next(&events);
		json_array_add(&events, event_json_write(batch->elements[i].put->answer));
	}
	return json_array_end(&events);
}

static Datum
create_all(PG_FUNCTION_ARGS)
{
	EventBatch batch;

	read_argument(fcinfo, 0, account_current(), &batch);
	event_batch_store_all(&batch);
	PG_RETURN_JSONB_P(answers(&batch));
}

/* create_usage_events(jsonb) */
PG_FUNCTION_INFO_V1(create_usage_events);
Datum
create_usage_events(PG_FUNCTION_ARGS)
{
	return http_endpoint(create_all, fcinfo, "create_usage_events", 201);
}

/* usage_events.create_events(account_id uuid, events jsonb) */
PG_FUNCTION_INFO_V1(create_events);
Datum
create_events(PG_FUNCTION_ARGS)
{
	pg_uuid_t *account_id = account_argument(fcinfo, 0);
	EventBatch batch;
	int nest_level = account_enter(account_id);

	memory_budget_begin();
	read_argument(fcinfo, 1, account_id, &batch);
	event_batch_store_all(&batch);
	account_leave(nest_level);
	PG_RETURN_JSONB_P(answers(&batch));
}

static Datum
ingest(PG_FUNCTION_ARGS)
{
	EventBatch batch;

	read_argument(fcinfo, 0, account_current(), &batch);
	event_batch_store(&batch);
	PG_RETURN_JSONB_P(event_batch_outcomes(&batch));
}

/* ingest_usage_events(jsonb) */
PG_FUNCTION_INFO_V1(ingest_usage_events);
Datum
ingest_usage_events(PG_FUNCTION_ARGS)
{
	return http_endpoint(ingest, fcinfo, "ingest_usage_events", 200);
}

/* usage_events.ingest_events(account_id uuid, events jsonb) */
PG_FUNCTION_INFO_V1(ingest_events);
Datum
ingest_events(PG_FUNCTION_ARGS)
{
	pg_uuid_t *account_id = account_argument(fcinfo, 0);
	EventBatch batch;
	int nest_level = account_enter(account_id);

	memory_budget_begin();
	read_argument(fcinfo, 1, account_id, &batch);
	event_batch_store(&batch);
	account_leave(nest_level);
	PG_RETURN_JSONB_P(event_batch_outcomes(&batch));
}

static Datum
ingest_text(PG_FUNCTION_ARGS)
{
	EventBatch batch;

	require_argument(fcinfo, 0);
	event_batch_from_array_text(account_current(), PG_GETARG_TEXT_PP(0), &batch);
	event_batch_store(&batch);
	PG_RETURN_JSONB_P(event_batch_outcomes(&batch));
}

/* ingest_usage_events_text(text) */
PG_FUNCTION_INFO_V1(ingest_usage_events_text);
Datum
ingest_usage_events_text(PG_FUNCTION_ARGS)
{
	return http_endpoint(ingest_text, fcinfo, "ingest_usage_events_text", 200);
}
