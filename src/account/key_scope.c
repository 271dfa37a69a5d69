/*
 * account/key_scope.c
 *		What the key of a request is good for.
 *
 * A key with a scope, which is any but a full one, leaves its transaction without
 * an account: row-level security and all functions refuse it, by views, functions
 * and whatever else PostgREST offers.  Only the API's own routes open the account,
 * each for the keys that its line in the table of routes names, and only while
 * their handler runs.  So what nobody has thought of is refused.
 *
 * The scope is a variable of this library, and no setting: nothing that SQL can
 * say widens it, or takes it back.  It is good for one transaction.  After a
 * rollback to a savepoint it may be narrower than the account that is set, and
 * never wider: the account itself is a setting, which the rollback takes back.
 */
#include "postgres.h"

#include "account/key_scope.h"

#include "account/account.h"
#include "base/compat.h"
#include "base/fault.h"
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "endpoint/response.h"
#include "utils/memutils.h"

/* The scope of the transaction that was authenticated last, unless its key is a full one. */
static KeyScope scope;
static LocalTransactionId scoped_in = InvalidLocalTransactionId;
static bool is_open = false;

static const char *const access_names[] = {"full", "ingest", "read"};

const char *
key_access_name(KeyAccess access)
{
	return access_names[access];
}

bool
key_access_from_name(Slice name, KeyAccess *access)
{
	for (size_t i = 0; i < lengthof(access_names); i++)
		if (slice_equal(name, slice_from_cstring(access_names[i])))
		{
			*access = (KeyAccess) i;
			return true;
		}
	return false;
}

/* NULL: there is none, or the key is a full one. */
const KeyScope *
key_scope_current(void)
{
	return scoped_in != InvalidLocalTransactionId && scoped_in == current_local_transaction_id() ? &scope : NULL;
}

static bool
is_unlimited(const KeyScope *key)
{
	return key->access == KEY_FULL && key->customer.data == NULL && key->metric_ids == NULL;
}

/* What was scanned from a row, in memory that is there until the transaction ends. */
static void
keep(const KeyScope *key)
{
	MemoryContext context = MemoryContextSwitchTo(TopTransactionContext);

	scope = *key;
	if (key->customer.data != NULL)
		scope.customer.data = pnstrdup(key->customer.data, key->customer.length);
	if (key->metric_ids != NULL)
	{
		scope.metric_ids = palloc(sizeof(pg_uuid_t) * Max(key->metric_count, 1));
		memcpy(scope.metric_ids, key->metric_ids, sizeof(pg_uuid_t) * key->metric_count);
	}
	MemoryContextSwitchTo(context);
}

/* The transaction is served for no key any more, or for one that is not known yet. */
void
key_scope_end(void)
{
	scoped_in = InvalidLocalTransactionId;
}

/* The transaction is served for a key of that scope from now on.  Its account is the key's, or closed. */
void
key_scope_begin(const KeyScope *key)
{
	key_scope_end();
	if (is_unlimited(key))
		return;
	keep(key);
	is_open = false;
	account_set_none();
	scoped_in = current_local_transaction_id();
}

/* Whether nothing may be seen at the moment, whatever the account is set to. */
bool
key_scope_is_closed(void)
{
	return scoped_in != InvalidLocalTransactionId && !is_open && scoped_in == current_local_transaction_id();
}

static const char *
description(void)
{
	if (scope.access == KEY_INGEST)
		return "It is a key that sends usage events, and does nothing else.";
	if (scope.customer.data != NULL)
		return "It is a key that reads what one customer used.";
	if (scope.metric_ids != NULL)
		return "It is a key that reads what some usage metrics say.";
	return "It is a key that reads, and changes nothing.";
}

#define REFUSAL "API key may not do this"

/* Such a key asks by the routes of the API alone. */
void
key_scope_refuse_closed(void)
{
	http_refuse_access(
		REFUSAL,
		"It has a scope, and is for the paths of the API that serve such a key: for no other function or view.");
}

/* Refuses what is not for the key, by what the route is for. */
void
key_scope_require(int keys)
{
	int wanted;

	if (key_scope_current() == NULL)
		return;
	wanted = (scope.access == KEY_READ ? KEYS_READ : KEYS_INGEST) |
			 (scope.customer.data != NULL ? KEYS_OF_CUSTOMER : 0) | (scope.metric_ids != NULL ? KEYS_OF_METRICS : 0);
	if (scope.access == KEY_FULL || (keys & wanted) != wanted)
		http_refuse_access(REFUSAL, description());
}

/* Does what the route is for, as the key's account.  The caller has found that the route is for the key. */
void
key_scope_do(void (*act)(void *argument), void *argument)
{
	if (key_scope_current() == NULL)
	{
		act(argument);
		return;
	}

	is_open = true;
	PG_TRY();
	{
		int nest_level = account_enter(&scope.account_id);

		act(argument);
		account_leave(nest_level);
	}
	PG_FINALLY();
	{
		is_open = false;
	}
	PG_END_TRY();
}

const char *
key_scope_count_fault(int count)
{
	return psprintf("must name 1 to %d usage metrics, not %d", KEY_SCOPE_MAX_METRICS, count);
}

/* What is wrong with ids of metrics.  Whether there are such metrics is not asked: what is not there cannot be seen. */
List *
key_scope_check_metrics(List *faults, const char *name, ArrayType *metric_ids)
{
	int count = ArrayGetNItems(ARR_NDIM(metric_ids), ARR_DIMS(metric_ids));

	if (array_contains_nulls(metric_ids))
		return fault_add(faults, name, "must not contain null");
	if (count < 1 || count > KEY_SCOPE_MAX_METRICS)
		return fault_add(faults, name, key_scope_count_fault(count));
	return faults;
}

/* The metrics of such an array, which is copied.  One that says nothing is of no metric. */
void
key_scope_set_metrics(KeyScope *key, ArrayType *metric_ids)
{
	Datum *ids;
	bool *nulls;

	deconstruct_array(metric_ids, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &ids, &nulls, &key->metric_count);
	key->metric_ids = palloc0(sizeof(pg_uuid_t) * Max(key->metric_count, 1));
	for (int i = 0; i < key->metric_count; i++)
		if (!nulls[i])
			key->metric_ids[i] = *DatumGetUUIDP(ids[i]);
}

/* The one customer whose events may be seen; NULL: those of all. */
const Slice *
key_scope_customer(void)
{
	return key_scope_current() != NULL && scope.customer.data != NULL ? &scope.customer : NULL;
}

/* Whether the metric may be known to exist. */
bool
key_scope_has_metric(const pg_uuid_t *metric_id)
{
	if (key_scope_current() == NULL || scope.metric_ids == NULL)
		return true;
	for (int i = 0; i < scope.metric_count; i++)
		if (uuid_v7_equal(&scope.metric_ids[i], metric_id))
			return true;
	return false;
}

/* Refuses to answer a key of one customer what would be read from what is others'. */
void
key_scope_refuse_parameter(const char *name)
{
	if (key_scope_customer() != NULL)
		http_refuse_access(REFUSAL,
						   psprintf("It is a key that reads what one customer used, and not by \"%s\".", name));
}

/* Refuses to answer a key of some metrics what would be read from properties: it sees no events, only what metrics say. */
void
key_scope_refuse_properties(const char *name)
{
	if (key_scope_current() != NULL && scope.metric_ids != NULL)
		http_refuse_access(REFUSAL,
						   psprintf("It is a key that reads what some usage metrics say, and not by \"%s\".", name));
}
