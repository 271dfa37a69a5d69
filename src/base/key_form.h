/*
 * base/key_form.h
 *		What a key may look like.
 */
#ifndef USAGE_EVENTS_BASE_KEY_FORM_H
#define USAGE_EVENTS_BASE_KEY_FORM_H

#include "base/slice.h"

extern bool key_form_is_blank(Slice text);
extern const char *key_form_fault(Slice key);
extern Slice key_form_clean(Slice key);

#endif /* USAGE_EVENTS_BASE_KEY_FORM_H */
