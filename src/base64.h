/*
 * base64.h
 *		Bytes as text: base64 (RFC 4648), in its plain and its URL-safe form.
 */
#ifndef USAGE_EVENTS_BASE64_H
#define USAGE_EVENTS_BASE64_H

#include "usage_event.h"

extern bool base64_decode(EventText encoded, EventText *decoded);
extern char *base64_encode_for_url(const void *bytes, int length);

#endif /* USAGE_EVENTS_BASE64_H */
