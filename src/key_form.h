/*
 * key_form.h
 *		What a key may look like.
 */
#ifndef USAGE_EVENTS_KEY_FORM_H
#define USAGE_EVENTS_KEY_FORM_H

#include "usage_event.h"

extern bool key_form_is_blank(EventText text);
extern const char *key_form_fault(EventText key);

#endif /* USAGE_EVENTS_KEY_FORM_H */
