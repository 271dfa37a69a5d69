/*
 * account/portal_token.h
 *		Tokens by which a page shows a customer its own usage, for a while.
 */
#ifndef USAGE_EVENTS_ACCOUNT_PORTAL_TOKEN_H
#define USAGE_EVENTS_ACCOUNT_PORTAL_TOKEN_H

#include "sql/list_page.h"

extern void portal_token_init(void);

/* NULL is the answer of those that take an id where no token that is good has it. */
extern Jsonb *portal_token_create(const pg_uuid_t *account_id, Jsonb *body);
extern Jsonb *portal_token_end(const pg_uuid_t *account_id, const pg_uuid_t *id);
extern Jsonb *portal_token_list(const pg_uuid_t *account_id, ListPage *page, const char *customer, List *faults);

#endif /* USAGE_EVENTS_ACCOUNT_PORTAL_TOKEN_H */
