-- event_type.sql: the type usage_event

-- The type ------------------------------------------------------------------

CREATE TYPE @extschema@.usage_event;

CREATE FUNCTION usage_events.usage_event_in(cstring) RETURNS @extschema@.usage_event
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_in';

COMMENT ON FUNCTION usage_events.usage_event_in(cstring) IS 'Input of the type usage_event';

CREATE FUNCTION usage_events.usage_event_out(@extschema@.usage_event) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_out';

COMMENT ON FUNCTION usage_events.usage_event_out(@extschema@.usage_event) IS 'Output of the type usage_event';

CREATE FUNCTION usage_events.usage_event_recv(internal) RETURNS @extschema@.usage_event
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_recv';

COMMENT ON FUNCTION usage_events.usage_event_recv(internal) IS 'Binary input of the type usage_event';

CREATE FUNCTION usage_events.usage_event_send(@extschema@.usage_event) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_send';

COMMENT ON FUNCTION usage_events.usage_event_send(@extschema@.usage_event) IS 'Binary output of the type usage_event';

CREATE TYPE @extschema@.usage_event (
    INPUT = usage_events.usage_event_in,
    OUTPUT = usage_events.usage_event_out,
    RECEIVE = usage_events.usage_event_recv,
    SEND = usage_events.usage_event_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);

COMMENT ON TYPE @extschema@.usage_event IS
'A usage event that has been checked; its text is the API''s JSON. Errors on input: 22023 naming every fault, 22P02 for what is no JSON';

-- Casts ---------------------------------------------------------------------

CREATE FUNCTION usage_events.usage_event_from_jsonb(jsonb) RETURNS @extschema@.usage_event
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_from_jsonb';

COMMENT ON FUNCTION usage_events.usage_event_from_jsonb(jsonb) IS 'Cast from jsonb, with the checks of the type''s input';

CREATE FUNCTION usage_events.usage_event_to_jsonb(@extschema@.usage_event) RETURNS jsonb
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_to_jsonb';

COMMENT ON FUNCTION usage_events.usage_event_to_jsonb(@extschema@.usage_event) IS 'Cast to jsonb';

CREATE CAST (jsonb AS @extschema@.usage_event)
    WITH FUNCTION usage_events.usage_event_from_jsonb AS ASSIGNMENT;

CREATE CAST (@extschema@.usage_event AS jsonb)
    WITH FUNCTION usage_events.usage_event_to_jsonb AS ASSIGNMENT;

-- What json_build_object() and drivers that know json alone give.
CREATE CAST (json AS @extschema@.usage_event) WITH INOUT AS ASSIGNMENT;

CREATE CAST (@extschema@.usage_event AS json) WITH INOUT AS ASSIGNMENT;

-- Comparing -----------------------------------------------------------------

-- As jsonb does it, so that DISTINCT, GROUP BY, ORDER BY, UNION and indexes work with the type.

CREATE FUNCTION usage_events.usage_event_lt(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_lt';

COMMENT ON FUNCTION usage_events.usage_event_lt(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is less than the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_le(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_le';

COMMENT ON FUNCTION usage_events.usage_event_le(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is at most the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_eq(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_eq';

COMMENT ON FUNCTION usage_events.usage_event_eq(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event equals the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_ne(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_ne';

COMMENT ON FUNCTION usage_events.usage_event_ne(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event differs from the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_ge(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_ge';

COMMENT ON FUNCTION usage_events.usage_event_ge(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is at least the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_gt(@extschema@.usage_event, @extschema@.usage_event) RETURNS boolean
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_gt';

COMMENT ON FUNCTION usage_events.usage_event_gt(@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is greater than the second, in the order of their JSON';

CREATE FUNCTION usage_events.usage_event_cmp(@extschema@.usage_event, @extschema@.usage_event) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_cmp';

COMMENT ON FUNCTION usage_events.usage_event_cmp(@extschema@.usage_event, @extschema@.usage_event) IS 'Order of two events: that of their JSON, less than, equal to, or greater than 0';

CREATE FUNCTION usage_events.usage_event_hash(@extschema@.usage_event) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_hash';

COMMENT ON FUNCTION usage_events.usage_event_hash(@extschema@.usage_event) IS 'Hash of an event';

CREATE FUNCTION usage_events.usage_event_hash_extended(@extschema@.usage_event, bigint) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'usage_event_hash_extended';

COMMENT ON FUNCTION usage_events.usage_event_hash_extended(@extschema@.usage_event, bigint) IS 'Hash of an event, of 64 bits and with a seed';

CREATE OPERATOR @extschema@.< (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_lt,
    COMMUTATOR = OPERATOR(@extschema@.>), NEGATOR = OPERATOR(@extschema@.>=), RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel
);

CREATE OPERATOR @extschema@.<= (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_le,
    COMMUTATOR = OPERATOR(@extschema@.>=), NEGATOR = OPERATOR(@extschema@.>), RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel
);

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_eq,
    COMMUTATOR = OPERATOR(@extschema@.=), NEGATOR = OPERATOR(@extschema@.<>), RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel, HASHES, MERGES
);

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>), NEGATOR = OPERATOR(@extschema@.=), RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);

CREATE OPERATOR @extschema@.>= (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_ge,
    COMMUTATOR = OPERATOR(@extschema@.<=), NEGATOR = OPERATOR(@extschema@.<), RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel
);

CREATE OPERATOR @extschema@.> (
    LEFTARG = @extschema@.usage_event, RIGHTARG = @extschema@.usage_event, FUNCTION = usage_events.usage_event_gt,
    COMMUTATOR = OPERATOR(@extschema@.<), NEGATOR = OPERATOR(@extschema@.<=), RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel
);

COMMENT ON OPERATOR @extschema@.< (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is less than the second';

COMMENT ON OPERATOR @extschema@.<= (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is at most the second';

COMMENT ON OPERATOR @extschema@.= (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event equals the second';

COMMENT ON OPERATOR @extschema@.<> (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event differs from the second';

COMMENT ON OPERATOR @extschema@.>= (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is at least the second';

COMMENT ON OPERATOR @extschema@.> (@extschema@.usage_event, @extschema@.usage_event) IS 'The first event is greater than the second';

CREATE OPERATOR CLASS @extschema@.usage_event_ops DEFAULT FOR TYPE @extschema@.usage_event USING btree AS
    OPERATOR 1 @extschema@.<,
    OPERATOR 2 @extschema@.<=,
    OPERATOR 3 @extschema@.=,
    OPERATOR 4 @extschema@.>=,
    OPERATOR 5 @extschema@.>,
    FUNCTION 1 usage_events.usage_event_cmp;

CREATE OPERATOR CLASS @extschema@.usage_event_ops DEFAULT FOR TYPE @extschema@.usage_event USING hash AS
    OPERATOR 1 @extschema@.=,
    FUNCTION 1 usage_events.usage_event_hash,
    FUNCTION 2 usage_events.usage_event_hash_extended;

COMMENT ON OPERATOR FAMILY @extschema@.usage_event_ops USING btree IS 'Order of events, that of their JSON';

COMMENT ON OPERATOR FAMILY @extschema@.usage_event_ops USING hash IS 'Hashes of events';

COMMENT ON OPERATOR CLASS @extschema@.usage_event_ops USING btree IS 'Order of events, that of their JSON';

COMMENT ON OPERATOR CLASS @extschema@.usage_event_ops USING hash IS 'Hashes of events';
