/*
 * fuzz.c
 *		Coverage-guided fuzzing inside a backend.
 *
 * Linked into an extension that is built for libFuzzer, it gives the function
 * fuzz(target text, arguments text[]), which hands a target to libFuzzer with the
 * arguments of its command line.  Each input runs in a subtransaction that is
 * rolled back.  What a client may cause is an error of class 22 and its kin; an
 * internal error ends the backend, as does a property of the target that does not
 * hold, and libFuzzer keeps the input.
 */
#include "postgres.h"

#include <sys/mman.h>

#include "access/xact.h"
#include "base/base64.h"
#include "base/json_build.h"
#include "base/timestamp.h"
#include "catalog/pg_type.h"
#include "event/json.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

extern int LLVMFuzzerRunDriver(int *argument_count, char ***arguments,
							   int (*take_input)(const uint8_t *data, size_t size));

extern Datum usage_event_in(PG_FUNCTION_ARGS);
extern Datum usage_event_out(PG_FUNCTION_ARGS);
extern Datum usage_event_recv(PG_FUNCTION_ARGS);
extern Datum usage_event_send(PG_FUNCTION_ARGS);
extern Datum usage_event_to_jsonb(PG_FUNCTION_ARGS);
extern Datum usage_event_from_jsonb(PG_FUNCTION_ARGS);

#define MOST_BYTES 65536
#define GUARD_BYTES 4096

/* Ends the backend where something that must hold does not. */
static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

/* Whether both are the same, byte by byte. */
static bool
is_same(const void *a, const void *b)
{
	return VARSIZE_ANY(a) == VARSIZE_ANY(b) && memcmp(a, b, VARSIZE_ANY(a)) == 0;
}

/* What we put together is what the server makes of its text. */
static void
require_well_formed(Jsonb *json)
{
	char *text = JsonbToCString(NULL, &json->root, VARSIZE(json));
	Jsonb *again = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));

	require(is_same(json, again), "an answer is not the JSON that its text is");
}

/* Inputs ------------------------------------------------------------------- */

/* The input as text, or NULL where no client could have sent it. */
static char *
input_text(const uint8_t *data, size_t size)
{
	if (memchr(data, '\0', size) != NULL || !pg_verify_mbstr(GetDatabaseEncoding(), (const char *) data, size, true))
		return NULL;
	return pnstrdup((const char *) data, size);
}

/* A copy behind which no byte can be read. */
static char *
before_the_end_of_memory(const uint8_t *data, size_t size)
{
	static char *end = NULL;

	if (end == NULL)
	{
		char *pages = mmap(NULL, MOST_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		require(pages != MAP_FAILED && mprotect(pages + MOST_BYTES, GUARD_BYTES, PROT_NONE) == 0, "no memory");
		end = pages + MOST_BYTES;
	}
	require(size <= MOST_BYTES, "an input is too long");
	return memcpy(end - size, data, size);
}

/* Runs a query with the text as its parameter, in the place that the door gives it. */
static void
run_query(const char *query, const char *text)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(text)};

	SPI_connect();
	SPI_execute_with_args(query, 1, types, values, NULL, false, 0);
	SPI_finish();
}

/* Targets ------------------------------------------------------------------ */

/* JSON ─ reader ─ checks ─ answer: and the answer reads as the event that it is. */
static void
fuzz_event(const uint8_t *data, size_t size)
{
	char *text = input_text(data, size);
	Jsonb *json;
	Jsonb *answer;
	UsageEvent event;
	UsageEvent again;
	List *faults;

	if (text == NULL)
		return;
	json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	faults = event_json_read(json, &event);
	if (faults != NIL)
	{
		require_well_formed(faults_to_json(faults));
		return;
	}
	answer = event_json_write(&event);
	require_well_formed(answer);
	require(event_json_read(answer, &again) == NIL, "an answer is not an event");
	require(event.has_timestamp == again.has_timestamp && event.timestamp == again.timestamp, "the time is another");
	require(event.properties.length == again.properties.length &&
				memcmp(event.properties.data, again.properties.data, event.properties.length) == 0,
			"the properties are others");
	require(is_same(answer, event_json_write(&again)), "an answer's answer is another");
}

/*
 * Whether PostgreSQL, which rounds where we cut off, may read the one where we read the other.  A
 * leap second, of which we keep that it is of the day that it ends, it counts as the second after.
 */
static bool
is_same_moment(TimestampTz ours, TimestampTz theirs)
{
	bool may_be_leap_second = (ours + 1) % USECS_PER_DAY == 0;

	return theirs >= ours && theirs - ours <= 1 + (may_be_leap_second ? USECS_PER_SEC : 0);
}

/* What is accepted is written in one way, and is the moment that PostgreSQL reads, if it reads one. */
static void
fuzz_timestamp(const uint8_t *data, size_t size)
{
	char *exact;
	char text[TIMESTAMP_TEXT_SIZE];
	TimestampTz timestamp;
	TimestampTz again;
	bool is_date;
	const char *fault;
	char *whole = input_text(data, size);
	MemoryContext context = CurrentMemoryContext;

	exact = before_the_end_of_memory(data, size);
	(void) timestamp_or_date_from_text((Slice){exact, (int) size}, &timestamp, &is_date);
	fault = timestamp_from_text((Slice){exact, (int) size}, &timestamp);
	if (fault != NULL || whole == NULL)
		return;

	timestamp_to_text(timestamp, text);
	require(timestamp_from_text((Slice){text, (int) strlen(text)}, &again) == NULL && again == timestamp,
			"a time's text is another time");
	PG_TRY();
	{
		again = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(whole),
														ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		again = timestamp;
	}
	PG_END_TRY();
	require(is_same_moment(timestamp, again), "PostgreSQL reads another time");
}

/* A value of the type: out and in again, sent and received, cast, it is the same. */
static void
check_value(Datum value)
{
	char *text = DatumGetCString(DirectFunctionCall1(usage_event_out, value));
	bytea *sent = DatumGetByteaPP(DirectFunctionCall1(usage_event_send, value));
	Datum json = DirectFunctionCall1(usage_event_to_jsonb, value);
	StringInfoData message = {VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent), VARSIZE_ANY_EXHDR(sent) + 1, 0};

	require(is_same(DatumGetPointer(value), DatumGetPointer(DirectFunctionCall1(usage_event_in, CStringGetDatum(text)))),
			"a value's text is another value");
	require(is_same(DatumGetPointer(value),
					DatumGetPointer(DirectFunctionCall1(usage_event_recv, PointerGetDatum(&message)))),
			"a value that was sent is received as another");
	require(is_same(DatumGetPointer(value), DatumGetPointer(DirectFunctionCall1(usage_event_from_jsonb, json))),
			"a value that was cast is another");
	require_well_formed(DatumGetJsonbP(json));
}

static void
fuzz_type_text(const uint8_t *data, size_t size)
{
	char *text = input_text(data, size);

	if (text != NULL)
		check_value(DirectFunctionCall1(usage_event_in, CStringGetDatum(text)));
}

static void
fuzz_type_binary(const uint8_t *data, size_t size)
{
	StringInfoData message;

	initStringInfo(&message);
	appendBinaryStringInfo(&message, (const char *) data, (int) size);
	check_value(DirectFunctionCall1(usage_event_recv, PointerGetDatum(&message)));
}

/* Headers as PostgREST hands them over. */
static const char *
headers_json(const char *authorization, const char *usage_request)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"authorization\": ");
	escape_json(&json, authorization);
	appendStringInfoString(&json, ", \"usage-request\": ");
	escape_json(&json, usage_request);
	appendStringInfoString(&json, "}");
	return json.data;
}

/* No header lets anybody in: of no key is there a secret. */
static void
fuzz_basic(const uint8_t *data, size_t size)
{
	char *text = input_text(data, size);

	if (text == NULL)
		return;
	run_query("SELECT pg_catalog.set_config('request.headers', $1, true)", headers_json(text, ""));
	run_query("SELECT usage_events.authenticate_request(), $1", "");
	require(false, "a header was let in");
}

/* The text of a query's first value, in memory that outlives it. */
static const char *
query_result(const char *query)
{
	MemoryContext context = CurrentMemoryContext;
	const char *result;

	SPI_connect();
	SPI_execute(query, false, 0);
	result = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return result;
}

/* A key that is let in, of this transaction. */
static const char *
make_authorization(void)
{
	return query_result(
		"SELECT 'Basic ' || translate(encode(convert_to(client_id || ':' || client_secret, 'UTF8'), 'base64'), E'\\n', '')"
		" FROM usage_events.create_api_key(usage_events.current_account_id(), 'fuzz')");
}

static const char *authorization;

static void
fuzz_request(const uint8_t *data, size_t size)
{
	char *text = input_text(data, size);

	if (text == NULL)
		return;
	run_query("SELECT pg_catalog.set_config('request.headers', $1, true)", headers_json(authorization, text));
	run_query("SELECT pg_catalog.set_config('request.path', '/rpc/usage_api_read', true), $1", "");
	run_query("SELECT usage_events.authenticate_request(), $1", "");
	run_query("SELECT public.usage_api_read(), $1", "");
}

/* Cursors of the lists below, as the server made them. */
static const char *cursor_by_creation;
static const char *cursor_by_timestamp;

static const char *
make_cursor(const char *sort_by)
{
	return query_result(
		psprintf("SELECT public.list_usage_events(3, sort_by => '%s') -> 'pagination' ->> 'after'", sort_by));
}

/* The cursor with the input in place of its values, and a checksum that is right: anybody can compute it. */
static const char *
forge_cursor(const char *cursor, const uint8_t *data, size_t size)
{
	const int values_start = 6; /* after version, order and filters */
	Slice genuine;
	char *forged;
	int values_end;
	pg_crc32c crc;

	require(base64_decode(slice_from_cstring(cursor), &genuine), "a cursor is no base64");
	values_end = genuine.length - (int) sizeof(crc);
	forged = memcpy(palloc(genuine.length), genuine.data, genuine.length);
	memcpy(forged + values_start, data, Min(size, (size_t) (values_end - values_start)));
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, forged, values_end);
	FIN_CRC32C(crc);
	crc = pg_hton32(crc);
	memcpy(forged + values_end, &crc, sizeof(crc));
	return base64_encode_for_url(forged, genuine.length);
}

static void
list_from(const char *cursor_of_creation, const char *cursor_of_timestamp)
{
	run_query("SELECT public.list_usage_events(3, after => $1)", cursor_of_creation);
	run_query("SELECT public.list_usage_events(3, before => $1, sort_by => 'eventTimestamp')", cursor_of_timestamp);
}

static void
fuzz_cursor(const uint8_t *data, size_t size)
{
	char *text = input_text(data, size);

	list_from(forge_cursor(cursor_by_creation, data, size), forge_cursor(cursor_by_timestamp, data, size));
	if (text != NULL)
		list_from(text, text);
}

static void
fuzz_metric(const uint8_t *data, size_t size)
{
	char *text = input_text(data, size);

	if (text == NULL)
		return;
	run_query("SELECT public.calculate_usage_metric((public.create_usage_metric($1::pg_catalog.jsonb) ->> 'id')::uuid,"
			  " '{acme}', '[2020-01-01Z, 2030-01-01Z)')",
			  text);
}

/* An expression that is let in computes: it calls nothing that may not be called, and fails with an error at most. */
static void
fuzz_expression(const uint8_t *data, size_t size)
{
	char *text = input_text(data, size);

	if (text == NULL)
		return;
	run_query("SELECT public.calculate_usage_metric((usage_events.create_custom_metric(pg_catalog.jsonb_build_object("
			  "'name', 'n', 'eventType', 'call', 'expression', $1)) ->> 'id')::uuid,"
			  " '{acme}', '[2020-01-01Z, 2030-01-01Z)')",
			  text);
}

typedef void (*FuzzTarget)(const uint8_t *data, size_t size);

static const struct
{
	const char *name;
	FuzzTarget run;
} targets[] = {
	{"event", fuzz_event},
	{"timestamp", fuzz_timestamp},
	{"type_text", fuzz_type_text},
	{"type_binary", fuzz_type_binary},
	{"basic", fuzz_basic},
	{"request", fuzz_request},
	{"cursor", fuzz_cursor},
	{"metric", fuzz_metric},
	{"expression", fuzz_expression},
};

/* The driver ---------------------------------------------------------------- */

static FuzzTarget target;
static MemoryContext input_context;

/* Whether a client's input may end in it. */
static bool
is_refusal(const ErrorData *error)
{
	int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category != ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) &&
		   category != ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR) &&
		   error->sqlerrcode != ERRCODE_OUT_OF_MEMORY && error->sqlerrcode != ERRCODE_DATA_CORRUPTED;
}

static int
take_input(const uint8_t *data, size_t size)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(input_context);
	PG_TRY();
	{
		target(data, size);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(input_context);
		error = CopyErrorData();
		FlushErrorState();
		if (!is_refusal(error))
		{
			fprintf(stderr, "fuzz: %s: %s\n", unpack_sql_state(error->sqlerrcode), error->message);
			abort();
		}
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	MemoryContextReset(input_context);
	CHECK_FOR_INTERRUPTS();
	return 0;
}

/* fuzz(target text, arguments text[]): does not come back, libFuzzer ends the process. */
PG_FUNCTION_INFO_V1(fuzz);
Datum
fuzz(PG_FUNCTION_ARGS)
{
	const char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum *elements;
	int count;
	char **arguments;

	for (size_t i = 0; i < lengthof(targets); i++)
	{
		if (strcmp(targets[i].name, name) == 0)
			target = targets[i].run;
	}
	if (target == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there is no target \"%s\"", name)));

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &count);
	arguments = malloc(sizeof(char *) * (count + 2));
	arguments[0] = strdup("fuzz");
	for (int i = 0; i < count; i++)
		arguments[i + 1] = strdup(TextDatumGetCString(elements[i]));
	arguments[++count] = NULL;

	MemoryContextSwitchTo(TopMemoryContext);
	authorization = make_authorization();
	cursor_by_creation = make_cursor("createdAt");
	cursor_by_timestamp = make_cursor("eventTimestamp");
	input_context = AllocSetContextCreate(TopMemoryContext, "fuzz input", ALLOCSET_DEFAULT_SIZES);
	PG_RETURN_INT32(LLVMFuzzerRunDriver(&count, &arguments, take_input));
}
