/*
 * base/slice_hash.h
 *		A hash table by slices: lib/simplehash.h, told what it has to know of them.
 *
 * It is included once for each table, after SH_PREFIX, SH_ELEMENT_TYPE and SH_KEY, the
 * element's slice.  The element also has a uint32 hash and a char status.
 */
#include "base/slice.h"
#include "common/hashfn.h"

#define SH_KEY_TYPE Slice
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key).data, (key).length)
#define SH_EQUAL(table, a, b) ((a).length == (b).length && memcmp((a).data, (b).data, (a).length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"
