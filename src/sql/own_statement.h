/*
 * sql/own_statement.h
 *		Which statements are ours.
 */
#ifndef USAGE_EVENTS_SQL_OWN_STATEMENT_H
#define USAGE_EVENTS_SQL_OWN_STATEMENT_H

#include "executor/execdesc.h"

extern void own_statement_init(void);
extern void own_statement_do(const char *text, void (*act)(void *argument), void *argument);
extern bool own_statement_has_text(const char *text);
extern bool own_statement_is_running(void);
extern QueryDesc *own_statement_executor(void);

#endif /* USAGE_EVENTS_SQL_OWN_STATEMENT_H */
