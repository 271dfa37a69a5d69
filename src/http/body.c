/*
 * http/body.c
 *		What a request's body holds.
 */
#include "postgres.h"

#include "http/call.h"

#include "base/json_read.h"
#include "base/uuid_v7.h"
#include "mb/pg_wchar.h"
#include "sql/statement.h"
#include "utils/builtins.h"

/* So much of the parser's words, in bytes: they repeat what it could not read. */
#define MAX_PARSER_BYTES 200

static const char *
clipped(const char *text)
{
	int length = (int) strlen(text);
	int clipped_length = pg_mbcliplen(text, length, MAX_PARSER_BYTES);

	return clipped_length == length ? text : psprintf("%.*s...", clipped_length, text);
}

/* What is wrong with text that the server's parser could not read. */
static const char *
parser_fault(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_STATEMENT_TOO_COMPLEX)
		return "is nested too deeply";
	return psprintf("is not JSON: %s%s%s", clipped(error->message), error->detail != NULL ? ": " : "",
					error->detail != NULL ? clipped(error->detail) : "");
}

/* Calls the server's parser.  Returns the JSON, or NULL and what is wrong with the text, whose bytes may be any but zero. */
Jsonb *
http_parse_json(const char *text, int encoding, const char **fault)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum json = (Datum) 0;
	const char *volatile said = NULL;

	PG_TRY();
	{
		json = DirectFunctionCall1(jsonb_in, CStringGetDatum(pg_any_to_server(text, (int) strlen(text), encoding)));
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_PROGRAM_LIMIT_EXCEEDED &&
			error->sqlerrcode != ERRCODE_FEATURE_NOT_SUPPORTED) /* escapes, in a database without an encoding */
			PG_RE_THROW();
		FlushErrorState();
		said = parser_fault(error);
	}
	PG_END_TRY();
	*fault = said;
	return said == NULL ? DatumGetJsonbP(json) : NULL;
}

/* The body's bytes as JSON; NULL, and what is wrong with them, where they are none. */
Jsonb *
http_body_parse(HttpCall *call, const char **fault)
{
	const char *bytes = VARDATA_ANY(call->body);
	int length = VARSIZE_ANY_EXHDR(call->body);

	/* The mark that some editors put before UTF-8: JSON is not to have it, and who reads may take it (RFC 8259, 8.1). */
	if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
	{
		bytes += 3;
		length -= 3;
	}
	if (length == 0)
		*fault = "is empty.";
	else if (!pg_verify_mbstr(PG_UTF8, bytes, length, true))
		*fault = "is not text in UTF-8.";
	else
		return http_parse_json(pnstrdup(bytes, length), PG_UTF8, fault);
	return NULL;
}

void
http_body_refuse(const char *fault)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("invalid body"), errdetail("The body %s", fault)));
}

/* The body as JSON; refused where it is none. */
Jsonb *
http_body_json(HttpCall *call)
{
	const char *fault;
	Jsonb *json = http_body_parse(call, &fault);

	if (json == NULL)
		http_body_refuse(fault);
	return json;
}

/* More are a mistake, as in a batch. */
#define MAX_IDS 20000

static void
refuse_ids(const char *fault)
{
	faults_report_request(fault_add(NIL, "ids", fault), "invalid ids");
}

/* The UUIDs of the body {"ids": [...]}; NULL where they are left out, or null. */
ArrayType *
http_body_ids(HttpCall *call)
{
	Jsonb *body = http_body_json(call);
	JsonbValue member;
	Datum *ids;
	int count;

	if (!json_is_object(body))
		http_body_refuse(psprintf("must be a JSON object, not %s.", json_document_kind(body)));
	if (!json_member(body, "ids", &member) || member.type == jbvNull)
		return NULL;
	if (member.type != jbvBinary || !JsonContainerIsArray(member.val.binary.data))
		refuse_ids(psprintf("must be an array, not %s", json_kind(&member)));
	count = (int) JsonContainerSize(member.val.binary.data);
	if (count > MAX_IDS)
		refuse_ids(psprintf("must be at most %d, not %d", MAX_IDS, count));
	ids = palloc(sizeof(Datum) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(member.val.binary.data, i);
		pg_uuid_t *id = palloc(sizeof(pg_uuid_t));

		if (element->type != jbvString || !uuid_v7_from_text(json_string(element), id))
			refuse_ids(psprintf("must be UUIDs: the one of index %d is none", i));
		ids[i] = UUIDPGetDatum(id);
	}
	return DatumGetArrayTypeP(statement_uuid_array(ids, count));
}
