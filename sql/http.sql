-- http.sql: the HTTP API, through PostgREST

CREATE FUNCTION usage_events.authenticate_request() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'authenticate_request';

COMMENT ON FUNCTION usage_events.authenticate_request() IS
'PostgREST''s pre-request: checks the API key in the header Authorization (Basic, RFC 7617) and the header Sequence-Version, and makes the key''s account the account of the transaction. Writes nothing. Errors: PGRST with status 401 or 400';

CREATE FUNCTION usage_events.openapi() RETURNS json
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'openapi';

COMMENT ON FUNCTION usage_events.openapi() IS
'The HTTP API described in OpenAPI 3.0, as GET / answers it';

-- The name is PostgREST's for a text that is the body as it stands, of a type that its headers tell.
CREATE DOMAIN usage_events."*/*" AS text;

COMMENT ON DOMAIN usage_events."*/*" IS 'The body of an answer over HTTP: JSON, or CSV';

CREATE FUNCTION @extschema@.usage_api_read() RETURNS usage_events."*/*"
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'usage_api_read';

COMMENT ON FUNCTION @extschema@.usage_api_read() IS
'Serve a GET of the HTTP API
What is asked for stands in the header Usage-Request, which the proxy sets. Errors: PGRST with status 400, 403, 404, 405 or 500';

CREATE FUNCTION @extschema@.usage_api_write(bytea) RETURNS json
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'usage_api_write';

COMMENT ON FUNCTION @extschema@.usage_api_write(bytea) IS
'Serve a POST, PUT, DELETE or OPTIONS of the HTTP API
Takes the body as it came; what is asked for stands in the header Usage-Request, which the proxy sets. Errors: PGRST with status 400, 403, 404, 405, 415, 429 or 500';
