/*
 * account/drop_guard.c
 *		Keeps DROP EXTENSION from taking events along.
 *
 * The tables are members of the extension, so whatever drops the extension
 * (DROP EXTENSION, DROP SCHEMA ... CASCADE, DROP OWNED, a cascade from a table or
 * type on which it was made to depend) would drop every event without a word.  The server calls object_access_hook before each object it
 * drops; there the guard looks into the tables.  An event trigger on the commands
 * that can drop an extension puts the hook in place: sessions that store events
 * do without it.
 */
#include "postgres.h"

#include "account/drop_guard.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

static bool allow_drop = false;
static object_access_hook_type previous_hook = NULL;

/* A table of events, by its name and its membership: somebody else's of that name is none of ours. */
static bool
is_event_table(Oid relation)
{
	Oid schema = get_namespace_oid("usage_events", true);
	Oid extension = get_extension_oid("usage_events", true);

	return OidIsValid(schema) && OidIsValid(extension) && get_rel_namespace(relation) == schema &&
		   getExtensionOfObject(RelationRelationId, relation) == extension &&
		   (relation == get_relname_relid("event", schema) ||
			relation == get_relname_relid("superseded_event", schema) ||
			relation == get_relname_relid("rejected_event", schema));
}

/*
 * Looks as the bootstrap superuser, past row-level security, at the rows of all
 * accounts; and with a snapshot of now: the table is locked by now, and what was
 * committed before that counts, also where the transaction's snapshot is older.
 */
static bool
has_rows(Oid relation)
{
	const char *name = get_rel_name(relation);
	/* Events that were sent again are none any more. */
	char *sql = psprintf("SELECT FROM usage_events.%s%s LIMIT 1", name,
						 strcmp(name, "rejected_event") == 0 ? " WHERE taken_at IS NULL" : "");
	Oid user;
	int security_context;
	bool found;

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   security_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
	if (SPI_execute(sql, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for usage events");
	found = SPI_processed > 0;
	SPI_finish();
	PopActiveSnapshot();
	SetUserIdAndSecContext(user, security_context);
	return found;
}

static void
refuse_drop_with_events(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *argument)
{
	if (previous_hook != NULL)
		previous_hook(access, class_id, object_id, sub_id, argument);

	if (access == OAT_DROP && class_id == RelationRelationId && sub_id == 0 && !allow_drop &&
		is_event_table(object_id) && has_rows(object_id))
		ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						errmsg("cannot drop extension usage_events because it holds usage events"),
						errdetail("Table usage_events.%s is not empty.", get_rel_name(object_id)),
						errhint("To lose all usage events, set usage_events.allow_drop to on and drop it again.")));
}

void
drop_guard_init(void)
{
	DefineCustomBoolVariable("usage_events.allow_drop", "Lets DROP EXTENSION usage_events drop all usage events.", NULL,
							 &allow_drop, false, PGC_USERSET, 0, NULL, NULL, NULL);
}

/* The event trigger. */
PG_FUNCTION_INFO_V1(guard_drop);
Datum
guard_drop(PG_FUNCTION_ARGS)
{
	static bool in_place = false;

	if (!in_place)
	{
		previous_hook = object_access_hook;
		object_access_hook = refuse_drop_with_events;
		in_place = true;
	}
	PG_RETURN_NULL();
}
