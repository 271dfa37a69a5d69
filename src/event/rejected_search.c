/*
 * event/rejected_search.c
 *		Whether a refused event names a customer.
 *
 * It may have been refused because it is no JSON, so nothing is parsed: the text is
 * read from string to string.  A string that is the alias, however it is escaped and wherever
 * it stands, names it; so does what stands without quotes as "customerAlias".  A row of
 * CSV names its values.  What is neither names whatever words are in it.
 *
 * It may have been refused because of what is around the alias or in it and cannot be
 * seen: a value names whom it looks like (see key_form.c).  "acme Ltd" is not acme.
 */
#include "postgres.h"

#include "event/rejected_search.h"

#include <ctype.h>

#include "base/key_form.h"
#include "catalog/namespace.h"
#include "event/csv.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

/* A place in the text, and a buffer for one string of it. */
typedef struct Reader
{
	const char *at;
	const char *end;
	char *string;
	int length;
	bool is_foreign; /* it has a character that no alias can have here */
} Reader;

/* Whether the value is the alias, or looks like it. */
static bool
is_name(Slice value, Slice alias)
{
	return value.length >= alias.length && (slice_equal(value, alias) || slice_equal(key_form_clean(value), alias));
}

/* JSON ----------------------------------------------------------------------- */

static Slice
string_read(const Reader *reader)
{
	return (Slice){reader->string, reader->length};
}

/* The number in four hexadecimal digits; -1 if there are none. */
static int
read_hex(const char *at, const char *end)
{
	int number = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		unsigned char digit = (unsigned char) at[i];

		if (!isxdigit(digit))
			return -1;
		number = number * 16 + (isdigit(digit) ? digit - '0' : (digit | 0x20) - 'a' + 10);
	}
	return number;
}

/* Adds a character that may be none of the database's encoding. */
static void
add_converted(Reader *reader, unsigned char *utf8)
{
	int encoding = GetDatabaseEncoding();
	Oid conversion = FindDefaultConversionProc(PG_UTF8, encoding);
	unsigned char converted[MAX_MULTIBYTE_CHAR_LEN * MAX_CONVERSION_GROWTH + 2];
	int size = pg_utf_mblen(utf8);

	if (!OidIsValid(conversion) || pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding, utf8, size, converted,
																 sizeof(converted), true) != size)
	{
		reader->is_foreign = true;
		return;
	}
	size = (int) strlen((char *) converted);
	memcpy(reader->string + reader->length, converted, size);
	reader->length += size;
}

static void
add_code_point(Reader *reader, pg_wchar code)
{
	unsigned char utf8[MAX_MULTIBYTE_CHAR_LEN + 1] = {0};

	if (code < 0x80)
		reader->string[reader->length++] = (char) code;
	else if (!is_valid_unicode_codepoint(code) || is_utf16_surrogate_first(code) || is_utf16_surrogate_second(code))
		reader->is_foreign = true;
	else if (GetDatabaseEncoding() == PG_UTF8)
	{
		unicode_to_utf8(code, (unsigned char *) reader->string + reader->length);
		reader->length += pg_utf_mblen((unsigned char *) reader->string + reader->length);
	}
	else
		add_converted(reader, unicode_to_utf8(code, utf8));
}

/* After a backslash and a u. */
static void
read_code_point(Reader *reader)
{
	int code = read_hex(reader->at, reader->end);
	int second = -1;

	if (code < 0)
		return;
	reader->at += 4;
	if (is_utf16_surrogate_first(code) && reader->end - reader->at >= 6 && reader->at[0] == '\\' &&
		reader->at[1] == 'u')
		second = read_hex(reader->at + 2, reader->end);
	if (second >= 0 && is_utf16_surrogate_second(second))
	{
		reader->at += 6;
		add_code_point(reader, surrogate_pair_to_codepoint(code, second));
	}
	else
		add_code_point(reader, code);
}

/* After a backslash. */
static void
read_escape(Reader *reader)
{
	static const char from[] = "bfnrt";
	static const char to[] = "\b\f\n\r\t";
	char letter = *reader->at++;
	const char *found = letter != '\0' ? strchr(from, letter) : NULL;

	if (letter == 'u')
		read_code_point(reader);
	else
		reader->string[reader->length++] = found != NULL ? to[found - from] : letter;
}

/* The string that begins after a quote, up to the next one, or the end of what was cut off. */
static void
read_string(Reader *reader)
{
	reader->length = 0;
	reader->is_foreign = false;
	while (reader->at < reader->end && *reader->at != '"')
	{
		if (*reader->at == '\\' && reader->at + 1 < reader->end)
		{
			reader->at++;
			read_escape(reader);
		}
		else
			reader->string[reader->length++] = *reader->at++;
	}
	reader->at++;
}

/* Whether the text goes on with a colon and that alias without quotes, up to a blank or the next member. */
static bool
has_bare_value(const Reader *reader, Slice alias)
{
	const char *at = reader->at;
	const char *end;

	while (at < reader->end && (isspace((unsigned char) *at) || *at == ':'))
		at++;
	for (end = at; end < reader->end && strchr(",}]", *end) == NULL; end++)
		;
	if (is_name((Slice){at, (int) (end - at)}, alias))
		return true;
	return end - at > alias.length && slice_equal((Slice){at, alias.length}, alias) &&
		   isspace((unsigned char) at[alias.length]);
}

/* Whether a string that was read is the alias, or the name of its field before it. */
static bool
names(const Reader *reader, Slice alias)
{
	return !reader->is_foreign &&
		   (is_name(string_read(reader), alias) ||
			(slice_equal(string_read(reader), SLICE("customerAlias")) && has_bare_value(reader, alias)));
}

static bool
json_names(Slice text, Slice alias)
{
	Reader reader = {text.data, text.data + text.length, palloc(text.length + MAX_MULTIBYTE_CHAR_LEN), 0, false};

	while (reader.at < reader.end)
	{
		CHECK_FOR_INTERRUPTS();
		if (*reader.at++ != '"')
			continue;
		read_string(&reader);
		if (names(&reader, alias))
			return true;
	}
	return false;
}

/* Rows of CSV ---------------------------------------------------------------- */

/* Whether a value is the alias under any separator; that it is a row of CSV at all is left in `is_row`. */
static bool
csv_names(Slice text, Slice alias, bool *is_row)
{
	static const char separators[] = {',', ';', '\t'};
	bool found = false;

	*is_row = false;
	for (int i = 0; i < (int) sizeof(separators); i++)
	{
		Slice *values;
		int count;
		bool is_split = csv_split(text, separators[i], &values, &count);

		for (int j = 0; is_split && j < count; j++)
			found = found || is_name(values[j], alias);
		*is_row = *is_row || is_split;
	}
	return found;
}

/* Words ---------------------------------------------------------------------- */

static bool
is_part_of_word(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '-' || IS_HIGHBIT_SET(c);
}

/* Whether a word goes on from one character to the next one. */
static bool
is_inside_of_word(Slice text, int before)
{
	return before >= 0 && before + 1 < text.length && is_part_of_word(text.data[before]) &&
		   is_part_of_word(text.data[before + 1]);
}

/* Whether the text has the part, and not only inside of other words: "a" is nobody of "acme". */
static bool
contains(Slice text, Slice part)
{
	for (int i = 0; i + part.length <= text.length; i++)
	{
		if (memcmp(text.data + i, part.data, part.length) == 0 && !is_inside_of_word(text, i - 1) &&
			!is_inside_of_word(text, i + part.length - 1))
			return true;
	}
	return false;
}

/* Whether the alias is among the words, as they stand or as they look. */
static bool
words_name(Slice text, Slice alias)
{
	return contains(text, alias) || contains(key_form_clean(text), alias);
}

/* Any text ------------------------------------------------------------------- */

static Slice
without_blanks(Slice text)
{
	while (text.length > 0 && isspace((unsigned char) text.data[text.length - 1]))
		text.length--;
	while (text.length > 0 && isspace((unsigned char) *text.data))
		text = (Slice){text.data + 1, text.length - 1};
	return text;
}

/* Whether the text is one string of JSON from end to end: a row of CSV may begin with a quote, too. */
static bool
is_one_string(Slice text)
{
	for (int i = 1; i < text.length; i++)
	{
		if (text.data[i] == '"')
			return i + 1 == text.length;
		if (text.data[i] == '\\')
			i++;
	}
	return false;
}

/* Whether strings are what it is made of, as far as it goes. */
static bool
looks_like_json(Slice text)
{
	if (text.length == 0)
		return false;
	if (*text.data == '"')
		return is_one_string(text);
	return strchr("{[", *text.data) != NULL && memchr(text.data, '"', text.length) != NULL;
}

bool
rejected_body_names(Slice body, Slice alias)
{
	Slice text = without_blanks(body);
	bool is_row;

	if (looks_like_json(text) && json_names(text, alias))
		return true;
	if (csv_names(text, alias, &is_row))
		return true;
	return !is_row && !looks_like_json(text) && words_name(text, alias);
}
