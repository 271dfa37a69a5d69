/*
 * rollup/rights.c
 *		With whose rights rollups are refreshed.
 *
 * The background process is a superuser, as is, often, who calls refresh_rollups().
 * Tables can carry code of others, which runs as whoever touches them:
 *
 * - Triggers, of everybody who was granted TRIGGER; foreign keys to the tables, of everybody
 *   who was granted REFERENCES.  They do not fire: a refresh works as a replica does, where
 *   triggers fire only if the table's owner says so of them.
 * - All the rest is of the table's owner: triggers that fire always, checks, defaults, expressions of
 *   indexes and statistics, which the planner already evaluates, policies, rules.  It runs
 *   with the owner's rights, in the mode that the server has for such work
 *   (as in VACUUM), which cannot be left and leaves nothing behind, such as deferred triggers.
 *
 * That the owner is one, and the schema's as well, makes sure of what a name means:
 * another owner could put a view in the place of a table.
 */
#include "postgres.h"

#include "rollup/rights.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* All that a refresh reads and writes. */
static const char *const refreshed_tables[] = {
	"account",
	"event",
	"metric",
	"metric_progress",
	"metric_rollup",
	"dirty_bucket",
	"rejected_event",
	"customer_alias",
	"purge_horizon",
	"usage_alert",
	"usage_alert_due",
	"usage_alert_progress",
	"usage_alert_state",
	"usage_alert_event",
	"usage_alert_consumer",
	"usage_alert_delivery",
};

typedef struct Setting
{
	const char *name;
	const char *value;
} Setting;

static const Setting call_settings[] = {
	{"session_replication_role", "replica"},
	{"search_path", "pg_catalog, pg_temp"},
};

/* What a database's owner may have set for all sessions, and would be in the way. */
static const Setting process_settings[] = {
	{"role", "none"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_read_only", "off"},
	{"default_transaction_deferrable", "off"},
	{"row_security", "on"},
	{"statement_timeout", "0"},
	{"lock_timeout", "0"},
	{"transaction_timeout", "0"},
};

static void
set_for_process(const Setting *settings, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (GetConfigOption(settings[i].name, true, false) != NULL)
			SetConfigOption(settings[i].name, settings[i].value, PGC_SUSET, PGC_S_SESSION);
	}
}

/* For a process of our own: also what rollup_rights_take() sets, which makes plans anew where it changes something. */
void
rollup_rights_use_settings(void)
{
	set_for_process(process_settings, lengthof(process_settings));
	set_for_process(call_settings, lengthof(call_settings));
}

static void
set_for_call(void)
{
	for (size_t i = 0; i < lengthof(call_settings); i++)
		(void) set_config_option(call_settings[i].name, call_settings[i].value, PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

/* Superusers are one owner: they could take each other's place. */
static Oid
owner_or_superuser(Oid owner)
{
	return superuser_arg(owner) ? BOOTSTRAP_SUPERUSERID : owner;
}

static Oid
schema_owner(void)
{
	HeapTuple tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(get_namespace_oid("usage_events", false)));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema usage_events");
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner_or_superuser(owner);
}

/* The owner of a table, which stays as it is until the transaction ends.  The caller need not have rights in its schema. */
static Oid
table_owner(const char *name)
{
	Oid id = get_relname_relid(name, get_namespace_oid("usage_events", false));
	Relation table;
	Oid owner;

	if (!OidIsValid(id))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table \"usage_events.%s\" does not exist", name)));
	table = table_open(id, RowExclusiveLock);
	owner = table->rd_rel->relowner;

	if (table->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"usage_events.%s\" is not an ordinary table", name),
				 errdetail("A superuser refreshes rollups of the extension's own tables alone.")));
	table_close(table, NoLock);
	return owner_or_superuser(owner);
}

/* The one owner of all that a refresh touches. */
static Oid
require_one_owner(void)
{
	Oid owner = schema_owner();

	for (size_t i = 0; i < lengthof(refreshed_tables); i++)
	{
		Oid other = table_owner(refreshed_tables[i]);

		if (other != owner)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("the schema usage_events and its tables have different owners"),
					 errdetail("The schema is owned by \"%s\", the table \"%s\" by \"%s\".",
							   GetUserNameFromId(owner, false), refreshed_tables[i], GetUserNameFromId(other, false)),
					 errhint("Rollups are refreshed with the rights of the one owner: see ALTER TABLE ... OWNER TO.")));
	}
	return owner;
}

static RollupRights
take(bool to_be_owner)
{
	RollupRights before;
	Oid owner;

	GetUserIdAndSecContext(&before.user, &before.security_context);
	before.nest_level = NewGUCNestLevel();
	set_for_call();
	if (!to_be_owner)
		return before;
	owner = require_one_owner();
	SetUserIdAndSecContext(superuser_arg(owner) && superuser() ? before.user : owner,
						   before.security_context | SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	return before;
}

/*
 * From here on no code of others runs with the rights of a caller that is a superuser.  Others
 * keep theirs, and whatever the tables' owner has put there runs with them, as ever.
 */
RollupRights
rollup_rights_take(void)
{
	return take(superuser());
}

/* The same for work that is nobody's in particular: with the owner's rights, whoever has caused it. */
RollupRights
rollup_rights_take_owners(void)
{
	return take(true);
}

/* The same with the caller's own rights: no triggers of others fire.  To be ended by AtEOXact_GUC(). */
int
rollup_rights_quieten(void)
{
	int nest_level = NewGUCNestLevel();

	set_for_call();
	return nest_level;
}

/* Where a transaction fails, the server does the same. */
void
rollup_rights_give_back(RollupRights before)
{
	SetUserIdAndSecContext(before.user, before.security_context);
	AtEOXact_GUC(true, before.nest_level);
}
