/*
 * base/slice.h
 *		Text, or other bytes, of known length, where they are: in a client's JSON, in a
 *		row, in a literal.
 *
 * A slice owns nothing and ends without a zero; it is good for as long as what it points
 * into.
 */
#ifndef USAGE_EVENTS_BASE_SLICE_H
#define USAGE_EVENTS_BASE_SLICE_H

#include "base/compat.h"
#include "fmgr.h"
#include "utils/builtins.h"

/* Data is NULL where the text is absent. */
typedef struct Slice
{
	const char *data;
	int length; /* in bytes */
} Slice;

/* Of a literal. */
#define SLICE(literal) ((Slice){(literal), sizeof(literal) - 1})

static inline Slice
slice_from_cstring(const char *string)
{
	return (Slice){string, (int) strlen(string)};
}

/* Of a text that is not null. */
static inline Slice
slice_from_datum(Datum datum)
{
	text *value = DatumGetTextPP(datum);

	return (Slice){VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

/* The same, copied. */
static inline Slice
slice_copy_of_datum(Datum datum)
{
	text *copy = DatumGetTextPCopy(datum);

	return (Slice){VARDATA(copy), VARSIZE(copy) - VARHDRSZ};
}

/* A text of the server, of one that is there. */
static inline Datum
slice_to_datum(Slice slice)
{
	return PointerGetDatum(cstring_to_text_with_len(slice.data, slice.length));
}

/* Absent is the same as absent alone. */
static inline bool
slice_equal(Slice a, Slice b)
{
	if (a.data == NULL || b.data == NULL)
		return a.data == b.data;
	return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

/* Order of bytes, of two that are there. */
static inline int
slice_compare(Slice a, Slice b)
{
	int result = memcmp(a.data, b.data, Min(a.length, b.length));

	return result != 0 ? result : a.length - b.length;
}

#endif /* USAGE_EVENTS_BASE_SLICE_H */
