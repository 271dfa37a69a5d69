-- event.sql: events: their tables, functions and views, and COPY

-- Tables --------------------------------------------------------------------

CREATE TABLE usage_events.event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    event_timestamp timestamptz NOT NULL,
    customer_event_id text COLLATE pg_catalog."C" NOT NULL,
    customer_alias text COLLATE pg_catalog."C" NOT NULL,
    event_type text COLLATE pg_catalog."C" NOT NULL,
    event_properties jsonb NOT NULL,
    CONSTRAINT event_pkey PRIMARY KEY (account_id, customer_event_id)
);

-- Each index costs every event: these two, beside the key, are what metrics and lists find events by.
CREATE UNIQUE INDEX event_id_key ON usage_events.event (account_id, id);
CREATE INDEX event_customer_idx ON usage_events.event (account_id, customer_alias, event_type, event_timestamp);

COMMENT ON TABLE usage_events.event IS 'Usage events in their current version';
COMMENT ON COLUMN usage_events.event.account_id IS 'The account whose event it is';
COMMENT ON COLUMN usage_events.event.id IS 'Id of this version of the event, a UUID of version 7; the time inside it is when it was ingested';
COMMENT ON COLUMN usage_events.event.event_timestamp IS 'When the usage happened; decides which billing period it belongs to';
COMMENT ON COLUMN usage_events.event.customer_event_id IS 'The sender''s id of the event: another event with the same one supersedes it';
COMMENT ON COLUMN usage_events.event.customer_alias IS 'The end customer, by id or alias';
COMMENT ON COLUMN usage_events.event.event_type IS 'What happened; usage metrics refer to it';
COMMENT ON COLUMN usage_events.event.event_properties IS 'Quantities and categories of the event, a JSON object';

SELECT pg_catalog.pg_extension_config_dump('usage_events.event', '');

CREATE TABLE usage_events.superseded_event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    event_timestamp timestamptz NOT NULL,
    superseded_at timestamptz NOT NULL,
    superseded_by uuid NOT NULL,
    customer_event_id text COLLATE pg_catalog."C" NOT NULL,
    customer_alias text COLLATE pg_catalog."C" NOT NULL,
    event_type text COLLATE pg_catalog."C" NOT NULL,
    event_properties jsonb NOT NULL,
    CONSTRAINT superseded_event_pkey PRIMARY KEY (account_id, customer_event_id, id)
);
CREATE UNIQUE INDEX superseded_event_id_key ON usage_events.superseded_event (account_id, id);
CREATE INDEX superseded_event_by_idx ON usage_events.superseded_event (account_id, superseded_by);

COMMENT ON TABLE usage_events.superseded_event IS 'Versions of usage events that were superseded; rows are only ever added';
COMMENT ON COLUMN usage_events.superseded_event.account_id IS 'The account whose event it was';
COMMENT ON COLUMN usage_events.superseded_event.id IS 'Id of this version of the event';
COMMENT ON COLUMN usage_events.superseded_event.event_timestamp IS 'When the usage happened, as this version had it';
COMMENT ON COLUMN usage_events.superseded_event.superseded_at IS 'When another version took its place: the time inside superseded_by';
COMMENT ON COLUMN usage_events.superseded_event.superseded_by IS 'Id of the version that took its place';
COMMENT ON COLUMN usage_events.superseded_event.customer_event_id IS 'The sender''s id of the event, the same in all its versions';
COMMENT ON COLUMN usage_events.superseded_event.customer_alias IS 'The end customer, as this version had it';
COMMENT ON COLUMN usage_events.superseded_event.event_type IS 'What happened, as this version had it';
COMMENT ON COLUMN usage_events.superseded_event.event_properties IS 'Quantities and categories, as this version had them';

SELECT pg_catalog.pg_extension_config_dump('usage_events.superseded_event', '');

CREATE TABLE usage_events.rejected_event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    body text NOT NULL,
    faults jsonb NOT NULL,
    taken_at timestamptz,
    CONSTRAINT rejected_event_pkey PRIMARY KEY (account_id, id)
);

CREATE INDEX rejected_event_taken_idx ON usage_events.rejected_event (account_id) WHERE taken_at IS NOT NULL;

COMMENT ON TABLE usage_events.rejected_event IS 'Events that were refused on their way in, kept to be looked at and sent again';
COMMENT ON COLUMN usage_events.rejected_event.account_id IS 'The account to which it was sent';
COMMENT ON COLUMN usage_events.rejected_event.id IS 'Id of the rejection, a UUID of version 7; the time inside it is when it was rejected';
COMMENT ON COLUMN usage_events.rejected_event.body IS 'The event as it came';
COMMENT ON COLUMN usage_events.rejected_event.faults IS 'Why it was refused: [{"field", "fault"}], without field where the event as a whole is meant';
COMMENT ON COLUMN usage_events.rejected_event.taken_at IS 'When it was sent again: the next refresh deletes the row; NULL: it waits';

SELECT pg_catalog.pg_extension_config_dump('usage_events.rejected_event', 'WHERE taken_at IS NULL');

CREATE TABLE usage_events.rejected_overflow (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    event_count bigint NOT NULL,
    last_at timestamptz NOT NULL,
    CONSTRAINT rejected_overflow_pkey PRIMARY KEY (account_id, id)
);

COMMENT ON TABLE usage_events.rejected_overflow IS 'How many refused events were not kept, because their account had as many as it may: a row for each transaction that there was at a time, to be added up';
COMMENT ON COLUMN usage_events.rejected_overflow.account_id IS 'The account to which they were sent';
COMMENT ON COLUMN usage_events.rejected_overflow.id IS 'Id of the row, a UUID of version 7';
COMMENT ON COLUMN usage_events.rejected_overflow.event_count IS 'Refused events that were not kept, and counted here';
COMMENT ON COLUMN usage_events.rejected_overflow.last_at IS 'When the last of them was refused';

SELECT pg_catalog.pg_extension_config_dump('usage_events.rejected_overflow', '');

-- One event -----------------------------------------------------------------

-- One unnamed parameter, and no overload: PostgREST then passes the whole body.
CREATE FUNCTION @extschema@.create_usage_event(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_usage_event';

COMMENT ON FUNCTION @extschema@.create_usage_event(jsonb) IS
'Create a usage event
Takes {"customerAlias", "eventType", "customerEventId", "eventTimestamp", "eventProperties"}, the first two required, stores it for the session''s account, and returns what is stored, with "id" and "sequenceAccountId". The same event sent again is stored once; another with the same customerEventId supersedes it. Errors: 22023 naming every fault, 22004 for NULL, 23505 for a conflict where usage_events.on_conflict is refuse, 53400 where a metric would be above a usage limit';

CREATE FUNCTION usage_events.create_event(account_id uuid, event jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_event';

COMMENT ON FUNCTION usage_events.create_event(uuid, jsonb) IS
'create_usage_event() for an account named by the caller, who may act for any: for servers that serve many accounts. Errors as there, and 22023 for an account that does not exist';

CREATE FUNCTION @extschema@.get_usage_event(id uuid) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'get_usage_event';

COMMENT ON FUNCTION @extschema@.get_usage_event(uuid) IS
'Get a usage event
The current event of that id, as create_usage_event() returned it; NULL where the session''s account has none';

CREATE FUNCTION @extschema@.get_usage_event_history(id uuid) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'get_usage_event_history';

COMMENT ON FUNCTION @extschema@.get_usage_event_history(uuid) IS
'Get all versions of a usage event
Takes the id of any version and returns {"items"}: all of them, the oldest first, each with "supersededAt" and "supersededBy", which are null in the current one. NULL where the session''s account has none. Error: 54000 for an answer of more text than a sixth of usage_events.max_memory: the view usage_event_history has the versions, too';

-- Many events ---------------------------------------------------------------

-- Many at once: as the same events one by one, in the order given.
CREATE FUNCTION @extschema@.create_usage_events(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_usage_events';

COMMENT ON FUNCTION @extschema@.create_usage_events(jsonb) IS
'Create usage events, all or none
Takes an array of events as create_usage_event() takes one, stores them as if sent one by one, and returns an array of what is stored, in the same order. Errors: 22023 naming the faulty events, of many the first, by their index (from 0) with their faults; 54000 for more than usage_events.max_memory can take, or an answer of more than a sixth of it as text; otherwise as create_usage_event()';

CREATE FUNCTION usage_events.create_events(account_id uuid, events jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_events';

COMMENT ON FUNCTION usage_events.create_events(uuid, jsonb) IS
'create_usage_events() for an account named by the caller, who may act for any. Errors as there, and 22023 for an account that does not exist';

CREATE FUNCTION @extschema@.ingest_usage_events(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ingest_usage_events';

COMMENT ON FUNCTION @extschema@.ingest_usage_events(jsonb) IS
'Create usage events, each that can be
Takes an array of events, stores those that pass, keeps the others in rejected_usage_events (as far as usage_events.max_rejected_events and max_rejected_bytes allow: a fault says if not), and returns {"created", "superseded", "unchanged", "refused", "outcomes"}: four totals, and for each event in order {"index", "outcome", "id"} or {"index", "outcome": "refused", "faults": [{"field", "fault"}]}. Under usage_events.on_conflict = refuse, other content of a customerEventId that is there is refused so, too. Errors: 22023 for what is no array, 22004 for NULL';

-- One unnamed parameter here as well: PostgREST passes a body of text/plain.
CREATE FUNCTION @extschema@.ingest_usage_events_text(text) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ingest_usage_events_text';

COMMENT ON FUNCTION @extschema@.ingest_usage_events_text(text) IS
'Create usage events, each that can be, from text
ingest_usage_events() for an array as text, of which an element may be no JSON, or hold what the database cannot, such as \u0000: it is refused, and the others are stored. Errors as there, and 22P02, 22P05 for text of which one cannot tell where its elements end';

CREATE FUNCTION usage_events.ingest_events(account_id uuid, events jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'ingest_events';

COMMENT ON FUNCTION usage_events.ingest_events(uuid, jsonb) IS
'ingest_usage_events() for an account named by the caller, who may act for any. Errors as there, and 22023 for an account that does not exist';

CREATE FUNCTION @extschema@.retry_rejected_usage_events(ids uuid[] DEFAULT NULL) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'retry_rejected_usage_events';

COMMENT ON FUNCTION @extschema@.retry_rejected_usage_events(uuid[]) IS
'Send rejected usage events again
Takes ids of rejected_usage_events, or NULL for all of the session''s account, sends these events again in the order in which they were rejected, and returns what ingest_usage_events() would. Those that are refused again are kept again, under a new id';

CREATE FUNCTION @extschema@.delete_rejected_usage_event(id uuid) RETURNS jsonb
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'delete_rejected_usage_event';

COMMENT ON FUNCTION @extschema@.delete_rejected_usage_event(uuid) IS
'Give up a rejected usage event
Takes the id of one of rejected_usage_events, deletes it, and returns it: {"id", "rejectedAt", "body", "faults"}. NULL where the session''s account has none that waits';

CREATE FUNCTION @extschema@.list_rejected_usage_events(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_rejected_usage_events';

COMMENT ON FUNCTION @extschema@.list_rejected_usage_events(integer, text, text) IS
'List rejected usage events
A page of rejected_usage_events of the session''s account, the newest first, {"items": [{"id", "rejectedAt", "body", "faults"}], "pagination": {"after", "before", "totalResultSize"}}: page_limit items (1 to 100), from a cursor of an earlier page on (after or before). body is the event as it came, as text. Errors: 22023 naming each faulty argument by its name in the HTTP API; 54000 for an answer of more text than a sixth of usage_events.max_memory';

CREATE FUNCTION @extschema@.list_usage_customers(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_customers';

COMMENT ON FUNCTION @extschema@.list_usage_customers(integer, text, text) IS
'List customers that have usage events
A page of the aliases that events of the session''s account came with, in the order of their bytes, {"items": [{"customerAlias", "customerId", "lastEventTimestamp"}], "pagination": {"after", "before", "totalResultSize"}}: page_limit items (1 to 100), from a cursor of an earlier page on (after or before). customerId is null where the alias is mapped to nobody. VOID is none of them, and totalResultSize is null: they are not counted. Errors: 22023 naming each faulty argument by its name in the HTTP API, 54000 where the customers of the page have events of more types than usage_events.list_lookup_limit';

CREATE FUNCTION @extschema@.list_usage_event_types() RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_event_types';

COMMENT ON FUNCTION @extschema@.list_usage_event_types() IS
'List types of usage events
The types of the newest events of the session''s account, as many as usage_events.sample_limit says: {"items": [{"eventType", "eventCount", "lastEventTimestamp"}], "sample": {"eventCount", "isComplete"}}. isComplete: these were all the events that there are';

CREATE FUNCTION @extschema@.list_usage_event_properties(event_type text) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_event_properties';

COMMENT ON FUNCTION @extschema@.list_usage_event_properties(text) IS
'List properties of usage events
What events of a type have as eventProperties, by those of the type among the newest events of the session''s account, as many as usage_events.sample_limit says, in at most 16 MB: {"items": [{"name", "types", "eventCount", "examples"}], "sample": {"eventCount", "isComplete"}}. types: string, number, boolean, null, object, array. examples: up to three different short values. At most 1,000 properties are told, of names of at most 255 bytes. isComplete: all of all events of the type is told';

CREATE FUNCTION @extschema@.list_usage_events(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL,
    page_offset integer DEFAULT 0,
    sort_by text DEFAULT 'createdAt',
    sort_order text DEFAULT 'DESC',
    customer_aliases text[] DEFAULT NULL,
    unmapped_aliases_only boolean DEFAULT false,
    event_type text DEFAULT NULL,
    event_id text DEFAULT NULL,
    event_timestamp_before timestamptz DEFAULT NULL,
    event_timestamp_after timestamptz DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_usage_events';

COMMENT ON FUNCTION @extschema@.list_usage_events(integer, text, text, integer, text, text, text[], boolean, text, text, timestamptz, timestamptz) IS
'List usage events
A page of the session''s account''s events, {"items", "pagination": {"after", "before", "totalResultSize"}}: page_limit items (1 to 100), page_offset of them skipped (0 to 10,000), from a cursor of an earlier page on (after or before), sorted by createdAt or eventTimestamp, ASC or DESC; of any of the aliases (as they came with events: a customer''s id is none, VOID is), of aliases that are mapped to no customer, of a type, with an id (the event''s or the sender''s), before a moment (exclusive) and after one (inclusive). The pages after the first show the list as it was then, but for transactions that were still open. totalResultSize is exact, and null where more than usage_events.list_total_limit events, or a fifth as many pairs of a customer and a type, would have to be looked at. Errors: 22023 naming each faulty argument by its name in the HTTP API, 54000 where more than usage_events.list_lookup_limit corrections since the first page, aliases, or pairs of a customer and a type, or five times as many events, would have to be looked through';

-- Views ---------------------------------------------------------------------

CREATE VIEW @extschema@.usage_events WITH (security_invoker = true) AS
SELECT id,
       customer_event_id,
       customer_alias,
       event_type,
       event_timestamp,
       event_properties,
       account_id,
       @extschema@.uuid_v7_timestamp(id) AS ingested_at
FROM usage_events.event;

COMMENT ON VIEW @extschema@.usage_events IS 'Usage events in their current version';
COMMENT ON COLUMN @extschema@.usage_events.id IS 'Id of this version of the event';
COMMENT ON COLUMN @extschema@.usage_events.customer_event_id IS 'The sender''s id of the event';
COMMENT ON COLUMN @extschema@.usage_events.customer_alias IS 'The end customer, by id or alias';
COMMENT ON COLUMN @extschema@.usage_events.event_type IS 'What happened';
COMMENT ON COLUMN @extschema@.usage_events.event_timestamp IS 'When the usage happened';
COMMENT ON COLUMN @extschema@.usage_events.event_properties IS 'Quantities and categories of the event';
COMMENT ON COLUMN @extschema@.usage_events.account_id IS 'The account whose event it is';
COMMENT ON COLUMN @extschema@.usage_events.ingested_at IS 'When this version was stored, to the microsecond';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE ON @extschema@.usage_events FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_usage_event(), which also corrects the event of that customerEventId, or create_usage_events() for many, or COPY them to usage_event_import.');
CREATE TRIGGER refuse_delete INSTEAD OF DELETE ON @extschema@.usage_events FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('To take an event back, call create_usage_event() with its customerEventId and the customerAlias VOID. Events are deleted for good by usage_events.purge() and usage_events.erase_customer().');

CREATE VIEW @extschema@.usage_event_history WITH (security_invoker = true) AS
SELECT id,
       customer_event_id,
       customer_alias,
       event_type,
       event_timestamp,
       event_properties,
       account_id,
       @extschema@.uuid_v7_timestamp(id) AS ingested_at,
       superseded_at,
       superseded_by
FROM usage_events.superseded_event;

COMMENT ON VIEW @extschema@.usage_event_history IS 'Every version of a usage event that was superseded';
COMMENT ON COLUMN @extschema@.usage_event_history.id IS 'Id of this version of the event';
COMMENT ON COLUMN @extschema@.usage_event_history.customer_event_id IS 'The sender''s id of the event';
COMMENT ON COLUMN @extschema@.usage_event_history.customer_alias IS 'The end customer, as this version had it';
COMMENT ON COLUMN @extschema@.usage_event_history.event_type IS 'What happened, as this version had it';
COMMENT ON COLUMN @extschema@.usage_event_history.event_timestamp IS 'When the usage happened, as this version had it';
COMMENT ON COLUMN @extschema@.usage_event_history.event_properties IS 'Quantities and categories, as this version had them';
COMMENT ON COLUMN @extschema@.usage_event_history.account_id IS 'The account whose event it was';
COMMENT ON COLUMN @extschema@.usage_event_history.ingested_at IS 'When this version was stored, to the microsecond';
COMMENT ON COLUMN @extschema@.usage_event_history.superseded_at IS 'When another version took its place';
COMMENT ON COLUMN @extschema@.usage_event_history.superseded_by IS 'Id of the version that took its place';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.usage_event_history FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_usage_event(): the version that an event replaces comes to be here by itself.');

CREATE VIEW @extschema@.rejected_usage_events WITH (security_invoker = true) AS
SELECT id,
       body,
       faults,
       account_id,
       @extschema@.uuid_v7_timestamp(id) AS rejected_at
FROM usage_events.rejected_event
WHERE taken_at IS NULL;

COMMENT ON VIEW @extschema@.rejected_usage_events IS 'Events that were refused on their way in; retry_rejected_usage_events() sends them again';
COMMENT ON COLUMN @extschema@.rejected_usage_events.id IS 'Id of the rejection';
COMMENT ON COLUMN @extschema@.rejected_usage_events.body IS 'The event as it came';
COMMENT ON COLUMN @extschema@.rejected_usage_events.faults IS 'Why it was refused: [{"field", "fault"}]';
COMMENT ON COLUMN @extschema@.rejected_usage_events.account_id IS 'The account to which it was sent';
COMMENT ON COLUMN @extschema@.rejected_usage_events.rejected_at IS 'When it was rejected, to the microsecond';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.rejected_usage_events FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('What ingest_usage_events() refuses comes to be here by itself; retry_rejected_usage_events() sends it again.');

-- Import --------------------------------------------------------------------

CREATE VIEW @extschema@.usage_event_import WITH (security_invoker = true) AS
SELECT ''::text AS event WHERE false;

COMMENT ON VIEW @extschema@.usage_event_import IS
'COPY usage_event_import FROM ... (FORMAT csv, DELIMITER E''\x01'', QUOTE E''\x02''): one JSON event a line, or CSV whose header names fields of events and properties. Always empty to read. usage_events.import_on_error says what happens to a line that is no event. Errors: 22P04 where COPY''s options would change a line';
COMMENT ON COLUMN @extschema@.usage_event_import.event IS 'An event as create_usage_event() takes it';

CREATE FUNCTION usage_events.import_usage_events() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'import_usage_events';

COMMENT ON FUNCTION usage_events.import_usage_events() IS
'Gathers the rows that a statement writes to usage_event_import, and stores them in batches. Errors as create_usage_events()';

CREATE TRIGGER usage_event_import_begin BEFORE INSERT ON @extschema@.usage_event_import
    FOR EACH STATEMENT EXECUTE FUNCTION usage_events.import_usage_events();

CREATE TRIGGER usage_event_import_row INSTEAD OF INSERT ON @extschema@.usage_event_import
    FOR EACH ROW EXECUTE FUNCTION usage_events.import_usage_events();

CREATE TRIGGER usage_event_import_end AFTER INSERT ON @extschema@.usage_event_import
    FOR EACH STATEMENT EXECUTE FUNCTION usage_events.import_usage_events();
