/*
 * event/columns.h
 *		The columns of an event, which all of its tables and views have.
 *
 * One row a column: whoever needs a list of them makes it of these.  EACH_EVENT_COLUMN(F, N)
 * gives the first one to F and each further one to N, so that N can begin with a comma.
 */
#ifndef USAGE_EVENTS_EVENT_COLUMNS_H
#define USAGE_EVENTS_EVENT_COLUMNS_H

/* number, name, type, its OID, that of its array */
#define EACH_EVENT_COLUMN(F, N) \
	F(ID, id, uuid, UUIDOID, UUIDARRAYOID) \
	N(CUSTOMER_EVENT_ID, customer_event_id, text, TEXTOID, TEXTARRAYOID) \
	N(CUSTOMER_ALIAS, customer_alias, text, TEXTOID, TEXTARRAYOID) \
	N(TYPE, event_type, text, TEXTOID, TEXTARRAYOID) \
	N(TIMESTAMP, event_timestamp, timestamptz, TIMESTAMPTZOID, TIMESTAMPTZARRAYOID) \
	N(PROPERTIES, event_properties, jsonb, JSONBOID, JSONBARRAYOID)

/* Their numbers in a row that begins with EVENT_COLUMNS; where the account comes first, from 0. */
#define EVENT_COLUMN_NUMBER(number, name, type, oid, array_oid) EVENT_COLUMN_##number,
typedef enum EventColumn
{
	EVENT_COLUMN_ACCOUNT,
	EACH_EVENT_COLUMN(EVENT_COLUMN_NUMBER, EVENT_COLUMN_NUMBER) EVENT_COLUMN_COUNT
} EventColumn;

/* "id, customer_event_id, ..." */
#define EVENT_COLUMN_NAME(number, name, type, oid, array_oid) #name
#define EVENT_COLUMN_NEXT_NAME(number, name, type, oid, array_oid) ", " #name
#define EVENT_COLUMNS EACH_EVENT_COLUMN(EVENT_COLUMN_NAME, EVENT_COLUMN_NEXT_NAME)

/* Types of parameters, and of arrays of them. */
#define EVENT_COLUMN_TYPE(number, name, type, oid, array_oid) oid,
#define EVENT_COLUMN_TYPES EACH_EVENT_COLUMN(EVENT_COLUMN_TYPE, EVENT_COLUMN_TYPE)
#define EVENT_COLUMN_ARRAY_TYPE(number, name, type, oid, array_oid) array_oid,
#define EVENT_COLUMN_ARRAY_TYPES EACH_EVENT_COLUMN(EVENT_COLUMN_ARRAY_TYPE, EVENT_COLUMN_ARRAY_TYPE)

#endif /* USAGE_EVENTS_EVENT_COLUMNS_H */
