/*
 * limit/check.c
 *		The rules of a usage limit, and the faults of one that breaks them.
 */
#include "postgres.h"

#include "limit/check.h"

#include "base/fault.h"
#include "base/json_read.h"
#include "event/check.h"
#include "metric/value.h"
#include "utils/numeric.h"

/* What every refusal of a limit says as its hint. */
#define LIMIT_HINT \
	"A usage limit is an object with the strings \"name\", \"usageMetricId\", \"period\" and \"mode\" and the number " \
	"\"limit\", and optionally \"customer\", \"timezone\" and \"anchor\" (strings)."

/* Longer than any number that means something; it is part of each answer. */
#define MAX_LIMIT_CHARACTERS 100

/* Those of an answer, too: a client may send a limit back as it got it. */
static const char *const field_names[] = {
	"id", "sequenceAccountId", LIMIT_SCOPE_FIELDS, "limit", "mode", "deletedAt", "createdAt", "updatedAt",
};

/* Rule of limit: a number, not below 0. */
static List *
check_limit(List *faults, Jsonb *body, UsageLimit *limit)
{
	JsonbValue value;

	if (!json_member(body, "limit", &value) || value.type == jbvNull)
		return fault_add(faults, "limit", "is missing");
	if (value.type != jbvNumeric)
		return fault_add(faults, "limit", psprintf("must be a number, not %s", json_kind(&value)));
	if (json_number_length(value.val.numeric) > MAX_LIMIT_CHARACTERS)
		return fault_add(faults, "limit", psprintf("must be a number of at most %d characters", MAX_LIMIT_CHARACTERS));
	if (metric_number_is_above(int64_to_numeric(0), value.val.numeric))
		return fault_add(faults, "limit", "must not be below 0");
	limit->limit = value.val.numeric;
	return faults;
}

static List *
check_mode(List *faults, Jsonb *body, UsageLimit *limit)
{
	JsonbValue value;
	const char *fault;

	if (!json_member(body, "mode", &value) || value.type == jbvNull)
		return fault_add(faults, "mode", "is missing");
	if (value.type != jbvString)
		return fault_add(faults, "mode", psprintf("must be a string, not %s", json_kind(&value)));
	fault = limit_mode_from_text(json_string(&value), &limit->blocks);
	if (fault != NULL)
		return fault_add(faults, "mode", psprintf("%s, not %s", fault, fault_quote(json_string(&value))));
	return faults;
}

/* Refuses a limit, if there are faults. */
static void
report_faults(const List *faults)
{
	StringInfoData detail;

	if (faults == NIL)
		return;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The limit", faults);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid usage limit"),
					errdetail_internal("%s", detail.data), errhint(LIMIT_HINT)));
}

/* Checks every rule, and fills what a client says of a limit; refuses what breaks one.  Texts point into the body. */
void
limit_check(const pg_uuid_t *account_id, Jsonb *body, UsageLimit *limit)
{
	List *faults = NIL;

	memset(limit, 0, sizeof(UsageLimit));
	limit->account_id = *account_id;
	if (!json_is_object(body))
		report_faults(fault_add(NIL, NULL, psprintf("must be a JSON object, not %s", json_document_kind(body))));
	faults = limit_scope_check(faults, account_id, body, &limit->scope);
	faults = check_limit(faults, body, limit);
	faults = check_mode(faults, body, limit);
	faults =
		event_check_unknown_fields(faults, body, field_names, lengthof(field_names), "is not a field of a usage limit");
	report_faults(faults);
}
