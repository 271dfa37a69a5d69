/*
 * metric/definition.c
 *		Usage metrics: made, updated, deleted, and what is answered of them.
 *
 * A metric has versions, as an event has: an update and a deletion move the row to
 * usage_events.superseded_metric and write another version in its place, so that
 * what a metric said at a moment can be said again.  Its row is locked first: the
 * ids of versions ascend in the order in which they took each other's place.
 *
 * With each version comes a row in usage_events.metric_progress, which has rollups
 * kept for it.  CUSTOM metrics have none.
 */
#include "postgres.h"

#include "metric/definition.h"

#include <limits.h>

#include "account/account.h"
#include "base/argument.h"
#include "base/json_build.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "endpoint/response.h"
#include "event/mark.h"
#include "fmgr.h"
#include "metric/check.h"
#include "metric/value.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* What a version says, as the first parameters of the statements that write one. */
enum
{
	ARGUMENT_ACCOUNT_ID,
	ARGUMENT_ID,
	ARGUMENT_VERSION_ID,
	ARGUMENT_CREATED_AT,
	ARGUMENT_NAME,
	ARGUMENT_DESCRIPTION,
	ARGUMENT_METRIC_TYPE,
	ARGUMENT_EVENT_TYPE,
	ARGUMENT_AGGREGATION_TYPE,
	ARGUMENT_AGGREGATION_PROPERTY,
	ARGUMENT_PERCENTILE,
	ARGUMENT_GROUPING_PROPERTY,
	ARGUMENT_UNIT,
	ARGUMENT_PROPERTY_FILTERS,
	ARGUMENT_PROPERTIES_TO_NEGATE,
	ARGUMENT_CASE_SENSITIVE,
	ARGUMENT_EXPRESSION,
	ARGUMENT_PARAMETERS,
	ARGUMENT_COUNT
};

#define VERSION_ARGUMENTS \
	.argument_count = ARGUMENT_COUNT, \
	.argument_types = {UUIDOID, UUIDOID,    UUIDOID, TIMESTAMPTZOID, TEXTOID,  TEXTOID,  TEXTOID, TEXTOID, TEXTOID, \
					   TEXTOID, NUMERICOID, TEXTOID, TEXTOID,        JSONBOID, JSONBOID, BOOLOID, TEXTOID, JSONBOID}

#define INSERTED_COLUMNS \
	"account_id, id, version_id, created_at, name, description, metric_type, event_type, aggregation_type," \
	" aggregation_property, percentile, grouping_property, unit, property_filters, properties_to_negate, case_sensitive"
#define INSERTED_VALUES "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16"
#define ASSIGNMENTS \
	"version_id = $3, name = $5, description = $6, metric_type = $7, event_type = $8, aggregation_type = $9," \
	" aggregation_property = $10, percentile = $11, grouping_property = $12, unit = $13, property_filters = $14," \
	" properties_to_negate = $15, case_sensitive = $16"

#define BY_ID " WHERE account_id " EQ " $1 AND id " EQ " $2"
#define RETURNING " RETURNING " METRIC_ROW_COLUMNS

/* Only administrators may write expressions: all others use statements that leave their columns alone. */
static Statement insert_metric = {
	.sql = "INSERT INTO usage_events.metric (" INSERTED_COLUMNS ") VALUES (" INSERTED_VALUES ")" RETURNING,
	VERSION_ARGUMENTS,
};

static Statement insert_custom_metric = {
	.sql = "INSERT INTO usage_events.metric (" INSERTED_COLUMNS ", expression, parameters)"
		   " VALUES (" INSERTED_VALUES ", $17, $18)" RETURNING,
	VERSION_ARGUMENTS,
};

static Statement update_metric = {
	.sql = "UPDATE usage_events.metric SET " ASSIGNMENTS BY_ID RETURNING,
	VERSION_ARGUMENTS,
};

static Statement update_custom_metric = {
	.sql = "UPDATE usage_events.metric SET " ASSIGNMENTS ", expression = $17, parameters = $18" BY_ID RETURNING,
	VERSION_ARGUMENTS,
};

static Statement set_deleted = {
	.sql = "UPDATE usage_events.metric SET version_id = $3, deleted_at = $4" BY_ID RETURNING,
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID},
};

static Statement lock_metric = {
	.sql = "SELECT " METRIC_ROW_COLUMNS " FROM usage_events.metric" BY_ID " AND deleted_at IS NULL FOR UPDATE",
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement archive_metric = {
	.sql = "INSERT INTO usage_events.superseded_metric (account_id, " METRIC_ROW_COLUMNS ")"
		   " SELECT account_id, " METRIC_ROW_COLUMNS " FROM usage_events.metric" BY_ID,
	.argument_count = 2,
	.argument_types = {UUIDOID, UUIDOID},
};

static Statement begin_rollups = {
	.sql = "INSERT INTO usage_events.metric_progress (account_id, metric_version_id, event_type, started_at)"
		   " VALUES ($1, $2, $3, $4)",
	.argument_count = 4,
	.argument_types = {UUIDOID, UUIDOID, TEXTOID, TIMESTAMPTZOID},
};

static Statement count_metrics = {
	.sql = "SELECT pg_catalog.count(*) FROM (SELECT FROM usage_events.metric"
		   " WHERE account_id " EQ " $1 AND deleted_at IS NULL LIMIT $2) AS metric",
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

static Statement count_versions = {
	.sql = "SELECT pg_catalog.count(*) FROM ("
		   "SELECT id FROM usage_events.metric WHERE account_id " EQ " $1"
		   " UNION ALL SELECT id FROM usage_events.superseded_metric WHERE account_id " EQ " $1"
		   " LIMIT $2) AS version",
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

/* Limits ------------------------------------------------------------------ */

static int max_metrics = 1000;
static int max_metric_versions = 10000;

void
metric_definition_init(void)
{
	DefineCustomIntVariable("usage_events.max_metrics", "How many metrics an account may have in force.", NULL,
							&max_metrics, 1000, 0, INT_MAX / 2, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("usage_events.max_metric_versions",
							"How many versions of metrics an account may have, deleted metrics included.",
							"Versions are kept for ever, for questions as of a past day.", &max_metric_versions, 10000,
							0, INT_MAX / 2, PGC_SUSET, 0, NULL, NULL, NULL);
}

static bool
has_room(Statement *count, const pg_uuid_t *account_id, int limit)
{
	statement_execute(count, (Datum[]){UUIDPGetDatum(account_id), Int64GetDatum(limit)}, NULL);
	return DatumGetInt64(row_value_there(0, 1)) < limit;
}

/* Those that are made at the same time do not see each other, and may all get the last place. */
static void
require_room_for_metric(const pg_uuid_t *account_id)
{
	if (!has_room(&count_metrics, account_id, max_metrics))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("account has as many usage metrics as it may"),
						errdetail("It may have %d in force (usage_events.max_metrics).", max_metrics),
						errhint("Delete a metric, or have usage_events.max_metrics raised.")));
}

/* A deletion is always possible: there are no more than were made. */
static void
require_room_for_version(const pg_uuid_t *account_id)
{
	if (!has_room(&count_versions, account_id, max_metric_versions))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("account has as many versions of usage metrics as it may"),
						errdetail("Earlier versions are kept, also of deleted metrics; it may have %d in all "
								  "(usage_events.max_metric_versions).",
								  max_metric_versions),
						errhint("Have usage_events.max_metric_versions raised.")));
}

/* JSON -------------------------------------------------------------------- */

static Slice
type_name(const Metric *metric)
{
	return metric->is_grouped ? SLICE("GROUPED") : SLICE("SIMPLE");
}

/* The members of a metric as it is answered. */
void
metric_definition_add(JsonObject *object, const Metric *metric)
{
	json_add_uuid(object, SLICE("id"), &metric->id);
	json_add_uuid(object, SLICE("sequenceAccountId"), &metric->account_id);
	json_add_text(object, SLICE("name"), metric->name);
	json_add_text_or_null(object, SLICE("description"), metric->description);
	json_add_text(object, SLICE("metricType"), type_name(metric));
	json_add_text(object, SLICE("eventType"), metric->event_type);
	json_add_text(object, SLICE("aggregationType"), metric->kind->name);
	json_add_text_or_null(object, SLICE("aggregationProperty"), metric->aggregation_property);
	if (metric->kind->has_percentile && metric->percentile != NULL)
		json_add_numeric(object, SLICE("percentile"), metric->percentile);
	json_add_text_or_null(object, SLICE("groupingProperty"), metric->grouping_property);
	json_add_text_or_null(object, SLICE("unit"), metric->unit);
	json_add_json(object, SLICE("propertyFilters"), metric->property_filters);
	if (metric->properties_to_negate != NULL)
		json_add_json(object, SLICE("propertiesToNegate"), metric->properties_to_negate);
	else
		json_add_null(object, SLICE("propertiesToNegate"));
	json_add_boolean(object, SLICE("caseSensitive"), metric->case_sensitive);
	if (metric->is_deleted)
		json_add_timestamp(object, SLICE("deletedAt"), metric->deleted_at);
	else
		json_add_null(object, SLICE("deletedAt"));
	json_add_timestamp(object, SLICE("createdAt"), metric->created_at);
	json_add_json(object, SLICE("parameters"), metric->parameters);
	if (metric->kind->is_expression)
		json_add_text_or_null(object, SLICE("expression"), metric->expression);
}

Jsonb *
metric_definition_to_json(const Metric *metric)
{
	JsonObject object = {0};

	metric_definition_add(&object, metric);
	return json_make_object(&object);
}

/* Versions ---------------------------------------------------------------- */

static void
set_text(Datum *arguments, char *nulls, int number, Slice text)
{
	nulls[number] = text.data != NULL ? ' ' : 'n';
	arguments[number] = text.data != NULL ? slice_to_datum(text) : (Datum) 0;
}

static void
set_json(Datum *arguments, char *nulls, int number, const Jsonb *json)
{
	nulls[number] = json != NULL ? ' ' : 'n';
	arguments[number] = PointerGetDatum(json);
}

/* Reads what the last statement has written. */
static void
read_written(const pg_uuid_t *account_id, Metric *metric, MemoryContext context)
{
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("could not store usage metric"),
						errdetail("A trigger on the table usage_events.metric left it out.")));
	metric_read_row(0, account_id, metric, context);
}

/* Writes a version by that statement; the metric is then as it is stored, in memory that outlives SPI. */
static void
write_version(Statement *statement, Metric *metric, MemoryContext context)
{
	pg_uuid_t account_id = metric->account_id;
	Datum arguments[ARGUMENT_COUNT];
	char nulls[ARGUMENT_COUNT + 1];

	memset(nulls, ' ', ARGUMENT_COUNT);
	nulls[ARGUMENT_COUNT] = '\0';
	arguments[ARGUMENT_ACCOUNT_ID] = UUIDPGetDatum(&account_id);
	arguments[ARGUMENT_ID] = UUIDPGetDatum(&metric->id);
	arguments[ARGUMENT_VERSION_ID] = UUIDPGetDatum(&metric->version_id);
	arguments[ARGUMENT_CREATED_AT] = TimestampTzGetDatum(metric->created_at);
	set_text(arguments, nulls, ARGUMENT_NAME, metric->name);
	set_text(arguments, nulls, ARGUMENT_DESCRIPTION, metric->description);
	set_text(arguments, nulls, ARGUMENT_METRIC_TYPE, type_name(metric));
	set_text(arguments, nulls, ARGUMENT_EVENT_TYPE, metric->event_type);
	set_text(arguments, nulls, ARGUMENT_AGGREGATION_TYPE, metric->kind->name);
	set_text(arguments, nulls, ARGUMENT_AGGREGATION_PROPERTY, metric->aggregation_property);
	nulls[ARGUMENT_PERCENTILE] = metric->percentile != NULL ? ' ' : 'n';
	arguments[ARGUMENT_PERCENTILE] = NumericGetDatum(metric->percentile);
	set_text(arguments, nulls, ARGUMENT_GROUPING_PROPERTY, metric->grouping_property);
	set_text(arguments, nulls, ARGUMENT_UNIT, metric->unit);
	set_json(arguments, nulls, ARGUMENT_PROPERTY_FILTERS, metric->property_filters);
	set_json(arguments, nulls, ARGUMENT_PROPERTIES_TO_NEGATE, metric->properties_to_negate);
	arguments[ARGUMENT_CASE_SENSITIVE] = BoolGetDatum(metric->case_sensitive);
	set_text(arguments, nulls, ARGUMENT_EXPRESSION, metric->expression);
	set_json(arguments, nulls, ARGUMENT_PARAMETERS, metric->parameters);

	statement_execute(statement, arguments, nulls);
	read_written(&account_id, metric, context);
}

static void
write_progress(const Metric *metric)
{
	if (metric->kind->is_expression)
		return;
	statement_execute(&begin_rollups,
					  (Datum[]){UUIDPGetDatum(&metric->account_id), UUIDPGetDatum(&metric->version_id),
								PointerGetDatum(
									cstring_to_text_with_len(metric->event_type.data, metric->event_type.length)),
								TimestampTzGetDatum(GetCurrentTimestamp())},
					  NULL);
	event_mark_types_changed(&metric->account_id);
}

/* Locks the metric of that id and reads it; false if there is none, or it was deleted. */
static bool
lock(const pg_uuid_t *account_id, const pg_uuid_t *id, Metric *metric)
{
	statement_execute(&lock_metric, (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id)}, NULL);
	if (SPI_processed == 0)
		return false;
	metric_read_row(0, account_id, metric, CurrentMemoryContext);
	return true;
}

/* Moves a version that is locked to those of the past.  Its rollups are no more used, and are for the refresh to delete. */
static void
archive(const Metric *metric)
{
	statement_execute(&archive_metric, (Datum[]){UUIDPGetDatum(&metric->account_id), UUIDPGetDatum(&metric->id)}, NULL);
}

/* An expression is written by administrators: a metric that has one stays theirs, and others get none. */
static void
require_same_kind(const Metric *metric, const Metric *stored)
{
	bool is_custom = metric->kind->is_expression;

	if (is_custom == stored->kind->is_expression)
		return;
	metric_faults_report(
		fault_add(NIL, "aggregationType",
				  is_custom ? "cannot become \"CUSTOM\": see usage_events.create_custom_metric()"
							: "is \"CUSTOM\", which is for administrators: see usage_events.update_custom_metric()"),
		METRIC_HINT);
}

/* Stores a metric of an account with what was checked, and a new id; the rest that is not said of it is made here. */
void
metric_definition_insert(Metric *metric)
{
	MemoryContext context = CurrentMemoryContext;

	account_require(&metric->account_id);
	uuid_v7_generate(&metric->version_id);
	metric->created_at = GetCurrentTimestamp();

	SPI_connect();
	require_room_for_metric(&metric->account_id);
	require_room_for_version(&metric->account_id);
	write_version(metric->kind->is_expression ? &insert_custom_metric : &insert_metric, metric, context);
	write_progress(metric);
	SPI_finish();
}

static bool
same_json(Jsonb *a, Jsonb *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || compareJsonbContainers(&a->root, &b->root) == 0);
}

/* Whether an update would change nothing; one by an administrator, who writes expressions, always counts. */
static bool
is_unchanged(const Metric *metric, const Metric *stored)
{
	return !metric->kind->is_expression && metric->kind == stored->kind && metric->is_grouped == stored->is_grouped &&
		   metric->case_sensitive == stored->case_sensitive && slice_equal(metric->name, stored->name) &&
		   slice_equal(metric->description, stored->description) &&
		   slice_equal(metric->event_type, stored->event_type) &&
		   slice_equal(metric->aggregation_property, stored->aggregation_property) &&
		   metric_number_equal(metric->percentile, stored->percentile) &&
		   slice_equal(metric->grouping_property, stored->grouping_property) &&
		   slice_equal(metric->unit, stored->unit) && same_json(metric->property_filters, stored->property_filters) &&
		   same_json(metric->properties_to_negate, stored->properties_to_negate);
}

/* Writes another version over one that is locked. */
static void
replace_version(Metric *metric, const Metric *stored, MemoryContext context)
{
	require_room_for_version(&metric->account_id);
	archive(stored);
	uuid_v7_generate_after(&metric->version_id, &stored->version_id);
	write_version(metric->kind->is_expression ? &update_custom_metric : &update_metric, metric, context);
	write_progress(metric);
}

/*
 * Stores it in place of the metric that has its id, unless that says the same already;
 * false if there is none, or it was deleted.
 */
bool
metric_definition_replace(Metric *metric)
{
	MemoryContext context = CurrentMemoryContext;
	Metric stored;
	bool found;

	SPI_connect();
	found = lock(&metric->account_id, &metric->id, &stored);
	if (found)
	{
		require_same_kind(metric, &stored);
		if (is_unchanged(metric, &stored))
			metric_read_row(0, &stored.account_id, metric, context);
		else
			replace_version(metric, &stored, context);
	}
	SPI_finish();
	return found;
}

/* What can be done with metrics -------------------------------------------- */

Jsonb *
metric_definition_create(const pg_uuid_t *account_id, Jsonb *body)
{
	Metric metric;

	metric_require_object(body, METRIC_HINT);
	metric_faults_report(metric_check(body, &metric), METRIC_HINT);
	metric.account_id = *account_id;
	uuid_v7_generate(&metric.id);
	metric_definition_insert(&metric);
	return metric_definition_to_json(&metric);
}

/* Also one that was deleted. */
Jsonb *
metric_definition_get(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	Metric metric;

	return metric_get(account_id, id, &metric) ? metric_definition_to_json(&metric) : NULL;
}

/* Replaces all that a client says of a metric. */
Jsonb *
metric_definition_update(const pg_uuid_t *account_id, const pg_uuid_t *id, Jsonb *body)
{
	Metric metric;

	metric_require_object(body, METRIC_HINT);
	metric_faults_report(metric_check(body, &metric), METRIC_HINT);
	metric.account_id = *account_id;
	metric.id = *id;
	return metric_definition_replace(&metric) ? metric_definition_to_json(&metric) : NULL;
}

/* The metric stays in the table, as a version that says when it was deleted. */
Jsonb *
metric_definition_delete(const pg_uuid_t *account_id, const pg_uuid_t *id)
{
	MemoryContext context = CurrentMemoryContext;
	Metric metric;
	pg_uuid_t version_id;
	bool found;

	SPI_connect();
	found = lock(account_id, id, &metric);
	if (found)
	{
		archive(&metric);
		uuid_v7_generate_after(&version_id, &metric.version_id);
		statement_execute(&set_deleted,
						  (Datum[]){UUIDPGetDatum(account_id), UUIDPGetDatum(id), UUIDPGetDatum(&version_id),
									TimestampTzGetDatum(GetCurrentTimestamp())},
						  NULL);
		read_written(account_id, &metric, context);
		/* Its type is marked until a refresh has seen to it; whoever remembers the metric is told now. */
		event_mark_types_changed(account_id);
	}
	SPI_finish();
	return found ? metric_definition_to_json(&metric) : NULL;
}

/* The doors for SQL -------------------------------------------------------- */

static Datum
create_metric(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(metric_definition_create(account_current(), argument_jsonb(fcinfo, 0, "usage metric")));
}

/* create_usage_metric(jsonb) */
PG_FUNCTION_INFO_V1(create_usage_metric);
Datum
create_usage_metric(PG_FUNCTION_ARGS)
{
	return http_endpoint(create_metric, fcinfo, "create_usage_metric", 201);
}

static Datum
get_metric(PG_FUNCTION_ARGS)
{
	return http_answer_or_null(fcinfo, metric_definition_get(account_current(), PG_GETARG_UUID_P(0)));
}

/* get_usage_metric(id uuid) */
PG_FUNCTION_INFO_V1(get_usage_metric);
Datum
get_usage_metric(PG_FUNCTION_ARGS)
{
	return http_endpoint(get_metric, fcinfo, "get_usage_metric", 200);
}

static Datum
replace_metric(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return http_answer_or_null(fcinfo, metric_definition_update(account_current(), PG_GETARG_UUID_P(0),
																argument_jsonb(fcinfo, 1, "usage metric")));
}

/* update_usage_metric(id uuid, metric jsonb) */
PG_FUNCTION_INFO_V1(update_usage_metric);
Datum
update_usage_metric(PG_FUNCTION_ARGS)
{
	return http_endpoint(replace_metric, fcinfo, "update_usage_metric", 200);
}

static Datum
delete_metric(PG_FUNCTION_ARGS)
{
	return http_answer_or_null(fcinfo, metric_definition_delete(account_current(), PG_GETARG_UUID_P(0)));
}

/* delete_usage_metric(id uuid) */
PG_FUNCTION_INFO_V1(delete_usage_metric);
Datum
delete_usage_metric(PG_FUNCTION_ARGS)
{
	return http_endpoint(delete_metric, fcinfo, "delete_usage_metric", 200);
}
