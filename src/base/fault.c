/*
 * base/fault.c
 *		What is wrong with something that came from a client, rule by rule: a list
 *		of faults, as lines of an error's detail and as JSON.
 */
#include "postgres.h"

#include "base/fault.h"

#include "base/json_build.h"
#include "base/memory_budget.h"
#include "mb/pg_wchar.h"
#include "utils/json.h"

/* How much of a client's text a fault repeats, in bytes. */
#define MAX_QUOTED_BYTES 80

/* A query string may have a thousand; those of an event are few, and told all. */
#define MAX_FAULTS_TOLD 20

/* Of many things with faults, so many are told, or fewer where the text gets as long as this. */
#define MAX_THINGS_TOLD 100
#define MAX_TOLD_BYTES (64 * 1024)

/* Adds a fault. */
List *
fault_add(List *faults, const char *field, const char *text)
{
	Fault *fault;

	memory_budget_grow(sizeof(Fault) + strlen(text));
	fault = palloc0(sizeof(Fault));
	fault->field = field;
	fault->text = text;
	return lappend(faults, fault);
}

static int
quoted_length(Slice text)
{
	return pg_mbcliplen(text.data, text.length, MAX_QUOTED_BYTES);
}

/* The client's name for a field, cut short. */
char *
fault_field(Slice name)
{
	int length = quoted_length(name);

	return psprintf("%.*s%s", length, name.data, length < name.length ? "..." : "");
}

/* The client's text as a JSON string, cut short: fit for one line of an error. */
char *
fault_quote(Slice text)
{
	StringInfoData buffer;
	int length = quoted_length(text);

	initStringInfo(&buffer);
	escape_json(&buffer, pnstrdup(text.data, length));
	if (length < text.length)
	{
		buffer.data[--buffer.len] = '\0';
		appendStringInfoString(&buffer, "...\"");
	}
	return buffer.data;
}

/* Adds the faults as lines of an error's detail; `whole` names what has no field. */
void
faults_describe(StringInfo detail, const char *prefix, const char *whole, const List *faults)
{
	ListCell *cell;

	foreach(cell, faults)
	{
		const Fault *fault = lfirst(cell);

		if (detail->len > 0)
			appendStringInfoChar(detail, '\n');
		appendStringInfo(detail, "%s%s %s.", prefix,
						 fault->field == NULL ? whole : fault_quote(slice_from_cstring(fault->field)), fault->text);
	}
}

/* Whether one more of many things shall be told of, after so many that have made this text. */
bool
faults_are_told(const StringInfoData *detail, int told)
{
	return told < MAX_THINGS_TOLD && detail->len < MAX_TOLD_BYTES;
}

/* Refuses what a request asks for, if there are faults. */
void
faults_report_request(const List *faults, const char *message)
{
	StringInfoData detail;

	if (faults == NIL)
		return;
	initStringInfo(&detail);
	faults_describe(&detail, "", "The request", list_truncate(list_copy(faults), MAX_FAULTS_TOLD));
	if (list_length(faults) > MAX_FAULTS_TOLD)
		appendStringInfo(&detail, "\nAnd %d more.", list_length(faults) - MAX_FAULTS_TOLD);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg_internal("%s", message),
					errdetail_internal("%s", detail.data)));
}

/* [{"field": "eventType", "fault": "is missing"}, ...]; of the whole, without field; "usageLimitId" where it is one's. */
Jsonb *
faults_to_json(const List *faults)
{
	Jsonb **list = palloc(sizeof(Jsonb *) * Max(list_length(faults), 1));
	int count = 0;
	ListCell *cell;

	foreach(cell, faults)
	{
		const Fault *fault = lfirst(cell);
		JsonObject object = {0};

		if (fault->field != NULL)
			json_add_text(&object, SLICE("field"), slice_from_cstring(fault->field));
		json_add_text(&object, SLICE("fault"), slice_from_cstring(fault->text));
		if (fault->limit_id != NULL)
			json_add_text(&object, SLICE("usageLimitId"), slice_from_cstring(fault->limit_id));
		list[count++] = json_make_object(&object);
	}
	return json_make_array(list, count);
}
