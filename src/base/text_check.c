/*
 * base/text_check.c
 *		The rules of texts that clients send, and of those among them that are keys.
 */
#include "postgres.h"

#include "base/text_check.h"

#include "base/fault.h"
#include "base/json_read.h"
#include "base/key_form.h"
#include "mb/pg_wchar.h"

/* Longest text of an event, a metric, a key, in characters. */
#define MAX_TEXT_CHARACTERS 255

/* Returns the fault of a text with more characters, or NULL. */
const char *
text_check_length(Slice text, int max_characters)
{
	/* A character has at least one byte: only a text with more bytes needs counting. */
	if (text.length > max_characters)
	{
		int characters = pg_mbstrlen_with_len(text.data, text.length);

		if (characters > max_characters)
			return psprintf("must have at most %d characters, not %d", max_characters, characters);
	}
	return NULL;
}

/* Rule of every text: not blank, and not too long.  Returns the fault, or NULL. */
const char *
text_check(Slice text)
{
	if (key_form_is_blank(text))
		return "must not be blank";
	return text_check_length(text, MAX_TEXT_CHARACTERS);
}

/* Adds what is wrong with a key: a text that has to look like what it is. */
List *
text_check_key(List *faults, const char *name, Slice key)
{
	const char *fault = text_check(key);

	if (fault == NULL)
		fault = key_form_fault(key);
	return fault != NULL ? fault_add(faults, name, fault) : faults;
}

static List *
check_text(List *faults, const char *name, Slice text)
{
	const char *fault = text_check(text);

	return fault != NULL ? fault_add(faults, name, fault) : faults;
}

/* The text that is a member of what a client sent; data is NULL where there is none. */
static List *
read_text_member(List *faults, Jsonb *body, const char *name, bool required, Slice *text)
{
	JsonbValue value;

	*text = (Slice){NULL, 0};
	if (!json_member(body, name, &value))
		return required ? fault_add(faults, name, "is missing") : faults;
	if (value.type == jbvNull && !required)
		return faults;
	if (value.type != jbvString)
		return fault_add(faults, name, psprintf("must be a string, not %s", json_kind(&value)));
	*text = json_string(&value);
	return faults;
}

/* The same with the rule of every text. */
List *
text_check_member(List *faults, Jsonb *body, const char *name, bool required, Slice *text)
{
	faults = read_text_member(faults, body, name, required, text);
	return text->data != NULL ? check_text(faults, name, *text) : faults;
}

/* The same with the rule of keys. */
List *
text_check_key_member(List *faults, Jsonb *body, const char *name, Slice *key)
{
	faults = read_text_member(faults, body, name, true, key);
	return key->data != NULL ? text_check_key(faults, name, *key) : faults;
}
