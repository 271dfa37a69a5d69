/*
 * account/api_key.h
 *		Keys by which clients of the HTTP API show whose account they act for.
 */
#ifndef USAGE_EVENTS_ACCOUNT_API_KEY_H
#define USAGE_EVENTS_ACCOUNT_API_KEY_H

#include "base/slice.h"

typedef enum ApiKeyState
{
	API_KEY_VALID,
	API_KEY_EXPIRED,
	API_KEY_UNKNOWN /* no such key, another secret, or an account that is gone */
} ApiKeyState;

extern ApiKeyState api_key_verify(Slice client_id, Slice client_secret);

#endif /* USAGE_EVENTS_ACCOUNT_API_KEY_H */
