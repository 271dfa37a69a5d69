-- base.sql: the schema, the version, ids, and what views do with writes
--
-- The first of the files of which make puts the script together: see SUBJECTS in the Makefile.
-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION usage_events" to load this file. \quit

-- Storage and administration live in the schema usage_events, the API in the schema that CREATE EXTENSION names.
-- Nobody need expose the former.

CREATE SCHEMA usage_events;

COMMENT ON SCHEMA usage_events IS
'Storage and administration of usage events; the API is in the schema of the extension';

-- Version -------------------------------------------------------------------

CREATE FUNCTION usage_events.library_version() RETURNS text
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'library_version';

COMMENT ON FUNCTION usage_events.library_version() IS
'Version of the loaded library; differs from the extension''s version while an upgrade is half done';

-- Ids -----------------------------------------------------------------------

CREATE FUNCTION @extschema@.uuid_v7() RETURNS uuid
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'uuid_v7';

COMMENT ON FUNCTION @extschema@.uuid_v7() IS
'A new UUID of version 7 (RFC 9562), above every one that this function made in this backend before';

CREATE FUNCTION @extschema@.uuid_v7_timestamp(id uuid) RETURNS timestamptz
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'uuid_v7_timestamp';

COMMENT ON FUNCTION @extschema@.uuid_v7_timestamp(uuid) IS
'The moment inside a UUID of version 7 (RFC 9562), to the microsecond; to the millisecond where others made the id, who may
have random bits there; NULL for other versions';

CREATE FUNCTION @extschema@.uuid_v7_floor(moment timestamptz) RETURNS uuid
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'uuid_v7_floor';

COMMENT ON FUNCTION @extschema@.uuid_v7_floor(timestamptz) IS
'The lowest UUID of version 7 (RFC 9562) of that moment: what was ingested from then on has an id that is not below it. Error: 22023 for a moment that no such id can have';

-- Writing to views ----------------------------------------------------------

-- Each row has checks, history and marks, which the functions see to.  Without a trigger the server would write to the table.
CREATE FUNCTION usage_events.refuse_view_write() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
        MESSAGE = format('view "%s" takes no writes', TG_TABLE_NAME),
        DETAIL = 'It shows what the functions of the extension have written.',
        HINT = TG_ARGV[0];
END
$$;

COMMENT ON FUNCTION usage_events.refuse_view_write() IS
'Trigger of the views, which says what to call instead of writing to them. Error: 0A000';
