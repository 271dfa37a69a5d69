-- retention.sql: what is deleted for good: old events, and customers

-- Old events ----------------------------------------------------------------

CREATE FUNCTION usage_events.purge(before timestamptz, account_id uuid DEFAULT NULL, max_rows integer DEFAULT 10000) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'purge';

COMMENT ON FUNCTION usage_events.purge(timestamptz, uuid, integer) IS
'Deletes, for good, the events of an account (NULL: the session''s) that happened before a moment, with all their versions; an event with a version that is not before it stays whole. Then rollups of that time, events that were refused before, and what usage limits have locked and nobody needs any more. At most max_rows (1 to 100,000) of these a call; returns how many, 0 when nothing is left. From the first call on, events of that time are refused, and no metric is calculated of it. Never waits for who writes. Errors: 22004 for NULL as before, 22023 for one in the future, an account that does not exist, or other max_rows';

-- Customers -----------------------------------------------------------------

CREATE TABLE usage_events.erasure (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    erased_at timestamptz NOT NULL,
    erased_by text NOT NULL,
    event_count bigint NOT NULL,
    version_count bigint NOT NULL,
    rejected_count bigint NOT NULL,
    rollup_count bigint NOT NULL,
    alias_count bigint NOT NULL,
    limit_count bigint NOT NULL,
    CONSTRAINT erasure_pkey PRIMARY KEY (account_id, id)
);

COMMENT ON TABLE usage_events.erasure IS 'What erase_customer() has done, a row for each call that erased something; nothing in it tells whose it was';
COMMENT ON COLUMN usage_events.erasure.account_id IS 'The account whose customer it was';
COMMENT ON COLUMN usage_events.erasure.id IS 'Unique id, a UUID of version 7';
COMMENT ON COLUMN usage_events.erasure.erased_at IS 'When the call was made';
COMMENT ON COLUMN usage_events.erasure.erased_by IS 'The role that had logged in';
COMMENT ON COLUMN usage_events.erasure.event_count IS 'Current events that were deleted';
COMMENT ON COLUMN usage_events.erasure.version_count IS 'Superseded versions that were deleted';
COMMENT ON COLUMN usage_events.erasure.rejected_count IS 'Refused events that were deleted';
COMMENT ON COLUMN usage_events.erasure.rollup_count IS 'Rows of rollups, and of alerts, that were deleted';
COMMENT ON COLUMN usage_events.erasure.alias_count IS 'Mapped aliases that were deleted, past ones too';
COMMENT ON COLUMN usage_events.erasure.limit_count IS 'Versions of usage limits that were deleted, current and past';

SELECT pg_catalog.pg_extension_config_dump('usage_events.erasure', '');

CREATE FUNCTION usage_events.erase_customer(alias text, account_id uuid DEFAULT NULL, max_rows integer DEFAULT 10000) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'erase_customer';

COMMENT ON FUNCTION usage_events.erase_customer(text, uuid, integer) IS
'Deletes, for good, what an account (NULL: the session''s) has of a customer, by alias; by the customer''s id, of all aliases that are mapped to it: the customer''s events, their superseded versions, those that were taken back, refused events that name the customer, rollups, portal tokens, limits of its own, and the mapped aliases. At most about max_rows (1 to 100,000) of these a call; returns how many, 0 when nothing is left. May stop at any time and go on later. What usage_events.erasure keeps of it names nobody. Events that are sent for the alias after the last call are new ones. Waits for sessions that write the customer''s events, and at the end for refreshes of the account. Errors: 22004 for NULL as the alias, 22023 for an empty one, VOID, an account that does not exist, or other max_rows; 55000 for one that is an alias of a customer and the id of another who has aliases';
