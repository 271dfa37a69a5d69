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

/* The same for work on what a client has sent: other errors than such a text can cause are raised again. */
ErrorData *
subtransaction_try_input(void (*work)(void *argument), void *argument)
{
	ErrorData *error = subtransaction_try(work, argument);

	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		ReThrowError(error);
	return error;
}
