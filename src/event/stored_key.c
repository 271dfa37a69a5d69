/*
 * event/stored_key.c
 *		Keys of a form that an older version took, and that events have.
 *
 * A new key has to look like what it is (base/key_form.c).  Where events are stored under one that
 * does not, they can still be corrected, taken back, sent again, given to a customer and
 * counted: so a key is let through where the account has it already.  Only where there is
 * such a fault is anything looked up.
 */
#include "postgres.h"

#include "event/stored_key.h"

#include "account/account.h"
#include "base/fault.h"
#include "catalog/pg_type.h"
#include "event/check.h"
#include "miscadmin.h"
#include "sql/row.h"
#include "sql/statement.h"
#include "utils/builtins.h"

static Statement read_keys = {
	.sql = "SELECT customer_alias, event_type FROM usage_events.event"
		   " WHERE account_id " EQ " $1 AND customer_event_id " EQ " $2",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static Statement find_alias = {
	.sql = "SELECT FROM usage_events.event"
		   " WHERE account_id " EQ " $1 AND customer_alias " EQ " $2 LIMIT 1",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static Statement find_event_type = {
	.sql = "SELECT FROM usage_events.event"
		   " WHERE account_id " EQ " $1 AND event_type " EQ " $2 LIMIT 1",
	.argument_count = 2,
	.argument_types = {UUIDOID, TEXTOID},
};

static bool
is_of_form(const Fault *fault, const char *field)
{
	return fault->is_of_form && strcmp(fault->field, field) == 0;
}

static bool
has_fault_of_form(const List *faults)
{
	ListCell *cell;

	foreach(cell, faults)
	{
		if (((const Fault *) lfirst(cell))->is_of_form)
			return true;
	}
	return false;
}

/* The faults without that of the field's form. */
static List *
without_fault_of_form(const List *faults, const char *field)
{
	List *others = NIL;
	ListCell *cell;

	foreach(cell, faults)
	{
		if (!is_of_form(lfirst(cell), field))
			others = lappend(others, lfirst(cell));
	}
	return others;
}

/* Whether the row that was found has that key in its column. */
static bool
row_has(int column, Slice key)
{
	text *value = DatumGetTextPP(row_value_there(0, column));

	return VARSIZE_ANY_EXHDR(value) == (Size) key.length && memcmp(VARDATA_ANY(value), key.data, key.length) == 0;
}

/* The fields whose keys are those of the event that is stored under the same customerEventId. */
static void
find_stored_fields(const UsageEvent *event, bool is_stored[FIELD_COUNT])
{
	SPI_connect();
	statement_execute(&read_keys, (Datum[]){UUIDPGetDatum(account_current()), slice_to_datum(event->customer_event_id)},
					  NULL);
	if (SPI_processed > 0)
	{
		is_stored[FIELD_CUSTOMER_EVENT_ID] = true;
		is_stored[FIELD_CUSTOMER_ALIAS] = row_has(1, event->customer_alias);
		is_stored[FIELD_EVENT_TYPE] = row_has(2, event->event_type);
	}
	SPI_finish();
}

/* The faults of an event, without those of keys that it has already as it is stored for the session's account. */
List *
stored_key_allow_event(List *faults, const UsageEvent *event)
{
	bool is_stored[FIELD_COUNT] = {false};

	if (!has_fault_of_form(faults) || event->customer_event_id.data == NULL)
		return faults;
	CHECK_FOR_INTERRUPTS();
	find_stored_fields(event, is_stored);
	for (int field = 0; field < FIELD_COUNT; field++)
	{
		if (is_stored[field])
			faults = without_fault_of_form(faults, event_field_names[field].data);
	}
	return faults;
}

static List *
allow(List *faults, const char *field, Statement *statement, Slice key)
{
	bool is_stored;

	if (!has_fault_of_form(faults) || key.data == NULL)
		return faults;
	SPI_connect();
	statement_execute(statement, (Datum[]){UUIDPGetDatum(account_current()), slice_to_datum(key)}, NULL);
	is_stored = SPI_processed > 0;
	SPI_finish();
	return is_stored ? without_fault_of_form(faults, field) : faults;
}

/* The faults without that of an alias in the field under which the session's account has events. */
List *
stored_key_allow_alias(List *faults, const char *field, Slice alias)
{
	return allow(faults, field, &find_alias, alias);
}

/* The same for an event type. */
List *
stored_key_allow_event_type(List *faults, const char *field, Slice event_type)
{
	return allow(faults, field, &find_event_type, event_type);
}
