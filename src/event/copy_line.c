/*
 * event/copy_line.c
 *		The line of a COPY that is being read, as it stands in the file.
 *
 * COPY takes backslashes or quotes as its own, as its options say, and a trigger sees
 * what is left: of "caf\u00e9" the text format leaves "cafu00e9", which is as good JSON
 * as the other.  COPY tells errors where they happened by a callback that has its state,
 * and the state has the line.  So what arrives is compared with what was sent.
 */
#include "postgres.h"

#include "event/copy_line.h"

#include "base/compat.h"
#include "commands/copy.h"
#include "commands/copyfrom_internal.h"

/* The state of the COPY that has called the trigger in which we are; NULL if it was none. */
static CopyFromState
calling_copy(void)
{
	if (error_context_stack == NULL || error_context_stack->callback != CopyFromErrorCallback)
		return NULL;
	return (CopyFromState) error_context_stack->arg;
}

/* The line of the row for which a trigger is called; false if the row comes from elsewhere, or from a binary file. */
bool
copy_line_read(Slice *line)
{
	CopyFromState copy = calling_copy();

	if (copy == NULL || copy_is_binary(&copy->opts))
		return false;
	*line = (Slice){copy->line_buf.data, copy->line_buf.len};
	return true;
}

/* Whether the whole line is one quoted object, as a program writes it that knows CSV. */
static bool
is_quoted_object(Slice line, Slice value)
{
	const CopyFormatOptions *options = &calling_copy()->opts;

	return copy_is_csv(options) && line.length >= 2 && line.data[0] == *options->quote &&
		   line.data[line.length - 1] == *options->quote && value.length > 0 && *value.data == '{';
}

/* Refuses a line of which COPY has left something else: nobody can tell what was meant. */
void
copy_line_require_kept(Slice line, Slice value)
{
	if (slice_equal(line, value) || is_quoted_object(line, value))
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_BAD_COPY_FILE_FORMAT), errmsg("COPY with these options changes what was sent"),
		 errdetail("It takes %s of this line for its own.",
				   copy_is_csv(&calling_copy()->opts) ? "characters" : "backslashes"),
		 errhint(
			 "Take lines as they are: \\copy usage_event_import FROM 'events.ndjson' (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')")));
}
