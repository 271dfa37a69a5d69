-- Bad input: each refusal in its exact text, nothing stored.
TRUNCATE usage_events.event, usage_events.superseded_event;

-- not an event at all
SELECT create_usage_event(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT create_usage_event('[]');
\echo :LAST_ERROR_SQLSTATE
SELECT create_usage_event('"text"');
SELECT create_usage_event('5');
SELECT create_usage_event('true');
SELECT create_usage_event('null');

-- all faults at once
SELECT create_usage_event('{}');
SELECT create_usage_event('{"customerAlias": "", "eventType": 7, "customerEventId": ["a"], "eventTimestamp": "yesterday", "eventProperties": "none"}');

-- from here on, the faults alone
\i test/helpers/outcome.sql
CREATE FUNCTION faults(body jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'accepted' ELSE state || ' ' || message || ': ' || detail END
    FROM pg_temp.outcome(format('SELECT create_usage_event(%L)',
        '{"customerAlias": "acme", "eventType": "login"}'::jsonb || body)) $$;

-- wrong types
SELECT field, value, faults(jsonb_build_object(field, value))
FROM unnest(ARRAY['customerAlias', 'eventType', 'customerEventId', 'eventTimestamp', 'eventProperties']) WITH ORDINALITY AS f(field, n),
     unnest(ARRAY['null', '5', 'true', '[]', '{}', '"x"']::jsonb[]) WITH ORDINALITY AS v(value, m)
ORDER BY n, m;

-- blank texts: white space of Unicode too
SELECT name, faults(jsonb_build_object('customerAlias', text))
FROM (VALUES ('empty', ''), ('space', ' '), ('tab and newline', E'\t\n'), ('no-break space', U&'\00A0'),
             ('ideographic space', U&'\3000\2003'), ('letter among them', U&'\3000a ')) AS t(name, text);

-- too long
SELECT faults(jsonb_build_object('customerAlias', repeat('x', 256)));
SELECT faults(jsonb_build_object('eventType', repeat('é', 300)));
SELECT faults(jsonb_build_object('customerEventId', repeat('x', 100000)));

-- properties over the limit, and at a limit of one's own
SELECT faults(jsonb_build_object('eventProperties', jsonb_build_object('text', repeat('x', 70000))));
SET usage_events.max_properties_bytes = '16B';
SELECT faults('{"eventProperties": {"a": 1}}'), faults('{"eventProperties": {}}');
RESET usage_events.max_properties_bytes;

-- a client's text in a fault is cut short and escaped: it cannot forge a line
SELECT faults(jsonb_build_object('eventTimestamp', E'x\n"customerAlias" is "wrong".\t' || repeat('é', 300)));

-- fields that the API does not know
SET usage_events.reject_unknown_fields = on;
SELECT faults('{"quantity": 5, "customerID": "x", "a\nb": null}');
SELECT faults('{"id": "mine", "sequenceAccountId": 5}');
SELECT length(faults(jsonb_object_agg('field-' || n, n))) < 2000 AS bounded FROM generate_series(1, 10000) AS n;
RESET usage_events.reject_unknown_fields;

-- what no jsonb can hold is refused before it comes to us
SELECT create_usage_event('{"customerAlias": "a\u0000b", "eventType": "t"}');
SELECT create_usage_event('{"customerAlias": "\ud800", "eventType": "t"}');
SELECT create_usage_event('{"customerAlias": "a", "eventType": }');
SELECT create_usage_event('');

-- nesting: up to where the server reads JSON at all, and beyond
SELECT faults(('{"eventProperties": {"a": ' || repeat('[', 1000) || repeat(']', 1000) || '}}')::jsonb);
\set VERBOSITY terse
SELECT faults(('{"eventProperties": {"a": ' || repeat('[', 1000000) || repeat(']', 1000000) || '}}')::jsonb);
\echo :LAST_ERROR_SQLSTATE
SELECT faults(('{"eventProperties": ' || repeat('{"a": ', 1000000) || '1' || repeat('}', 1000000) || '}')::jsonb);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default

-- the backend lives, and what was accepted above is all that is stored
SELECT count(*) FROM usage_events;
SELECT count(*) FROM usage_event_history;

-- other doors
SELECT usage_events.create_event(NULL, '{"customerAlias": "acme", "eventType": "login"}');
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.create_event('00000000-0000-8000-8000-000000000001', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.create_event('00000000-0000-8000-8000-000000000001', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT usage_events.create_event('0184421e-a9cc-711b-af93-bf0511d4d833', '{"customerAlias": "acme", "eventType": "login"}');
\echo :LAST_ERROR_SQLSTATE
DROP FUNCTION faults(jsonb);
-- short to store, long to write
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t", "eventProperties": {"n": 1e131071}}');
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t", "eventProperties": {"n": [{"m": 1e-16383}, -1e16383, 1e16383, {"o": 1e16383}]}}');
SELECT length(create_usage_event('{"customerAlias": "a", "eventType": "t",
    "eventProperties": {"n": [1e16383, 1e-16383, {"m": 1e16383}]}}') ->> 'eventProperties') AS written;
SELECT ingest_usage_events('[{"eventProperties": {"n": [1e131071, 1e131071, 1e131071, 1e131071, 1e131071, 1e131071, 1e131071, 1e131071, 1e131071]}}]')
    -> 'refused' AS refused;
SELECT body FROM rejected_usage_events ORDER BY id DESC LIMIT 1;
TRUNCATE usage_events.rejected_event;
