-- What PostgREST needs: roles, and a key for the header.  A role for HTTP does nothing without a key: what is sent without one is sent as another.
CREATE ROLE bench_authenticator LOGIN NOINHERIT;
CREATE ROLE bench_web NOLOGIN;
CREATE ROLE bench_sender NOLOGIN;
GRANT bench_web, bench_sender TO bench_authenticator;
SELECT usage_events.grant_access('bench_web', 'http'), usage_events.grant_access('bench_sender', 'ingest') \g /dev/null
SELECT replace(encode((client_id || ':' || client_secret)::bytea, 'base64'), E'\n', '')
FROM usage_events.create_api_key(usage_events.current_account_id(), 'bench');
