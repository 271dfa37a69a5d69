/*
 * http/csv.c
 *		Answers as CSV (RFC 4180), for spreadsheets.
 *
 * A line for each item of the answer, in UTF-8 with the mark by which spreadsheets
 * tell that.  Numbers have all their digits.  A text that a spreadsheet would take
 * for a formula gets an apostrophe before it: whoever sends events could otherwise
 * have one run by whoever reads them.
 *
 * An answer is bounded before it is written here, as JSON; CSV repeats no names, and
 * so takes less.
 */
#include "postgres.h"

#include "http/csv.h"

#include "base/fault.h"
#include "base/json_read.h"
#include "base/memory_budget.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define LINE_END "\r\n"

/* What is asked for -------------------------------------------------------- */

/* The weight of a range of types, such as "text/csv; q=0.5"; 1 where it has none. */
static double
weight_of(const char *range)
{
	const char *weight = range;

	while ((weight = strchr(weight, ';')) != NULL)
	{
		weight++;
		weight += strspn(weight, " \t");
		if (pg_strncasecmp(weight, "q=", 2) == 0)
			return strtod(weight + 2, NULL);
	}
	return 1;
}

static bool
is_type(const char *range, const char *type)
{
	size_t length = strlen(type);

	return pg_strncasecmp(range, type, length) == 0 && strchr("; \t", range[length]) != NULL;
}

/* Whether a client that accepts these types wants CSV rather than JSON; of two that it wants alike, the one that it names first. */
bool
http_csv_is_preferred(const char *accept)
{
	char *ranges = pstrdup(accept);
	char *place;
	double csv = 0;
	double other = 0;
	bool is_first = true;

	for (char *range = strtok_r(ranges, ",", &place); range != NULL; range = strtok_r(NULL, ",", &place))
	{
		range += strspn(range, " \t");
		if (is_type(range, "text/csv"))
		{
			csv = weight_of(range);
			is_first = csv > other;
		}
		else if (is_type(range, "application/json") || is_type(range, "application/*") || is_type(range, "*/*"))
			other = Max(other, weight_of(range));
	}
	return csv > 0 && (csv > other || (csv == other && is_first));
}

/* By the parameter "format" or, without it, by the header "Accept". */
bool
http_csv_is_asked_for(HttpRequest *request)
{
	const char *format = http_parameter(request, "format");

	if (format == NULL)
		return http_csv_is_preferred(http_header(http_request_headers(), "usage-accept"));
	if (strcmp(format, "csv") == 0)
		return true;
	if (strcmp(format, "json") != 0)
		request->faults = fault_add(request->faults, "format", "must be \"json\" or \"csv\"");
	return false;
}

/* Cells -------------------------------------------------------------------- */

/* What a spreadsheet takes for a formula, or would after it has left out what comes before. */
static bool
looks_like_formula(Slice cell)
{
	return cell.length > 0 && strchr("=+-@\t\r\n", cell.data[0]) != NULL;
}

static bool
needs_quotes(Slice cell)
{
	if (cell.length > 0 && (cell.data[0] == ' ' || cell.data[cell.length - 1] == ' '))
		return true;
	for (int i = 0; i < cell.length; i++)
	{
		if (strchr(",;\"\r\n\t", cell.data[i]) != NULL)
			return true;
	}
	return false;
}

static void
append_cell(StringInfo csv, Slice cell)
{
	if (!needs_quotes(cell))
	{
		appendBinaryStringInfo(csv, cell.data, cell.length);
		return;
	}
	appendStringInfoChar(csv, '"');
	for (int i = 0; i < cell.length; i++)
	{
		if (cell.data[i] == '"')
			appendStringInfoChar(csv, '"');
		appendStringInfoChar(csv, cell.data[i]);
	}
	appendStringInfoChar(csv, '"');
}

static void
append_text(StringInfo csv, Slice cell)
{
	StringInfoData harmless;

	if (!looks_like_formula(cell))
	{
		append_cell(csv, cell);
		return;
	}
	initStringInfo(&harmless);
	appendStringInfoChar(&harmless, '\'');
	appendBinaryStringInfo(&harmless, cell.data, cell.length);
	append_cell(csv, (Slice){harmless.data, harmless.len});
	pfree(harmless.data);
}

/* A value of the answer: null is empty, an object or array is its JSON. */
static void
append_value(StringInfo csv, const JsonbValue *value)
{
	char *written;

	switch (value->type)
	{
		case jbvNull:
			return;
		case jbvString:
			append_text(csv, json_string(value));
			return;
		case jbvBool:
			appendStringInfoString(csv, value->val.boolean ? "true" : "false");
			return;
		case jbvNumeric:
			written = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			break;
		default:
			written = JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
	}
	append_cell(csv, slice_from_cstring(written));
	pfree(written);
}

/* Lines -------------------------------------------------------------------- */

/* The columns of a line. */
typedef struct Columns
{
	const char *item;           /* members of the item, as "a,b" */
	bool has_groups;            /* a line is of a group of the item */
	JsonbContainer *properties; /* by which the question groups; NULL: the group is one text */
	const char *group;          /* members of the group */
} Columns;

/* The next column of "a,b,c", as a text of its own; NULL after the last. */
static const char *
next_column(const char **columns)
{
	const char *column = *columns;
	size_t length = strcspn(column, ",");

	if (*column == '\0')
		return NULL;
	*columns += length + (column[length] == ',' ? 1 : 0);
	return pnstrdup(column, length);
}

static JsonbContainer *
container_of(const JsonbValue *value)
{
	return value->val.binary.data;
}

/* The cells of a line begin with nothing, and then with a comma. */
static void
append_separator(StringInfo csv, bool *is_first)
{
	if (!*is_first)
		appendStringInfoChar(csv, ',');
	*is_first = false;
}

static void
append_names(StringInfo csv, const char *columns, bool *is_first)
{
	const char *column;

	while ((column = next_column(&columns)) != NULL)
	{
		append_separator(csv, is_first);
		appendStringInfoString(csv, column);
	}
}

/* The first line. */
static void
append_head(StringInfo csv, const Columns *columns)
{
	bool is_first = true;

	append_names(csv, columns->item, &is_first);
	for (uint32 i = 0; columns->properties != NULL && i < JsonContainerSize(columns->properties); i++)
	{
		append_separator(csv, &is_first);
		append_value(csv, getIthJsonbValueFromContainer(columns->properties, i));
	}
	if (columns->has_groups)
		append_names(csv, columns->group, &is_first);
	appendStringInfoString(csv, LINE_END);
}

static void
append_member(StringInfo csv, JsonbContainer *object, const char *name, int length, bool *is_first)
{
	JsonbValue value;

	append_separator(csv, is_first);
	if (getKeyJsonValueFromContainer(object, name, length, &value) != NULL)
		append_value(csv, &value);
}

static void
append_members(StringInfo csv, JsonbContainer *object, const char *columns, bool *is_first)
{
	const char *column;

	while ((column = next_column(&columns)) != NULL)
		append_member(csv, object, column, (int) strlen(column), is_first);
}

/* What a group has of the properties by which the question groups. */
static void
append_properties(StringInfo csv, JsonbContainer *group, JsonbContainer *properties, bool *is_first)
{
	JsonbValue grouping;

	if (getKeyJsonValueFromContainer(group, "grouping", (int) strlen("grouping"), &grouping) == NULL)
		elog(ERROR, "group has no properties");
	for (uint32 i = 0; i < JsonContainerSize(properties); i++)
	{
		Slice property = json_string(getIthJsonbValueFromContainer(properties, i));

		append_member(csv, container_of(&grouping), property.data, property.length, is_first);
	}
}

static void
append_line(StringInfo csv, JsonbContainer *item, JsonbContainer *group, const Columns *columns)
{
	int length = csv->len;
	bool is_first = true;

	CHECK_FOR_INTERRUPTS();
	append_members(csv, item, columns->item, &is_first);
	if (columns->properties != NULL)
		append_properties(csv, group, columns->properties, &is_first);
	if (group != NULL)
		append_members(csv, group, columns->group, &is_first);
	appendStringInfoString(csv, LINE_END);
	memory_budget_grow(csv->len - length);
}

/* Of an item with groups, a line for each of them. */
static void
append_item(StringInfo csv, JsonbContainer *item, const Columns *columns)
{
	JsonbValue groups;

	if (!columns->has_groups)
	{
		append_line(csv, item, NULL, columns);
		return;
	}
	if (getKeyJsonValueFromContainer(item, "groupedValues", (int) strlen("groupedValues"), &groups) == NULL)
		elog(ERROR, "item has no groups");
	for (uint32 i = 0; i < JsonContainerSize(container_of(&groups)); i++)
	{
		JsonbValue *group = getIthJsonbValueFromContainer(container_of(&groups), i);

		append_line(csv, item, container_of(group), columns);
	}
}

/*
 * The columns of the answer's lines.  With groups, the group comes where those of the values begin, and what is not
 * told of single groups is left out.
 */
static Columns
columns_of(Jsonb *answer, const char *names)
{
	Columns columns = {.item = names};
	const char *values = strstr(names, "eventCount");
	JsonbValue kind;
	JsonbValue properties;

	if (json_member(answer, "groupBy", &properties))
		columns.properties = container_of(&properties);
	else if (!json_member(answer, "metricType", &kind) || !slice_equal(json_string(&kind), SLICE("GROUPED")))
		return columns;
	columns.has_groups = true;
	columns.item = pnstrdup(names, values - names);
	columns.group = columns.properties != NULL ? "eventCount,value" : "grouping,eventCount,value";
	return columns;
}

/* The items of an answer, of which these members are columns. */
text *
http_csv_write(Jsonb *answer, const char *columns)
{
	const Columns table = columns_of(answer, columns);
	StringInfoData csv;
	JsonbValue items;
	JsonbIterator *iterator;
	JsonbValue item;

	initStringInfo(&csv);
	appendStringInfoString(&csv, BYTE_ORDER_MARK);
	append_head(&csv, &table);
	if (!json_member(answer, "items", &items))
		elog(ERROR, "answer has no items");
	iterator = JsonbIteratorInit(container_of(&items));
	(void) JsonbIteratorNext(&iterator, &item, true);
	while (JsonbIteratorNext(&iterator, &item, true) == WJB_ELEM)
		append_item(&csv, container_of(&item), &table);
	return cstring_to_text_with_len(csv.data, csv.len);
}
