/*
 * account/secret.h
 *		Secrets of keys: made, and stored as their hash alone.
 */
#ifndef USAGE_EVENTS_ACCOUNT_SECRET_H
#define USAGE_EVENTS_ACCOUNT_SECRET_H

#include "base/slice.h"

extern char *secret_random_hex(int bytes);
extern char *secret_make(void);
extern bytea *secret_hash(Slice secret);
extern bool secret_hashes_equal(const bytea *stored, const bytea *hash);

#endif /* USAGE_EVENTS_ACCOUNT_SECRET_H */
