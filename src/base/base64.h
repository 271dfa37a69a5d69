/*
 * base/base64.h
 *		Bytes as text: base64 (RFC 4648), in its plain and its URL-safe form.
 */
#ifndef USAGE_EVENTS_BASE_BASE64_H
#define USAGE_EVENTS_BASE_BASE64_H

#include "base/slice.h"

extern bool base64_decode(Slice encoded, Slice *decoded);
extern char *base64_encode_for_url(const void *bytes, int length);

#endif /* USAGE_EVENTS_BASE_BASE64_H */
