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
 * Joiners and variation selectors are seen by what they do to their neighbours, which
 * are beyond ASCII in every script that has a use for them, and among emoji: they are
 * taken there, and not among the letters of ASCII.
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
		return previous > 0x7F && !IS_AMONG(previous, selectors);
	return IS_AMONG(character, joiners) && previous > 0x7F && !IS_AMONG(previous, joiners) && next > 0x7F &&
		   !IS_AMONG(next, invisibles);
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
	if (IS_AMONG(character, invisibles) && !is_of_use(character, previous, next))
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
