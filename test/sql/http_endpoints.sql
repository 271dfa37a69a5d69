-- Functions as endpoints of HTTP: status and errors where the request is a call of just that function, plain SQL where not.
\i test/helpers/empty.sql
CREATE TEMPORARY TABLE api_key AS SELECT * FROM usage_events.create_api_key(usage_events.current_account_id(), 'test');
-- Makes a call under a request for a path, and says its status and its answer, or its error; ids and times are cut out.
CREATE FUNCTION serve(path text, call text, usage_request text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    detail text;
    hint text;
BEGIN
    BEGIN
        PERFORM set_config('request.path', path, true), set_config('response.status', '', true),
            set_config('request.headers', jsonb_build_object('usage-request', usage_request, 'authorization',
                'Basic ' || translate(encode(convert_to(client_id || ':' || client_secret, 'UTF8'), 'base64'), E'\n', ''))::text, true)
        FROM api_key;
        IF usage_request IS NOT NULL THEN
            PERFORM usage_events.authenticate_request();
        END IF;
        EXECUTE 'SELECT ' || call INTO answer;
        answer := concat_ws(' ', nullif(current_setting('response.status'), ''), coalesce(answer, 'NULL'));
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        answer := concat_ws(' ', SQLSTATE, nullif(replace(detail, ',"headers":{"Sequence-Version":"2024-07-30"}', ''), ''), SQLERRM, nullif(hint, ''));
    END;
    RETURN regexp_replace(regexp_replace(answer, '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}', 'ID', 'g'), '"20[^"]+Z"', '"TIME"', 'g');
END $$;
\pset format unaligned
\pset tuples_only on

-- Without an API key no request falls back to the default account, whoever runs it, and whatever it was looked for.
SELECT serve('/rpc/create_usage_event', $$create_usage_event('{"customerAlias": "a", "eventType": "t"}')$$);
SELECT serve('/rpc/list_usage_events', 'list_usage_events()');
SELECT serve('/usage_events', 'usage_events.current_account_id()');
BEGIN;
SELECT usage_events.current_account_id();
SELECT set_config('request.path', '/', true);
SELECT usage_events.current_account_id();
ROLLBACK;
SET usage_events.account_id = '';
SELECT serve('/usage_events', 'usage_events.current_account_id()');
SELECT count(*) FROM usage_events;
-- An account that is named stands for itself.
SET usage_events.account_id = '00000000-0000-8000-8000-000000000001';

-- its own path: the status of the endpoint
SELECT serve('/rpc/create_usage_event', $$create_usage_event('{"customerEventId": "e-1", "customerAlias": "a", "eventType": "t"}')$$);
SELECT serve('/rpc/create_usage_events', $$create_usage_events('[{"customerEventId": "e-1", "customerAlias": "b", "eventType": "t"}]')$$);
SELECT serve('/rpc/ingest_usage_events', $$ingest_usage_events('[{"customerEventId": "e-1", "customerAlias": "b", "eventType": "t"}, {}]') - 'outcomes'$$);
SELECT serve('/rpc/retry_rejected_usage_events', $$retry_rejected_usage_events() - 'outcomes'$$);
SELECT id FROM usage_events \gset
SELECT serve('/rpc/get_usage_event', format('get_usage_event(%L)', :'id'));
SELECT serve('/rpc/get_usage_event_history', format('get_usage_event_history(%L) #> ''{items,0,customerAlias}''', :'id'));
SELECT serve('/rpc/list_usage_events', $$list_usage_events() -> 'pagination'$$);
SELECT serve('/rpc/create_customer_alias', $$create_customer_alias('{"customerId": "c", "value": "a"}')$$);
SELECT id AS alias FROM customer_aliases \gset
SELECT serve('/rpc/update_customer_alias', format('update_customer_alias(%L, ''{"label": "l"}'')', :'alias'));
SELECT serve('/rpc/list_customer_aliases', $$list_customer_aliases() -> 'pagination'$$);
SELECT serve('/rpc/delete_customer_alias', format('delete_customer_alias(%L) -> ''label''', :'alias'));
SELECT serve('/rpc/create_usage_metric',
    $$create_usage_metric('{"name": "n", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}') -> 'name'$$);
SELECT id AS metric FROM usage_metrics \gset
SELECT serve('/rpc/get_usage_metric', format('get_usage_metric(%L) -> ''name''', :'metric'));
SELECT serve('/rpc/update_usage_metric',
    format('update_usage_metric(%L, ''{"name": "m", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}'') -> ''name''', :'metric'));
SELECT serve('/rpc/list_usage_metrics', $$list_usage_metrics() -> 'pagination'$$);
SELECT serve('/rpc/delete_usage_metric', format('delete_usage_metric(%L) -> ''name''', :'metric'));

-- and its errors as what they mean to the client
SELECT serve('/rpc/create_usage_event', $$create_usage_event('{}')$$);
SELECT serve('/rpc/create_usage_event', $$create_usage_event(NULL)$$);
SELECT serve('/rpc/create_usage_events', $$create_usage_events('[{}, 5]')$$);
SELECT serve('/rpc/ingest_usage_events', $$ingest_usage_events('{}')$$);
SELECT serve('/rpc/list_usage_events', $$list_usage_events(0, after => '')$$);
SELECT serve('/rpc/create_customer_alias', $$create_customer_alias('{}')$$);
SELECT serve('/rpc/list_customer_aliases', $$list_customer_aliases(0)$$);
SELECT serve('/rpc/create_usage_metric', $$create_usage_metric('{}')$$);
SELECT serve('/rpc/create_usage_metric', $$create_usage_metric(NULL)$$);
SELECT serve('/rpc/update_usage_metric', $$update_usage_metric(uuid_v7(), '{}')$$);
SELECT serve('/rpc/list_usage_metrics', $$list_usage_metrics(0)$$);
-- nothing of that id
SELECT serve('/rpc/get_usage_event', 'get_usage_event(uuid_v7())');
SELECT serve('/rpc/get_usage_event_history', 'get_usage_event_history(uuid_v7())');
SELECT serve('/rpc/update_customer_alias', $$update_customer_alias(uuid_v7(), '{"label": "l"}')$$);
SELECT serve('/rpc/delete_customer_alias', format('delete_customer_alias(%L)', :'alias'));
SELECT serve('/rpc/get_usage_metric', 'get_usage_metric(uuid_v7())');
SELECT serve('/rpc/update_usage_metric', $$update_usage_metric(uuid_v7(),
    '{"name": "m", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}')$$);
SELECT serve('/rpc/delete_usage_metric', format('delete_usage_metric(%L)', :'metric'));

-- another path, or none: plain answers and errors
SELECT path, serve(path, $$create_usage_event('{"customerAlias": "a", "eventType": "t"}') ->> 'customerAlias'$$), serve(path, 'create_usage_event(NULL)'),
    serve(path, 'get_usage_event(uuid_v7())')
FROM unnest(ARRAY['', '/', '/usage_events', '/rpc/', '/rpc/create_usage_events', '/rpc/create_usage_even', '/rpc/create_usage_event/',
    '/rpc/Create_usage_event', 'rpc/create_usage_event', '/api/rpc/create_usage_event']) WITH ORDINALITY AS p(path, n) ORDER BY n;
SELECT create_usage_event(NULL);
\echo :LAST_ERROR_SQLSTATE

-- on the way to something else: what the user's own function answers, catches and sets stays its own
CREATE FUNCTION record_login(body jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('response.status', '202', true);
    RETURN create_usage_event(body) ->> 'eventType';
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN 'refused: ' || SQLERRM;
END $$;
SELECT serve('/rpc/record_login', $$record_login('{"customerAlias": "a", "eventType": "login"}')$$), serve('/rpc/record_login', $$record_login('{}')$$);
DROP FUNCTION record_login(jsonb);
-- the status is the transaction's alone
BEGIN;
SELECT set_config('request.path', '/rpc/get_usage_event', true);
SELECT get_usage_event(:'id') IS NOT NULL, current_setting('response.status');
COMMIT;
SELECT coalesce(current_setting('response.status', true), '') AS gone;

-- Whose fault it is: 400 with what the error says, or 500 with nothing of it.
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING ERRCODE = NEW.event_type, MESSAGE = 'the message', DETAIL = 'the detail', HINT = 'the hint'; END $$;
CREATE TRIGGER fail BEFORE INSERT ON usage_events.event FOR EACH ROW EXECUTE FUNCTION fail();
SELECT state, serve('/rpc/create_usage_event', format($$create_usage_event('{"customerAlias": "a", "eventType": "%s"}')$$, state))
FROM unnest(ARRAY['22000', '23505', '23514', '23P01', '23503', 'P0001', '54000', '54001', 'PT400', 'PT401', 'PT404', 'PT409', 'PT429',
    'PT500', '23502', '40001', '40P01', '42501', '42P01', '53100', '55000', '55P03', '57014', 'P0002', 'XX000', 'PGRST'])
        WITH ORDINALITY AS s(state, n) ORDER BY n;
-- the cause is in the log
SET client_min_messages = log;
SELECT serve('/rpc/create_usage_event', $$create_usage_event('{"customerAlias": "a", "eventType": "42501"}')$$);
RESET client_min_messages;
-- otherwise it is an error as ever
SELECT serve('/rpc/record_login', $$create_usage_event('{"customerAlias": "a", "eventType": "42501"}')$$);
SELECT serve('', $$usage_api_write('{"customerAlias": "a", "eventType": "42501"}')$$, 'POST /usage-events');
DROP FUNCTION fail() CASCADE;
SET usage_events.on_conflict = refuse;
SELECT serve('/rpc/create_usage_event', $$create_usage_event('{"customerEventId": "e-1", "customerAlias": "other", "eventType": "t"}')$$);
RESET usage_events.on_conflict;

-- What the proxy calls: the request line is in a header, the errors are always those of HTTP.
SELECT usage_api_read();
\echo :LAST_ERROR_SQLSTATE
SELECT usage_api_write('{}');
BEGIN;
SELECT set_config('request.headers', '{"usage-request": "GET /usage-events"}', true);
SELECT usage_api_read();
ROLLBACK;
SELECT line, serve('', 'usage_api_read()', line)
    FROM unnest(ARRAY['', 'GET', ' ', ' /usage-events', 'GET usage-events?eventType=x', 'get /usage-events', 'POST /usage-events', 'GET /nothing'])
    WITH ORDINALITY AS l(line, n) ORDER BY n;
SELECT line, serve('', 'usage_api_write(NULL)', line)
    FROM unnest(ARRAY['GET /usage-events', 'HEAD /', 'PATCH /usage-events', 'POST /usage-events', 'POST /usage-events/batch', 'POST /customer-aliases'])
    WITH ORDINALITY AS l(line, n) ORDER BY n;
-- reading
SELECT serve('', 'usage_api_read()::jsonb ->> ''openapi''', 'GET /'), serve('', 'usage_api_read()::jsonb ->> ''openapi''', 'GET '),
    usage_events.openapi() ->> 'openapi';
SELECT serve('', 'usage_api_read()', 'GET /usage-events/' || :'id'),
    serve('', 'usage_api_read()', 'HEAD //usage-events/' || upper(:'id') || '/?') LIKE '{%' AS in_another_spelling;
SELECT serve('', 'usage_api_read()', 'GET /usage-events/' || :'id' || '/history');
SELECT serve('', 'usage_api_read()', 'GET /usage-events/' || id) FROM usage_event_history ORDER BY id LIMIT 1;
SELECT serve('', 'usage_api_read()', 'GET /usage-events/' || uuid_v7()), serve('', 'usage_api_read()', 'GET /usage-events/x%0A"');
SELECT serve('', 'usage_api_read()',
    'GET /usage-events?limit=1&customerAlias=b&customerAlias=%C3%BC&eventId=e%2d1&sortBy=eventTimestamp&sortOrder=asc&offset=0&unmappedAliasesOnly=true&'
    'eventType=t&eventTimestampAfter=2020-01-01T00:00:00Z&eventTimestampBefore=2120-01-01T00%3A00%3A00%2B02%3A00');
SELECT serve('', 'usage_api_read()',
    'GET /usage-events?limit=x&limit=1&offset=-1&after=%00&sortBy=id&sortOrder=up&unmappedAliasesOnly=yes&eventType=%zz&eventTimestampAfter=now&'
    'eventTimestampBefore=2020-01-01&a%20b&%ff=1');
SELECT serve('', 'usage_api_read()', 'GET /customer-aliases?value=a&limit=1'), serve('', 'usage_api_read()', 'GET /customer-aliases?value=a&value=b&offset=1');
BEGIN READ ONLY;
SELECT serve('', 'usage_api_read()', 'GET /usage-events?limit=1&eventType=nothing');
ROLLBACK;
-- writing: the query string of a POST is nobody's
SELECT serve('', $$usage_api_write('{"customerAlias": "a", "eventType": "t", "customerEventId": "e-2"}')$$, 'POST /usage-events?limit=0');
SELECT serve('', $$usage_api_write('[{"customerAlias": "a", "eventType": "t", "customerEventId": "e-2"}, {}]')::jsonb - 'outcomes'$$,
    'POST /usage-events/batch');
SELECT serve('', $$usage_api_write('{"customerId": "c", "value": "a"}')$$, 'POST /customer-aliases');
SELECT id AS alias FROM customer_aliases \gset
SELECT serve('', $$usage_api_write('{"label": "l"}')$$, 'PUT /customer-aliases/' || :'alias'),
    serve('', $$usage_api_write('not read')$$, 'DELETE /customer-aliases/' || :'alias');
SELECT serve('', $$usage_api_write('{"label": "l"}')$$, 'PUT /customer-aliases/' || :'alias'), serve('', $$usage_api_write('')$$, 'DELETE /customer-aliases/x');
SELECT serve('', 'usage_api_write(convert_to(jsonb_agg(n)::text, ''UTF8'')) FROM generate_series(1, 20001) AS n', 'POST /usage-events/batch');
-- bodies that are no JSON, or too much of it
SELECT name, serve('', format('usage_api_write(%L)', body::text), 'POST /usage-events')
    FROM (VALUES (1, 'nothing', ''::bytea), (2, 'no UTF-8', '\xff'), (3, 'a null byte', '\x00'), (4, 'an array', '[]'),
    (5, 'faults', '{}')) AS b(n, name, body) ORDER BY n;
SELECT name, answer ~ '^PGRST {"status":400} {"code":"22P02","message":"invalid body","details":"The body is (not JSON: .+|nested too deeply)"}$' AS refused,
    length(answer) < 700 AS in_few_words
FROM (VALUES (1, 'words', 'no JSON'), (2, 'cut', '{"a": '), (3, 'null character', '{"a": "\u0000"}'), (4, 'lone surrogate', '{"a": "\ud800"}'),
    (5, 'deep', repeat('[', 1000000)), (6, 'long words', repeat('x', 100000)), (7, 'large number', '{"a": 1e999999}')) AS b(n, name, body),
     serve('', format('usage_api_write(%L)', convert_to(body, 'UTF8')::text), 'POST /usage-events') AS answer ORDER BY n;

\pset format aligned
\pset tuples_only off
DROP FUNCTION serve(text, text, text);
DROP TABLE api_key;
TRUNCATE usage_events.api_key;
\i test/helpers/empty.sql
