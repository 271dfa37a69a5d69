/*
 * base/memory_budget.c
 *		How much memory one call may take: usage_events.max_memory.
 *
 * A client determines how many groups, values, rows and bytes a call works with, and
 * may make of a few kilobytes many gigabytes.  So whatever grows with what a client
 * sent, or has stored, says so as it grows: memory_budget_grow().  What counts is not
 * what was said, but what the process has taken since the call began, in whatever
 * memory context; what was said only tells when it is time to look.  What was taken before the
 * first look counts as far as it was said, so a large piece is said before it is taken.
 *
 * Where something grows a call can also be cancelled.
 */
#include "postgres.h"

#include "base/memory_budget.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/*
 * After so many bytes it is looked what there is.  Adding up all memory contexts takes some microseconds, or many in a backend
 * that remembers much, so a call in which less grows never looks.
 */
#define LOOK_AFTER ((Size) 512 * 1024)

static int max_memory_kilobytes = 192 * 1024;

/* What the process had when the call began; 0: nobody has looked since. */
static Size taken_before = 0;
static Size grown_since_look = 0;

void
memory_budget_init(void)
{
	DefineCustomIntVariable("usage_events.max_memory", "How much memory one call of the extension may take.",
							"A call that would need more is refused, and a refresh leaves out what would.",
							&max_memory_kilobytes, 192 * 1024, 4 * 1024, INT_MAX, PGC_SUSET, GUC_UNIT_KB, NULL, NULL,
							NULL);
}

/* The limit, in bytes. */
Size
memory_budget_limit(void)
{
	return (Size) max_memory_kilobytes * 1024;
}

static Size
taken(void)
{
	return MemoryContextMemAllocated(TopMemoryContext, true);
}

/* A call begins.  Costs nothing for one in which little grows. */
void
memory_budget_begin(void)
{
	taken_before = 0;
	grown_since_look = 0;
}

static void
refuse(void)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("call needs more memory than it may take"),
					errdetail("One call may take %d kB (usage_events.max_memory).", max_memory_kilobytes),
					errhint("Ask for less, or send less, at a time, or have usage_events.max_memory raised.")));
}

/* Looks what there is; size is what is about to be taken.  What was said before the first look has been taken since the call began. */
static void
look(Size size)
{
	Size now = taken();

	if (taken_before == 0)
		taken_before = now - Min(now - 1, grown_since_look - size);
	grown_since_look = 0;
	if (now + size > taken_before + memory_budget_limit())
		refuse();
}

/* Adds to what the call needs, before it is taken: many small pieces, or one that may be large. */
void
memory_budget_grow(Size size)
{
	grown_since_look += size;
	if (grown_since_look < LOOK_AFTER)
		return;
	CHECK_FOR_INTERRUPTS();
	look(size);
}

/* Items with room for one more, in the current memory context: NULL is made, and what is full is made larger. */
void *
memory_budget_room(void *items, int count, int *capacity, Size item_size)
{
	if (items != NULL && count < *capacity)
		return items;
	*capacity = Max(16, 2 * *capacity);
	memory_budget_grow(item_size * *capacity);
	return items == NULL ? MemoryContextAllocHuge(CurrentMemoryContext, item_size * *capacity)
						 : repalloc_huge(items, item_size * *capacity);
}
