/*
 * event/rejected_search.c
 *		Whether a refused event names a customer.
 *
 * It may have been refused because it is no JSON, so nothing is parsed: the text is
 * read from string to string.  A string that is the alias, however it is escaped and wherever
 * it stands, names it; so does what stands without quotes as "customerAlias".  What
 * does not even begin as JSON, such as a line of CSV, names whatever words are in it.
 */
#include "postgres.h"

#include "event/rejected_search.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"

/* A place in the text, and a buffer for one string of it. */
typedef struct Reader
{
	const char *at;
	const char *end;
	char *string;
	int length;
} Reader;

static bool
is_equal(const Reader *reader, Slice text)
{
	return reader->length == text.length && memcmp(reader->string, text.data, text.length) == 0;
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

/* What no event's text can have is not kept apart: it is no alias. */
static void
add_code_point(Reader *reader, pg_wchar code)
{
	if (code < 0x80)
		reader->string[reader->length++] = (char) code;
	else if (GetDatabaseEncoding() == PG_UTF8 && is_valid_unicode_codepoint(code))
	{
		unicode_to_utf8(code, (unsigned char *) reader->string + reader->length);
		reader->length += pg_utf_mblen((unsigned char *) reader->string + reader->length);
	}
	else
		reader->string[reader->length++] = '\0';
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

/* Whether the text goes on with a colon and that word without quotes. */
static bool
has_bare_value(const Reader *reader, Slice word)
{
	const char *at = reader->at;

	while (at < reader->end && (isspace((unsigned char) *at) || *at == ':'))
		at++;
	return reader->end - at >= word.length && memcmp(at, word.data, word.length) == 0 &&
		   (at + word.length == reader->end || strchr(" \t\r\n,}]", at[word.length]) != NULL);
}

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

static bool
begins_as_json(Slice text)
{
	int i = 0;

	while (i < text.length && isspace((unsigned char) text.data[i]))
		i++;
	return i < text.length && strchr("{[\"", text.data[i]) != NULL;
}

bool
rejected_body_names(Slice body, Slice alias)
{
	Reader reader = {body.data, body.data + body.length, NULL, 0};
	bool found = false;

	if (!begins_as_json(body))
		return contains(body, alias);
	reader.string = palloc(body.length + MAX_MULTIBYTE_CHAR_LEN);
	while (!found && reader.at < reader.end)
	{
		CHECK_FOR_INTERRUPTS();
		if (*reader.at++ != '"')
			continue;
		read_string(&reader);
		found =
			is_equal(&reader, alias) || (is_equal(&reader, SLICE("customerAlias")) && has_bare_value(&reader, alias));
	}
	pfree(reader.string);
	return found;
}
