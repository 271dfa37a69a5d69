/*
 * sql/subtransaction.c
 *		Work that may fail without failing its transaction.
 */
#include "postgres.h"

#include "sql/subtransaction.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/*
 * Does the work in a subtransaction.  Returns NULL, or the error that took back
 * what it did; the caller decides which errors it expects, and rethrows others.
 */
ErrorData *
subtransaction_try(void (*work)(void *argument), void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(argument);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* Errors that a client's text can cause; the last where it has an escape, and the database no encoding. */
static bool
is_of_input(int code)
{
	return ERRCODE_TO_CATEGORY(code) == ERRCODE_DATA_EXCEPTION ||
		   ERRCODE_TO_CATEGORY(code) == ERRCODE_PROGRAM_LIMIT_EXCEEDED || code == ERRCODE_FEATURE_NOT_SUPPORTED;
}

/* The same for work on what a client has sent: any other error is raised again. */
ErrorData *
subtransaction_try_input(void (*work)(void *argument), void *argument)
{
	ErrorData *error = subtransaction_try(work, argument);

	if (error != NULL && !is_of_input(error->sqlerrcode))
		ReThrowError(error);
	return error;
}
