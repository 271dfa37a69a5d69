/*
 * event/guard.c
 *		Storing events that a guard may keep out.
 *
 * A single event is written, and checked; one that does not fit is an error, which takes it back.
 * Of many some may fit.  So they are written and checked in a subtransaction; where they do not
 * fit all, it is taken back, and those that do are written once more.
 *
 * The guard's locks are taken before anything is written, and outlast what is taken back.  So do those of what a batch
 * may replace, where the guard must know which event came last: a version gets its id while the row
 * is locked, and so after all new events, unless that was locked before any of them got theirs.
 */
#include "postgres.h"

#include "event/guard.h"

#include "base/memory_budget.h"
#include "endpoint/response.h"
#include "event/check.h"
#include "miscadmin.h"
#include "sql/subtransaction.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static const EventGuard *guard = NULL;

/* Events under a guard, and as they were sent: each attempt fills in what the sender left out. */
typedef struct GuardedPuts
{
	const pg_uuid_t *account_id;
	void *entered;
	EventPut *puts;
	UsageEvent *sent;
	int count;
	bool is_locked;        /* what the events may replace */
	MemoryContext context; /* that outlasts attempts */
	EventVerdict verdict;
	bool is_taken_back; /* by us: it is no error */
} GuardedPuts;

/* By the one room that knows limits, as the module is loaded. */
void
event_guard_set(const EventGuard *new_guard)
{
	guard = new_guard;
}

/* Refusing ---------------------------------------------------------------- */

static const EventRefusal *
refusal_of(const EventPut *put)
{
	return (const EventRefusal *) put->refusal;
}

/* Over HTTP the answer says when it is worth trying again, if it ever is. */
static void
announce_end(TimestampTz until)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TIMESTAMP_NOT_FINITE(until) && until > now)
		http_retry_after((until - now + USECS_PER_SEC - 1) / USECS_PER_SEC);
	else
		http_retry_never();
}

/* What helps all that are refused, where nobody can say of any whether it fits; NULL: some do not. */
static const char *
refusal_advice(const EventPut *puts, int count)
{
	const char *advice = NULL;

	for (int i = 0; i < count; i++)
	{
		if (puts[i].refusal == NULL)
			continue;
		if (refusal_of(&puts[i])->advice == NULL)
			return NULL;
		advice = refusal_of(&puts[i])->advice;
	}
	return advice;
}

/* Refuses events that are kept out: one error for all.  first_index is -1 for a single event. */
static void
report_refusals(const EventPut *puts, int count, int64 first_index)
{
	int refused = 0;
	int told = 0;
	TimestampTz until = DT_NOBEGIN;
	const char *advice = refusal_advice(puts, count);
	StringInfoData detail;

	initStringInfo(&detail);
	for (int i = 0; i < count; i++)
	{
		if (puts[i].refusal == NULL)
			continue;
		refused++;
		until = Max(until, refusal_of(&puts[i])->until);
		if (!faults_are_told(&detail, told))
			continue;
		event_faults_describe(&detail, first_index < 0 ? -1 : first_index + i,
							  list_make1(unconstify(Fault *, puts[i].refusal)));
		told++;
	}
	if (told < refused)
		appendStringInfo(&detail, "\nAnd %d more event%s.", refused - told, refused - told == 1 ? "" : "s");
	announce_end(until);
	if (advice != NULL)
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("usage limit cannot be checked"),
						errdetail_internal("%s", detail.data), errhint("%s", advice)));
	ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("usage limit exceeded"),
					errdetail_internal("%s", detail.data),
					errhint("Send it again in another period, send less, or have the usage limit raised.")));
}

/* Attempts ---------------------------------------------------------------- */

/* Takes back what the subtransaction has done so far. */
static void
take_back(GuardedPuts *guarded)
{
	guarded->is_taken_back = true;
	ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg_internal("usage limit exceeded")));
}

/* Does the work in a subtransaction; returns whether it stays. */
static bool
stays(void (*work)(void *argument), GuardedPuts *guarded)
{
	ErrorData *error;
	bool is_ours;

	guarded->is_taken_back = false;
	error = subtransaction_try(work, guarded);
	is_ours = guarded->is_taken_back;
	/* Another error may follow, in work that this is a part of. */
	guarded->is_taken_back = false;
	if (error != NULL && !is_ours)
		ReThrowError(error);
	return error == NULL;
}

static void
attempt_work(void *argument)
{
	GuardedPuts *guarded = argument;

	if (guarded->is_locked)
		event_store_put_locked(guarded->account_id, guarded->puts, guarded->count);
	else
		event_store_put_many(guarded->account_id, guarded->puts, guarded->count);
	guarded->verdict =
		guard->check(guarded->entered, guarded->puts, guarded->count, guarded->is_locked, guarded->context);
	if (guarded->verdict != EVENTS_FIT)
		take_back(guarded);
}

/* Makes the events what they were when they were sent; those that are refused come to nothing. */
static void
restore_sent(GuardedPuts *guarded)
{
	for (int i = 0; i < guarded->count; i++)
	{
		EventPut *put = &guarded->puts[i];

		put->event = guarded->sent[i];
		put->outcome = EVENT_REFUSED;
		put->answer = NULL;
		put->superseded = NULL;
	}
}

static EventVerdict
attempt(GuardedPuts *guarded)
{
	MemoryContext context = AllocSetContextCreate(guarded->context, "usage events under limits", ALLOCSET_SMALL_SIZES);

	restore_sent(guarded);
	guard->begin(guarded->entered);
	MemoryContextSwitchTo(context);
	(void) stays(attempt_work, guarded);
	MemoryContextSwitchTo(guarded->context);
	/* Answers rest on what was stored. */
	if (guarded->verdict != EVENTS_FIT)
	{
		restore_sent(guarded);
		MemoryContextDelete(context);
	}
	return guarded->verdict;
}

/* What is taken back lets go of its rows: these stay locked. */
static void
lock(GuardedPuts *guarded)
{
	event_store_lock(guarded->account_id, guarded->puts, guarded->count);
	guarded->is_locked = true;
}

/* Stores them all, unless some do not fit, which have refusals then. */
static EventVerdict
attempt_in_order(GuardedPuts *guarded)
{
	EventVerdict verdict = attempt(guarded);

	if (verdict != EVENTS_OUT_OF_ORDER)
		return verdict;
	lock(guarded);
	return attempt(guarded);
}

/* Stores those that fit, in order, and gives the others their refusals. */
static void
put_each(GuardedPuts *guarded)
{
	while (attempt_in_order(guarded) != EVENTS_FIT)
		CHECK_FOR_INTERRUPTS();
}

/* Putting ----------------------------------------------------------------- */

/* Enters the guard; false where nothing holds for these events. */
static bool
enter(GuardedPuts *guarded, const pg_uuid_t *account_id, EventPut *puts, int count)
{
	for (int i = 0; i < count; i++)
		puts[i].refusal = NULL;
	*guarded = (GuardedPuts){.account_id = account_id, .puts = puts, .count = count, .context = CurrentMemoryContext};
	if (guard == NULL || count == 0)
		return false;
	guarded->entered = guard->enter(account_id, puts, count);
	return guarded->entered != NULL;
}

static void
keep_sent(GuardedPuts *guarded)
{
	memory_budget_grow(sizeof(UsageEvent) * guarded->count);
	guarded->sent = palloc_extended(sizeof(UsageEvent) * guarded->count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < guarded->count; i++)
		guarded->sent[i] = guarded->puts[i].event;
}

/* Stores an event, or refuses it. */
void
event_guarded_put(const pg_uuid_t *account_id, EventPut *put)
{
	GuardedPuts guarded;
	bool is_guarded = enter(&guarded, account_id, put, 1);

	if (is_guarded)
		guard->begin(guarded.entered);
	event_store_put(account_id, put);
	if (!is_guarded)
		return;
	if (guard->check(guarded.entered, put, 1, true, CurrentMemoryContext) != EVENTS_FIT)
		report_refusals(put, 1, -1);
	guard->leave(guarded.entered);
}

/* Stores a batch, or refuses it; first_index is that of its first event, for who reads the error. */
void
event_guarded_put_all(const pg_uuid_t *account_id, EventPut *puts, int count, int64 first_index)
{
	GuardedPuts guarded;

	if (!enter(&guarded, account_id, puts, count))
	{
		event_store_put_many(account_id, puts, count);
		return;
	}
	keep_sent(&guarded);
	if (attempt_in_order(&guarded) != EVENTS_FIT)
		report_refusals(puts, count, first_index);
	guard->leave(guarded.entered);
}

/* Stores those of a batch that fit, in order, as if they came one by one; the others have a refusal then. */
void
event_guarded_put_each(const pg_uuid_t *account_id, EventPut *puts, int count)
{
	GuardedPuts guarded;

	if (!enter(&guarded, account_id, puts, count))
	{
		event_store_put_many(account_id, puts, count);
		return;
	}
	keep_sent(&guarded);
	put_each(&guarded);
	guard->leave(guarded.entered);
}
