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

static void
append_names(StringInfo csv, const char *columns)
{
	const char *separator = "";
	const char *column;

	while ((column = next_column(&columns)) != NULL)
	{
		appendStringInfo(csv, "%s%s", separator, column);
		separator = ",";
	}
	appendStringInfoString(csv, LINE_END);
}

static JsonbContainer *
container_of(const JsonbValue *value)
{
	return value->val.binary.data;
}

/* The member of the group, where the line has one and it has the member, or else of the item. */
static bool
find_member(JsonbContainer *item, JsonbContainer *group, const char *name, JsonbValue *value)
{
	return (group != NULL && getKeyJsonValueFromContainer(group, name, (int) strlen(name), value) != NULL) ||
		   getKeyJsonValueFromContainer(item, name, (int) strlen(name), value) != NULL;
}

static void
append_line(StringInfo csv, JsonbContainer *item, JsonbContainer *group, const char *columns)
{
	int length = csv->len;
	const char *separator = "";
	const char *column;

	CHECK_FOR_INTERRUPTS();
	while ((column = next_column(&columns)) != NULL)
	{
		JsonbValue value;

		appendStringInfoString(csv, separator);
		if (find_member(item, group, column, &value))
			append_value(csv, &value);
		separator = ",";
	}
	appendStringInfoString(csv, LINE_END);
	memory_budget_grow(csv->len - length);
}

/* Of an item with groups, a line for each of them. */
static void
append_item(StringInfo csv, JsonbContainer *item, bool has_groups, const char *columns)
{
	JsonbValue groups;

	if (!has_groups || !find_member(item, NULL, "groupedValues", &groups))
	{
		append_line(csv, item, NULL, columns);
		return;
	}
	for (uint32 i = 0; i < JsonContainerSize(container_of(&groups)); i++)
	{
		JsonbValue *group = getIthJsonbValueFromContainer(container_of(&groups), i);

		append_line(csv, item, container_of(group), columns);
	}
}

/* Whether the answer is a metric's that has groups. */
static bool
is_grouped(Jsonb *answer)
{
	JsonbValue kind;

	return json_member(answer, "metricType", &kind) && slice_equal(json_string(&kind), SLICE("GROUPED"));
}

/* With groups, the group comes where the columns of the values begin, and what is not told of single groups is left out. */
static const char *
grouped_columns(const char *columns)
{
	const char *values = strstr(columns, "eventCount");

	return psprintf("%.*sgrouping,eventCount,value", (int) (values - columns), columns);
}

/* The items of an answer, of which these members are columns. */
text *
http_csv_write(Jsonb *answer, const char *columns)
{
	bool has_groups = is_grouped(answer);
	StringInfoData csv;
	JsonbValue items;
	JsonbIterator *iterator;
	JsonbValue item;

	if (has_groups)
		columns = grouped_columns(columns);
	initStringInfo(&csv);
	appendStringInfoString(&csv, BYTE_ORDER_MARK);
	append_names(&csv, columns);
	if (!json_member(answer, "items", &items))
		elog(ERROR, "answer has no items");
	iterator = JsonbIteratorInit(container_of(&items));
	(void) JsonbIteratorNext(&iterator, &item, true);
	while (JsonbIteratorNext(&iterator, &item, true) == WJB_ELEM)
		append_item(&csv, container_of(&item), has_groups, columns);
	return cstring_to_text_with_len(csv.data, csv.len);
}
