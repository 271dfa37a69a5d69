/*
 * base/key_form.c
 *		What a key may look like: aliases, event types and ids of events decide who
 *		pays for what, so two that look alike must be one.
 *
 * White space at the ends, control characters and characters that cannot be seen come
 * from spreadsheets and web pages, and would make "acme" another customer.  Spaces of
 * any kind inside of a key can be seen.  Letters are taken as they are: two spellings of
 * an accent are two keys, as everywhere in PostgreSQL.
 *
 * Joiners and variation selectors are seen by what they do to their neighbours, in the
 * scripts that have a use for them, and among emoji: they are taken there, and not among
 * letters of Latin, Greek and Cyrillic, which are drawn the same with and without.
 */
#include "postgres.h"

#include "base/key_form.h"

#include "mb/pg_wchar.h"

typedef struct Range
{
	pg_wchar first;
	pg_wchar last;
} Range;

/* Unicode's property White_Space. */
static const Range spaces[] = {
	{0x0009, 0x000D}, {0x0020, 0x0020}, {0x0085, 0x0085}, {0x00A0, 0x00A0}, {0x1680, 0x1680},
	{0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000},
};

static const Range controls[] = {{0x0000, 0x001F}, {0x007F, 0x009F}, {0x2028, 0x2029}};

/* Unicode's property Default_Ignorable_Code_Point, and what else is drawn as nothing. */
static const Range invisibles[] = {
	{0x00AD, 0x00AD}, {0x034F, 0x034F}, {0x061C, 0x061C}, {0x115F, 0x1160},   {0x17B4, 0x17B5},   {0x180B, 0x180F},
	{0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F}, {0x2800, 0x2800},   {0x3164, 0x3164},   {0xFE00, 0xFE0F},
	{0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
};

/* Those that follow a character, and those that join two. */
static const Range selectors[] = {{0x180B, 0x180D}, {0x180F, 0x180F}, {0xFE00, 0xFE0F}, {0xE0100, 0xE01EF}};
static const Range joiners[] = {{0x200C, 0x200D}};

/* Beside these they do nothing: ASCII, and the letters and accents of Latin, Greek and Cyrillic.  Two signs among them can be emoji. */
static const Range plain_letters[] = {
	{0x0000, 0x00A8}, {0x00AA, 0x00AD}, {0x00AF, 0x052F}, {0x1C80, 0x1C8F}, {0x1D00, 0x1FFF}, {0x2C60, 0x2C7F},
	{0x2DE0, 0x2DFF}, {0xA640, 0xA69F}, {0xA720, 0xA7FF}, {0xAB30, 0xAB6F}, {0xFF21, 0xFF5A},
};

static bool
is_among(pg_wchar character, const Range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if (character >= ranges[i].first && character <= ranges[i].last)
			return true;
	}
	return false;
}

#define IS_AMONG(character, ranges) is_among(character, ranges, lengthof(ranges))

/* The code point; of other encodings than UTF-8 only ASCII is known, and all else is a letter. */
static pg_wchar
code_point(const char *at)
{
	const unsigned char *bytes = (const unsigned char *) at;

	if (*bytes < 0x80)
		return *bytes;
	return GetDatabaseEncoding() == PG_UTF8 ? utf8_to_unicode(bytes) : (pg_wchar) 0xFFFD;
}

bool
key_form_is_blank(Slice text)
{
	const char *end = text.data + text.length;

	for (const char *at = text.data; at < end; at += pg_mblen(at))
	{
		if (!IS_AMONG(code_point(at), spaces))
			return false;
	}
	return true;
}

/* Whether all of it can be seen in ASCII, as of most keys, and no white space is at its ends. */
static bool
is_plain(Slice key)
{
	for (int i = 0; i < key.length; i++)
	{
		if (key.data[i] < ' ' || key.data[i] > '~')
			return false;
	}
	return key.length > 0 && key.data[0] != ' ' && key.data[key.length - 1] != ' ';
}

/* Whether a character that cannot be seen stands where it is of use. */
static bool
is_of_use(pg_wchar character, pg_wchar previous, pg_wchar next)
{
	if (IS_AMONG(character, selectors))
		return !IS_AMONG(previous, plain_letters) && !IS_AMONG(previous, selectors);
	return IS_AMONG(character, joiners) && !IS_AMONG(previous, plain_letters) && !IS_AMONG(next, plain_letters) &&
		   !IS_AMONG(next, invisibles);
}

/* Whether nothing is drawn of a character that is no white space, and it is of no use. */
static bool
is_hidden(pg_wchar character, pg_wchar previous, pg_wchar next)
{
	return IS_AMONG(character, controls) || (IS_AMONG(character, invisibles) && !is_of_use(character, previous, next));
}

/* What is wrong with a character of the key, or NULL; the neighbours are 0 where there is none. */
static const char *
character_fault(pg_wchar character, pg_wchar previous, pg_wchar next, int number)
{
	if (previous == 0 && IS_AMONG(character, spaces))
		return psprintf("must not begin with white space (U+%04X)", character);
	if (next == 0 && IS_AMONG(character, spaces))
		return psprintf("must not end with white space (U+%04X)", character);
	if (IS_AMONG(character, controls))
		return psprintf("must not contain a control character (U+%04X, its character %d)", character, number);
	if (is_hidden(character, previous, next))
		return psprintf("must not contain an invisible character (U+%04X, its character %d)", character, number);
	return NULL;
}

/* Returns what is wrong with the form of a key, worded to follow its field's name, or NULL. */
const char *
key_form_fault(Slice key)
{
	const char *end = key.data + key.length;
	const char *fault = NULL;
	pg_wchar previous = 0;
	int number = 0;

	if (is_plain(key))
		return NULL;
	for (const char *at = key.data; at < end && fault == NULL;)
	{
		pg_wchar character = code_point(at);

		at += pg_mblen(at);
		fault = character_fault(character, previous, at < end ? code_point(at) : 0, ++number);
		previous = character;
	}
	return fault;
}

/* Writes what the character looks like in the midst of a key; returns its bytes. */
static int
write_seen(char *clean, pg_wchar character, const char *at, int size)
{
	if (IS_AMONG(character, spaces) && IS_AMONG(character, controls))
	{
		*clean = ' ';
		return 1;
	}
	memcpy(clean, at, size);
	return size;
}

/*
 * What the key looks like: without white space at its ends, and without what cannot be
 * seen, where key_form_fault() refuses it.  White space that is a control character is a blank.
 */
Slice
key_form_clean(Slice key)
{
	const char *end = key.data + key.length;
	char *clean;
	pg_wchar previous = 0;
	int length = 0;
	int seen_length = 0; /* up to the last character that is no white space */
	int size;

	if (is_plain(key))
		return key;
	clean = palloc(key.length + 1);
	for (const char *at = key.data; at < end; at += size)
	{
		pg_wchar character = code_point(at);
		bool is_space = IS_AMONG(character, spaces);

		size = pg_mblen(at);
		if (is_space ? length == 0 : is_hidden(character, previous, at + size < end ? code_point(at + size) : 0))
			continue;
		length += write_seen(clean + length, character, at, size);
		if (!is_space)
			seen_length = length;
		previous = character;
	}
	return (Slice){clean, seen_length};
}
