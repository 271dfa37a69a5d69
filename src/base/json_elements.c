/*
 * base/json_elements.c
 *		The elements of a JSON array as they stand in its text.
 *
 * For arrays that the server's parser refuses as a whole because of one element: each is
 * then parsed by itself.  What is looked at here is only where strings and brackets begin
 * and end; an element is whatever stands between two commas, JSON or not.  The bytes may
 * be any: those of UTF-8 characters are none of ASCII.
 */
#include "postgres.h"

#include "base/json_elements.h"

#include "base/memory_budget.h"

/* Place for so many elements is made at first. */
#define FIRST_CAPACITY 64

typedef struct Scanner
{
	const char *at;
	const char *end;
	Slice *elements;
	int count;
	int capacity;
} Scanner;

static bool
is_white_space(char character)
{
	return character == ' ' || character == '\t' || character == '\n' || character == '\r';
}

static void
skip_white_space(Scanner *scanner)
{
	while (scanner->at < scanner->end && is_white_space(*scanner->at))
		scanner->at++;
}

/* Goes behind a string's closing quote; false if there is none. */
static bool
skip_string(Scanner *scanner)
{
	for (scanner->at++; scanner->at < scanner->end; scanner->at++)
	{
		if (*scanner->at == '"')
		{
			scanner->at++;
			return true;
		}
		if (*scanner->at == '\\')
			scanner->at++;
	}
	return false;
}

/* Goes to the comma or bracket behind an element; false if there is none. */
static bool
skip_element(Scanner *scanner)
{
	int depth = 0;

	while (scanner->at < scanner->end)
	{
		char character = *scanner->at;

		if (character == '"')
		{
			if (!skip_string(scanner))
				return false;
			continue;
		}
		if (depth == 0 && (character == ',' || character == ']'))
			return true;
		if (character == '[' || character == '{')
			depth++;
		else if ((character == ']' || character == '}') && --depth < 0)
			return false;
		scanner->at++;
	}
	return false;
}

static void
add(Scanner *scanner, const char *start)
{
	const char *end = scanner->at;

	while (end > start && is_white_space(end[-1]))
		end--;
	if (scanner->count == scanner->capacity)
	{
		scanner->capacity *= 2;
		memory_budget_grow(sizeof(Slice) * scanner->capacity);
		scanner->elements = repalloc_huge(scanner->elements, sizeof(Slice) * scanner->capacity);
	}
	scanner->elements[scanner->count++] = (Slice){start, (int) (end - start)};
}

/* Whether the scanner stands before that character, and goes behind it. */
static bool
take(Scanner *scanner, char character)
{
	skip_white_space(scanner);
	if (scanner->at == scanner->end || *scanner->at != character)
		return false;
	scanner->at++;
	return true;
}

/* Tells the elements of an array apart; false where the text is no array, or one cannot tell where its elements end. */
bool
json_elements(Slice array, Slice **elements, int *count)
{
	Scanner scanner = {.at = array.data, .end = array.data + array.length, .capacity = FIRST_CAPACITY};

	if (!take(&scanner, '['))
		return false;
	scanner.elements = palloc(sizeof(Slice) * scanner.capacity);
	do
	{
		const char *start;

		skip_white_space(&scanner);
		start = scanner.at;
		if (!skip_element(&scanner))
			return false;
		add(&scanner, start);
	} while (take(&scanner, ','));

	if (!take(&scanner, ']'))
		return false;
	skip_white_space(&scanner);
	*elements = scanner.elements;
	*count = scanner.count;
	return scanner.at == scanner.end;
}
