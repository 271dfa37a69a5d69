/*
 * base/base64.h
 *		Bytes as text: base64 (RFC 4648), in its plain and its URL-safe form.
 */
#ifndef USAGE_EVENTS_BASE_BASE64_H
#define USAGE_EVENTS_BASE_BASE64_H

#include "event/event.h"

extern bool base64_decode(EventText encoded, EventText *decoded);
extern char *base64_encode_for_url(const void *bytes, int length);

#endif /* USAGE_EVENTS_BASE_BASE64_H */
