/*
 * limit/remembered.c
 *		What a backend remembers of the limits that it found: by alias, and their metrics.
 *
 * Whose alias it is, under which names that customer comes, and which limits hold take three
 * statements to find, and the metric one more: a fifth of what an event under a limit costs.  All of it
 * is good as long as nothing was told (limit/in_force.c): whoever changes a limit, a metric or an alias
 * tells, so each entry has the state of which it is.
 *
 * Entries have fixed places, by a number made of what they are asked for by.  An alias has a choice
 * of two, and takes that of the one which was asked for longer ago.  What is long is not
 * remembered.  So a backend has as many entries as there is room for, of a few kilobytes at
 * most, whatever tenants do.
 */
#include "postgres.h"

#include "limit/remembered.h"

#include "base/uuid_v7.h"
#include "common/hashfn.h"
#include "utils/memutils.h"

#define ALIAS_PLACES 1024 /* of two each */
#define METRIC_PLACES 64

/* What has more names or limits is not copied, and an entry that takes more is not kept. */
#define MOST_ITEMS 16
#define MOST_BYTES 4096

typedef struct RememberedAlias
{
	MemoryContext context; /* with all of it; NULL: there is nothing */
	uint64 state;
	pg_uuid_t account_id;
	LimitedAlias found;
} RememberedAlias;

typedef struct RememberedMetric
{
	MemoryContext context;
	uint64 state;
	Metric metric;
} RememberedMetric;

/* Of each place the one that was asked for last comes first. */
static RememberedAlias aliases[ALIAS_PLACES][2];
static RememberedMetric metrics[METRIC_PLACES];

/* Copies ------------------------------------------------------------------ */

static Slice
copy_slice(Slice slice)
{
	char *copy;

	if (slice.data == NULL)
		return slice;
	copy = palloc(Max(slice.length, 1));
	memcpy(copy, slice.data, slice.length);
	return (Slice){copy, slice.length};
}

static Numeric
copy_numeric(Numeric number)
{
	return number == NULL ? NULL : DatumGetNumericCopy(NumericGetDatum(number));
}

static Jsonb *
copy_jsonb(Jsonb *json)
{
	return json == NULL ? NULL : DatumGetJsonbPCopy(JsonbPGetDatum(json));
}

static void
copy_customer(LimitCustomer *customer)
{
	Slice *copies = palloc(sizeof(Slice) * Max(customer->alias_count, 1));

	for (int i = 0; i < customer->alias_count; i++)
		copies[i] = copy_slice(customer->aliases[i]);
	customer->id = copy_slice(customer->id);
	customer->aliases = copies;
}

static UsageLimit *
copy_limit(const UsageLimit *limit)
{
	UsageLimit *copy = palloc(sizeof(UsageLimit));

	*copy = *limit;
	copy->scope.name = copy_slice(limit->scope.name);
	copy->scope.customer = copy_slice(limit->scope.customer);
	copy->scope.zone_name = copy_slice(limit->scope.zone_name);
	copy->limit = copy_numeric(limit->limit);
	return copy;
}

/* All of it but the type and the alias, in the current memory context. */
static void
copy_found(LimitedAlias *alias)
{
	List *limits = NIL;
	ListCell *cell;

	copy_customer(&alias->customer);
	foreach(cell, alias->limits)
		limits = lappend(limits, copy_limit(lfirst(cell)));
	alias->limits = limits;
}

static void
copy_metric(Metric *metric)
{
	metric->name = copy_slice(metric->name);
	metric->description = copy_slice(metric->description);
	metric->event_type = copy_slice(metric->event_type);
	metric->aggregation_property = copy_slice(metric->aggregation_property);
	metric->percentile = copy_numeric(metric->percentile);
	metric->grouping_property = copy_slice(metric->grouping_property);
	metric->unit = copy_slice(metric->unit);
	metric->property_filters = copy_jsonb(metric->property_filters);
	metric->properties_to_negate = copy_jsonb(metric->properties_to_negate);
	metric->expression = copy_slice(metric->expression);
	metric->parameters = copy_jsonb(metric->parameters);
}

/* Begins what is to be remembered; what was there before is gone. */
static MemoryContext
begin_entry(MemoryContext *context)
{
	MemoryContext entry = *context;

	*context = NULL;
	if (entry == NULL)
		entry = AllocSetContextCreate(TopMemoryContext, "usage limit remembered", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(entry);
	return entry;
}

/* Keeps it, unless it has become too large. */
static void
end_entry(MemoryContext *context, MemoryContext entry)
{
	if (MemoryContextMemAllocated(entry, false) > MOST_BYTES)
		MemoryContextDelete(entry);
	else
		*context = entry;
}

/* Aliases ----------------------------------------------------------------- */

static RememberedAlias *
alias_place(const pg_uuid_t *account_id, const LimitedAlias *alias)
{
	uint32 hash = hash_bytes(account_id->data, UUID_LEN);

	hash = hash_combine(hash, hash_bytes((const unsigned char *) alias->event_type.data, alias->event_type.length));
	hash = hash_combine(hash, hash_bytes((const unsigned char *) alias->alias.data, alias->alias.length));
	return aliases[hash % ALIAS_PLACES];
}

static bool
is_of(const RememberedAlias *entry, const pg_uuid_t *account_id, uint64 state, const LimitedAlias *alias)
{
	return entry->context != NULL && entry->state == state && uuid_v7_equal(&entry->account_id, account_id) &&
		   slice_equal(entry->found.event_type, alias->event_type) && slice_equal(entry->found.alias, alias->alias);
}

/* The second entry of a place becomes its first. */
static void
bring_forward(RememberedAlias *place)
{
	RememberedAlias second = place[1];

	place[1] = place[0];
	place[0] = second;
}

/* Fills in what was found for the alias in that state, copied; false if it is not known. */
bool
remembered_alias(const pg_uuid_t *account_id, uint64 state, LimitedAlias *alias)
{
	RememberedAlias *place = alias_place(account_id, alias);

	if (!is_of(&place[0], account_id, state, alias))
	{
		if (!is_of(&place[1], account_id, state, alias))
			return false;
		bring_forward(place);
	}
	alias->customer = place->found.customer;
	alias->limits = place->found.limits;
	copy_found(alias);
	return true;
}

void
remember_alias(const pg_uuid_t *account_id, uint64 state, const LimitedAlias *alias)
{
	RememberedAlias *entry = alias_place(account_id, alias);
	MemoryContext context;
	MemoryContext caller;

	if (alias->customer.alias_count > MOST_ITEMS || list_length(alias->limits) > MOST_ITEMS)
		return;
	/* It takes the place of the other one, unless there is room. */
	if (entry->context != NULL)
		bring_forward(entry);
	context = begin_entry(&entry->context);
	caller = MemoryContextSwitchTo(context);
	entry->state = state;
	entry->account_id = *account_id;
	entry->found = *alias;
	entry->found.event_type = copy_slice(alias->event_type);
	entry->found.alias = copy_slice(alias->alias);
	copy_found(&entry->found);
	MemoryContextSwitchTo(caller);
	end_entry(&entry->context, context);
}

/* Metrics ----------------------------------------------------------------- */

static RememberedMetric *
metric_place(const pg_uuid_t *id)
{
	return &metrics[hash_bytes(id->data, UUID_LEN) % METRIC_PLACES];
}

/* The metric in that state, copied; false if it is not known. */
bool
remembered_metric(const pg_uuid_t *account_id, uint64 state, const pg_uuid_t *id, Metric *metric)
{
	const RememberedMetric *entry = metric_place(id);

	if (entry->context == NULL || entry->state != state || !uuid_v7_equal(&entry->metric.id, id) ||
		!uuid_v7_equal(&entry->metric.account_id, account_id))
		return false;
	*metric = entry->metric;
	copy_metric(metric);
	return true;
}

void
remember_metric(uint64 state, const Metric *metric)
{
	RememberedMetric *entry = metric_place(&metric->id);
	MemoryContext context = begin_entry(&entry->context);
	MemoryContext caller = MemoryContextSwitchTo(context);

	entry->state = state;
	entry->metric = *metric;
	copy_metric(&entry->metric);
	MemoryContextSwitchTo(caller);
	end_entry(&entry->context, context);
}
