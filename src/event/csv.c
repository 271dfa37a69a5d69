/*
 * event/csv.c
 *		Events as rows of CSV: as spreadsheets, data frames and people write them.
 *
 * The header names the API's fields, in any order, and properties of events, with or
 * without "properties." before their names.  A row becomes the JSON of an event, which
 * then goes the way of any other.
 *
 * Values are separated by whatever separates the header's names: a comma, a semicolon
 * (spreadsheets where the comma is the decimal point) or a tab.  White space around a
 * value is nobody's; inside of quotes it is the value's.  CSV has no types: a property is
 * a number, true or false where it is written as JSON writes these and not quoted, and
 * text otherwise.  Nothing is a property that is not there.
 */
#include "postgres.h"

#include "event/csv.h"

#include "base/json_elements.h"
#include "common/jsonapi.h"
#include "event/check.h"
#include "lib/stringinfo.h"
#include "sql/subtransaction.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

/* A row that is longer has a quote that nobody closed. */
#define MAX_ROW_BYTES (8 * 1024 * 1024)

#define MAX_COLUMNS 1600

typedef enum CsvState
{
	VALUE_BEGINS,
	IN_VALUE,
	IN_QUOTES,
	QUOTE_IN_QUOTES, /* the end of the quotes, or the first of two */
	BEHIND_QUOTES
} CsvState;

/* A value of the row, in its text. */
typedef struct CsvValue
{
	int start;
	int length;
	bool is_quoted;
} CsvValue;

typedef enum ColumnKind
{
	COLUMN_FIELD,      /* a field of an event */
	COLUMN_PROPERTIES, /* eventProperties, as JSON */
	COLUMN_PROPERTY,
	COLUMN_NAMELESS /* must be empty */
} ColumnKind;

typedef struct Column
{
	ColumnKind kind;
	char *name;
	Slice title; /* as the header has it */
} Column;

struct CsvReader
{
	MemoryContext context;
	char separator;
	Column *columns;
	int column_count;

	/* The row that is being read. */
	CsvState state;
	StringInfoData line;   /* as it stands in the file */
	StringInfoData values; /* their texts, one after the other */
	CsvValue value[MAX_COLUMNS];
	int value_count;
	bool is_malformed;
};

/* Rows --------------------------------------------------------------------- */

static void
row_begin(CsvReader *reader)
{
	resetStringInfo(&reader->line);
	resetStringInfo(&reader->values);
	reader->value_count = 0;
	reader->value[0] = (CsvValue){0, 0, false};
	reader->state = VALUE_BEGINS;
	reader->is_malformed = false;
}

static bool
is_space(char character)
{
	return character == ' ' || character == '\t' || character == '\r';
}

/* The value ends here. */
static void
value_end(CsvReader *reader)
{
	CsvValue *value = &reader->value[reader->value_count];

	value->length = reader->values.len - value->start;
	while (!value->is_quoted && value->length > 0 && is_space(reader->values.data[value->start + value->length - 1]))
		value->length--;
	reader->state = VALUE_BEGINS;
	if (reader->value_count + 1 == MAX_COLUMNS)
		reader->is_malformed = true;
	else
		reader->value[++reader->value_count] = (CsvValue){reader->values.len, 0, false};
}

static void
append(CsvReader *reader, char character, CsvState state)
{
	appendStringInfoCharMacro(&reader->values, character);
	reader->state = state;
}

/* Outside of quotes: text, or the separator. */
static void
take_plain(CsvReader *reader, char character)
{
	if (character == reader->separator)
		value_end(reader);
	else if (reader->state == VALUE_BEGINS && character == '"')
	{
		reader->value[reader->value_count].is_quoted = true;
		reader->state = IN_QUOTES;
	}
	else if (reader->state == IN_VALUE || !is_space(character))
		append(reader, character, IN_VALUE);
}

/* Behind a quote that ends a value, if it is not the first of two. */
static void
take_behind_quote(CsvReader *reader, char character)
{
	if (character == '"' && reader->state == QUOTE_IN_QUOTES)
		append(reader, character, IN_QUOTES);
	else if (character == reader->separator)
		value_end(reader);
	else
	{
		if (!is_space(character))
		{
			reader->is_malformed = true;
			append(reader, character, BEHIND_QUOTES);
		}
		reader->state = BEHIND_QUOTES;
	}
}

static void
take_character(CsvReader *reader, char character)
{
	switch (reader->state)
	{
		case VALUE_BEGINS:
		case IN_VALUE:
			take_plain(reader, character);
			break;
		case IN_QUOTES:
			if (character == '"')
				reader->state = QUOTE_IN_QUOTES;
			else
				append(reader, character, IN_QUOTES);
			break;
		case QUOTE_IN_QUOTES:
		case BEHIND_QUOTES:
			take_behind_quote(reader, character);
			break;
	}
}

/* Whether the row goes on in the next line, inside of quotes. */
bool
csv_is_open(const CsvReader *reader)
{
	return reader->state == IN_QUOTES;
}

/* Takes another line of the row; false if it goes on in the next. */
static bool
take_line(CsvReader *reader, Slice line)
{
	bool goes_on = csv_is_open(reader);

	if (reader->line.len + line.length > MAX_ROW_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("row of CSV is too long"),
						errdetail("It takes more than %d MB.", MAX_ROW_BYTES / (1024 * 1024)),
						errhint("A quote may not have been closed.")));
	if (!goes_on)
		row_begin(reader);
	else
	{
		appendStringInfoChar(&reader->line, '\n');
		append(reader, '\n', IN_QUOTES);
	}
	appendBinaryStringInfo(&reader->line, line.data, line.length);
	for (int i = 0; i < line.length; i++)
		take_character(reader, line.data[i]);
	if (csv_is_open(reader))
		return false;
	value_end(reader);
	return true;
}

static Slice
value_text(const CsvReader *reader, int number)
{
	return (Slice){reader->values.data + reader->value[number].start, reader->value[number].length};
}

static char *
value_string(const CsvReader *reader, int number)
{
	return pnstrdup(reader->values.data + reader->value[number].start, reader->value[number].length);
}

/* Header ------------------------------------------------------------------- */

static char
find_separator(Slice header)
{
	bool in_quotes = false;

	for (int i = 0; i < header.length; i++)
	{
		char character = header.data[i];

		in_quotes ^= character == '"';
		if (!in_quotes && (character == ',' || character == ';' || character == '\t'))
			return character;
	}
	return ',';
}

static const char *
without_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0 ? name + strlen(prefix) : name;
}

static bool
joins_words(char character)
{
	return character == '_' || character == '-' || character == ' ';
}

/* How much of the text's beginning is the field's name, but for case and what words are joined by; 0 if it is another. */
static int
spelled_length(Slice text, const char *field)
{
	int length = 0;

	for (; length < text.length; length++)
	{
		if (joins_words(text.data[length]))
			continue;
		if (*field == '\0')
			break;
		if (pg_tolower((unsigned char) text.data[length]) != pg_tolower((unsigned char) *field))
			return 0;
		field++;
	}
	return *field == '\0' ? length : 0;
}

/* As a property it would be nobody's time, or id, and go unnoticed. */
static void
refuse_other_spelling(const char *name)
{
	for (int field = 0; field < FIELD_COUNT; field++)
	{
		if (spelled_length(slice_from_cstring(name), event_field_names[field].data) == (int) strlen(name))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid header of CSV"),
							errdetail("It has a column %s, which is spelled %s.", fault_quote(slice_from_cstring(name)),
									  event_field_names[field].data),
							errhint("A property of that name is written with \"properties.\" before it.")));
	}
}

static Column
column_of(const char *name)
{
	Slice title = slice_from_cstring(name);

	if (*name == '\0')
		return (Column){COLUMN_NAMELESS, NULL, title};
	for (int field = 0; field < FIELD_COUNT; field++)
	{
		if (strcmp(name, event_field_names[field].data) == 0)
			return (Column){field == FIELD_EVENT_PROPERTIES ? COLUMN_PROPERTIES : COLUMN_FIELD, pstrdup(name), title};
	}
	refuse_other_spelling(name);
	name = without_prefix(without_prefix(name, "eventProperties."), "properties.");
	return (Column){COLUMN_PROPERTY, pstrdup(name), title};
}

static bool
has_field(const CsvReader *reader, EventField field)
{
	for (int i = 0; i < reader->column_count; i++)
	{
		if (reader->columns[i].kind == COLUMN_FIELD &&
			strcmp(reader->columns[i].name, event_field_names[field].data) == 0)
			return true;
	}
	return false;
}

static void
require_different_names(const CsvReader *reader)
{
	for (int i = 0; i < reader->column_count; i++)
	{
		for (int j = 0; j < i; j++)
		{
			if (reader->columns[i].kind == reader->columns[j].kind && reader->columns[i].name != NULL &&
				strcmp(reader->columns[i].name, reader->columns[j].name) == 0)
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid header of CSV"),
								errdetail("It has two columns %s.",
										  fault_quote(slice_from_cstring(reader->columns[i].name)))));
		}
	}
}

void
csv_end(CsvReader *reader)
{
	MemoryContextDelete(reader->context);
}

static CsvReader *
reader_make(char separator, MemoryContext context)
{
	CsvReader *reader = palloc0(sizeof(CsvReader));

	reader->context = context;
	reader->separator = separator;
	initStringInfo(&reader->line);
	initStringInfo(&reader->values);
	row_begin(reader);
	return reader;
}

/*
 * Begins with a first line.  Returns NULL if that is no header: one names the two fields
 * that every event has.
 */
CsvReader *
csv_begin(Slice header, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "usage event csv", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	CsvReader *reader = reader_make(find_separator(header), context);

	if (take_line(reader, header) && !reader->is_malformed)
	{
		reader->columns = palloc(sizeof(Column) * reader->value_count);
		for (; reader->column_count < reader->value_count; reader->column_count++)
			reader->columns[reader->column_count] = column_of(value_string(reader, reader->column_count));
	}
	MemoryContextSwitchTo(caller);
	if (!has_field(reader, FIELD_CUSTOMER_ALIAS) || !has_field(reader, FIELD_EVENT_TYPE))
	{
		csv_end(reader);
		return NULL;
	}
	require_different_names(reader);
	row_begin(reader);
	return reader;
}

/* Files that were put together ----------------------------------------------- */

/* Whether the row is the header once more. */
static bool
repeats_header(const CsvReader *reader)
{
	if (reader->value_count != reader->column_count)
		return false;
	for (int i = 0; i < reader->column_count; i++)
	{
		if (!slice_equal(value_text(reader, i), reader->columns[i].title))
			return false;
	}
	return true;
}

/* Whether the text has the field's name, in any spelling, or ends with it. */
static bool
has_name(Slice text, EventField field, bool at_end)
{
	for (int i = 0; i < text.length; i++)
	{
		Slice rest = {text.data + i, text.length - i};
		int length = spelled_length(rest, event_field_names[field].data);

		if (length > 0 && (!at_end || length == rest.length))
			return true;
	}
	return false;
}

/* The last value of a file without an end of line stands before the first name of the next one's header. */
static bool
has_value_named(const CsvReader *reader, EventField field)
{
	for (int i = 0; i < reader->value_count; i++)
	{
		if (has_name(value_text(reader, i), field, true))
			return true;
	}
	return false;
}

/* Whether the line is a header, of whatever columns, spelling and separator. */
static bool
looks_like_header(Slice line)
{
	CsvReader *reader;

	if (!has_name(line, FIELD_CUSTOMER_ALIAS, false) || !has_name(line, FIELD_EVENT_TYPE, false))
		return false;
	reader = reader_make(find_separator(line), CurrentMemoryContext);
	return take_line(reader, line) && has_value_named(reader, FIELD_CUSTOMER_ALIAS) &&
		   has_value_named(reader, FIELD_EVENT_TYPE);
}

/* The rows after it would be read under the first one, so to skip it as a row that is no event is not enough. */
static void
refuse_other_header(const CsvReader *reader)
{
	if (looks_like_header((Slice){reader->line.data, reader->line.len}))
		ereport(ERROR,
				(errcode(ERRCODE_BAD_COPY_FILE_FORMAT), errmsg("CSV has a second header, which is not the first one"),
				 errdetail("The rows after it would be read under the first one."),
				 errhint("Import each file by itself, and let each end with an end of line.")));
}

/* Events ------------------------------------------------------------------- */

static void
add_name(StringInfo json, const char *name)
{
	if (json->data[json->len - 1] != '{')
		appendStringInfoString(json, ", ");
	escape_json(json, name);
	appendStringInfoString(json, ": ");
}

/* Whether an unquoted value is JSON as it stands. */
static bool
is_literal(Slice value)
{
	return IsValidJsonNumber(value.data, value.length) || (value.length == 4 && memcmp(value.data, "true", 4) == 0) ||
		   (value.length == 5 && memcmp(value.data, "false", 5) == 0);
}

static void
add_property(StringInfo json, const CsvReader *reader, int number)
{
	Slice value = value_text(reader, number);

	add_name(json, reader->columns[number].name);
	if (!reader->value[number].is_quoted && is_literal(value))
		appendBinaryStringInfo(json, value.data, value.length);
	else
		escape_json(json, value_string(reader, number));
}

/* Whether the text is one pair of braces, whatever is in between: no other field of the event can be in it. */
static bool
is_enclosed(const char *text)
{
	Slice *elements;
	int count;

	return *text == '{' && text[strlen(text) - 1] == '}' &&
		   json_elements(slice_from_cstring(psprintf("[%s]", text)), &elements, &count) && count == 1;
}

/* The value in the column of all properties; empty if there is none. */
static char *
all_properties(const CsvReader *reader)
{
	for (int i = 0; i < reader->column_count; i++)
	{
		if (reader->columns[i].kind == COLUMN_PROPERTIES && reader->value[i].length > 0)
			return value_string(reader, i);
	}
	return "";
}

/* An object's text without its closing brace. */
static void
append_unclosed(StringInfo json, const char *object)
{
	int length = (int) strlen(object) - 1;

	while (is_space(object[length - 1]) || object[length - 1] == '\n')
		length--;
	appendBinaryStringInfo(json, object, length);
}

/* Adds the properties that have columns of their own to an object without its closing brace. */
static void
add_own_properties(StringInfo json, const CsvReader *reader)
{
	for (int i = 0; i < reader->column_count; i++)
	{
		if (reader->columns[i].kind == COLUMN_PROPERTY && reader->value[i].length > 0)
			add_property(json, reader, i);
	}
}

/* Adds the properties: those of the column of all, and then those of columns of their own. */
static void
add_properties(StringInfo json, const CsvReader *reader)
{
	StringInfoData properties;
	char *all = all_properties(reader);

	initStringInfo(&properties);
	if (*all == '\0' || strcmp(all, "null") == 0)
		appendStringInfoChar(&properties, '{');
	else if (is_enclosed(all))
		append_unclosed(&properties, all);
	else
	{
		escape_json(json, all); /* to be refused as what it is */
		return;
	}
	add_own_properties(&properties, reader);
	appendStringInfo(json, "%s}", properties.data);
}

static text *
row_json(const CsvReader *reader)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < reader->column_count; i++)
	{
		if (reader->columns[i].kind != COLUMN_FIELD || reader->value[i].length == 0)
			continue;
		add_name(&json, reader->columns[i].name);
		escape_json(&json, value_string(reader, i));
	}
	add_name(&json, event_field_names[FIELD_EVENT_PROPERTIES].data);
	add_properties(&json, reader);
	appendStringInfoChar(&json, '}');
	return cstring_to_text_with_len(json.data, json.len);
}

/* What is wrong with the row as one of this header, or NULL.  Empty values at its end are nobody's. */
static const char *
row_fault(CsvReader *reader)
{
	int count = reader->value_count;

	if (reader->is_malformed)
		return "is no row of CSV: there is text behind a quoted value, or there are too many values";
	while (count > reader->column_count && reader->value[count - 1].length == 0)
		count--;
	if (count != reader->column_count)
		return psprintf("is a row of %d values, under a header of %d columns", count, reader->column_count);
	for (int i = 0; i < count; i++)
	{
		if (reader->columns[i].kind == COLUMN_NAMELESS && reader->value[i].length > 0)
			return "has a value in a column without a name";
	}
	return NULL;
}

/* Whether two members of the same name have the same value. */
static bool
is_same_value(JsonbValue *a, JsonbValue *b)
{
	return compareJsonbContainers(&JsonbValueToJsonb(a)->root, &JsonbValueToJsonb(b)->root) == 0;
}

/* Properties of a row, and the name of one that is there twice, with two values, if there is one. */
typedef struct PropertiesCheck
{
	const CsvReader *reader;
	const char *text; /* an array of both objects */
	const char *contested;
} PropertiesCheck;

static void
find_contested(void *argument)
{
	PropertiesCheck *check = argument;
	const CsvReader *reader = check->reader;
	Jsonb *both = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(check->text)));
	JsonbContainer *all = getIthJsonbValueFromContainer(&both->root, 0)->val.binary.data;
	JsonbContainer *own = getIthJsonbValueFromContainer(&both->root, 1)->val.binary.data;

	for (int i = 0; i < reader->column_count && check->contested == NULL; i++)
	{
		const char *name = reader->columns[i].name;
		JsonbValue a;
		JsonbValue b;

		if (reader->columns[i].kind == COLUMN_PROPERTY &&
			getKeyJsonValueFromContainer(all, name, (int) strlen(name), &a) != NULL &&
			getKeyJsonValueFromContainer(own, name, (int) strlen(name), &b) != NULL && !is_same_value(&a, &b))
			check->contested = name;
	}
}

static bool
has_own_properties(const CsvReader *reader)
{
	for (int i = 0; i < reader->column_count; i++)
	{
		if (reader->columns[i].kind == COLUMN_PROPERTY && reader->value[i].length > 0)
			return true;
	}
	return false;
}

/*
 * A property that is in the column of all, and in one of its own with another value, as a fault, or NULL.
 * What is no JSON has no such, and is refused for that later.
 */
static const char *
properties_fault(const CsvReader *reader)
{
	PropertiesCheck check = {reader, NULL, NULL};
	const char *all = all_properties(reader);
	MemoryContext caller;
	MemoryContext context;
	StringInfoData text;

	if (!has_own_properties(reader) || !is_enclosed(all))
		return NULL;
	context = AllocSetContextCreate(CurTransactionContext, "usage event csv properties", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	initStringInfo(&text);
	appendStringInfo(&text, "[%s, {", all);
	add_own_properties(&text, reader);
	appendStringInfoString(&text, "}]");
	check.text = text.data;
	(void) subtransaction_try_input(find_contested, &check);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return check.contested == NULL
			   ? NULL
			   : psprintf("has the property %s twice, in eventProperties and in a column of its own, "
						  "with two values",
						  fault_quote(slice_from_cstring(check.contested)));
}

static bool
row_is_blank(const CsvReader *reader)
{
	for (int i = 0; i < reader->value_count; i++)
	{
		if (reader->value[i].length > 0)
			return false;
	}
	return true;
}

/*
 * Reads a line.  Returns false where it gives no event: it is blank, or the row goes on.
 * Else the event's JSON is in `body`, or the row as it stands, with what is wrong with it.
 */
bool
csv_read_line(CsvReader *reader, Slice line, text **body, const char **fault)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->context);
	bool is_whole = take_line(reader, line);

	MemoryContextSwitchTo(caller);
	if (!is_whole || row_is_blank(reader) || repeats_header(reader))
		return false;
	refuse_other_header(reader);
	*fault = row_fault(reader);
	if (*fault == NULL)
		*fault = properties_fault(reader);
	*body = *fault == NULL ? row_json(reader) : cstring_to_text_with_len(reader->line.data, reader->line.len);
	return true;
}

/* Other texts --------------------------------------------------------------- */

/* Takes a text apart as if it were a row of CSV.  Returns whether it is one, of two values or more. */
bool
csv_split(Slice text, char separator, Slice **values, int *count)
{
	CsvReader *reader = reader_make(separator, CurrentMemoryContext);
	bool is_whole = take_line(reader, text);

	if (!is_whole)
		value_end(reader);
	*count = reader->value_count;
	*values = palloc(sizeof(Slice) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
		(*values)[i] = value_text(reader, i);
	return is_whole && !reader->is_malformed && *count > 1;
}
