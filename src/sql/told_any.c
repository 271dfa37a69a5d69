/*
 * sql/told_any.c
 *		Whether an account has any of a kind, as a backend remembers it until it is told that this has changed.
 */
#include "postgres.h"

#include "sql/told_any.h"

#include "base/uuid_v7.h"
#include "executor/spi.h"
#include "sql/distribution.h"

/* From memory where it is known.  Other nodes tell nobody here: where tables are distributed, it is read. */
bool
told_any(ToldAny *any, const pg_uuid_t *account_id)
{
	uint64 since;

	if (any->told.is_known && uuid_v7_equal(&any->account_id, account_id) && !distribution_is_on())
		return any->there_is;
	since = told_begin(&any->told);
	SPI_connect();
	statement_execute(&any->find, (Datum[]){UUIDPGetDatum(account_id)}, NULL);
	any->there_is = SPI_processed > 0;
	SPI_finish();
	any->account_id = *account_id;
	told_end_rows(&any->told, since);
	return any->there_is;
}
