/*
 * base/text_check.h
 *		The rules of texts that clients send, and of those among them that are keys.
 */
#ifndef USAGE_EVENTS_BASE_TEXT_CHECK_H
#define USAGE_EVENTS_BASE_TEXT_CHECK_H

#include "base/slice.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

extern const char *text_check_length(Slice text, int max_characters);
extern const char *text_check(Slice text);
extern List *text_check_key(List *faults, const char *name, Slice key);
extern List *text_check_member(List *faults, Jsonb *body, const char *name, bool required, Slice *text);
extern List *text_check_key_member(List *faults, Jsonb *body, const char *name, Slice *key);

#endif /* USAGE_EVENTS_BASE_TEXT_CHECK_H */
