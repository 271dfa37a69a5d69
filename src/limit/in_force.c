/*
 * limit/in_force.c
 *		Which BLOCK limits hold for events of a type and an alias.
 *
 * Most events have none, and must not pay for those that have.  So each backend remembers which
 * types have limits, and where these are of single customers alone, whose events may
 * come under them, as numbers that are made of type and alias.  An alias that is not among
 * them has no limit; one that is is looked up.
 *
 * Whoever changes limits, metrics, or aliases, tells all backends by the message that goes out when
 * the definition of a table has changed.
 */
#include "postgres.h"

#include "limit/in_force.h"

#include "access/xact.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "customer/alias.h"
#include "limit/remembered.h"
#include "miscadmin.h"
#include "sql/distribution.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "sql/told.h"
#include "utils/array.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define LIMIT_HOLDS "l.account_id " EQ " $1 AND l.deleted_at IS NULL AND l.mode " EQ " 'BLOCK'"
#define METRIC_HOLDS "m.account_id " EQ " $1 AND m.id " EQ " l.metric_id AND m.deleted_at IS NULL"

static Statement read_types = {
	.sql = "SELECT m.event_type, pg_catalog.bool_or(l.customer IS NULL), pg_catalog.array_agg(DISTINCT m.id)"
		   " FROM usage_events.usage_limit AS l JOIN usage_events.metric AS m ON " METRIC_HOLDS " WHERE " LIMIT_HOLDS
		   " GROUP BY m.event_type",
	.sees_all = true,
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* COALESCE() would do, but what row-level security lets through to an index must not have it. */
#define LIMITED_CUSTOMER "CASE WHEN word.customer_id IS NULL THEN l.customer ELSE word.customer_id END"

/* Under which aliases the events of customers come that have limits of their own, by whatever name. */
static Statement read_aliases = {
	.sql = "SELECT m.event_type, name.value FROM usage_events.usage_limit AS l"
		   " JOIN usage_events.metric AS m ON " METRIC_HOLDS
		   " LEFT JOIN usage_events.customer_alias AS word ON word.account_id " EQ " $1"
		   " AND word.value " EQ " l.customer AND word.deleted_at IS NULL"
		   " CROSS JOIN LATERAL (SELECT " LIMITED_CUSTOMER " AS value"
		   " UNION ALL SELECT own.value FROM usage_events.customer_alias AS own WHERE own.account_id " EQ " $1"
		   " AND own.customer_id " EQ " " LIMITED_CUSTOMER " AND own.deleted_at IS NULL) AS name"
		   " WHERE " LIMIT_HOLDS " AND l.customer IS NOT NULL LIMIT $2",
	.sees_all = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

/* What may hold -------------------------------------------------------------- */

/* So many aliases of customers with limits of their own are remembered; of an account with more, all are looked up. */
#define MAX_ALIASES 10000

typedef struct LimitedType
{
	Slice name;
	bool is_of_all; /* there is a limit for each customer */
	pg_uuid_t *metric_ids;
	int metric_count;
} LimitedType;

/* Of the account last asked for, in a memory context of their own. */
static MemoryContext known_context = NULL;
static List *types = NIL; /* of LimitedType * */
static uint64 *alias_numbers = NULL;
static int alias_count = 0;
static pg_uuid_t known_account_id;
static Told told_limits = {.table = "usage_limit"};
static Told told_metrics = {.table = "metric_progress"};

/*
 * Accounts that have none: a backend may serve many in turn.  They are so until anything is told.
 */
#define ACCOUNTS_REMEMBERED 256

static struct
{
	bool is_there;
	pg_uuid_t account_id;
} without[ACCOUNTS_REMEMBERED];
static uint64 without_since = 0;

static uint64
times_told(void)
{
	return told_limits.times_forgotten + told_metrics.times_forgotten;
}

static int
without_place(const pg_uuid_t *account_id)
{
	return account_id->data[UUID_LEN - 1] % ACCOUNTS_REMEMBERED;
}

static void
remember_without(const pg_uuid_t *account_id)
{
	int place = without_place(account_id);

	without[place].is_there = true;
	without[place].account_id = *account_id;
}

static bool
is_without(const pg_uuid_t *account_id)
{
	int place = without_place(account_id);

	if (without_since != times_told())
	{
		memset(without, 0, sizeof(without));
		without_since = times_told();
	}
	return without[place].is_there && uuid_v7_equal(&without[place].account_id, account_id);
}

/* To be called by who has changed a limit, in the same transaction. */
void
limit_in_force_changed(void)
{
	told_tell(&told_limits);
}

/*
 * Whose alias it is has changed.  That is told also where no limit can be seen: one may be made by a
 * transaction that does not see the alias, and others learn of it before they can see the alias, too.
 */
static void
alias_changed(const pg_uuid_t *account_id pg_attribute_unused(), Slice customer_id pg_attribute_unused(),
			  Slice value pg_attribute_unused())
{
	limit_in_force_changed();
}

/* Is another number as soon as anything has changed of limits, metrics, or aliases. */
uint64
limit_in_force_state(void)
{
	AcceptInvalidationMessages();
	return times_told();
}

/* Whether the state says so: other nodes tell nobody here, and a snapshot that is kept must show what holds. */
bool
limit_in_force_is_told(void)
{
	return !distribution_is_on() && !IsolationUsesXactSnapshot();
}

void
limit_in_force_init(void)
{
	told_init(&told_limits);
	told_init(&told_metrics);
	customer_alias_watch(alias_changed);
}

static uint64
alias_number(Slice event_type, Slice alias)
{
	uint64 seed = DatumGetUInt64(hash_any_extended((const unsigned char *) event_type.data, event_type.length, 0));

	return DatumGetUInt64(hash_any_extended((const unsigned char *) alias.data, alias.length, seed));
}

static int
compare_numbers(const void *a, const void *b)
{
	uint64 first = *(const uint64 *) a;
	uint64 second = *(const uint64 *) b;

	return (first > second) - (first < second);
}

static void
take_metrics(LimitedType *type, Datum array)
{
	Datum *ids;

	deconstruct_array(DatumGetArrayTypeP(array), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &ids, NULL,
					  &type->metric_count);
	type->metric_ids = palloc(sizeof(pg_uuid_t) * type->metric_count);
	for (int i = 0; i < type->metric_count; i++)
		type->metric_ids[i] = *DatumGetUUIDP(ids[i]);
}

static void
learn_types(Datum account)
{
	MemoryContext caller = CurrentMemoryContext;

	statement_execute(&read_types, &account, NULL);
	MemoryContextSwitchTo(known_context);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		LimitedType *type = palloc(sizeof(LimitedType));

		type->name = row_text_copy(row, 1);
		type->is_of_all = DatumGetBool(row_value_there(row, 2));
		take_metrics(type, row_value_there(row, 3));
		types = lappend(types, type);
	}
	MemoryContextSwitchTo(caller);
}

static void
learn_aliases(Datum account)
{
	ListCell *cell;

	statement_execute(&read_aliases, (Datum[]){account, Int64GetDatum(MAX_ALIASES + 1)}, NULL);
	alias_count = SPI_processed > MAX_ALIASES ? 0 : (int) SPI_processed;
	alias_numbers = MemoryContextAlloc(known_context, sizeof(uint64) * Max(alias_count, 1));
	for (int i = 0; i < alias_count; i++)
		alias_numbers[i] = alias_number(row_text(i, 1), row_text(i, 2));
	qsort(alias_numbers, alias_count, sizeof(uint64), compare_numbers);
	if (SPI_processed <= MAX_ALIASES)
		return;
	foreach(cell, types)
		((LimitedType *) lfirst(cell))->is_of_all = true;
}

static void
learn(const pg_uuid_t *account_id)
{
	uint64 since_limits = told_begin(&told_limits);
	uint64 since_metrics = told_begin(&told_metrics);

	if (known_context == NULL)
		known_context = AllocSetContextCreate(TopMemoryContext, "usage limits in force", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(known_context);
	types = NIL;
	alias_count = 0;
	SPI_connect();
	learn_types(UUIDPGetDatum(account_id));
	if (types != NIL)
		learn_aliases(UUIDPGetDatum(account_id));
	SPI_finish();
	known_account_id = *account_id;
	told_end(&told_limits, since_limits);
	told_end(&told_metrics, since_metrics);
	/* Other nodes tell nobody here. */
	if (distribution_is_on())
		told_limits.is_known = false;
	if (types == NIL && told_limits.is_known && told_metrics.is_known && !is_without(account_id))
		remember_without(account_id);
}

static bool
is_known(const pg_uuid_t *account_id)
{
	return told_limits.is_known && told_metrics.is_known && uuid_v7_equal(&known_account_id, account_id);
}

static const LimitedType *
find_type(Slice name)
{
	ListCell *cell;

	foreach(cell, types)
	{
		const LimitedType *type = lfirst(cell);

		if (slice_equal(type->name, name))
			return type;
	}
	return NULL;
}

/* Whether there may be a limit for the events: false for those that are certain to have none. */
bool
limit_in_force_may_hold(const pg_uuid_t *account_id, Slice event_type, Slice alias)
{
	const LimitedType *type;
	uint64 number;

	/* What is taken back is nobody's, and waits for nobody. */
	if (is_without(account_id) || slice_equal(alias, SLICE(VOID_ALIAS)))
		return false;
	if (!is_known(account_id))
		learn(account_id);
	type = find_type(event_type);
	if (type == NULL || type->is_of_all)
		return type != NULL;
	number = alias_number(event_type, alias);
	return bsearch(&number, alias_numbers, alias_count, sizeof(uint64), compare_numbers) != NULL;
}

/* What holds ----------------------------------------------------------------- */

/* By type and alias, both LimitedAlias. */
int
limit_in_force_compare(const void *a, const void *b)
{
	const LimitedAlias *first = a;
	const LimitedAlias *second = b;
	int result = slice_compare(first->event_type, second->event_type);

	return result != 0 ? result : slice_compare(first->alias, second->alias);
}

/* Adds those of the metric that hold for the customer, and let nothing through. */
static void
add_blocking(LimitedAlias *alias, const pg_uuid_t *account_id, const pg_uuid_t *metric_id)
{
	ListCell *cell;

	foreach(cell, limit_find_for_customer(account_id, metric_id, &alias->customer))
	{
		UsageLimit *limit = lfirst(cell);

		if (limit->blocks)
			alias->limits = lappend(alias->limits, limit);
	}
}

static void
find_for_alias(const pg_uuid_t *account_id, LimitedAlias *alias)
{
	const LimitedType *type = find_type(alias->event_type);

	alias->limits = NIL;
	if (type == NULL)
		return;
	memory_budget_grow(sizeof(LimitedAlias));
	limit_customer_find(account_id, alias->alias, &alias->customer);
	for (int i = 0; i < type->metric_count; i++)
		add_blocking(alias, account_id, &type->metric_ids[i]);
}

static bool
same_limits(const LimitedAlias *a, const LimitedAlias *b)
{
	ListCell *first;
	ListCell *second;

	if (list_length(a->limits) != list_length(b->limits) ||
		(a->limits != NIL && !slice_equal(a->customer.id, b->customer.id)))
		return false;
	forboth(first, a->limits, second, b->limits)
	{
		if (!uuid_v7_equal(&((UsageLimit *) lfirst(first))->version_id, &((UsageLimit *) lfirst(second))->version_id))
			return false;
	}
	return true;
}

/* A transaction of one snapshot that does not show what holds now cannot tell how much was used until now. */
static void
require_same_now(const pg_uuid_t *account_id, const LimitedAlias *alias)
{
	LimitedAlias now = *alias;

	PushActiveSnapshot(GetLatestSnapshot());
	find_for_alias(account_id, &now);
	PopActiveSnapshot();
	if (!same_limits(alias, &now))
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("could not serialize access due to a change of usage limits"),
						errhint("The transaction might succeed if retried.")));
}

/* A time zone that this server does not know it may know soon, and nobody tells. */
static bool
are_periods_known(const LimitedAlias *alias)
{
	ListCell *cell;

	foreach(cell, alias->limits)
	{
		const UsageLimit *limit = lfirst(cell);

		if (!period_is_known(&limit->scope.period))
			return false;
	}
	return true;
}

/* What is remembered of that state holds; what is found anew is remembered if it is of that state still. */
static void
find_or_remember(const pg_uuid_t *account_id, uint64 state, LimitedAlias *alias)
{
	if (limit_in_force_is_told() && remembered_alias(account_id, state, alias))
		return;
	find_for_alias(account_id, alias);
	if (IsolationUsesXactSnapshot())
		require_same_now(account_id, alias);
	if (limit_in_force_is_told() && limit_in_force_state() == state && are_periods_known(alias))
		remember_alias(account_id, state, alias);
}

/*
 * Finds what holds for each of the aliases, now.  Those for which nothing does are left out;
 * returns how many remain.
 */
int
limit_in_force_find(const pg_uuid_t *account_id, LimitedAlias *aliases, int count)
{
	/* Before the snapshot: what that does not show is told afterwards. */
	uint64 state = limit_in_force_state();
	int kept = 0;

	/* What is remembered of this state must rest on nothing of the one before. */
	if (count > 0 && limit_in_force_is_told() && !is_known(account_id))
		learn(account_id);
	PushActiveSnapshot(GetTransactionSnapshot());
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		find_or_remember(account_id, state, &aliases[i]);
		if (aliases[i].limits != NIL)
			aliases[kept++] = aliases[i];
	}
	PopActiveSnapshot();
	return kept;
}
