/*
 * limit/guard.c
 *		Keeps events out that would bring a metric's value above a BLOCK limit.
 *
 *	look		which limits hold for the events' types and aliases; for most none
 *	lock		metric and customer, until the transaction ends
 *	remember	a snapshot: what was used until now
 *	...			the events are written, by event/store.c
 *	look again	if anything has changed of limits, or of whose alias it is
 *	ask			each metric, of customer and period, with the events
 *
 * An event is refused if the value is above the limit with it and has been lower without: what was
 * above already, because the limit is new, or by events that nothing holds up, keeps out only what adds to it.
 *
 * Those of a batch are judged as if they had come one by one.  That nothing has been above the
 * limit on the way is certain where the value in the end, and all that was taken away on the way,
 * are not.  Where it is not certain each is counted in its order, if it can be known from the event
 * alone what it adds; otherwise event/guard.c asks again for fewer of them.
 */
#include "postgres.h"

#include "limit/guard.h"

#include "access/xact.h"
#include "base/memory_budget.h"
#include "base/timestamp.h"
#include "base/uuid_v7.h"
#include "event/guard.h"
#include "limit/in_force.h"
#include "limit/lock.h"
#include "limit/measure.h"
#include "miscadmin.h"
#include "sql/distribution.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* What is known of events from before they are written until they are checked. */
typedef struct Entered
{
	const pg_uuid_t *account_id;
	uint64 state;          /* of what is in force, when it was looked up */
	LimitedAlias *aliases; /* with the limits that were */
	int alias_count;
	LimitLock *locks;
	int lock_count;
	Snapshot before; /* NULL: it would not show what other nodes of a cluster have */
} Entered;

/* An event that one of the measures measures. */
typedef struct Effect
{
	Measure *measure;
	EventPut *put;
	Numeric amount; /* what it adds, by itself */
} Effect;

/* A look at events that are written. */
typedef struct Look
{
	const Entered *entered;
	MemoryContext of_refusals;
	EventPut *puts;
	int count;
	LimitedAlias *aliases;
	int alias_count;
	List *metrics;
	Measure *measures;
	int measure_count;
	Effect *effects; /* in the order of their events */
	int effect_count;
	int effect_capacity;
} Look;

/* Looking ----------------------------------------------------------------- */

/* Under which types and aliases the events come that limits may hold for: sorted, each once. */
static int
gather_aliases(const pg_uuid_t *account_id, const EventPut *puts, int count, LimitedAlias **aliases)
{
	int capacity = 0;
	int found = 0;
	int kept = 0;

	*aliases = NULL;
	for (int i = 0; i < count; i++)
	{
		const UsageEvent *event = &puts[i].event;

		if (puts[i].refusal != NULL || !limit_in_force_may_hold(account_id, event->event_type, event->customer_alias))
			continue;
		*aliases = memory_budget_room(*aliases, found, &capacity, sizeof(LimitedAlias));
		(*aliases)[found++] = (LimitedAlias){.event_type = event->event_type, .alias = event->customer_alias};
	}
	if (found > 1)
		qsort(*aliases, found, sizeof(LimitedAlias), limit_in_force_compare);
	for (int i = 0; i < found; i++)
	{
		if (kept == 0 || limit_in_force_compare(&(*aliases)[kept - 1], &(*aliases)[i]) != 0)
			(*aliases)[kept++] = (*aliases)[i];
	}
	return kept;
}

/* Which limits hold for the events, by types and aliases. */
static int
find_limited(const pg_uuid_t *account_id, const EventPut *puts, int count, LimitedAlias **aliases)
{
	int alias_count = gather_aliases(account_id, puts, count, aliases);

	return alias_count == 0 ? 0 : limit_in_force_find(account_id, *aliases, alias_count);
}

/* Entering ---------------------------------------------------------------- */

static LimitLock
lock_of(const LimitedAlias *alias, const UsageLimit *limit)
{
	return limit_lock_of(&limit->scope.metric_id, alias->customer.id);
}

static int
gather_locks(const LimitedAlias *aliases, int count, LimitLock **locks)
{
	int capacity = 0;
	int found = 0;
	ListCell *cell;

	*locks = NULL;
	for (int i = 0; i < count; i++)
	{
		foreach(cell, aliases[i].limits)
		{
			*locks = memory_budget_room(*locks, found, &capacity, sizeof(LimitLock));
			(*locks)[found++] = lock_of(&aliases[i], lfirst(cell));
		}
	}
	return found;
}

/* What has been committed until now, and what this transaction has done itself. */
static Snapshot
take_snapshot(void)
{
	Snapshot snapshot;

	/* A copy: that of a transaction that keeps its own goes on with each command. */
	PushCopiedSnapshot(GetTransactionSnapshot());
	snapshot = RegisterSnapshot(GetActiveSnapshot());
	PopActiveSnapshot();
	return snapshot;
}

static void *
enter(const pg_uuid_t *account_id, const EventPut *puts, int count)
{
	uint64 state = limit_in_force_state();
	LimitedAlias *aliases;
	int alias_count = find_limited(account_id, puts, count, &aliases);
	Entered *entered;

	if (alias_count == 0)
		return NULL;
	entered = palloc(sizeof(Entered));
	*entered = (Entered){.account_id = account_id, .state = state, .aliases = aliases, .alias_count = alias_count};
	entered->lock_count = gather_locks(aliases, alias_count, &entered->locks);
	entered->lock_count = limit_lock_take(account_id, entered->locks, entered->lock_count);
	entered->before = distribution_is_here(account_id) ? take_snapshot() : NULL;
	return entered;
}

static void
leave(void *argument)
{
	Entered *entered = argument;

	if (entered->before != NULL)
		UnregisterSnapshot(entered->before);
}

/* Measuring --------------------------------------------------------------- */

static bool
is_written(const EventPut *put)
{
	return put->outcome == EVENT_CREATED || put->outcome == EVENT_SUPERSEDED;
}

/* What holds now must have been locked: it does not where limits or aliases were changed in between. */
static void
require_locked(const Look *look)
{
	const Entered *entered = look->entered;
	ListCell *cell;

	for (int i = 0; i < look->alias_count; i++)
	{
		foreach(cell, look->aliases[i].limits)
		{
			LimitLock lock = lock_of(&look->aliases[i], lfirst(cell));

			if (bsearch(&lock, entered->locks, entered->lock_count, sizeof(LimitLock), limit_lock_compare) == NULL)
				ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
								errmsg("usage limits or customer aliases were changed while events were stored"),
								errhint("The transaction might succeed if retried.")));
		}
	}
}

/* What was found holds still, or is found anew: it may have changed while the lock was waited for. */
static void
look_again(Look *look)
{
	const Entered *entered = look->entered;

	if (limit_in_force_is_told() && limit_in_force_state() == entered->state)
	{
		look->aliases = entered->aliases;
		look->alias_count = entered->alias_count;
		return;
	}
	look->alias_count = find_limited(entered->account_id, look->puts, look->count, &look->aliases);
	require_locked(look);
}

static void
add_effects(Look *look, EventPut *put, const LimitedAlias *alias)
{
	ListCell *cell;

	foreach(cell, alias->limits)
	{
		Measure *measure;

		memory_budget_grow(sizeof(Measure));
		measure = palloc(sizeof(Measure));
		*measure = (Measure){.limit = lfirst(cell), .customer = &alias->customer, .moment = put->event.timestamp};
		period_find(&measure->limit->scope.period, measure->moment, &measure->start, &measure->end);
		look->effects = memory_budget_room(look->effects, look->effect_count, &look->effect_capacity, sizeof(Effect));
		look->effects[look->effect_count++] = (Effect){.measure = measure, .put = put};
	}
}

static void
gather_effects(Look *look)
{
	for (int i = 0; i < look->count; i++)
	{
		EventPut *put = &look->puts[i];
		LimitedAlias key = {.event_type = put->event.event_type, .alias = put->event.customer_alias};
		const LimitedAlias *alias;

		if (!is_written(put))
			continue;
		alias = bsearch(&key, look->aliases, look->alias_count, sizeof(LimitedAlias), limit_in_force_compare);
		if (alias != NULL)
			add_effects(look, put, alias);
	}
}

static int
compare_measures(const Measure *a, const Measure *b)
{
	int result = uuid_v7_compare(&a->limit->id, &b->limit->id);

	if (result == 0)
		result = slice_compare(a->customer->id, b->customer->id);
	return result != 0 ? result : (a->start > b->start) - (a->start < b->start);
}

static int
compare_effects_by_measure(const void *a, const void *b)
{
	return compare_measures(((const Effect *) a)->measure, ((const Effect *) b)->measure);
}

static int
compare_effects_by_event(const void *a, const void *b)
{
	const EventPut *first = ((const Effect *) a)->put;
	const EventPut *second = ((const Effect *) b)->put;

	return (first > second) - (first < second);
}

/* Gives effects the measures that they share, each once. */
static void
gather_measures(Look *look)
{
	look->measures = palloc_extended(sizeof(Measure) * Max(look->effect_count, 1), MCXT_ALLOC_HUGE);
	if (look->effect_count > 1)
		qsort(look->effects, look->effect_count, sizeof(Effect), compare_effects_by_measure);
	for (int i = 0; i < look->effect_count; i++)
	{
		Measure *measure = look->effects[i].measure;

		if (i == 0 || compare_measures(&look->measures[look->measure_count - 1], measure) != 0)
			look->measures[look->measure_count++] = *measure;
		look->effects[i].measure = &look->measures[look->measure_count - 1];
	}
	if (look->effect_count > 1)
		qsort(look->effects, look->effect_count, sizeof(Effect), compare_effects_by_event);
}

/* Asks for the value of each measure, with the events. */
static void
ask_measures(Look *look)
{
	Snapshot now = take_snapshot();

	for (int i = 0; i < look->measure_count; i++)
	{
		Measure *measure = &look->measures[i];

		CHECK_FOR_INTERRUPTS();
		measure->metric = measure_metric(look->entered->account_id, &measure->limit->scope.metric_id, &look->metrics);
		measure->value = measure->metric == NULL ? NULL : measure_ask(measure, now);
	}
	UnregisterSnapshot(now);
}

static bool
is_above(const Measure *measure, Numeric value)
{
	return value != NULL && metric_number_is_above(value, measure->limit->limit);
}

/* Refusing ---------------------------------------------------------------- */

static const char *
number_text(Numeric number)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
}

static const char *
period_text(const Measure *measure)
{
	char end[TIMESTAMP_TEXT_SIZE];

	if (TIMESTAMP_NOT_FINITE(measure->end))
		return "for all time";
	timestamp_to_text(measure->end, end);
	return psprintf("until %s", end);
}

/* Worded to follow the event; `used` is without it. */
static const Fault *
refusal(const Look *look, const Measure *measure, Numeric used, Numeric amount)
{
	MemoryContext context = MemoryContextSwitchTo(look->of_refusals);
	EventRefusal *refusal = palloc0(sizeof(EventRefusal));
	char *id = palloc(UUID_TEXT_LENGTH + 1);

	uuid_v7_to_text(&measure->limit->id, id);
	refusal->fault.limit_id = id;
	refusal->fault.text = psprintf("adds %s to usage limit %s, of whose %s there are %s used %s", number_text(amount),
								   fault_quote(measure->limit->scope.name), number_text(measure->limit->limit),
								   number_text(used), period_text(measure));
	refusal->until = measure->end;
	memory_budget_grow(sizeof(EventRefusal) + strlen(refusal->fault.text));
	MemoryContextSwitchTo(context);
	return &refusal->fault;
}

/* Judging ----------------------------------------------------------------- */

/* Refuses the only event that was written, if it adds to what is above a limit. */
static EventVerdict
judge_single(Look *look)
{
	for (int i = 0; i < look->effect_count; i++)
	{
		const Measure *measure = look->effects[i].measure;
		Numeric before = NULL;

		if (!is_above(measure, measure->value))
			continue;
		if (look->entered->before != NULL)
			before = measure_ask(measure, look->entered->before);
		if (!limit_is_passed(measure->limit, before, measure->value))
			continue;
		before = measure_or_zero(before);
		look->effects[i].put->refusal = refusal(look, measure, before, measure_difference(measure->value, before));
		return EVENTS_REFUSED;
	}
	return EVENTS_FIT;
}

/* What events are to their measures, each by itself. */
static void
measure_events(Look *look)
{
	for (int i = 0; i < look->effect_count; i++)
	{
		Effect *effect = &look->effects[i];

		CHECK_FOR_INTERRUPTS();
		memory_budget_grow(64);
		if (effect->measure->metric != NULL)
			effect->amount = measure_event(effect->measure->metric, &effect->put->event);
	}
}

static Numeric
above_zero(Numeric number)
{
	return metric_number_compare(number, measure_zero()) > 0 ? number : measure_zero();
}

/* How much may have been taken away from a metric's values on the way: by versions that were replaced, and by negative amounts. */
static Numeric
taken_away(const Look *look, MeasuredMetric *metric)
{
	Numeric sum = measure_zero();

	if (metric->taken_away != NULL)
		return metric->taken_away;
	for (int i = 0; i < look->count; i++)
	{
		const EventPut *put = &look->puts[i];

		if (!is_written(put))
			continue;
		sum = measure_sum(sum, above_zero(measure_difference(measure_zero(), measure_event(metric, &put->event))));
		if (put->superseded != NULL)
			sum = measure_sum(sum, above_zero(measure_event(metric, put->superseded)));
	}
	metric->taken_away = sum;
	return sum;
}

/* Whether an event of the batch rests on an earlier one of it, or takes the place of another. */
static bool
has_repeats(const Look *look)
{
	for (int i = 0; i < look->count; i++)
	{
		const EventPut *put = &look->puts[i];
		const char *answer = (const char *) put->answer;

		if (put->superseded != NULL)
			return true;
		if (put->outcome == EVENT_UNCHANGED && answer >= (const char *) look->puts &&
			answer < (const char *) (look->puts + look->count))
			return true;
	}
	return false;
}

/* The largest amount of a measure's events. */
static Numeric
largest(const Look *look, const Measure *measure)
{
	Numeric largest = NULL;

	for (int i = 0; i < look->effect_count; i++)
	{
		const Effect *effect = &look->effects[i];

		if (effect->measure == measure && (largest == NULL || metric_number_compare(effect->amount, largest) > 0))
			largest = effect->amount;
	}
	return largest;
}

/* Whether a value that may go up and down with each event was certainly never above: it is none that is above all numbers. */
static bool
was_never_above_any(const Look *look, const Measure *measure)
{
	return !has_repeats(look) && look->entered->before != NULL && !is_above(measure, largest(look, measure)) &&
		   !is_above(measure, measure_ask(measure, look->entered->before));
}

/* Whether the value was certainly never above the limit as the events came one by one, whichever of them stay. */
static bool
was_never_above(const Look *look, const Measure *measure)
{
	if (measure->metric == NULL)
		return true;
	if (measure->metric->metric.kind->rise == METRIC_VARIES)
		return was_never_above_any(look, measure);
	return !is_above(measure,
					 measure_sum(above_zero(measure_or_zero(measure->value)), taken_away(look, measure->metric)));
}

/* Measures that need no more attention are marked by a limit that is none. */
static int
keep_unsure(Look *look, bool *adds)
{
	int unsure = 0;

	*adds = true;
	for (int i = 0; i < look->measure_count; i++)
	{
		Measure *measure = &look->measures[i];

		CHECK_FOR_INTERRUPTS();
		if (was_never_above(look, measure))
			measure->metric = NULL;
		else
		{
			unsure++;
			*adds = *adds && measure->metric->metric.kind->rise == METRIC_ADDS;
		}
	}
	return unsure;
}

/* Takes the amounts of all events from their measures: what there was before. */
static void
go_back(Look *look)
{
	for (int i = 0; i < look->effect_count; i++)
	{
		Effect *effect = &look->effects[i];

		if (effect->measure->metric != NULL)
			effect->measure->value = measure_difference(measure_or_zero(effect->measure->value), effect->amount);
	}
}

/* What keeps the event out whose effects these are, one after the other; NULL: nothing does. */
static const Fault *
first_refusal(const Look *look, const Effect *effects, int count)
{
	for (int i = 0; i < count; i++)
	{
		const Measure *measure = effects[i].measure;

		if (measure->metric != NULL &&
			limit_is_passed(measure->limit, measure->value, measure_sum(measure->value, effects[i].amount)))
			return refusal(look, measure, measure->value, effects[i].amount);
	}
	return NULL;
}

/* Counts each event in its order, and refuses those that do not fit. */
static EventVerdict
count_one_by_one(Look *look)
{
	EventVerdict verdict = EVENTS_FIT;

	go_back(look);
	for (int first = 0, last; first < look->effect_count; first = last)
	{
		EventPut *put = look->effects[first].put;

		for (last = first + 1; last < look->effect_count && look->effects[last].put == put; last++)
			;
		put->refusal = first_refusal(look, look->effects + first, last - first);
		if (put->refusal != NULL)
			verdict = EVENTS_REFUSED;
		for (int i = first; put->refusal == NULL && i < last; i++)
		{
			Measure *measure = look->effects[i].measure;

			if (measure->metric != NULL)
				measure->value = measure_sum(measure->value, look->effects[i].amount);
		}
	}
	return verdict;
}

static EventVerdict
judge_many(Look *look)
{
	bool adds;

	measure_events(look);
	if (keep_unsure(look, &adds) == 0)
		return EVENTS_FIT;
	if (!adds || has_repeats(look))
		return EVENTS_UNSURE;
	return count_one_by_one(look);
}

static int
count_written(const EventPut *puts, int count)
{
	int written = 0;

	for (int i = 0; i < count; i++)
		written += is_written(&puts[i]) ? 1 : 0;
	return written;
}

static EventVerdict
check(void *argument, EventPut *puts, int count, MemoryContext of_refusals)
{
	Look look = {.entered = argument, .of_refusals = of_refusals, .puts = puts, .count = count};

	look_again(&look);
	gather_effects(&look);
	gather_measures(&look);
	ask_measures(&look);
	if (look.effect_count == 0)
		return EVENTS_FIT;
	return count_written(puts, count) == 1 ? judge_single(&look) : judge_many(&look);
}

/* Init -------------------------------------------------------------------- */

static const EventGuard guard = {enter, check, leave};

void
limit_guard_init(void)
{
	limit_in_force_init();
	event_guard_set(&guard);
}
