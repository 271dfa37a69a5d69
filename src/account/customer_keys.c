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
#include "base/uuid_v7.h"
#include "catalog/pg_type.h"
#include "sql/distribution.h"
#include "sql/statement.h"
#include "sql/told.h"

static Statement find_any = {
	.sql = "SELECT WHERE EXISTS (SELECT FROM usage_events.portal_token WHERE account_id " EQ " $1)"
		   " OR EXISTS (SELECT FROM usage_events.api_key WHERE account_id " EQ " $1 AND customer IS NOT NULL)",
	.argument_count = 1,
	.argument_types = {UUIDOID},
};

/* Of the account last asked for. */
static bool known;
static pg_uuid_t known_account_id;
static Told told = {.table = "api_key"};

void
customer_keys_init(void)
{
	told_init(&told);
}

/* From memory where it is known.  Not for a transaction of one snapshot: what it sees is not what others are told of. */
bool
customer_keys_exist(const pg_uuid_t *account_id)
{
	uint64 since;

	if (told.is_known && uuid_v7_equal(&known_account_id, account_id))
		return known;
	since = told_begin(&told);
	SPI_connect();
	statement_execute(&find_any, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	known = SPI_processed > 0;
	SPI_finish();
	known_account_id = *account_id;
	told_end(&told, since);
	/* Other nodes tell nobody here. */
	if (distribution_is_on())
		told.is_known = false;
	return known;
}

/* To be called by who is about to make one.  Those that were remembered may be gone, and others know that there is none. */
void
customer_keys_come(const pg_uuid_t *account_id)
{
	told.is_known = false;
	if (IsolationUsesXactSnapshot() || !customer_keys_exist(account_id))
		told_tell(&told);
}
