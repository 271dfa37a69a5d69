/*
 * usage_events.c
 *		The module: its magic, its parts, its version.
 */
#include "postgres.h"

#include "account/account.h"
#include "account/customer_keys.h"
#include "account/drop_guard.h"
#include "account/horizon.h"
#include "account/portal_token.h"
#include "alert/definition.h"
#include "alert/due.h"
#include "alert/known.h"
#include "alert/work.h"
#include "base/compat.h"
#include "base/memory_budget.h"
#include "endpoint/response.h"
#include "event/check.h"
#include "event/import.h"
#include "event/mark.h"
#include "event/rejected.h"
#include "event/sample.h"
#include "event/store.h"
#include "fmgr.h"
#include "limit/definition.h"
#include "limit/guard.h"
#include "limit/status.h"
#include "metric/check.h"
#include "metric/definition.h"
#include "metric/total.h"
#include "miscadmin.h"
#include "rollup/refresh.h"
#include "rollup/turn.h"
#include "rollup/worker.h"
#include "sql/distribution.h"
#include "sql/list_page.h"
#include "sql/own_statement.h"
#include "sql/planner.h"
#include "utils/builtins.h"
#include "utils/guc.h"

MODULE_MAGIC("usage_events", USAGE_EVENTS_VERSION);

void _PG_init(void);

/*
 * Each part defines its own settings.  A setting of a wrong value in the configuration is a warning, at which a session may be
 * cancelled: the library would be half loaded then, and could not be loaded again.
 */
void
_PG_init(void)
{
	HOLD_INTERRUPTS();
	account_init();
	portal_token_init();
	memory_budget_init();
	metric_total_settings_init();
	event_check_init();
	own_statement_init();
	planner_init();
	event_store_init();
	event_mark_init();
	distribution_init();
	horizon_init();
	customer_keys_init();
	rejected_event_init();
	event_sample_init();
	metric_check_init();
	metric_definition_init();
	event_import_init();
	list_page_init();
	drop_guard_init();
	http_response_init();
	rollup_turn_init();
	rollup_worker_init();
	limit_definition_init();
	limit_guard_init();
	limit_status_init();
	alert_known_init();
	alert_definition_init();
	alert_due_init();
	alert_work_init();
	MarkGUCPrefixReserved("usage_events");
	RESUME_INTERRUPTS();
}

/* The version of the library, to be compared with the version of the SQL objects. */
PG_FUNCTION_INFO_V1(library_version);
Datum
library_version(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PG_RETURN_TEXT_P(cstring_to_text(USAGE_EVENTS_VERSION));
}
