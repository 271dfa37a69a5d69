/*
 * account/secret.c
 *		Secrets of keys: made, and stored as their hash alone.
 *
 * A secret is 256 random bits, and only its SHA-256 is stored: of so many random
 * bits nobody can find others with the same hash, so a slow hash would add
 * nothing but time to each request.
 */
#include "postgres.h"

#include "account/secret.h"

#include "fmgr.h"
#include "utils/builtins.h"

#define SECRET_BYTES 32
#define HASH_BYTES 32 /* of SHA-256 */

/* So many random bytes, as hexadecimal digits. */
char *
secret_random_hex(int bytes)
{
	char *random = palloc(bytes);
	char *hex = palloc(2 * bytes + 1);

	if (!pg_strong_random(random, bytes))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random bytes")));
	hex[hex_encode(random, bytes, hex)] = '\0';
	return hex;
}

char *
secret_make(void)
{
	return secret_random_hex(SECRET_BYTES);
}

bytea *
secret_hash(Slice secret)
{
	bytea *bytes = (bytea *) cstring_to_text_with_len(secret.data, secret.length);

	return DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(bytes)));
}

/* In a time that does not tell where they differ. */
bool
secret_hashes_equal(const bytea *stored, const bytea *hash)
{
	return VARSIZE_ANY_EXHDR(stored) == HASH_BYTES && VARSIZE_ANY_EXHDR(hash) == HASH_BYTES &&
		   timingsafe_bcmp(VARDATA_ANY(stored), VARDATA_ANY(hash), HASH_BYTES) == 0;
}
