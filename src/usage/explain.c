/*
 * usage/explain.c
 *		Whether an event counts in a metric, and if not, why: explain_usage_event().
 */
#include "postgres.h"

#include "usage/explain.h"

#include "account/account.h"
#include "base/fault.h"
#include "base/json_build.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "customer/alias.h"
#include "endpoint/request.h"
#include "endpoint/response.h"
#include "event/json.h"
#include "event/store.h"
#include "fmgr.h"
#include "metric/value.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "usage/question.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static Statement find_version = {
	.sql = "SELECT " EVENT_COLUMNS ", NULL::pg_catalog.uuid AS superseded_by FROM usage_events.event"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2"
		   " UNION ALL SELECT " EVENT_COLUMNS ", superseded_by FROM usage_events.superseded_event"
		   " WHERE account_id " EQ " $1 AND id " EQ " $2",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};
#define COLUMN_SUPERSEDED_BY 7

/* Reads a version of an event; false if there is none. */
static bool
read_version(const pg_uuid_t *account_id, const pg_uuid_t *id, UsageEvent *event, bool *is_superseded,
			 pg_uuid_t *superseded_by)
{
	MemoryContext context = CurrentMemoryContext;
	bool found;

	SPI_connect();
	statement_execute(&find_version, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id)}, NULL);
	found = SPI_processed > 0;
	if (found)
	{
		bool isnull;
		Datum by = row_value(0, COLUMN_SUPERSEDED_BY, &isnull);

		event_store_read_row(0, account_id, event, context);
		*is_superseded = !isnull;
		if (!isnull)
			*superseded_by = *DatumGetUUIDP(by);
	}
	SPI_finish();
	return found;
}

/* ["...", ...] */
static Jsonb *
texts_to_json(const List *texts)
{
	StringInfoData json;
	ListCell *cell;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach(cell, texts)
	{
		if (json.len > 1)
			appendStringInfoChar(&json, ',');
		escape_json(&json, lfirst(cell));
	}
	appendStringInfoChar(&json, ']');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

/* {"counts", "skipped", "reasons", "value", "grouping", "event"}; each reason follows "The event". */
static Jsonb *
explain(const Metric *metric, const UsageEvent *event, const pg_uuid_t *superseded_by)
{
	JsonObject object = {0};
	MetricValue value = {0};
	MetricVerdict verdict = METRIC_FILTERS;
	List *reasons = NIL;
	char id[UUID_TEXT_LENGTH + 1];
	bool is_candidate;

	if (superseded_by != NULL)
	{
		uuid_v7_to_text(superseded_by, id);
		reasons = lappend(reasons, psprintf("was superseded by event %s", id));
	}
	if (slice_equal(event->customer_alias, SLICE(VOID_ALIAS)))
		reasons = lappend(reasons, "was taken back: its customer alias is " VOID_ALIAS);
	if (!slice_equal(event->event_type, metric->event_type))
		reasons = lappend(reasons, psprintf("is of type %s, not %s", fault_quote(event->event_type),
											fault_quote(metric->event_type)));
	is_candidate = reasons == NIL;
	if (slice_equal(event->event_type, metric->event_type))
	{
		verdict = metric_value_read(metric_matcher_make(metric), event_json_properties(event), true, &value);
		if (value.reason != NULL)
			reasons = lappend(reasons, unconstify(char *, value.reason));
	}

	json_add_boolean(&object, SLICE("counts"), is_candidate && verdict == METRIC_COUNTS);
	json_add_boolean(&object, SLICE("skipped"), is_candidate && verdict == METRIC_SKIPS);
	json_add_json(&object, SLICE("reasons"), texts_to_json(reasons));
	if (value.number != NULL)
		json_add_numeric(&object, SLICE("value"), value.number);
	else
		json_add_text_or_null(&object, SLICE("value"), value.unique);
	if (metric->is_grouped)
		json_add_text_or_null(&object, SLICE("grouping"), value.groupings[0].text);
	json_add_json(&object, SLICE("event"), event_json_write(event));
	return json_make_object(&object);
}

/* Refused events ------------------------------------------------------------ */

static Statement find_rejected = {
	.sql = "SELECT pg_catalog.jsonb_object_field_text(fault.value, 'field'),"
		   " pg_catalog.jsonb_object_field_text(fault.value, 'fault'),"
		   " pg_catalog.jsonb_object_field_text(fault.value, 'usageLimitId'), r.body"
		   " FROM usage_events.rejected_event AS r"
		   " CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(r.faults) WITH ORDINALITY AS fault (value, place)"
		   " WHERE r.account_id " EQ " $1 AND r.id " EQ " $2 ORDER BY fault.place",
	.read_only = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};
enum
{
	COLUMN_FIELD = 1,
	COLUMN_FAULT,
	COLUMN_LIMIT_ID,
	COLUMN_BODY
};

/* Why it was refused, worded to follow the event. */
static char *
rejection_reason(uint64 row)
{
	Slice field = row_text(row, COLUMN_FIELD);
	Slice fault = row_text(row, COLUMN_FAULT);
	Slice limit_id = row_text(row, COLUMN_LIMIT_ID);

	if (limit_id.data != NULL)
		return psprintf("was refused by limit %.*s: it %.*s", limit_id.length, limit_id.data, fault.length, fault.data);
	if (field.data != NULL)
		return psprintf("was refused: %s %.*s", fault_quote(field), fault.length, fault.data);
	return psprintf("was refused: it %.*s", fault.length, fault.data);
}

/* The same for an event that was refused, and kept as it came; NULL if there is none. */
static Jsonb *
explain_rejected(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	MemoryContext context = CurrentMemoryContext;
	JsonObject object = {0};
	List *reasons = NIL;
	Slice body = {NULL, 0};

	SPI_connect();
	statement_execute(&find_rejected, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id)}, NULL);
	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		memory_budget_grow(1024);
		reasons = lappend(reasons, rejection_reason(row));
		body = row_text_copy(row, COLUMN_BODY);
	}
	SPI_finish();
	MemoryContextSwitchTo(context);
	if (reasons == NIL)
		return NULL;
	json_add_boolean(&object, SLICE("counts"), false);
	json_add_boolean(&object, SLICE("skipped"), false);
	json_add_json(&object, SLICE("reasons"), texts_to_json(reasons));
	json_add_null(&object, SLICE("value"));
	json_add_text(&object, SLICE("body"), body);
	return json_make_object(&object);
}

/* NULL if no event, and none that was refused, has the id. */
static Jsonb *
explain_version(const UsageQuestion *question, const pg_uuid_t *event_id)
{
	UsageEvent event;
	bool is_superseded;
	pg_uuid_t superseded_by;

	usage_refuse_custom(&question->metric);
	if (!read_version(&question->metric.account_id, event_id, &event, &is_superseded, &superseded_by))
		return explain_rejected(&question->metric.account_id, event_id);
	return explain(&question->metric, &event, is_superseded ? &superseded_by : NULL);
}

/* The same; NULL as well if there is no such metric. */
Jsonb *
usage_explain(const pg_uuid_t *account_id, const pg_uuid_t *metric_id, const pg_uuid_t *event_id)
{
	UsageQuestion question;

	return usage_question_ask(account_id, metric_id, NULL, &question) ? explain_version(&question, event_id) : NULL;
}

static Datum
explain_event(PG_FUNCTION_ARGS)
{
	const pg_uuid_t *metric_id = usage_metric_argument(fcinfo, 0);
	UsageQuestion question;
	Jsonb *explanation;

	if (!usage_question_ask(account_current(), metric_id, NULL, &question))
	{
		if (http_request_is_for("explain_usage_event"))
			PG_RETURN_NULL();
		usage_question_refuse(metric_id, &question);
	}
	explanation = PG_ARGISNULL(1) ? NULL : explain_version(&question, PG_GETARG_UUID_P(1));
	return http_answer_or_null(fcinfo, explanation);
}

/* explain_usage_event(metric_id uuid, event_id uuid) */
PG_FUNCTION_INFO_V1(explain_usage_event);
Datum
explain_usage_event(PG_FUNCTION_ARGS)
{
	return http_endpoint(explain_event, fcinfo, "explain_usage_event", 200);
}
