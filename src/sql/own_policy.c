/*
 * sql/own_policy.c
 *		Whether policies of one of our tables are as we made them.
 *
 * What is read or written without a statement is not looked at by policies.  So it has to be known what they would
 * say: that the account's rows may be read, and written while a statement of ours is executed, and no other.
 */
#include "postgres.h"

#include "sql/own_policy.h"

#include "access/xact.h"
#include "base/compat.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "rewrite/rowsecurity.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

static bool (*is_current_account)(const pg_uuid_t *account_id) = NULL;

static bool
is_call(const Node *node, const char *function)
{
	const FuncExpr *call = (const FuncExpr *) node;
	char *name;

	if (!IsA(node, FuncExpr))
		return false;
	name = get_func_name(call->funcid);
	return name != NULL && strcmp(name, function) == 0 &&
		   get_func_namespace(call->funcid) == get_namespace_oid("usage_events", true);
}

/* account_id = usage_events.current_account_id() */
static bool
is_of_current_account(const Node *node, AttrNumber account)
{
	const OpExpr *comparison = (const OpExpr *) node;
	const Var *column;

	if (!IsA(node, OpExpr) || get_opcode(comparison->opno) != F_UUID_EQ)
		return false;
	column = linitial(comparison->args);
	return IsA(column, Var) && column->varattno == account && is_call(lsecond(comparison->args), "current_account_id");
}

/* The same, and usage_events.written_by_extension() */
static bool
is_of_current_account_and_written(const Node *node, AttrNumber account)
{
	const BoolExpr *both = (const BoolExpr *) node;

	return IsA(node, BoolExpr) && both->boolop == AND_EXPR && list_length(both->args) == 2 &&
		   is_of_current_account(linitial(both->args), account) && is_call(lsecond(both->args), "written_by_extension");
}

/* Ours is for all roles, and one expression alone: the rows that are read, or written. */
static bool
is_own(const RowSecurityPolicy *policy, AttrNumber account)
{
	bool inserts = policy->polcmd == ACL_INSERT_CHR;
	const Node *expression = (const Node *) (inserts ? policy->with_check_qual : policy->qual);

	if (ARR_DIMS(policy->roles)[0] != 1 || ((Oid *) ARR_DATA_PTR(policy->roles))[0] != ACL_ID_PUBLIC ||
		!policy->permissive || expression == NULL || (!inserts && policy->with_check_qual != NULL))
		return false;
	return policy->polcmd == ACL_SELECT_CHR ? is_of_current_account(expression, account)
											: is_of_current_account_and_written(expression, account);
}

/* Whether the table, which is open, has our own policy for the command (ACL_SELECT_CHR and the like) and no other. */
bool
own_policy_is_alone(Relation table, char command)
{
	AttrNumber account = get_attnum(RelationGetRelid(table), "account_id");
	bool found = false;
	ListCell *cell;

	if (table->rd_rsdesc == NULL)
		return false;
	foreach(cell, table->rd_rsdesc->policies)
	{
		const RowSecurityPolicy *policy = lfirst(cell);

		if (policy->polcmd != command && policy->polcmd != '*')
			continue;
		if (found || !is_own(policy, account))
			return false;
		found = true;
	}
	return found;
}

/* Whether the role may use the schema, as it was when the client's statement began. */
static bool
may_use_schema(Oid table)
{
	static Oid user = InvalidOid;
	static LocalTransactionId transaction = InvalidLocalTransactionId;
	static TimestampTz statement_start = 0;

	if (user != GetUserId() || transaction != current_local_transaction_id() ||
		statement_start != GetCurrentStatementStartTimestamp())
	{
		user = InvalidOid;
		if (schema_aclcheck(get_rel_namespace(table), GetUserId(), ACL_USAGE) != ACLCHECK_OK)
			return false;
		user = GetUserId();
		transaction = current_local_transaction_id();
		statement_start = GetCurrentStatementStartTimestamp();
	}
	return true;
}

/* Whether the role has all of the rights to the table, and no policy would keep it from a row of the account. */
bool
own_policy_lets(Oid table, bool is_alone, AclMode rights, const pg_uuid_t *account_id)
{
	if (!may_use_schema(table) || pg_class_aclmask(table, GetUserId(), rights, ACLMASK_ALL) != rights)
		return false;
	if (check_enable_rls(table, InvalidOid, true) != RLS_ENABLED)
		return true;
	return row_security && is_alone && is_current_account != NULL && is_current_account(account_id);
}

/* Row-level security is of the account that the function tells. */
void
own_policy_init(bool (*account_is_current)(const pg_uuid_t *account_id))
{
	is_current_account = account_is_current;
}
