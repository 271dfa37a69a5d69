/*
 * sql/subtransaction.h
 *		Work that may fail without failing its transaction.
 */
#ifndef USAGE_EVENTS_SQL_SUBTRANSACTION_H
#define USAGE_EVENTS_SQL_SUBTRANSACTION_H

extern ErrorData *subtransaction_try(void (*work)(void *argument), void *argument);
extern ErrorData *subtransaction_try_input(void (*work)(void *argument), void *argument);

#endif /* USAGE_EVENTS_SQL_SUBTRANSACTION_H */
