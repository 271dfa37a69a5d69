/*
 * metric_worker.c
 *		Refreshing rollups in the background, where the library is preloaded.
 *
 * A launcher starts, in each interval, a process for each database: one after the
 * other, each of which refreshes until nothing is left, and ends.  So no process
 * stays connected to a database, where it would be in the way of DROP DATABASE.
 * One that fails says so in the log; the next interval brings another.
 */
#include "postgres.h"

#include "metric_worker.h"

#include <limits.h>

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

/* Steps in a transaction: few, so that what it locks and keeps from vacuum is soon free again. */
#define REFRESH "SELECT usage_events.refresh_rollups(max_steps => 10)"

/* So many transactions for a database, before the next has its turn. */
#define MAX_REFRESHES 1000

/* How often a refresh looks whether the server is still there. */
#define WATCH_MILLISECONDS 1000

static int refresh_interval = 10;
static char *refresh_databases = NULL;

/* What is left when a process is registered: where its code is. */
static void
set_code(BackgroundWorker *worker, const char *function)
{
	snprintf(worker->bgw_library_name, BGW_MAXLEN, "usage_events");
	snprintf(worker->bgw_function_name, BGW_MAXLEN, "%s", function);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
}

void
metric_worker_init(void)
{
	BackgroundWorker launcher = {0};

	DefineCustomIntVariable("usage_events.refresh_interval",
							"How often rollups are refreshed in the background; 0: never.",
							"Takes effect where usage_events is in shared_preload_libraries.", &refresh_interval, 10, 0,
							INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomStringVariable("usage_events.refresh_databases",
							   "Databases whose rollups are refreshed in the background, separated by commas.",
							   "Empty means all that have the extension.", &refresh_databases, "", PGC_SIGHUP,
							   GUC_LIST_INPUT, NULL, NULL, NULL);

	/* pg_upgrade wants both servers for itself: it drops databases, and what is written meanwhile is lost, or too much. */
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	set_code(&launcher, "usage_events_launch");
	snprintf(launcher.bgw_name, BGW_MAXLEN, "usage_events launcher");
	snprintf(launcher.bgw_type, BGW_MAXLEN, "usage_events launcher");
	launcher.bgw_restart_time = 10;
	RegisterBackgroundWorker(&launcher);
}

/* The launcher ------------------------------------------------------------- */

static bool
is_wanted(const char *database)
{
	char *copy = pstrdup(refresh_databases);
	List *names;
	ListCell *cell;

	if (!SplitIdentifierString(copy, ',', &names))
		return false;
	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), database) == 0)
			return true;
	}
	return names == NIL;
}

/* The databases that can be connected to, and are wanted. */
static List *
find_databases(MemoryContext context)
{
	List *databases = NIL;
	Relation catalog;
	TableScanDesc scan;
	HeapTuple tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	catalog = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(catalog, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext transaction_context;

		if (!database->datallowconn || database->datistemplate || !is_wanted(NameStr(database->datname)))
			continue;
		transaction_context = MemoryContextSwitchTo(context);
		databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(transaction_context);
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	CommitTransactionCommand();
	return databases;
}

/* Starts the process of a database, and waits until it has ended. */
static void
refresh_database(Oid database)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;
	pid_t pid;

	set_code(&worker, "usage_events_refresh");
	snprintf(worker.bgw_name, BGW_MAXLEN, "usage_events refresh of database %u", database);
	snprintf(worker.bgw_type, BGW_MAXLEN, "usage_events refresh");
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
	{
		ereport(LOG, (errmsg("could not refresh usage_events' rollups: no free background worker"),
					  errhint("max_worker_processes may be too low.")));
		return;
	}
	if (WaitForBackgroundWorkerStartup(handle, &pid) == BGWH_STARTED)
		(void) WaitForBackgroundWorkerShutdown(handle);
	pfree(handle);
}

static void
sleep_for_interval(void)
{
	/* Never: until a reload says otherwise. */
	long milliseconds = refresh_interval > 0 ? refresh_interval * 1000L : -1L;
	int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (milliseconds > 0 ? WL_TIMEOUT : 0);

	/* It may be set still by a process that has ended. */
	ResetLatch(MyLatch);
	if (!ConfigReloadPending && !ProcDiePending)
		(void) WaitLatch(MyLatch, events, milliseconds, PG_WAIT_EXTENSION);
}

static void
start_process(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
}

/*
 * Does what signals ask for.  Without a postmaster it ends: a process that goes on
 * would keep the server from being started again.  (See watch_postmaster().)
 */
static void
heed_signals(void)
{
	CHECK_FOR_INTERRUPTS();
	if (!PostmasterIsAlive())
		proc_exit(1);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

void
usage_events_launch(Datum argument pg_attribute_unused())
{
	MemoryContext context;

	start_process();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	context = AllocSetContextCreate(TopMemoryContext, "usage_events launcher", ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		ListCell *cell;

		heed_signals();
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		if (refresh_interval > 0)
		{
			foreach(cell, find_databases(context))
			{
				heed_signals();
				MemoryContextSwitchTo(context);
				refresh_database(lfirst_oid(cell));
			}
		}
		sleep_for_interval();
	}
}

/* The process of a database -------------------------------------------------- */

/* Runs the refresh in a transaction of its own; returns how many steps it took. */
static int64
refresh_once(void)
{
	int64 steps = 0;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (OidIsValid(get_extension_oid("usage_events", true)))
	{
		bool isnull;

		pgstat_report_activity(STATE_RUNNING, REFRESH);
		SPI_connect();
		if (SPI_execute(REFRESH, false, 1) != SPI_OK_SELECT || SPI_processed != 1)
			elog(ERROR, "could not refresh rollups");
		steps = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		SPI_finish();
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return steps;
}

/* At intervals, in a signal handler: without a postmaster the process ends, as if it had been told to. */
static void
end_without_postmaster(void)
{
	if (PostmasterIsAlive())
		return;
	InterruptPending = true;
	ProcDiePending = true;
	SetLatch(MyLatch);
}

/* A customer of millions of events is one step, and the server could not be started again for so long. */
static void
watch_postmaster(void)
{
	TimeoutId timeout = RegisterTimeout(USER_TIMEOUT, end_without_postmaster);

	enable_timeout_every(timeout, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), WATCH_MILLISECONDS),
						 WATCH_MILLISECONDS);
}

void
usage_events_refresh(Datum database)
{
	start_process();
	watch_postmaster();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	/* Whatever the database has as its default: each statement needs its own snapshot. */
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_SESSION);
	for (int i = 0; i < MAX_REFRESHES && refresh_once() > 0; i++)
		heed_signals();
}
