/*
 * event/import.c
 *		COPY usage_event_import FROM ...: one JSON event a line, or CSV with a header.
 *
 * The view's triggers gather the rows of a statement and store them in batches.
 * A row that is no event is refused as it comes, so that COPY's error names its
 * line, or, with usage_events.import_on_error = 'skip', kept as rejected when its
 * batch is stored.
 *
 * What COPY reads is read as it stands in the file.  Blank lines are no events, and a
 * byte order mark is no part of one.
 */
#include "postgres.h"

#include "event/import.h"

#include "access/xact.h"
#include "account/account.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "event/batch.h"
#include "event/check.h"
#include "event/copy_line.h"
#include "event/csv.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Rows of a batch, and their size at which it is stored even if there are fewer. */
#define IMPORT_BATCH_ROWS 5000
#define IMPORT_BATCH_BYTES (8 * 1024 * 1024)

typedef enum ImportOnError
{
	IMPORT_STOP,
	IMPORT_SKIP
} ImportOnError;

static const struct config_enum_entry import_on_error_options[] = {
	{"stop", IMPORT_STOP, false},
	{"skip", IMPORT_SKIP, false},
	{NULL, 0, false},
};

static int import_on_error = IMPORT_STOP;

/* An INSERT or COPY that is under way. */
typedef struct Import
{
	struct Import *outer; /* the one during which it began, if any */
	SubTransactionId subtransaction;
	ImportOnError on_error;
	pg_uuid_t account_id;                  /* of the rows gathered */
	int64 flushed;                         /* rows of batches before this one */
	MemoryContext context;                 /* of the batch */
	EventBatch batch;                      /* stop: the events so far */
	text *bodies[IMPORT_BATCH_ROWS];       /* skip: the rows so far, not read yet */
	const char *faults[IMPORT_BATCH_ROWS]; /* skip: of rows that are no event for another reason */
	int count;
	Size bytes;
	bool is_copy;   /* lines came */
	bool is_begun;  /* one of them was not blank */
	CsvReader *csv; /* for a file with a header, NULL for others */
	int64 totals[EVENT_OUTCOMES];
} Import;

static Import *current_import = NULL;

static void
at_transaction_end(XactEvent event pg_attribute_unused(), void *argument pg_attribute_unused())
{
	current_import = NULL;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId child, SubTransactionId parent pg_attribute_unused(),
					  void *argument pg_attribute_unused())
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (current_import != NULL && current_import->subtransaction >= child)
		current_import = current_import->outer;
}

void
event_import_init(void)
{
	DefineCustomEnumVariable("usage_events.import_on_error",
							 "What happens to a line of usage_event_import that is no event.",
							 "stop: the import ends with an error; skip: the line is kept as rejected.",
							 &import_on_error, IMPORT_STOP, import_on_error_options, PGC_USERSET, 0, NULL, NULL, NULL);

	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

static void
import_begin(void)
{
	Import *import = MemoryContextAllocZero(CurTransactionContext, sizeof(Import));

	import->outer = current_import;
	import->subtransaction = GetCurrentSubTransactionId();
	import->on_error = import_on_error;
	import->context = AllocSetContextCreate(CurTransactionContext, "usage event import", ALLOCSET_DEFAULT_SIZES);
	current_import = import;
	memory_budget_begin();
}

static bool
has_faults(const Import *import)
{
	for (int i = 0; i < import->count; i++)
	{
		if (import->faults[i] != NULL)
			return true;
	}
	return false;
}

/* Stores what has been gathered, for the account that was the session's when it came. */
static void
import_flush(Import *import)
{
	MemoryContext caller = MemoryContextSwitchTo(import->context);
	int nest_level = account_enter(&import->account_id);

	if (import->on_error == IMPORT_SKIP)
	{
		event_batch_from_texts(&import->account_id, import->bodies, has_faults(import) ? import->faults : NULL,
							   import->count, &import->batch);
		event_batch_store(&import->batch);
	}
	else
	{
		import->batch.first_index = import->flushed;
		event_batch_store_all(&import->batch);
	}
	account_leave(nest_level);
	event_batch_count(&import->batch, import->totals);

	MemoryContextSwitchTo(caller);
	MemoryContextReset(import->context);
	memory_budget_begin();
	import->flushed += import->count;
	import->count = 0;
	import->bytes = 0;
}

/* Lines ------------------------------------------------------------------- */

static Slice
without_byte_order_mark(Slice text)
{
	static const char mark[] = {'\xEF', '\xBB', '\xBF'};

	if (GetDatabaseEncoding() == PG_UTF8 && text.length >= (int) sizeof(mark) &&
		memcmp(text.data, mark, sizeof(mark)) == 0)
		return (Slice){text.data + sizeof(mark), text.length - (int) sizeof(mark)};
	return text;
}

static bool
is_blank_line(Slice line)
{
	for (int i = 0; i < line.length; i++)
	{
		if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
			return false;
	}
	return true;
}

/* The first line that is not blank says what the file is; true if it is a header of CSV. */
static bool
begin_file(Import *import, Slice line)
{
	import->is_begun = true;
	if (*line.data == '{')
		return false;
	import->csv = csv_begin(line, CurTransactionContext);
	if (import->csv == NULL && import->on_error == IMPORT_STOP)
		ereport(ERROR,
				(errcode(ERRCODE_BAD_COPY_FILE_FORMAT), errmsg("first line is neither an event nor a header of CSV"),
				 errdetail("A header has the names of the columns, \"customerAlias\" and \"eventType\" among them."),
				 *line.data == '[' ? errhint("Of a JSON array, jq -c '.[]' makes one event a line.") : 0));
	return import->csv != NULL;
}

/* The event of a line of COPY; false if there is none in it. */
static bool
read_line(Import *import, Slice line, Slice value, text **body, const char **fault)
{
	import->is_copy = true;
	line = without_byte_order_mark(line);
	value = without_byte_order_mark(value);
	copy_line_require_kept(line, value);
	if (import->csv != NULL && csv_is_open(import->csv))
		return csv_read_line(import->csv, value, body, fault);
	if (is_blank_line(value) || (!import->is_begun && begin_file(import, value)))
		return false;
	if (import->csv != NULL)
		return csv_read_line(import->csv, value, body, fault);
	*body = cstring_to_text_with_len(value.data, value.length);
	return true;
}

/* The event of a row, of COPY or of another statement. */
static bool
read_row(Import *import, Datum value, bool isnull, text **body, const char **fault)
{
	text *given = isnull ? cstring_to_text("") : DatumGetTextPP(value);
	Slice line;

	*fault = NULL;
	if (copy_line_read(&line))
		return read_line(import, line, (Slice){VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given)}, body, fault);
	/* NULL is no JSON, as any other text that is none. */
	*body = isnull ? given : DatumGetTextPCopy(value);
	return true;
}

/* Rows --------------------------------------------------------------------- */

static void
add_body(Import *import, text *body, const char *fault)
{
	if (import->on_error == IMPORT_SKIP)
	{
		import->bodies[import->count] = body;
		import->faults[import->count] = fault;
	}
	else
	{
		if (fault != NULL)
			event_faults_report(fault_add(NIL, NULL, fault), NULL);
		if (import->count == 0)
			event_batch_init(&import->batch, &import->account_id, IMPORT_BATCH_ROWS);
		event_batch_add(&import->batch, body);
	}
	import->count++;
	import->bytes += VARSIZE_ANY(body);
}

static void
import_row(Import *import, HeapTuple row, TupleDesc descriptor)
{
	bool isnull;
	Datum value = heap_getattr(row, 1, descriptor, &isnull);
	MemoryContext caller;
	text *body;
	const char *fault;

	if (import->count > 0 && !uuid_v7_equal(&import->account_id, account_current()))
		import_flush(import);
	import->account_id = *account_current();

	caller = MemoryContextSwitchTo(import->context);
	if (read_row(import, value, isnull, &body, &fault))
		add_body(import, body, fault);
	MemoryContextSwitchTo(caller);

	if (import->count == IMPORT_BATCH_ROWS || import->bytes >= IMPORT_BATCH_BYTES)
		import_flush(import);
}

/* Says what became of a file, and of other rows where some were refused, which nobody is told of otherwise. */
static void
report(const Import *import)
{
	const int64 *totals = import->totals;

	if (!import->is_copy && totals[EVENT_REFUSED] == 0)
		return;
	ereport(NOTICE,
			(errmsg("usage events imported: " INT64_FORMAT " created, " INT64_FORMAT " superseded, " INT64_FORMAT
					" unchanged, " INT64_FORMAT " refused",
					totals[EVENT_CREATED], totals[EVENT_SUPERSEDED], totals[EVENT_UNCHANGED], totals[EVENT_REFUSED]),
			 totals[EVENT_REFUSED] > 0 ? errhint("The view rejected_usage_events has what was refused, and why.") : 0));
}

static void
import_end(Import *import)
{
	if (import->csv != NULL && csv_is_open(import->csv))
		ereport(ERROR, (errcode(ERRCODE_BAD_COPY_FILE_FORMAT), errmsg("file ends inside of a quoted value of CSV")));
	if (import->count > 0)
		import_flush(import);
	report(import);
	if (import->csv != NULL)
		csv_end(import->csv);
	current_import = import->outer;
	MemoryContextDelete(import->context);
	pfree(import);
}

/* A trigger on anything else would find rows of other types, or no import under way. */
static bool
is_import_view(const TriggerData *trigger)
{
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);

	return trigger->tg_relation->rd_rel->relkind == RELKIND_VIEW && TRIGGER_FIRED_BY_INSERT(trigger->tg_event) &&
		   descriptor->natts == 1 && TupleDescAttr(descriptor, 0)->atttypid == TEXTOID &&
		   (TRIGGER_FIRED_BEFORE(trigger->tg_event) || current_import != NULL);
}

/* The view's triggers: before the statement, for each row, and after the statement. */
PG_FUNCTION_INFO_V1(import_usage_events);
Datum
import_usage_events(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !is_import_view(trigger))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("import_usage_events: must be called as trigger of usage_event_import")));

	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		import_begin();
	else if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
	{
		import_row(current_import, trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation));

		/* COPY keeps a row for good that comes back as it went in, and frees one for which it got another. */
		return PointerGetDatum(heap_copytuple(trigger->tg_trigtuple));
	}
	else
		import_end(current_import);
	return PointerGetDatum(NULL);
}
