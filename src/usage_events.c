/*
 * usage_events.c
 *		The module: its magic, its parts, its version.
 */
#include "postgres.h"

#include "account.h"
#include "compat.h"
#include "dirty_bucket.h"
#include "distribution.h"
#include "drop_guard.h"
#include "event_check.h"
#include "event_store.h"
#include "fmgr.h"
#include "http_response.h"
#include "import.h"
#include "list_page.h"
#include "memory_budget.h"
#include "metric_check.h"
#include "metric_definition.h"
#include "metric_refresh.h"
#include "metric_total.h"
#include "metric_worker.h"
#include "purge.h"
#include "rejected_event.h"
#include "statement.h"
#include "utils/builtins.h"
#include "utils/guc.h"

MODULE_MAGIC("usage_events", USAGE_EVENTS_VERSION);

void _PG_init(void);

/* Each part defines its own settings. */
void
_PG_init(void)
{
	account_init();
	memory_budget_init();
	metric_total_settings_init();
	event_check_init();
	statement_init();
	event_store_init();
	dirty_bucket_init();
	distribution_init();
	purge_init();
	rejected_event_init();
	metric_check_init();
	metric_definition_init();
	import_init();
	list_page_init();
	drop_guard_init();
	http_response_init();
	metric_refresh_init();
	metric_worker_init();
	MarkGUCPrefixReserved("usage_events");
}

/* The version of the library, to be compared with the version of the SQL objects. */
PG_FUNCTION_INFO_V1(library_version);
Datum
library_version(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PG_RETURN_TEXT_P(cstring_to_text(USAGE_EVENTS_VERSION));
}
