/*
 * sql/plain_table.c
 *		Whether a row that is written to one of our tables is all that a statement would do.
 */
#include "postgres.h"

#include "sql/plain_table.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "sql/distribution.h"
#include "utils/lsyscache.h"

/* The one that lets our own statements pass (rollup/watch.c). */
static bool
is_own_watch(const Trigger *trigger)
{
	char *name = get_func_name(trigger->tgfoid);

	return !TRIGGER_FOR_ROW(trigger->tgtype) && TRIGGER_FOR_BEFORE(trigger->tgtype) && trigger->tgqual == NULL &&
		   name != NULL && strcmp(name, "watch_changes") == 0 &&
		   get_func_namespace(trigger->tgfoid) == get_namespace_oid("usage_events", true);
}

static bool
has_triggers(Relation table, int16 type)
{
	const TriggerDesc *triggers = table->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if ((triggers->triggers[i].tgtype & type) != 0 && !is_own_watch(&triggers->triggers[i]))
			return true;
	}
	return false;
}

static bool
has_checks(Relation table)
{
	return RelationGetDescr(table)->constr != NULL && RelationGetDescr(table)->constr->num_check > 0;
}

/* Of a table that is open; the type is that of triggers that the statement would fire: TRIGGER_TYPE_INSERT and the like. */
bool
plain_table_is(Relation table, int16 trigger_type)
{
	return table->rd_rel->relkind == RELKIND_RELATION && !table->rd_rel->relispartition && table->rd_rules == NULL &&
		   !has_triggers(table, trigger_type) && !has_checks(table) && !distribution_has_table(RelationGetRelid(table));
}
