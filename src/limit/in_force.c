/*
 * limit/in_force.c
 *		Which BLOCK limits hold for events of a type and an alias.
 *
 * Most events have none, and must not pay for those that have.  So each backend remembers which
 * types have limits, and where these are of single customers alone, whose events may
 * come under them, as numbers that are made of type and alias.  An alias that is not among
 * them has no limit; one that is is looked up.
 *
 * Whoever changes limits, metrics, or the aliases of a customer with a limit of its own, tells all
 * backends by the message that goes out when the definition of a table has changed.
 */
#include "postgres.h"

#include "limit/in_force.h"

#include "access/xact.h"
#include "base/memory_budget.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "customer/alias.h"
#include "sql/distribution.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "sql/told.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#define LIMIT_HOLDS "l.account_id " EQ " $1 AND l.deleted_at IS NULL AND l.mode " EQ " 'BLOCK'"
#define METRIC_HOLDS "m.account_id " EQ " $1 AND m.id " EQ " l.metric_id AND m.deleted_at IS NULL"

static Statement read_types = {
	.sql = "SELECT m.event_type, pg_catalog.bool_or(l.customer IS NULL)"
		   " FROM usage_events.usage_limit AS l JOIN usage_events.metric AS m ON " METRIC_HOLDS " WHERE " LIMIT_HOLDS
		   " GROUP BY m.event_type",
	.sees_all = true,
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Under which aliases the events of customers come that have limits of their own. */
static Statement read_aliases = {
	.sql =
		"SELECT m.event_type, l.customer FROM usage_events.usage_limit AS l"
		" JOIN usage_events.metric AS m ON " METRIC_HOLDS " WHERE " LIMIT_HOLDS " AND l.customer IS NOT NULL"
		" UNION ALL SELECT m.event_type, a.value FROM usage_events.usage_limit AS l"
		" JOIN usage_events.metric AS m ON " METRIC_HOLDS " JOIN usage_events.customer_alias AS a ON a.account_id " EQ
		" $1 AND a.customer_id " EQ " l.customer AND a.deleted_at IS NULL"
		" WHERE " LIMIT_HOLDS " LIMIT $2",
	.sees_all = true,
	.argument_count = 2,
	.argument_types = {UUIDOID, INT8OID},
};

static Statement has_own_limit = {
	.sql = "SELECT FROM usage_events.usage_limit AS l WHERE l.customer " EQ " $2 AND " LIMIT_HOLDS " LIMIT 1",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

/* A customer's own limit of a metric and period, whatever its mode, takes the place of that for each customer. */
#define IS_OWN(table) "(" table ".customer " EQ " e.alias OR " table ".customer " EQ " e.owner)"
#define FIND_LIMITS \
	"SELECT e.place, e.owner, l.id, l.version_id, l.limit_value, l.name, l.metric_id, l.customer, l.period," \
	" l.timezone, l.anchor" \
	" FROM (SELECT a.alias, a.place, COALESCE(c.customer_id, a.alias) AS owner" \
	" FROM pg_catalog.unnest($3) WITH ORDINALITY AS a (alias, place)" \
	" LEFT JOIN usage_events.customer_alias AS c ON c.account_id " EQ " $1 AND c.value " EQ " a.alias" \
	" AND c.deleted_at IS NULL) AS e" \
	" JOIN usage_events.usage_limit AS l ON " LIMIT_HOLDS " AND (l.customer IS NULL OR " IS_OWN( \
		"l") ")" \
			 " JOIN usage_events.metric AS m ON " METRIC_HOLDS " AND m.event_type " EQ " $2" \
			 " WHERE l.customer IS NOT NULL OR NOT EXISTS (SELECT FROM usage_events.usage_limit AS o" \
			 " WHERE o.account_id " EQ " $1 AND o.metric_id " EQ " l.metric_id AND o.period " EQ " l.period" \
			 " AND o.deleted_at IS NULL AND " IS_OWN("o") ")" \
														  " ORDER BY e.place, l.id"
enum
{
	COLUMN_PLACE = 1,
	COLUMN_OWNER,
	COLUMN_ID,
	COLUMN_VERSION_ID,
	COLUMN_LIMIT_VALUE,
	COLUMN_SCOPE
};

static Statement find_limits = {
	.sql = FIND_LIMITS,
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TEXTARRAYOID},
};

/* Those that there are now, for a transaction that keeps its snapshot. */
static Statement find_limits_now = {
	.sql = FIND_LIMITS,
	.sees_all = true,
	.argument_count = 3,
	.argument_types = {UUIDOID, TEXTOID, TEXTARRAYOID},
};

/* What may hold -------------------------------------------------------------- */

/* So many aliases of customers with limits of their own are remembered; of an account with more, all are looked up. */
#define MAX_ALIASES 10000

typedef struct LimitedType
{
	bool is_of_all; /* there is a limit for each customer */
	int length;
	char name[FLEXIBLE_ARRAY_MEMBER];
} LimitedType;

/* Of the account last asked for, in a memory context of their own. */
static MemoryContext known_context = NULL;
static List *types = NIL; /* of LimitedType * */
static uint64 *alias_numbers = NULL;
static int alias_count = 0;
static pg_uuid_t known_account_id;
static Told told_limits = {.table = "usage_limit"};
static Told told_metrics = {.table = "metric_progress"};

/* To be called by who has changed a limit, in the same transaction. */
void
limit_in_force_changed(void)
{
	told_tell(&told_limits);
}

/* An alias was given to a customer.  One that is taken away is looked up in vain. */
static void
alias_changed(const pg_uuid_t *account_id, Slice customer_id)
{
	statement_execute(&has_own_limit, (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(customer_id)}, NULL);
	if (SPI_processed > 0)
		limit_in_force_changed();
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
learn_types(Datum account)
{
	statement_execute(&read_types, &account, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Slice name = row_text(row, 1);
		MemoryContext caller = MemoryContextSwitchTo(known_context);
		LimitedType *type = palloc(offsetof(LimitedType, name) + name.length);

		type->is_of_all = DatumGetBool(row_value_there(row, 2));
		type->length = name.length;
		memcpy(type->name, name.data, name.length);
		types = lappend(types, type);
		MemoryContextSwitchTo(caller);
	}
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
}

static bool
is_known(const pg_uuid_t *account_id)
{
	return told_limits.is_known && told_metrics.is_known && uuid_v7_equal(&known_account_id, account_id);
}

/* Whether there may be a limit for the events: false for those that are certain to have none. */
bool
limit_in_force_may_hold(const pg_uuid_t *account_id, Slice event_type, Slice alias)
{
	ListCell *cell;

	AcceptInvalidationMessages();
	if (!is_known(account_id))
		learn(account_id);
	foreach(cell, types)
	{
		const LimitedType *type = lfirst(cell);
		uint64 number;

		if (!slice_equal((Slice){type->name, type->length}, event_type))
			continue;
		if (type->is_of_all)
			return true;
		number = alias_number(event_type, alias);
		return bsearch(&number, alias_numbers, alias_count, sizeof(uint64), compare_numbers) != NULL;
	}
	return false;
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

/* Adds the limit in a row to what holds for its alias; those of an alias follow each other. */
static void
take_limit(uint64 row, LimitedAlias *alias, int capacity)
{
	LimitInForce *limit;

	if (alias->count == 0)
	{
		alias->limits = palloc(sizeof(LimitInForce) * capacity);
		alias->owner = row_text_copy(row, COLUMN_OWNER);
	}
	memory_budget_grow(sizeof(LimitInForce));
	limit = &alias->limits[alias->count++];
	limit->id = *DatumGetUUIDP(row_value_there(row, COLUMN_ID));
	limit->version_id = *DatumGetUUIDP(row_value_there(row, COLUMN_VERSION_ID));
	limit->most = DatumGetNumericCopy(row_value_there(row, COLUMN_LIMIT_VALUE));
	limit_scope_read_row(row, COLUMN_SCOPE, &limit->scope);
	limit->customer = limit->scope.customer.data != NULL ? limit->scope.customer : alias->owner;
}

static int64
place_of(uint64 row)
{
	return DatumGetInt64(row_value_there(row, COLUMN_PLACE));
}

/* How many rows from this one on are of its alias. */
static int
rows_of_alias(uint64 row)
{
	int count = 1;

	while (row + count < SPI_processed && place_of(row + count) == place_of(row))
		count++;
	return count;
}

static Datum
alias_array(const LimitedAlias *aliases, int count)
{
	Slice *texts = palloc(sizeof(Slice) * count);

	for (int i = 0; i < count; i++)
		texts[i] = aliases[i].alias;
	return statement_varlena_array(texts, count, TEXTOID);
}

static void
find_of_type(Statement *statement, const pg_uuid_t *account_id, LimitedAlias *aliases, int count)
{
	for (int i = 0; i < count; i++)
		aliases[i].count = 0;
	statement_execute(statement,
					  (Datum[]){UUIDPGetDatum(account_id), slice_to_datum(aliases[0].event_type),
								alias_array(aliases, count)},
					  NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		LimitedAlias *alias = &aliases[place_of(row) - 1];

		take_limit(row, alias, alias->count == 0 ? rows_of_alias(row) : 0);
	}
	SPI_freetuptable(SPI_tuptable);
}

static bool
same_limits(const LimitedAlias *a, const LimitedAlias *b)
{
	if (a->count != b->count || (a->count > 0 && !slice_equal(a->owner, b->owner)))
		return false;
	for (int i = 0; i < a->count; i++)
	{
		if (!uuid_v7_equal(&a->limits[i].version_id, &b->limits[i].version_id))
			return false;
	}
	return true;
}

/* A transaction of one snapshot that does not show what holds now cannot tell how much was used until now. */
static void
require_same_now(const pg_uuid_t *account_id, const LimitedAlias *aliases, int count)
{
	LimitedAlias *now = palloc(sizeof(LimitedAlias) * count);

	memcpy(now, aliases, sizeof(LimitedAlias) * count);
	find_of_type(&find_limits_now, account_id, now, count);
	for (int i = 0; i < count; i++)
	{
		if (!same_limits(&aliases[i], &now[i]))
			ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
							errmsg("could not serialize access due to a change of usage limits"),
							errhint("The transaction might succeed if retried.")));
	}
}

/*
 * Finds what holds for the aliases, which are sorted, each once for a type.  Those for which
 * nothing does are left out; returns how many remain.
 */
int
limit_in_force_find(const pg_uuid_t *account_id, LimitedAlias *aliases, int count)
{
	MemoryContext context = CurrentMemoryContext;
	int kept = 0;

	SPI_connect();
	MemoryContextSwitchTo(context);
	for (int first = 0, last; first < count; first = last)
	{
		for (last = first + 1; last < count && slice_equal(aliases[last].event_type, aliases[first].event_type); last++)
			;
		find_of_type(&find_limits, account_id, aliases + first, last - first);
		if (IsolationUsesXactSnapshot())
			require_same_now(account_id, aliases + first, last - first);
	}
	SPI_finish();
	MemoryContextSwitchTo(context);
	for (int i = 0; i < count; i++)
	{
		if (aliases[i].count > 0)
			aliases[kept++] = aliases[i];
	}
	return kept;
}
