-- What a session sets does not change what is stored, read or answered.
TRUNCATE usage_events.event, usage_events.superseded_event;
CREATE FUNCTION send() RETURNS text LANGUAGE sql AS $$
    SELECT (public.create_usage_event($json${"customerEventId": "e-1", "customerAlias": "it's \\ \"acme\"", "eventType": "İstanbul",
    "eventTimestamp": "2022-03-27T02:30:00.25+01:00", "eventProperties": {"price": 0.1, "float": 1e22, "text": "a\\b'c"}}$json$) - 'id')::text
$$;
CREATE FUNCTION look() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT (public.get_usage_event(id) - 'id')::text FROM public.usage_events
$$;
SELECT send();
SELECT look();

SET timezone = 'Europe/Berlin';
SET DateStyle = 'German, DMY';
SET IntervalStyle = 'sql_standard';
\i test/helpers/escape_strings.sql
SET backslash_quote = off;
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SET xmloption = 'document';
SET lc_messages = 'C.UTF-8';
SET lc_monetary = 'C.UTF-8';
SET lc_numeric = 'C.UTF-8';
SET lc_time = 'C.UTF-8';
SET transform_null_equals = on;
SET array_nulls = off;
SET quote_all_identifiers = on;
SET row_security = on;
SET default_transaction_isolation = 'serializable';
SET plan_cache_mode = 'force_custom_plan';
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT send();
SELECT look();
RESET ALL;

-- search_path: empty, and with objects in front that would capture ours
SET search_path = '';
SELECT public.send();
SELECT public.look();
RESET search_path;
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.never(uuid, uuid) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
CREATE FUNCTION hostile.never(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
CREATE FUNCTION hostile.never(jsonb, jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
CREATE FUNCTION hostile.never(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
CREATE OPERATOR hostile.= (FUNCTION = hostile.never, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR hostile.= (FUNCTION = hostile.never, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR hostile.= (FUNCTION = hostile.never, LEFTARG = jsonb, RIGHTARG = jsonb);
CREATE OPERATOR hostile.= (FUNCTION = hostile.never, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE TABLE hostile.event (account_id uuid, customer_event_id text);
SET search_path = hostile, pg_catalog, public;
SELECT send();
SELECT look();
\c
SET search_path = hostile, pg_catalog, public;
SELECT send();
SELECT look();
RESET search_path;
SELECT count(*) AS events FROM usage_events;
SELECT count(*) AS superseded FROM usage_event_history;
DROP SCHEMA hostile CASCADE;

-- a read-only transaction stores nothing and says so
BEGIN READ ONLY;
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "login"}');
ROLLBACK;
BEGIN READ ONLY;
SELECT get_usage_event(id) ->> 'eventType' AS read FROM usage_events;
COMMIT;

-- in parallel workers reading works, and follows the session's account
SELECT usage_events.create_account('parallel') AS account \gset
SET usage_events.account_id = :'account';
SELECT count(create_usage_event(jsonb_build_object('customerAlias', 'c', 'eventType', 't'))) FROM generate_series(1, 500);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) AS found FROM usage_events WHERE get_usage_event(id) ->> 'sequenceAccountId' = :'account';
SELECT usage_events.current_account_id() = :'account' AS account;
\c
DROP FUNCTION send(), look();
