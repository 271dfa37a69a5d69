/*
 * account/customer_keys.c
 *		Whether an account has keys that see one customer alone: API keys or portal tokens.
 *
 * Its batches take care then that such a key's questions have nothing to do with others' events (event/mark.c).
 * Answers are right in any case, so it does not matter that a key which has ended counts as one, nor that
 * somebody who makes one by hand tells nobody.
 */
#include "postgres.h"

#include "account/customer_keys.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "sql/told_any.h"

static ToldAny keys = {
	.told = {.table = "api_key"},
	.find =
		{
			.sql = "SELECT WHERE EXISTS (SELECT FROM usage_events.portal_token WHERE account_id " EQ " $1)"
				   " OR EXISTS (SELECT FROM usage_events.api_key WHERE account_id " EQ " $1 AND customer IS NOT NULL)",
			.argument_count = 1,
			.argument_types = {UUIDOID},
		},
};

void
customer_keys_init(void)
{
	told_init(&keys.told);
}

/* Not for a transaction of one snapshot: what it sees is not what others are told of. */
bool
customer_keys_exist(const pg_uuid_t *account_id)
{
	return told_any(&keys, account_id);
}

/* To be called by who is about to make one.  Those that were remembered may be gone, and others know that there is none. */
void
customer_keys_come(const pg_uuid_t *account_id)
{
	keys.told.is_known = false;
	if (IsolationUsesXactSnapshot() || !customer_keys_exist(account_id))
		told_tell(&keys.told);
}
