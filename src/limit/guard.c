/*
 * limit/guard.c
 *		Keeps events out that would bring a metric's value above a BLOCK limit.
 *
 *	look		which limits hold for the events' types and aliases; for most none
 *	lock		metric and customer, until the transaction ends
 *	remember	a snapshot: what was used until now, each time that some are written
 *	...			the events are written, by event/store.c
 *	look again	if anything has changed of limits, or of whose alias it is
 *	ask			each metric, of customer and period, with the events
 *
 * An event is refused if the value is above the limit with it and has been lower without: what was
 * above already, because the limit is new, or by events that nothing holds up, keeps out only what adds to it.
 *
 * Those of a batch are judged as if they had come one by one.  That nothing has been above the
 * limit on the way is certain where the value in the end, and all that was taken away on the way,
 * are not.  Where it is not certain each is counted in its order, in memory, on top of what there was
 * before.  What takes something away of a value that cannot be counted back, and what rests on an
 * earlier event of the batch, is left to event/guard.c to store by itself.
 *
 * Where events of the period were purged, nobody knows how much there is: what adds is refused, and
 * nothing else.  Where the period itself is not known, a correction adds less only if it is of the moment of what
 * it replaces: that is the same period, whichever it is.
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
	int rounds;          /* how often a batch, or parts of it, were counted */
	ResourceOwner owner; /* of the snapshot, which outlasts subtransactions */
	Snapshot before;     /* NULL: it would not show what other nodes of a cluster have */
} Entered;

/* An event that one of the measures measures. */
typedef struct Effect
{
	Measure *measure;
	EventPut *put;
	Numeric amount; /* what it adds, by itself; a correction less what it replaces there */
	bool leaves;    /* it only takes away what it replaces, and comes elsewhere */
} Effect;

/* A look at events that are written. */
typedef struct Look
{
	Entered *entered;
	uint64 state; /* of what is in force, before anything is read */
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
take_snapshot(ResourceOwner owner)
{
	Snapshot snapshot;

	/* A copy: that of a transaction that keeps its own goes on with each command. */
	PushCopiedSnapshot(GetTransactionSnapshot());
	snapshot = RegisterSnapshotOnOwner(GetActiveSnapshot(), owner);
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
	entered->owner = CurrentResourceOwner;
	return entered;
}

static void
forget_before(Entered *entered)
{
	if (entered->before != NULL)
		UnregisterSnapshotFromOwner(entered->before, entered->owner);
	entered->before = NULL;
}

/* Of a batch that is written in parts, what was written of it already is before what comes now. */
static void
begin(void *argument)
{
	Entered *entered = argument;

	forget_before(entered);
	if (distribution_is_here(entered->account_id))
		entered->before = take_snapshot(entered->owner);
}

static void
leave(void *argument)
{
	forget_before(argument);
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

	look->state = limit_in_force_state();
	if (limit_in_force_is_told() && look->state == entered->state)
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
		*measure = (Measure){.limit = lfirst(cell),
							 .customer = &alias->customer,
							 .moment = put->event.timestamp,
							 .purged_before = DT_NOBEGIN};
		measure_find_period(measure);
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

		if (!is_written(put) || look->alias_count == 0)
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
	Snapshot now = take_snapshot(CurrentResourceOwner);

	PushActiveSnapshot(now);
	for (int i = 0; i < look->measure_count; i++)
	{
		Measure *measure = &look->measures[i];

		CHECK_FOR_INTERRUPTS();
		measure->metric =
			measure_metric(look->entered->account_id, look->state, &measure->limit->scope.metric_id, &look->metrics);
		measure->value = measure->metric == NULL ? NULL : measure_ask(measure, now);
	}
	PopActiveSnapshot();
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

/* The fault is worded to follow the event; measure: NULL where it is not of one limit. */
static const Fault *
make_refusal(const Look *look, const Measure *measure, const char *text, const char *advice)
{
	MemoryContext context = MemoryContextSwitchTo(look->of_refusals);
	EventRefusal *refusal = palloc0(sizeof(EventRefusal));

	if (measure != NULL)
	{
		char *id = palloc(UUID_TEXT_LENGTH + 1);

		uuid_v7_to_text(&measure->limit->id, id);
		refusal->fault.limit_id = id;
	}
	refusal->fault.text = pstrdup(text);
	refusal->until = measure != NULL ? measure->end : DT_NOEND;
	refusal->advice = advice;
	memory_budget_grow(sizeof(EventRefusal) + strlen(text));
	MemoryContextSwitchTo(context);
	return &refusal->fault;
}

/* `used` is without the event. */
static const Fault *
refuse_above(const Look *look, const Measure *measure, Numeric used, Numeric amount)
{
	return make_refusal(look, measure,
						psprintf("adds %s to usage limit %s, of whose %s there are %s used %s", number_text(amount),
								 fault_quote(measure->limit->scope.name), number_text(measure->limit->limit),
								 number_text(used), period_text(measure)),
						NULL);
}

static const Fault *
refuse_unknown(const Look *look, const Measure *measure)
{
	char horizon[TIMESTAMP_TEXT_SIZE];

	timestamp_to_text(measure->purged_before, horizon);
	return make_refusal(
		look, measure,
		psprintf("adds to usage limit %s, whose period begins before %s, up to which events were purged",
				 fault_quote(measure->limit->scope.name), horizon),
		"Update the limit with an \"anchor\" from there on.");
}

static const Fault *
refuse_without_period(const Look *look, const Measure *measure)
{
	return make_refusal(look, measure,
						psprintf("adds to usage limit %s, whose time zone %s is not known to this server",
								 fault_quote(measure->limit->scope.name), fault_quote(measure->limit->scope.zone_name)),
						"Update or delete the limit, or install that time zone.");
}

/* What becomes of it only an attempt without the earlier one could say, and there have been many. */
static const Fault *
refuse_follower(const Look *look)
{
	return make_refusal(look, NULL, "rests on an earlier event of its batch that does not fit, as many others of it do",
						"Send it in a request of its own.");
}

/* Judging ----------------------------------------------------------------- */

static bool
just_adds(const Measure *measure)
{
	return measure->metric->metric.kind->rise == METRIC_ADDS;
}

static bool
is_purged(const Measure *measure)
{
	return measure->purged_before != DT_NOBEGIN;
}

static bool
has_period(const Measure *measure)
{
	return period_is_known(&measure->limit->scope.period);
}

/* Whether its value is all that was used in the period. */
static bool
is_certain(const Measure *measure)
{
	return has_period(measure) && !is_purged(measure);
}

/* Whether there may be more with the event in its period, of which nobody knows when it is. */
static bool
may_add(const Measure *measure, const EventPut *put)
{
	const UsageEvent *event = &put->event;
	const UsageEvent *replaced = put->superseded;
	bool is_there = replaced != NULL && replaced->timestamp == event->timestamp &&
					slice_equal(replaced->customer_alias, event->customer_alias);

	if (!just_adds(measure))
		return measure_counts(measure->metric, event);
	return metric_number_is_above(measure_event(measure->metric, event),
								  is_there ? measure_event(measure->metric, replaced) : measure_zero());
}

/* Why an event may not bring the value from one to the other, or NULL; amount: NULL where it is their difference. */
static const Fault *
refuse_change(const Look *look, const Measure *measure, const EventPut *put, Numeric before, Numeric after,
			  Numeric amount)
{
	Numeric difference = measure_difference(measure_or_zero(after), measure_or_zero(before));

	if (!has_period(measure))
		return may_add(measure, put) ? refuse_without_period(look, measure) : NULL;
	if (is_purged(measure))
	{
		bool adds = just_adds(measure) ? metric_number_is_above(difference, measure_zero())
									   : measure_counts(measure->metric, &put->event);

		return adds ? refuse_unknown(look, measure) : NULL;
	}
	if (!limit_is_passed(measure->limit, before, after))
		return NULL;
	return refuse_above(look, measure, measure_or_zero(before), amount != NULL ? amount : difference);
}

static bool
is_in_batch(const Look *look, const UsageEvent *event)
{
	const char *place = (const char *) event;

	return place >= (const char *) look->puts && place < (const char *) (look->puts + look->count);
}

/* The event of the batch that this one rests on: takes its place, repeats it, or conflicts with it.  NULL: there is none. */
static const EventPut *
rests_on(const Look *look, const EventPut *put)
{
	const UsageEvent *earlier = is_written(put) ? put->superseded : put->answer;

	if (!is_in_batch(look, earlier))
		return NULL;
	return (const EventPut *) ((const char *) earlier - offsetof(EventPut, event));
}

/* So often a batch is counted anew because of events that rest on one that does not fit. */
#define MAX_ROUNDS 10

/* The event is the only one that was written.  What rests on it is for the next attempts, as long as there are not too many. */
static void
refuse_followers(Look *look, const EventPut *put)
{
	bool is_last = look->entered->rounds + 1 >= MAX_ROUNDS;
	bool has_followers = false;

	for (int i = 0; i < look->count; i++)
	{
		if (rests_on(look, &look->puts[i]) != put)
			continue;
		has_followers = true;
		if (is_last)
			look->puts[i].refusal = refuse_follower(look);
	}
	look->entered->rounds += has_followers ? 1 : 0;
}

/* Refuses the only event that was written, if it adds to what is above a limit. */
static EventVerdict
judge_single(Look *look)
{
	for (int i = 0; i < look->effect_count; i++)
	{
		Measure *measure = look->effects[i].measure;
		EventPut *put = look->effects[i].put;
		Numeric before = NULL;

		if (measure->metric == NULL || (is_certain(measure) && !is_above(measure, measure->value)))
			continue;
		if (look->entered->before != NULL)
			before = measure_ask(measure, look->entered->before);
		put->refusal = refuse_change(look, measure, put, before, measure->value, NULL);
		if (put->refusal == NULL)
			continue;
		refuse_followers(look, put);
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
		if (look->puts[i].superseded != NULL || rests_on(look, &look->puts[i]) != NULL)
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
was_never_above_any(const Look *look, Measure *measure)
{
	return !has_repeats(look) && look->entered->before != NULL && !is_above(measure, largest(look, measure)) &&
		   !is_above(measure, measure_ask(measure, look->entered->before));
}

/* The same of a value that nothing lowers but what is taken away: it was never above what it would be if nothing were. */
static bool
was_never_above_rising(const Look *look, Measure *measure)
{
	bool is_sure = look->entered->before != NULL;

	if (is_sure)
		measure_run(measure, look->entered->before);
	for (int i = 0; is_sure && i < look->effect_count; i++)
	{
		const Effect *effect = &look->effects[i];

		CHECK_FOR_INTERRUPTS();
		if (effect->measure != measure)
			continue;
		measure_add(measure, &effect->put->event, effect->amount);
		is_sure = !is_above(measure, measure_value(measure));
	}
	measure->running = NULL;
	return is_sure;
}

/* Whether the value was certainly never above the limit as the events came one by one, whichever of them stay. */
static bool
was_never_above(const Look *look, Measure *measure)
{
	if (measure->metric == NULL)
		return true;
	if (!is_certain(measure))
		return false;
	if (measure->metric->metric.kind->rise == METRIC_VARIES)
		return was_never_above_any(look, measure);
	if (!is_above(measure, measure_sum(above_zero(measure_or_zero(measure->value)), taken_away(look, measure->metric))))
		return true;
	return measure->metric->metric.kind->rise == METRIC_RISES && has_repeats(look) &&
		   was_never_above_rising(look, measure);
}

/* Measures that need no more attention are marked by a metric that is none. */
static int
keep_unsure(Look *look)
{
	int unsure = 0;

	for (int i = 0; i < look->measure_count; i++)
	{
		Measure *measure = &look->measures[i];

		CHECK_FOR_INTERRUPTS();
		if (was_never_above(look, measure))
			measure->metric = NULL;
		else
			unsure++;
	}
	return unsure;
}

/* What leaves -------------------------------------------------------------- */

/* Under which name events come that a limit measures of a customer, and the measures of all periods of both. */
typedef struct MeasuredName
{
	Slice event_type;
	Slice alias;
	int first; /* among the measures */
	int last;  /* behind them */
} MeasuredName;

typedef struct MeasuredNames
{
	MeasuredName *items; /* sorted */
	int count;
	int capacity;
} MeasuredNames;

static int
compare_names(const void *a, const void *b)
{
	const MeasuredName *first = a;
	const MeasuredName *second = b;
	int result = slice_compare(first->event_type, second->event_type);

	return result != 0 ? result : slice_compare(first->alias, second->alias);
}

static bool
same_limit_and_customer(const Measure *a, const Measure *b)
{
	return uuid_v7_equal(&a->limit->id, &b->limit->id) && slice_equal(a->customer->id, b->customer->id);
}

static void
add_names(MeasuredNames *names, const Measure *measure, const Metric *metric, int first, int last)
{
	for (int i = 0; i < measure->customer->alias_count; i++)
	{
		names->items = memory_budget_room(names->items, names->count, &names->capacity, sizeof(MeasuredName));
		names->items[names->count++] = (MeasuredName){metric->event_type, measure->customer->aliases[i], first, last};
	}
}

/* Whether there is something to count: it is not sure, and nothing is counted of a period that is not known. */
static bool
is_open(const Measure *measure)
{
	return measure->metric != NULL && has_period(measure);
}

/* Of the measures that are not sure, in whose periods something may leave. */
static void
gather_names(const Look *look, MeasuredNames *names)
{
	*names = (MeasuredNames){0};
	for (int first = 0, last; first < look->measure_count; first = last)
	{
		const MeasuredMetric *metric = NULL;

		for (last = first;
			 last < look->measure_count && same_limit_and_customer(&look->measures[first], &look->measures[last]);
			 last++)
			metric = is_open(&look->measures[last]) ? look->measures[last].metric : metric;
		if (metric != NULL)
			add_names(names, &look->measures[first], &metric->metric, first, last);
	}
	if (names->count > 1)
		qsort(names->items, names->count, sizeof(MeasuredName), compare_names);
}

/* The first of that type and alias; the number of all if there is none. */
static int
find_name(const MeasuredNames *names, const MeasuredName *name)
{
	int low = 0;
	int high = names->count;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (compare_names(&names->items[middle], name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < names->count && compare_names(&names->items[low], name) == 0 ? low : names->count;
}

/* The measure of the period that has the moment; NULL if there is none, or it is sure. */
static Measure *
find_measure(const Look *look, const MeasuredName *name, TimestampTz moment)
{
	int low = name->first;
	int high = name->last;
	TimestampTz start;
	TimestampTz end;

	period_find(&look->measures[low].limit->scope.period, moment, &start, &end);
	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (look->measures[middle].start < start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == name->last || look->measures[low].start != start || look->measures[low].metric == NULL)
		return NULL;
	return &look->measures[low];
}

/* Takes from the event's amount in the measure what it replaces there; the event's effects begin at first. */
static void
add_leaving(Look *look, EventPut *put, Measure *measure, int first, int effect_count)
{
	Numeric amount;

	if (!just_adds(measure))
	{
		put->is_alone = true;
		return;
	}
	amount = measure_event(measure->metric, put->superseded);
	for (int i = first; i < effect_count && look->effects[i].put == put; i++)
	{
		if (look->effects[i].measure != measure)
			continue;
		look->effects[i].amount = measure_difference(look->effects[i].amount, amount);
		return;
	}
	look->effects = memory_budget_room(look->effects, look->effect_count, &look->effect_capacity, sizeof(Effect));
	look->effects[look->effect_count++] =
		(Effect){.measure = measure, .put = put, .amount = measure_difference(measure_zero(), amount), .leaves = true};
}

static void
look_at_leaving(Look *look, const MeasuredNames *names, EventPut *put, int first, int effect_count)
{
	MeasuredName name = {.event_type = put->superseded->event_type, .alias = put->superseded->customer_alias};

	if (names->items == NULL)
		return;
	for (int i = find_name(names, &name); i < names->count && compare_names(&names->items[i], &name) == 0; i++)
	{
		Measure *measure = find_measure(look, &names->items[i], put->superseded->timestamp);

		if (measure != NULL)
			add_leaving(look, put, measure, first, effect_count);
	}
}

/* What takes the place of another may not be counted on top of a value that does not just add up. */
static void
look_at_coming(const Look *look, EventPut *put, int first, int effect_count)
{
	for (int i = first; i < effect_count && look->effects[i].put == put; i++)
	{
		const Measure *measure = look->effects[i].measure;

		if (is_open(measure) && !just_adds(measure))
			put->is_alone = true;
	}
}

/* What becomes of an event is not known before that of the one that it rests on. */
static void
mark_followers(Look *look)
{
	for (int i = 0; i < look->count; i++)
		look->puts[i].rests_on = rests_on(look, &look->puts[i]);
}

/* What the events take away.  Returns whether some have to be judged alone: they are marked. */
static bool
gather_leaving(Look *look)
{
	int effect_count = look->effect_count;
	int effect = 0;
	bool some_alone = false;
	MeasuredNames names;

	gather_names(look, &names);
	for (int i = 0; i < look->count; i++)
	{
		EventPut *put = &look->puts[i];

		CHECK_FOR_INTERRUPTS();
		while (effect < effect_count && look->effects[effect].put < put)
			effect++;
		if (put->superseded != NULL)
		{
			look_at_leaving(look, &names, put, effect, effect_count);
			look_at_coming(look, put, effect, effect_count);
		}
		some_alone = some_alone || put->is_alone;
	}
	if (look->effect_count > effect_count)
		qsort(look->effects, look->effect_count, sizeof(Effect), compare_effects_by_event);
	if (some_alone)
		mark_followers(look);
	return some_alone;
}

/* Counting ----------------------------------------------------------------- */

/* Takes the amounts of all events from their measures: what there was before. */
static void
go_back(Look *look)
{
	for (int i = 0; i < look->effect_count; i++)
	{
		Effect *effect = &look->effects[i];

		if (effect->measure->metric != NULL && just_adds(effect->measure))
			effect->measure->value = measure_difference(measure_or_zero(effect->measure->value), effect->amount);
	}
}

/* Has the measures as they were before the events; false where that is not known. */
static bool
begin_counting(Look *look)
{
	for (int i = 0; i < look->measure_count; i++)
	{
		Measure *measure = &look->measures[i];

		CHECK_FOR_INTERRUPTS();
		if (!is_open(measure) || just_adds(measure))
			continue;
		if (look->entered->before == NULL)
			return false;
		measure_run(measure, look->entered->before);
	}
	go_back(look);
	return true;
}

/* Why the event does not fit on top of what was counted until now, or NULL. */
static const Fault *
first_refusal(const Look *look, const Effect *effects, int count)
{
	for (int i = 0; i < count; i++)
	{
		const Measure *measure = effects[i].measure;
		const EventPut *put = effects[i].put;
		const Fault *fault;

		if (measure->metric == NULL || effects[i].leaves)
			continue;
		fault = refuse_change(look, measure, put, measure_value(measure),
							  measure_value_with(measure, &put->event, effects[i].amount),
							  just_adds(measure) ? effects[i].amount : NULL);
		if (fault != NULL)
			return fault;
	}
	return NULL;
}

/* Counts an event whose effects are those, or refuses it. */
static void
count_event(Look *look, EventPut *put, const Effect *effects, int count)
{
	memory_budget_grow(256);
	put->refusal = first_refusal(look, effects, count);
	for (int i = 0; put->refusal == NULL && i < count; i++)
	{
		if (effects[i].measure->metric != NULL)
			measure_add(effects[i].measure, &put->event, effects[i].amount);
	}
}

/*
 * Counts each event in its order, and refuses those that do not fit.  What rests on one of these is
 * not what was written: up to there all is certain, and the rest is for the next attempt.
 */
static EventVerdict
count_one_by_one(Look *look)
{
	EventVerdict verdict = EVENTS_FIT;
	int first = 0;
	int last;

	look->entered->rounds++;
	for (int i = 0; i < look->count; i++, first = last)
	{
		EventPut *put = &look->puts[i];
		const EventPut *earlier = rests_on(look, put);

		CHECK_FOR_INTERRUPTS();
		for (last = first; last < look->effect_count && look->effects[last].put == put; last++)
			;
		/* By an attempt before this one: it was not written. */
		if (put->refusal != NULL)
			continue;
		if (earlier == NULL || earlier->refusal == NULL)
			count_event(look, put, look->effects + first, last - first);
		else if (look->entered->rounds < MAX_ROUNDS)
			return EVENTS_REFUSED;
		else
			put->refusal = refuse_follower(look);
		if (put->refusal != NULL)
			verdict = EVENTS_REFUSED;
	}
	return verdict;
}

static EventVerdict
judge_many(Look *look)
{
	measure_events(look);
	if (keep_unsure(look) == 0)
		return EVENTS_FIT;
	if (gather_leaving(look) || !begin_counting(look))
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

static const EventGuard guard = {enter, begin, check, leave};

void
limit_guard_init(void)
{
	limit_in_force_init();
	event_guard_set(&guard);
}
