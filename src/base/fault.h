/*
 * base/fault.h
 *		What is wrong with something that came from a client, rule by rule.
 */
#ifndef USAGE_EVENTS_BASE_FAULT_H
#define USAGE_EVENTS_BASE_FAULT_H

#include "base/slice.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* One broken rule.  The text follows the field's name: "must not be blank". */
typedef struct Fault
{
	const char *field; /* NULL: the whole of it */
	const char *text;
	const char *limit_id; /* of the usage limit that it goes beyond; NULL of others */
} Fault;

extern List *fault_add(List *faults, const char *field, const char *text);
extern char *fault_field(Slice name);
extern char *fault_quote(Slice text);
extern void faults_describe(StringInfo detail, const char *prefix, const char *whole, const List *faults);
extern bool faults_are_told(const StringInfoData *detail, int told);
extern void faults_report_request(const List *faults, const char *message);
extern Jsonb *faults_to_json(const List *faults);

#endif /* USAGE_EVENTS_BASE_FAULT_H */
