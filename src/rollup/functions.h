/*
 * rollup/functions.h
 *		Refreshing rollups of many accounts, in turns.
 */
#ifndef USAGE_EVENTS_ROLLUP_FUNCTIONS_H
#define USAGE_EVENTS_ROLLUP_FUNCTIONS_H

#include "utils/uuid.h"

typedef struct AccountList
{
	pg_uuid_t *ids;
	int count;
} AccountList;

extern AccountList refresh_rollups_accounts(void);
extern int64 refresh_rollups_of_account(const pg_uuid_t *account_id, int64 max_steps, bool is_turn);
extern void refresh_rollups_note_failure(const pg_uuid_t *account_id);
extern bool refresh_rollups_must_end(int sqlerrcode);

#endif /* USAGE_EVENTS_ROLLUP_FUNCTIONS_H */
