/*
 * base/key_form.h
 *		What a key may look like.
 */
#ifndef USAGE_EVENTS_BASE_KEY_FORM_H
#define USAGE_EVENTS_BASE_KEY_FORM_H

#include "event/event.h"

extern bool key_form_is_blank(EventText text);
extern const char *key_form_fault(EventText key);
extern EventText key_form_clean(EventText key);

#endif /* USAGE_EVENTS_BASE_KEY_FORM_H */
