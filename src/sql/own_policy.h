/*
 * sql/own_policy.h
 *		Whether policies of one of our tables are as we made them.
 */
#ifndef USAGE_EVENTS_SQL_OWN_POLICY_H
#define USAGE_EVENTS_SQL_OWN_POLICY_H

#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/uuid.h"

extern void own_policy_init(bool (*is_current_account)(const pg_uuid_t *account_id));
extern bool own_policy_is_alone(Relation table, char command);
extern bool own_policy_lets(Oid table, bool is_alone, AclMode rights, const pg_uuid_t *account_id);

#endif /* USAGE_EVENTS_SQL_OWN_POLICY_H */
