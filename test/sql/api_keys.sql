-- API keys: made, listed, rotated, expired, revoked; and requests that show one.
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.api_key;
SELECT usage_events.create_account('acme') AS acme \gset
SELECT usage_events.create_account('globex') AS globex \gset

-- making: another id and another secret each time; the secret is seen once
SELECT client_id AS id, client_secret AS secret FROM usage_events.create_api_key(:'acme', 'billing') \gset
SELECT client_id AS second_id, client_secret AS second_secret FROM usage_events.create_api_key(:'acme', 'billing') \gset
SELECT client_id AS globex_id, client_secret AS globex_secret FROM usage_events.create_api_key(:'globex', repeat('ü', 255)) \gset
SELECT :'id' ~ ('^' || :'acme' || '\.[0-9a-f]{16}$') AS id_begins_with_account, :'secret' ~ '^[0-9a-f]{64}$' AS secret_of_256_bits,
       :'id' <> :'second_id' AS ids_differ, :'secret' <> :'second_secret' AS secrets_differ;
SELECT secret_hash = sha256(convert_to(:'secret', 'UTF8')) AS hash_is_stored, strpos(key::text, :'secret') AS secret_in_row,
       account_id = :'acme' AS of_account, label, now() - created_at BETWEEN '0' AND '1 minute' AS just_made, expires_at
FROM usage_events.api_key AS key WHERE client_id = :'id';

-- listing: an account's own, the oldest first
SELECT client_id = :'id' AS first, label, now() - created_at BETWEEN '0' AND '1 minute' AS just_made, expires_at FROM usage_events.list_api_keys(:'acme');
SELECT length(label) FROM usage_events.list_api_keys(:'globex');
SELECT * FROM usage_events.list_api_keys('0184421e-a9cc-711b-af93-bf0511d4d833');
SELECT usage_events.current_account_id();

-- rotating: the same account and label; the old key goes at once, or after the grace, but never later than it would have gone
CREATE VIEW key AS
SELECT account.name AS account, label, CASE WHEN expires_at IS NULL THEN 'never' WHEN expires_at <= now() THEN 'now'
           ELSE 'in ' || extract(hour FROM expires_at - now() + interval '1 minute') || ' hours' END AS expires
FROM usage_events.api_key AS key JOIN usage_events.account USING (account_id) WHERE account.name = 'acme' ORDER BY created_at;
SELECT client_id AS third_id, client_secret AS third_secret FROM usage_events.rotate_api_key(:'id') \gset
SELECT :'third_id' ~ ('^' || :'acme' || '\.[0-9a-f]{16}$') AND :'third_id' <> :'id' AS another_id,
    :'third_secret' ~ '^[0-9a-f]{64}$' AND :'third_secret' <> :'secret' AS another_secret;
TABLE key;
SELECT count(*) FROM usage_events.rotate_api_key(:'second_id', '2 hours');
SELECT count(*) FROM usage_events.rotate_api_key(:'second_id', '5 hours');
TABLE key;
\set VERBOSITY sqlstate
SELECT count(*) FROM usage_events.rotate_api_key(:'id', '1 hour');
\set VERBOSITY default
TABLE key;

-- expiring: at a moment, or never; revoking
SELECT usage_events.expire_api_key(:'second_id', now() + interval '3 hours');
TABLE key;
SELECT usage_events.expire_api_key(:'second_id', NULL);
SELECT usage_events.revoke_api_key(:'third_id');
TABLE key;
DROP VIEW key;

-- scopes: what a key is good for; what a rotated one is good for stays, and expires by nothing but a call
SELECT client_id AS ingest_id FROM usage_events.create_api_key(:'acme', 'application', 'ingest') \gset
SELECT client_id AS portal_id, client_secret AS portal_secret FROM usage_events.create_api_key(:'acme', 'portal', 'read', 'customer',
    '{0184421e-a9cc-711b-af93-bf0511d4d833}', expires_at => now() + interval '1 hour') \gset
SELECT count(*) FROM usage_events.rotate_api_key(:'portal_id', '1 day');
SELECT label, access, customer, metric_ids, expires_at - now() < '1 hour 1 minute' AS expires FROM usage_events.list_api_keys(:'acme') OFFSET 5;
SELECT * FROM usage_events.create_api_key(:'acme', 'label', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.create_api_key(:'acme', 'label', 'write');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.create_api_key(:'acme', 'label', customer => 'customer');
SELECT * FROM usage_events.create_api_key(:'acme', 'label', 'ingest', 'customer', '{0184421e-a9cc-711b-af93-bf0511d4d833}');
SELECT * FROM usage_events.create_api_key(:'acme', 'label', 'read', ' ', '{}', '2020-01-01Z');
SELECT * FROM usage_events.create_api_key(:'acme', 'label', 'read', metric_ids => '{0184421e-a9cc-711b-af93-bf0511d4d833, NULL}');
SELECT * FROM usage_events.create_api_key(:'acme', 'label', 'read', metric_ids => array_fill('0184421e-a9cc-711b-af93-bf0511d4d833'::uuid, '{101}'));
SELECT * FROM usage_events.create_api_key(:'acme', 'label', expires_at => now());
SELECT usage_events.revoke_api_key(client_id) FROM usage_events.list_api_keys(:'acme') WHERE access <> 'full';

-- refusals
SELECT * FROM usage_events.create_api_key(NULL, 'label');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.create_api_key(:'acme', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.create_api_key('0184421e-a9cc-711b-af93-bf0511d4d833', 'label');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.create_api_key(:'acme', U&' \3000');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.create_api_key(:'acme', repeat('ü', 256));
SELECT * FROM usage_events.list_api_keys(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.rotate_api_key(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.rotate_api_key(:'third_id', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.rotate_api_key(:'third_id', '-1 second');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.rotate_api_key(:'third_id', '300000 years');
SELECT * FROM usage_events.rotate_api_key('0184421e-a9cc-711b-af93-bf0511d4d833.0123456789abcdef');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM usage_events.rotate_api_key('nothing like a client id');
SELECT usage_events.expire_api_key(NULL, now());
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.expire_api_key('0184421e-a9cc-711b-af93-bf0511d4d833', now());
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.revoke_api_key(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.revoke_api_key('');
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.revoke_api_key(upper('0184421e-a9cc-711b-af93-bf0511d4d833.0123456789abcdef'));

-- Requests: who asks is the account of the transaction, whatever it was before.
CREATE FUNCTION basic(credentials text) RETURNS text LANGUAGE sql AS
$$ SELECT 'Basic ' || translate(encode(convert_to(credentials, 'UTF8'), 'base64'), E'\n', '') $$;
CREATE FUNCTION account() RETURNS text LANGUAGE sql AS
$$ SELECT name FROM usage_events.account WHERE account_id = usage_events.current_account_id() $$;
CREATE FUNCTION request(authorization_header text, version text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer jsonb;
BEGIN
    PERFORM set_config('request.headers', jsonb_strip_nulls(jsonb_build_object('authorization', authorization_header, 'sequence-version', version))::text,
        true);
    PERFORM usage_events.authenticate_request();
    RETURN account() || ' ' || current_setting('response.headers');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS answer = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' ', SQLSTATE, answer ->> 'status', SQLERRM::jsonb ->> 'message', SQLERRM::jsonb ->> 'details');
END $$;
SELECT basic(:'globex_id' || ':' || :'globex_secret') AS globex_header, basic(:'second_id' || ':' || :'second_secret') AS acme_header \gset
\pset format unaligned
\pset tuples_only on

-- a key, until the transaction ends
SET usage_events.account_id = :'acme';
BEGIN;
SELECT request(:'globex_header'), account();
COMMIT;
SELECT account();
BEGIN READ ONLY;
SELECT request(:'globex_header'), account();
SELECT list_usage_events() -> 'items';
ROLLBACK;
SELECT account();
RESET usage_events.account_id;
BEGIN;
SELECT request(:'acme_header');
SAVEPOINT s;
SELECT request(:'globex_header');
ROLLBACK TO s;
SELECT account();
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t"}') ->> 'sequenceAccountId' = :'acme' AS own;
COMMIT;
SELECT account();
-- none of it comes of a request that is refused
BEGIN;
SELECT request(basic(:'acme' || '.0123456789abcdef:' || :'second_secret'));
SELECT account(), nullif(current_setting('response.headers', true), '') IS NULL AS no_headers;
COMMIT;
-- called by a function that has settings of its own
BEGIN;
CREATE FUNCTION pg_temp.pre_request() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog SET timezone = 'UTC' AS
$$ BEGIN PERFORM usage_events.authenticate_request(); END $$;
SELECT set_config('request.headers', json_build_object('authorization', :'acme_header')::text, true) IS NOT NULL;
SELECT pg_temp.pre_request();
SELECT account();
ROLLBACK;

-- credentials that are none, or not good
SELECT request(NULL);
SELECT request('');
SELECT name, request(header) FROM (VALUES
    (1, 'blank', ' '), (2, 'scheme alone', 'Basic'), (3, 'scheme and blank', 'Basic '), (4, 'another scheme', replace(:'acme_header', 'Basic', 'Bearer')),
    (5, 'no scheme', replace(:'acme_header', 'Basic ', '')), (6, 'no blank', replace(:'acme_header', ' ', '')),
    (7, 'no base64', 'Basic !!!!'), (8, 'junk after it', :'acme_header' || ' x'), (9, 'longer than any', 'Basic ' || repeat('A', 1028)),
    (10, 'no colon', basic(:'second_id')), (11, 'nothing', basic(':')), (12, 'no secret', basic(:'second_id' || ':')),
    (13, 'no id', basic(':' || :'second_secret')), (14, 'wrong secret', basic(:'second_id' || ':' || :'third_secret')),
    (15, 'secret in capitals', basic(:'second_id' || ':' || upper(:'second_secret'))),
    (16, 'id in capitals', basic(upper(:'second_id') || ':' || :'second_secret')),
    (17, 'hash for secret', basic(:'second_id' || ':' || encode(sha256(convert_to(:'second_secret', 'UTF8')), 'hex'))),
    (18, 'id of the other account', basic(:'globex_id' || ':' || :'second_secret')),
    (19, 'account of the other', basic(:'globex' || substr(:'second_id', 37) || ':' || :'second_secret')),
    (20, 'account alone', basic(:'acme' || ':' || :'second_secret')), (21, 'no such key', basic(:'acme' || '.0123456789abcdef:' || :'second_secret')),
    (22, 'expired', basic(:'third_id' || ':' || :'third_secret')), (23, 'expired, wrong secret', basic(:'third_id' || ':' || :'second_secret'))
) AS v (n, name, header) ORDER BY n;
-- good ones in other spellings
SELECT name, request(header) FROM (VALUES
    (1, 'lower case', replace(:'acme_header', 'Basic', 'basic')), (2, 'blanks', '  ' || replace(:'acme_header', ' ', '   ') || '  '),
    (3, 'no padding', rtrim(:'acme_header', '=')), (4, 'a tab', replace(:'acme_header', ' ', E'\t'))
) AS v (n, name, header) ORDER BY n;
-- revoked now; expired later; of an account that is gone
SELECT usage_events.expire_api_key(:'second_id', now() + interval '1 hour');
SELECT request(:'acme_header');
SELECT usage_events.revoke_api_key(:'second_id');
SELECT request(:'acme_header');
SELECT usage_events.expire_api_key(:'second_id', 'infinity');
SELECT request(:'acme_header');
BEGIN;
DELETE FROM usage_events.account WHERE account_id = :'acme';
SELECT request(:'acme_header');
ROLLBACK;

-- a scope: the account is of the API's routes alone
SELECT client_id AS read_id, client_secret AS read_secret FROM usage_events.create_api_key(:'globex', 'reads', 'read') \gset
BEGIN;
SELECT set_config('request.headers', json_build_object('authorization', basic(:'read_id' || ':' || :'read_secret'))::text, true) IS NOT NULL;
SELECT usage_events.authenticate_request();
SHOW usage_events.account_id;
SAVEPOINT s;
SELECT usage_events.current_account_id();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT list_usage_events();
ROLLBACK TO s;
RESET ALL;
SELECT count(*) FROM usage_events.account WHERE account_id = usage_events.current_account_id();
ROLLBACK;

-- the version; whoever is nobody learns nothing of it
SELECT request(:'acme_header', '');
SELECT request(:'acme_header', '2024-07-30');
SELECT request(:'acme_header', '2024-07-31');
SELECT request(:'acme_header', E'2024-07-30\r\nX-Injected: yes');
SELECT request('Basic', '2024-07-31');
-- as PostgREST gets it: headers that are no object, or none at all
BEGIN;
SELECT set_config('request.headers', '[1]', true);
SELECT usage_events.authenticate_request();
ROLLBACK;
SELECT usage_events.authenticate_request();
\echo :LAST_ERROR_SQLSTATE
BEGIN;
SELECT set_config('request.headers', json_build_object('authorization', :'globex_header', 'sequence-version', '1')::text, true) IS NOT NULL;
SELECT usage_events.authenticate_request();
ROLLBACK;

\pset format aligned
\pset tuples_only off
DROP FUNCTION request(text, text), account(), basic(text);
TRUNCATE usage_events.event, usage_events.api_key;
DELETE FROM usage_events.account WHERE account_id IN (:'acme', :'globex');
