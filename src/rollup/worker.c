/*
 * rollup/worker.c
 *		Refreshing rollups in the background, where the library is preloaded.
 *
 * A launcher starts a process for each database in each interval, of all
 * together so many at a time as are allowed.  It gives each account its turn, in a transaction
 * of its own, and ends when none has anything left to do, or when it is time for another
 * database.  A process that is not done within the interval gets a second one beside it,
 * if there is room for one: so an account whose turn takes long does not
 * hold up the others.
 *
 * No process stays connected to a database, where it would be in the way of DROP
 * DATABASE.  One that fails says so in the log; the next interval brings another.
 */
#include "postgres.h"

#include "rollup/worker.h"

#include <limits.h>

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "base/uuid_v7.h"
#include "catalog/pg_database.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "rollup/functions.h"
#include "rollup/refresh.h"
#include "rollup/rights.h"
#include "rollup/turn.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

/* After so many milliseconds a process ends, for others to have their turn; later, where it takes longer until all run side by side. */
#define PROCESS_MILLISECONDS 30000

/* How often a refresh looks whether the server is still there. */
#define WATCH_MILLISECONDS 1000

/* Seconds; with fractions, so that 400ms is not taken for 0. */
static double refresh_interval = 10;
static int refresh_workers = 4;
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

/* Below a second processes would come and go all the time. */
static bool
check_interval(double *seconds, void **extra pg_attribute_unused(), GucSource source pg_attribute_unused())
{
	if (*seconds == 0 || *seconds >= 1)
		return true;
	GUC_check_errdetail("It must be 1 second or more, or 0: never.");
	return false;
}

/* Between two processes of a database. */
static long
interval_milliseconds(void)
{
	return (long) (refresh_interval * 1000);
}

/* So long an interval counts at most in that: who asks for few refreshes does not want a process that stays for hours. */
#define MOST_INTERVAL_MILLISECONDS 10000

/* How long a process goes on. */
static int
process_milliseconds(void)
{
	int interval = (int) Min(interval_milliseconds(), MOST_INTERVAL_MILLISECONDS);

	return Max(interval * (refresh_workers + 1), PROCESS_MILLISECONDS);
}

void
rollup_worker_init(void)
{
	BackgroundWorker launcher = {0};

	DefineCustomRealVariable("usage_events.refresh_interval",
							 "How often rollups are refreshed in the background; 0: never.",
							 "Takes effect where usage_events is in shared_preload_libraries.", &refresh_interval, 10,
							 0, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_S, check_interval, NULL, NULL);
	DefineCustomIntVariable("usage_events.refresh_workers",
							"How many processes refresh rollups at a time, in all databases together.",
							"Each is one of max_worker_processes.", &refresh_workers, 4, 1, 64, PGC_SIGHUP, 0, NULL,
							NULL, NULL);
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

typedef struct Database
{
	Oid oid;
	bool is_there;
	bool is_unfinished; /* its last process had more to do */
	int process_count;
	TimestampTz started_at; /* when its last process was */
} Database;

typedef struct Process
{
	Database *database;
	BackgroundWorkerHandle *handle;
	TimestampTz started_at;
} Process;

static List *databases = NIL;
static List *processes = NIL;

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

static void
add_database(Oid oid)
{
	Database *database;
	ListCell *cell;

	foreach(cell, databases)
	{
		database = lfirst(cell);
		if (database->oid == oid)
		{
			database->is_there = true;
			return;
		}
	}
	database = palloc0(sizeof(Database));
	database->oid = oid;
	database->is_there = true;
	databases = lappend(databases, database);
}

static void
forget_databases(void)
{
	ListCell *cell;

	foreach(cell, databases)
	{
		Database *database = lfirst(cell);

		if (database->is_there || database->process_count > 0)
			continue;
		databases = foreach_delete_current(databases, cell);
		pfree(database);
	}
}

/* Those that can be connected to, and are wanted. */
static void
find_databases(MemoryContext context)
{
	Relation catalog;
	TableScanDesc scan;
	HeapTuple tuple;
	ListCell *cell;

	foreach(cell, databases)
		((Database *) lfirst(cell))->is_there = false;
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	catalog = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(catalog, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database row = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext transaction_context;

		if (!row->datallowconn || row->datistemplate || !is_wanted(NameStr(row->datname)))
			continue;
		transaction_context = MemoryContextSwitchTo(context);
		add_database(row->oid);
		MemoryContextSwitchTo(transaction_context);
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	forget_databases();
}

static bool
is_due(const Database *database, TimestampTz now)
{
	return database->is_there &&
		   (database->started_at > now || (database->is_unfinished && database->process_count == 0) ||
			TimestampDifferenceExceeds(database->started_at, now, (int) interval_milliseconds()));
}

/* The next one that is due: first those that have no process, and of these the one that has waited longest. */
static Database *
next_database(TimestampTz now)
{
	Database *next = NULL;
	ListCell *cell;

	foreach(cell, databases)
	{
		Database *database = lfirst(cell);

		if (is_due(database, now) &&
			(next == NULL || database->process_count < next->process_count ||
			 (database->process_count == next->process_count && database->started_at < next->started_at)))
			next = database;
	}
	return next;
}

/* Starts a process of the database; false if the server has none left. */
static bool
refresh_database(Database *database, TimestampTz now)
{
	BackgroundWorker worker = {0};
	Process *process = palloc(sizeof(Process));

	database->started_at = now;
	database->is_unfinished = false;
	set_code(&worker, "usage_events_refresh");
	snprintf(worker.bgw_name, BGW_MAXLEN, "usage_events refresh of database %u", database->oid);
	snprintf(worker.bgw_type, BGW_MAXLEN, "usage_events refresh");
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database->oid);
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &process->handle))
	{
		pfree(process);
		ereport(LOG, (errmsg("could not refresh usage_events' rollups: no free background worker"),
					  errhint("max_worker_processes may be too low.")));
		return false;
	}
	process->database = database;
	process->started_at = now;
	processes = lappend(processes, process);
	database->process_count++;
	return true;
}

/* Forgets processes that have ended.  One that took all of its time is taken to have left something. */
static void
reap_processes(TimestampTz now)
{
	ListCell *cell;

	foreach(cell, processes)
	{
		Process *process = lfirst(cell);
		pid_t pid;

		if (GetBackgroundWorkerPid(process->handle, &pid) != BGWH_STOPPED)
			continue;
		process->database->process_count--;
		if (TimestampDifferenceExceeds(process->started_at, now, process_milliseconds()))
			process->database->is_unfinished = true;
		processes = foreach_delete_current(processes, cell);
		pfree(process->handle);
		pfree(process);
	}
}

static void
start_processes(TimestampTz now)
{
	Database *database;

	while (list_length(processes) < refresh_workers && (database = next_database(now)) != NULL)
	{
		if (!refresh_database(database, now))
			return;
	}
}

/* Until the next database is due, if there is a process left for it; -1: until something happens. */
static long
milliseconds_to_sleep(TimestampTz now)
{
	long milliseconds = interval_milliseconds();
	ListCell *cell;

	if (refresh_interval == 0 || list_length(processes) >= refresh_workers)
		return -1;
	foreach(cell, databases)
	{
		const Database *database = lfirst(cell);
		TimestampTz due_at = TimestampTzPlusMilliseconds(database->started_at, interval_milliseconds());

		if (database->is_there)
			milliseconds = Min(milliseconds, TimestampDifferenceMilliseconds(now, due_at));
	}
	return Max(milliseconds, 10);
}

static void
sleep_until_due(void)
{
	long milliseconds = milliseconds_to_sleep(GetCurrentTimestamp());
	int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (milliseconds > 0 ? WL_TIMEOUT : 0);

	if (!ConfigReloadPending && !ProcDiePending)
		(void) WaitLatch(MyLatch, events, milliseconds, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
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
		TimestampTz now;

		heed_signals();
		MemoryContextSwitchTo(context);
		now = GetCurrentTimestamp();
		reap_processes(now);
		if (refresh_interval > 0)
		{
			find_databases(context);
			start_processes(now);
		}
		sleep_until_due();
	}
}

/* The process of a database -------------------------------------------------- */

/* Begins a transaction in which nobody's code runs with our rights. */
static RollupRights
begin_work(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	return rollup_rights_take();
}

static void
end_work(RollupRights before)
{
	rollup_rights_give_back(before);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

static bool
has_extension(void)
{
	bool result;

	StartTransactionCommand();
	result = OidIsValid(get_extension_oid("usage_events", true));
	CommitTransactionCommand();
	return result;
}

static AccountList
find_accounts(MemoryContext context)
{
	RollupRights before = begin_work();
	MemoryContext transaction_context = MemoryContextSwitchTo(context);
	AccountList accounts = refresh_rollups_accounts();

	MemoryContextSwitchTo(transaction_context);
	end_work(before);
	return accounts;
}

static void
say_whose_turn(void *account_id)
{
	char id[UUID_TEXT_LENGTH + 1];

	uuid_v7_to_text(account_id, id);
	errcontext("refreshing the rollups of account \"%s\"", id);
}

/*
 * Returns how many steps the turn took.  An account is left to the process that is at it;
 * where it is the only one, they share its customers.
 */
static int64
refresh_account(const pg_uuid_t *account_id, bool is_only)
{
	RollupRights before = begin_work();
	int64 steps = 0;

	if (is_only || rollup_turn_lock_account(account_id))
		steps = refresh_rollups_of_account(account_id, INT_MAX, true);
	end_work(before);
	return steps;
}

static void
note_failure(const pg_uuid_t *account_id)
{
	RollupRights before = begin_work();

	refresh_rollups_note_failure(account_id);
	end_work(before);
}

/* An error of one account is said in the log, and the others have their turns. */
static int64
take_turn(pg_uuid_t *account_id, bool is_only)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorContextCallback callback = {error_context_stack, say_whose_turn, account_id};
	char activity[32 + UUID_TEXT_LENGTH + 1] = "refresh rollups of account ";
	volatile int64 steps = 0;
	volatile bool has_failed = false;

	uuid_v7_to_text(account_id, activity + strlen(activity));
	pgstat_report_activity(STATE_RUNNING, activity);
	error_context_stack = &callback;
	PG_TRY();
	{
		steps = refresh_account(account_id, is_only);
	}
	PG_CATCH();
	{
		if (refresh_rollups_must_end(geterrcode()))
			PG_RE_THROW();
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortOutOfAnyTransaction();
		FlushErrorState();
		has_failed = true;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	if (has_failed)
		note_failure(account_id);
	error_context_stack = callback.previous;
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

/* Gives accounts their turns, round by round, and in each round those that have more to do. */
static void
go_round(AccountList accounts)
{
	TimestampTz begun_at = GetCurrentTimestamp();
	bool is_only = accounts.count == 1;

	while (accounts.count > 0)
	{
		int kept = 0;

		for (int i = 0; i < accounts.count; i++)
		{
			heed_signals();
			if (TimestampDifferenceExceeds(begun_at, GetCurrentTimestamp(), process_milliseconds()))
				return;
			if (take_turn(&accounts.ids[i], is_only) > 0)
				accounts.ids[kept++] = accounts.ids[i];
		}
		accounts.count = kept;
	}
}

void
usage_events_refresh(Datum database)
{
	start_process();
	watch_postmaster();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	rollup_rights_use_settings();
	rollup_turn_in_background();
	if (has_extension())
		go_round(find_accounts(TopMemoryContext));
}
