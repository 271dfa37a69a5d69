-- customer.sql: customers, and the aliases under which their events come in

-- Table ---------------------------------------------------------------------

CREATE TABLE usage_events.customer_alias (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    customer_id text COLLATE pg_catalog."C" NOT NULL,
    value text COLLATE pg_catalog."C" NOT NULL,
    label text,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT customer_alias_pkey PRIMARY KEY (account_id, id)
);

CREATE UNIQUE INDEX customer_alias_value_key ON usage_events.customer_alias (account_id, value) WHERE deleted_at IS NULL;
CREATE INDEX customer_alias_customer_idx ON usage_events.customer_alias (account_id, customer_id) WHERE deleted_at IS NULL;

COMMENT ON TABLE usage_events.customer_alias IS 'Names under which events come in, and the customers they belong to';
COMMENT ON COLUMN usage_events.customer_alias.account_id IS 'The account whose customer it is';
COMMENT ON COLUMN usage_events.customer_alias.id IS 'Unique id, a UUID of version 7';
COMMENT ON COLUMN usage_events.customer_alias.customer_id IS 'The customer, by the account''s own id; an alias of itself without being set up';
COMMENT ON COLUMN usage_events.customer_alias.value IS 'The alias; of one customer at a time';
COMMENT ON COLUMN usage_events.customer_alias.label IS 'For people to read';
COMMENT ON COLUMN usage_events.customer_alias.created_at IS 'When the alias was made';
COMMENT ON COLUMN usage_events.customer_alias.deleted_at IS 'When it was deleted; NULL while it is in force';

SELECT pg_catalog.pg_extension_config_dump('usage_events.customer_alias', '');

-- Functions -----------------------------------------------------------------

CREATE FUNCTION @extschema@.create_customer_alias(jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'create_customer_alias';

COMMENT ON FUNCTION @extschema@.create_customer_alias(jsonb) IS
'Create a customer alias
Takes {"customerId", "value", "label"}, the last optional, and maps the alias to the customer: events that came with it count as the customer''s from now on, also those that came before. The same again is a retry, and answered as the first time. Errors: 22023 naming every fault, also where the alias is another customer''s; 22004 for NULL';

CREATE FUNCTION @extschema@.update_customer_alias(id uuid, alias jsonb) RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'update_customer_alias';

COMMENT ON FUNCTION @extschema@.update_customer_alias(uuid, jsonb) IS
'Change the label of a customer alias
Takes {"label"}, a string or null, and returns the alias; NULL where the session''s account has none of that id. Errors: 22023 naming every fault, 22004 for NULL as the alias';

CREATE FUNCTION @extschema@.delete_customer_alias(id uuid) RETURNS jsonb
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'delete_customer_alias';

COMMENT ON FUNCTION @extschema@.delete_customer_alias(uuid) IS
'Delete a customer alias
Its events belong to nobody from now on, until the alias is mapped again. Returns the alias; NULL where the session''s account has none of that id';

CREATE FUNCTION @extschema@.list_customer_aliases(
    page_limit integer DEFAULT 20,
    after text DEFAULT NULL,
    before text DEFAULT NULL,
    value text DEFAULT NULL
) RETURNS jsonb
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'list_customer_aliases';

COMMENT ON FUNCTION @extschema@.list_customer_aliases(integer, text, text, text) IS
'List customer aliases
A page of the session''s account''s aliases, the newest first, or the one of that value, in pages as those of list_usage_events(), each of the moment at which it is read. Errors as there';

-- Views ---------------------------------------------------------------------

CREATE VIEW @extschema@.customer_aliases WITH (security_invoker = true) AS
SELECT id,
       customer_id,
       value,
       label,
       created_at,
       account_id
FROM usage_events.customer_alias
WHERE deleted_at IS NULL;

COMMENT ON VIEW @extschema@.customer_aliases IS 'Names under which events come in, and the customers they belong to';
COMMENT ON COLUMN @extschema@.customer_aliases.id IS 'Id of the alias';
COMMENT ON COLUMN @extschema@.customer_aliases.customer_id IS 'The customer';
COMMENT ON COLUMN @extschema@.customer_aliases.value IS 'The alias';
COMMENT ON COLUMN @extschema@.customer_aliases.label IS 'For people to read';
COMMENT ON COLUMN @extschema@.customer_aliases.created_at IS 'When the alias was made';
COMMENT ON COLUMN @extschema@.customer_aliases.account_id IS 'The account whose customer it is';

CREATE TRIGGER refuse_write INSTEAD OF INSERT OR UPDATE OR DELETE ON @extschema@.customer_aliases FOR EACH ROW
    EXECUTE FUNCTION usage_events.refuse_view_write('Call create_customer_alias(), update_customer_alias() or delete_customer_alias().');

-- One step of the recursion is one search in an index: from an alias to the next.
-- So is each look whether it is mapped: the first from it on, because that order
-- leaves the planner one index to choose, also of a table that it knows nothing of.
CREATE VIEW usage_events.unmapped_alias WITH (security_invoker = true) AS
WITH RECURSIVE alias (value) AS (
    (SELECT customer_alias FROM usage_events.event
     WHERE account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
     ORDER BY customer_alias LIMIT 1)
    UNION ALL
    SELECT (SELECT customer_alias FROM usage_events.event
            WHERE account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
              AND customer_alias OPERATOR(pg_catalog.>) alias.value
            ORDER BY customer_alias LIMIT 1)
    FROM alias
    WHERE alias.value IS NOT NULL
)
SELECT alias.value
FROM alias
WHERE alias.value OPERATOR(pg_catalog.<>) 'VOID'
  AND ((SELECT mapped.value FROM usage_events.customer_alias AS mapped
       WHERE mapped.account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
         AND mapped.deleted_at IS NULL AND mapped.value OPERATOR(pg_catalog.>=) alias.value
       ORDER BY mapped.value LIMIT 1) OPERATOR(pg_catalog.=) alias.value) IS NOT TRUE
  AND ((SELECT mapped.customer_id FROM usage_events.customer_alias AS mapped
       WHERE mapped.account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
         AND mapped.deleted_at IS NULL AND mapped.customer_id OPERATOR(pg_catalog.>=) alias.value
       ORDER BY mapped.customer_id LIMIT 1) OPERATOR(pg_catalog.=) alias.value) IS NOT TRUE;

COMMENT ON VIEW usage_events.unmapped_alias IS 'Aliases of the session''s account''s events that belong to no customer yet';
COMMENT ON COLUMN usage_events.unmapped_alias.value IS 'The alias';

-- An alias has its events in the order of time by type: from the last of a type to the last of the one before.
CREATE VIEW @extschema@.unmapped_customer_aliases WITH (security_invoker = true) AS
SELECT alias.value AS customer_alias,
       (WITH RECURSIVE last_of (event_type, event_timestamp) AS (
            (SELECT event_type, event_timestamp FROM usage_events.event
             WHERE account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
               AND customer_alias OPERATOR(pg_catalog.=) alias.value
             ORDER BY event_type DESC, event_timestamp DESC LIMIT 1)
            UNION ALL
            SELECT before.event_type, before.event_timestamp
            FROM last_of
            CROSS JOIN LATERAL (
                SELECT event_type, event_timestamp FROM usage_events.event
                WHERE account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()
                  AND customer_alias OPERATOR(pg_catalog.=) alias.value
                  AND event_type OPERATOR(pg_catalog.<) last_of.event_type
                ORDER BY event_type DESC, event_timestamp DESC LIMIT 1
            ) AS before
        )
        SELECT pg_catalog.max(event_timestamp) FROM last_of) AS last_event_timestamp
FROM usage_events.unmapped_alias AS alias;

COMMENT ON VIEW @extschema@.unmapped_customer_aliases IS 'Aliases of the session''s account''s events that belong to no customer yet; the alias VOID never does';
COMMENT ON COLUMN @extschema@.unmapped_customer_aliases.customer_alias IS 'The alias';
COMMENT ON COLUMN @extschema@.unmapped_customer_aliases.last_event_timestamp IS 'When its last usage happened';
