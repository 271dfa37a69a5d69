/*
 * rollup/worker.h
 *		Refreshing rollups in the background.
 */
#ifndef USAGE_EVENTS_ROLLUP_WORKER_H
#define USAGE_EVENTS_ROLLUP_WORKER_H

#include "fmgr.h"

extern void rollup_worker_init(void);

/* Entry points of the processes, found by their names. */
extern PGDLLEXPORT void usage_events_launch(Datum argument);
extern PGDLLEXPORT void usage_events_refresh(Datum database);

#endif /* USAGE_EVENTS_ROLLUP_WORKER_H */
