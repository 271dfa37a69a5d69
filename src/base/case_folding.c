/*
 * base/case_folding.c
 *		Texts that are to be compared without regard to case.
 *
 * The server's own lower() depends on the database's locale, and in most of them on
 * the operating system's version: the same events would be another bill after a
 * restore elsewhere.  So case is folded by a table of our own, Unicode's simple case
 * folding: a character becomes one character, of whatever language.
 *
 * A newer table knows characters that were none before, and has changed three rare
 * ones (in 15.1): the update to a version with another table has to throw away the
 * rollups of metrics that ignore case.
 */
#include "postgres.h"

#include "base/case_folding.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

/* Every so many characters from the first to the last become another, each as far from it. */
typedef struct CaseRange
{
	pg_wchar first;
	pg_wchar last;
	pg_wchar step;
	int distance;
} CaseRange;

#include "base/case_folding_table.h"

/* A character of two bytes may become one of three. */
#define MAX_GROWTH 2

static pg_wchar
fold_character(pg_wchar character)
{
	int low = 0;
	int high = lengthof(ranges);

	while (low < high)
	{
		int middle = (low + high) / 2;
		const CaseRange *range = &ranges[middle];

		if (character < range->first)
			high = middle;
		else if (character > range->last)
			low = middle + 1;
		else
			return (character - range->first) % range->step == 0 ? character + range->distance : character;
	}
	return character;
}

/* Folds the character at the front of the text and writes it; returns its length there, and here. */
static int
fold_next(const unsigned char *from, int length, unsigned char *to, int *written)
{
	int taken = pg_utf_mblen(from);

	if (taken == 1 || taken > length || !pg_utf8_islegal(from, taken))
	{
		*to = *from >= 'A' && *from <= 'Z' ? *from + ('a' - 'A') : *from;
		*written = 1;
		return 1;
	}
	unicode_to_utf8(fold_character(utf8_to_unicode(from)), to);
	*written = pg_utf_mblen(to);
	return taken;
}

/* The text in UTF-8; as it is where that is not known, or not possible. */
static Slice
in_utf8(Slice text)
{
	int encoding = GetDatabaseEncoding();
	Size size = (Size) text.length * MAX_CONVERSION_GROWTH + 1;
	unsigned char *converted;
	Oid conversion;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return text;
	conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(conversion))
		return text;
	converted = palloc(size);
	if (pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8, (unsigned char *) unconstify(char *, text.data),
									  text.length, converted, (int) size, true) < text.length)
		return text;
	return slice_from_cstring((char *) converted);
}

/*
 * Folds the case of a text in the database's encoding.  The result is in UTF-8, for
 * nothing but comparison.  In a database without an encoding bytes that are no UTF-8 stay as they are.
 */
Slice
case_fold(Slice text)
{
	Slice utf8 = in_utf8(text);
	const unsigned char *from = (const unsigned char *) utf8.data;
	int length = utf8.length;
	unsigned char *folded = palloc((Size) length * MAX_GROWTH + 1);
	unsigned char *to = folded;

	for (int taken; length > 0; from += taken, length -= taken)
	{
		int written;

		taken = fold_next(from, length, to, &written);
		to += written;
	}
	return (Slice){(char *) folded, (int) (to - folded)};
}
