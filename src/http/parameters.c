/*
 * http/parameters.c
 *		Values of the query's parameters: what each kind may be.
 *
 * Whoever reads one adds its fault to those of the request, so that a refusal names
 * them all.
 */
#include "postgres.h"

#include "http/call.h"

#include "base/json_read.h"
#include "base/timestamp.h"
#include "base/uuid_v7.h"
#include "mb/pg_wchar.h"
#include "metric/value.h"
#include "utils/timestamp.h"

/* An integer from 0 on; the fault of others is said by who knows the range. */
void
http_read_integer(HttpRequest *request, const char *name, int *value)
{
	const char *text = http_parameter(request, name);

	if (text == NULL)
		return;
	if (*text == '\0' || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
		*value = -1;
	else
		*value = atoi(text);
}

void
http_read_boolean(HttpRequest *request, const char *name, bool *value)
{
	const char *text = http_parameter(request, name);

	if (text == NULL)
		return;
	*value = strcmp(text, "true") == 0;
	if (!*value && strcmp(text, "false") != 0)
		request->faults = fault_add(request->faults, name, "must be \"true\" or \"false\"");
}

/* An offset's "+" that was sent as it is, which in a query means a space. */
static const char *
with_plus(const char *text)
{
	char *copy = pstrdup(text);
	char *space = strrchr(copy, ' ');

	/* The first one, behind the date, may be the one before the time. */
	if (space != NULL && space - copy > (int) strlen("2022-10-01T"))
		*space = '+';
	return copy;
}

void
http_read_timestamp(HttpRequest *request, const char *name, bool *given, TimestampTz *value)
{
	const char *text = http_parameter(request, name);
	const char *fault;

	*given = text != NULL;
	if (text == NULL)
		return;
	fault = timestamp_from_text(slice_from_cstring(with_plus(text)), value);
	if (fault != NULL)
		request->faults =
			fault_add(request->faults, name, psprintf("%s: %s", fault, fault_quote(slice_from_cstring(text))));
}

/* The text; NULL where it is missing, which is a fault then. */
const char *
http_read_required(HttpRequest *request, const char *name)
{
	const char *text = http_parameter(request, name);

	if (text == NULL)
		request->faults = fault_add(request->faults, name, "is missing");
	return text;
}

void
http_read_required_timestamp(HttpRequest *request, const char *name, TimestampTz *value)
{
	bool given;

	if (http_read_required(request, name) != NULL)
		http_read_timestamp(request, name, &given, value);
}

/* The same; data is NULL where it is missing. */
Slice
http_read_required_text(HttpRequest *request, const char *name)
{
	const char *text = http_read_required(request, name);

	return text != NULL ? slice_from_cstring(text) : (Slice){NULL, 0};
}

/* False where it is none, which is a fault. */
static bool
read_uuid(HttpRequest *request, const char *name, const char *text, pg_uuid_t *value)
{
	if (uuid_v7_from_text(slice_from_cstring(text), value))
		return true;
	request->faults =
		fault_add(request->faults, name, psprintf("must be a UUID, not %s", fault_quote(slice_from_cstring(text))));
	return false;
}

/* An id; NULL where it is not given. */
const pg_uuid_t *
http_read_uuid(HttpRequest *request, const char *name)
{
	const char *text = http_parameter(request, name);
	pg_uuid_t *id;

	if (text == NULL)
		return NULL;
	id = palloc0(sizeof(pg_uuid_t));
	(void) read_uuid(request, name, text, id);
	return id;
}

/* An id; false where there is none, which is a fault. */
bool
http_read_required_uuid(HttpRequest *request, const char *name, pg_uuid_t *value)
{
	const char *text = http_read_required(request, name);

	return text != NULL && read_uuid(request, name, text, value);
}

/* A number; NULL where it is none, which is a fault. */
Numeric
http_read_number(HttpRequest *request, const char *name, int64 otherwise)
{
	const char *text = http_parameter(request, name);
	Numeric number;

	if (text == NULL)
		return int64_to_numeric(otherwise);
	number = metric_number_from_text(slice_from_cstring(text));
	if (number == NULL)
		request->faults = fault_add(request->faults, name,
									psprintf("must be a number, not %s", fault_quote(slice_from_cstring(text))));
	return number;
}

/* The order of a list. */
void
http_read_direction(HttpRequest *request, bool *descending)
{
	const char *text = http_parameter(request, "sortOrder");

	if (text == NULL)
		return;
	*descending = pg_strcasecmp(text, "DESC") == 0;
	if (!*descending && pg_strcasecmp(text, "ASC") != 0)
		request->faults = fault_add(request->faults, "sortOrder", "must be \"ASC\" or \"DESC\"");
}

/* A moment, or a date; false where there is none, which is a fault already. */
static bool
read_required_moment(HttpRequest *request, const char *name, TimestampTz *value, bool *is_date)
{
	const char *text = http_parameter(request, name);
	const char *fault;

	if (text == NULL)
	{
		request->faults = fault_add(request->faults, name, "is missing");
		return false;
	}
	fault = timestamp_or_date_from_text(slice_from_cstring(with_plus(text)), value, is_date);
	if (fault == NULL)
		return true;
	request->faults =
		fault_add(request->faults, name, psprintf("%s: %s", fault, fault_quote(slice_from_cstring(text))));
	return false;
}

/*
 * The period between the two parameters.  The end is inclusive for the client: of
 * a date the whole day, and of a moment the least step of time, is still inside.
 */
void
http_read_period(HttpRequest *request, TimestampTz *start, TimestampTz *end)
{
	bool is_date;
	bool has_start = read_required_moment(request, "periodStart", start, &is_date);
	bool has_end = read_required_moment(request, "periodEnd", end, &is_date);

	if (!has_start || !has_end)
		return;
	*end += is_date ? USECS_PER_DAY : 1;
	if (*end <= *start)
		request->faults = fault_add(request->faults, "periodEnd", "must not be before \"periodStart\"");
}

/* A JSON object; NULL where it is not given. */
Jsonb *
http_read_object(HttpRequest *request, const char *name)
{
	const char *text = http_parameter(request, name);
	const char *fault;
	Jsonb *json;

	if (text == NULL)
		return NULL;
	json = http_parse_json(text, GetDatabaseEncoding(), &fault);
	if (json != NULL && !json_is_object(json))
		fault = psprintf("must be a JSON object, not %s", json_document_kind(json));
	if (fault != NULL && fault[strlen(fault) - 1] == '.')
		fault = pnstrdup(fault, strlen(fault) - 1); /* faults are told with one of their own */
	if (fault != NULL)
		request->faults = fault_add(request->faults, name, fault);
	return json;
}

void
http_read_page(HttpRequest *request, ListPage *page)
{
	http_read_integer(request, "limit", &page->limit);
	page->after = http_parameter(request, "after");
	page->before = http_parameter(request, "before");
}

void
http_read_place_page(HttpRequest *request, PlacePage *page)
{
	page->limit = LIST_DEFAULT_LIMIT;
	http_read_integer(request, "limit", &page->limit);
	page->after = http_parameter(request, "after");
	page->before = http_parameter(request, "before");
}
