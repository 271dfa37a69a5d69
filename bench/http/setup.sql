-- What PostgREST needs: roles, and a key for the header.
CREATE ROLE bench_authenticator LOGIN NOINHERIT;
CREATE ROLE bench_web NOLOGIN;
GRANT bench_web TO bench_authenticator;
SELECT usage_events.grant_access('bench_web', 'http') \g /dev/null
SELECT replace(encode((client_id || ':' || client_secret)::bytea, 'base64'), E'\n', '')
FROM usage_events.create_api_key(usage_events.current_account_id(), 'bench');
