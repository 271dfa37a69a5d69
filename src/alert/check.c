/*
 * alert/check.c
 *		The rules of a usage alert, and the faults of one that breaks them.
 *
 * One function a rule, each adding its fault to the list, so that a refusal names
 * all that is wrong at once.
 */
#include "postgres.h"

#include "alert/check.h"

#include "base/fault.h"
#include "base/json_read.h"
#include "base/uuid_v7.h"
#include "event/check.h"

#define MAX_THRESHOLDS 20

/* Of a threshold, written out: they come back with each answer. */
#define MAX_THRESHOLD_CHARACTERS 100

/* How many unknown fields are named in a refusal. */
#define MAX_UNKNOWN_FIELDS 20

#define ALERT_HINT \
	"A usage alert is an object with the strings \"name\", \"usageMetricId\", \"period\" and \"direction\", the " \
	"array of numbers \"thresholds\", and optionally \"customer\", \"timezone\" and \"anchor\" (strings)."

/* Those of an answer, too: a client may send an alert back as it got it. */
static const char *const field_names[] = {
	"id", "sequenceAccountId", LIMIT_SCOPE_FIELDS, "thresholds", "direction", "deletedAt", "createdAt",
};

static void
report_faults(const List *faults)
{
	StringInfoData detail;

	if (faults == NIL)
		return;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The alert", faults);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid usage alert"),
					errdetail_internal("%s", detail.data), errhint("%s", ALERT_HINT)));
}

/* Rule of one threshold: a number, larger than the one before.  Returns the fault, or NULL. */
static const char *
threshold_fault(const JsonbValue *value, Numeric before)
{
	if (value->type != jbvNumeric)
		return psprintf("must hold numbers, not %s", json_kind(value));
	if (json_number_length(value->val.numeric) > MAX_THRESHOLD_CHARACTERS)
		return psprintf("must hold numbers of at most %d characters", MAX_THRESHOLD_CHARACTERS);
	if (before != NULL && alert_compare(before, value->val.numeric) >= 0)
		return "must ascend, each number once";
	return NULL;
}

/* Rule of thresholds: numbers, ascending, at least one and not too many. */
static List *
check_thresholds(List *faults, Jsonb *body, UsageAlert *alert)
{
	JsonbValue value;
	int count;

	if (!json_member(body, "thresholds", &value) || value.type == jbvNull)
		return fault_add(faults, "thresholds", "is missing");
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		return fault_add(faults, "thresholds", psprintf("must be an array of numbers, not %s", json_kind(&value)));
	count = JsonContainerSize(value.val.binary.data);
	if (count < 1 || count > MAX_THRESHOLDS)
		return fault_add(faults, "thresholds",
						 psprintf("must have from 1 to %d numbers, not %d", MAX_THRESHOLDS, count));

	alert->thresholds = palloc(sizeof(Numeric) * count);
	for (int i = 0; i < count; i++)
	{
		JsonbValue *item = getIthJsonbValueFromContainer(value.val.binary.data, i);
		const char *fault = threshold_fault(item, i > 0 ? alert->thresholds[i - 1] : NULL);

		if (fault != NULL)
			return fault_add(faults, "thresholds", fault);
		alert->thresholds[alert->threshold_count++] = item->val.numeric;
	}
	return faults;
}

/* Rule of direction: one of two words. */
static List *
check_direction(List *faults, Jsonb *body, UsageAlert *alert)
{
	JsonbValue value;
	Slice word;

	if (!json_member(body, "direction", &value) || value.type == jbvNull)
		return fault_add(faults, "direction", "is missing");
	if (value.type != jbvString)
		return fault_add(faults, "direction", psprintf("must be a string, not %s", json_kind(&value)));
	word = json_string(&value);
	alert->is_below = slice_equal(word, SLICE("BELOW"));
	if (!alert->is_below && !slice_equal(word, SLICE("ABOVE")))
		return fault_add(faults, "direction", psprintf("must be \"ABOVE\" or \"BELOW\", not %s", fault_quote(word)));
	return faults;
}

static bool
is_field(Slice name)
{
	for (size_t i = 0; i < lengthof(field_names); i++)
	{
		if (slice_equal(name, slice_from_cstring(field_names[i])))
			return true;
	}
	return false;
}

/* Rule of fields that the API does not know: ignored, unless the setting says otherwise. */
static List *
check_unknown_fields(List *faults, Jsonb *body)
{
	JsonbIterator *iterator = JsonbIteratorInit(&body->root);
	JsonbIteratorToken token;
	JsonbValue key;
	int count = 0;

	if (!event_check_rejects_unknown_fields())
		return faults;
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE && count < MAX_UNKNOWN_FIELDS)
	{
		if (token != WJB_KEY || is_field(json_string(&key)))
			continue;
		faults = fault_add(faults, fault_field(json_string(&key)), "is not a field of a usage alert");
		count++;
	}
	return faults;
}

/* Checks every rule and fills what a client says of an alert, or refuses it.  Its texts and numbers point into the body. */
void
alert_check(const pg_uuid_t *account_id, Jsonb *body, UsageAlert *alert)
{
	List *faults = NIL;

	if (!json_is_object(body))
		report_faults(fault_add(NIL, NULL, psprintf("must be a JSON object, not %s", json_document_kind(body))));
	memset(alert, 0, sizeof(UsageAlert));
	alert->account_id = *account_id;
	faults = limit_scope_check(faults, account_id, body, &alert->scope);
	faults = check_thresholds(faults, body, alert);
	faults = check_direction(faults, body, alert);
	faults = check_unknown_fields(faults, body);
	report_faults(faults);
}

static List *
check_same(List *faults, const char *field, bool is_same)
{
	return is_same ? faults : fault_add(faults, field, "cannot be changed: make another alert");
}

/*
 * Rule of an update: what an alert is about stays, because what it has told is of that.  With another
 * period or customer the same thresholds would be told once more, or never.  A time zone that this server
 * does not know is no reason to: without another one nothing is told.
 */
void
alert_check_update(const UsageAlert *alert, const UsageAlert *stored)
{
	const LimitScope *a = &alert->scope;
	const LimitScope *b = &stored->scope;
	List *faults = NIL;

	faults = check_same(faults, "usageMetricId", uuid_v7_equal(&a->metric_id, &b->metric_id));
	faults = check_same(faults, "customer", slice_equal(a->customer, b->customer));
	faults = check_same(faults, "period", a->period.unit == b->period.unit);
	faults = check_same(faults, "timezone", a->period.zone == b->period.zone || b->period.zone == NULL);
	faults = check_same(faults, "anchor",
						a->period.has_anchor == b->period.has_anchor && a->period.anchor == b->period.anchor);
	faults = check_same(faults, "direction", alert->is_below == stored->is_below);
	report_faults(faults);
}
