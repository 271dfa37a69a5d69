-- Keys look like what they are: aliases, event types and ids of events.
TRUNCATE usage_events.event, usage_events.superseded_event;
\i test/helpers/outcome.sql
CREATE FUNCTION faults(statement text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'accepted' ELSE state || ' ' || message || ': ' || detail END
    FROM pg_temp.outcome(statement) $$;
CREATE FUNCTION event_faults(event jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT faults(format('SELECT create_usage_event(%L)', '{"customerAlias": "acme", "eventType": "login"}'::jsonb || event))
$$;

-- each fault names the character
SELECT name, event_faults(jsonb_build_object('customerAlias', text))
FROM (VALUES ('space before', ' acme'), ('space after', 'acme '), ('tab before', E'\tacme'), ('line end after', E'acme\r\n'),
    ('no-break space after', U&'acme\00A0'),
             ('byte order mark', U&'\FEFFacme'), ('zero width space', U&'ac\200Bme'), ('joiner among letters of ASCII', U&'ac\200Dme'),
             ('joiner at the end', U&'\0915\094D\200D'), ('joiner before a letter of ASCII', U&'\094D\200Dc'), ('joiner after one', U&'c\200D\0915'),
             ('joiner after a joiner', U&'\094D\200D\200D\0937'), ('joiner among letters with accents', U&'é\200Dé'),
             ('joiner after an accent of its own', U&'e\0301\200C\0915'), ('joiner in Greek', U&'\03B1\200D\03B2'),
             ('joiner before Cyrillic', U&'\0915\200D\0431'), ('soft hyphen', U&'ac\00ADme'), ('direction', U&'\202Eacme'), ('tab inside', E'ac\tme'),
             ('line end inside', E'ac\nme'),
             ('escape', E'ac\x1Bme'), ('delete', E'acme\x7F'), ('line separator', U&'ac\2028me'), ('filler', U&'\3164'), ('selector of a letter', U&'a\FE0F'),
             ('selector of a letter with an accent', U&'é\FE0F'), ('selector of a selector', U&'\2764\FE0F\FE0F'), ('tag', U&'acme\+0E0041')) AS t(name, text);
-- what can be seen is taken, whatever it is
SELECT event_faults(jsonb_build_object('customerAlias', text, 'eventType', text, 'customerEventId', text)), count(*)
FROM unnest(ARRAY['acme corp', 'a', U&'acme\00A0corp', 'Zoë & Söhne', '株式会社　例', U&'\0646\0627\0645\0647\200C\0647\0627', U&'\0915\094D\200D\0937', '👩‍👩‍👧',
    '❤️', '©️', '~!@#$%^&*()']) AS text GROUP BY 1;
-- in each field, with the others
SELECT event_faults('{"customerAlias": "\u200bacme", "eventType": "login ", "customerEventId": "a\u0007", "eventTimestamp": 5}');

-- at each door: batches, imports, aliases, metrics
SELECT faults($$SELECT create_usage_events('[{"customerAlias": "acme", "eventType": "login"}, {"customerAlias": "acme ", "eventType": "login"}]')$$);
SELECT jsonb_path_query(ingest_usage_events('[{"customerAlias": "acme ", "eventType": "login"}]'), '$.outcomes[*].faults');
SELECT faults($$INSERT INTO usage_event_import VALUES ('{"customerAlias": "acme ", "eventType": "login"}')$$);
SELECT faults($$SELECT usage_events.create_event(usage_events.current_account_id(), '{"customerAlias": "acme ", "eventType": "login"}')$$);
SELECT faults($$SELECT create_customer_alias('{"customerId": "customer\u200b", "value": " acme"}')$$);
SELECT faults($$SELECT create_usage_metric('{"name": "n", "metricType": "SIMPLE", "eventType": "login ", "aggregationType": "COUNT"}')$$);
-- what is no key is text: names, labels, names of properties
SELECT faults($$SELECT create_customer_alias('{"customerId": "customer", "value": "acme", "label": " Acme\n"}')$$);
SELECT faults($$SELECT create_usage_metric('{"name": " n ", "metricType": "SIMPLE", "eventType": "login", "aggregationType": "SUM",
    "aggregationProperty": " bytes"}')$$);

-- nor does the type take another key, in whatever form it comes
SELECT faults($$SELECT '{"customerAlias": " acme", "eventType": "login\u0009"}'::usage_event$$);
SELECT faults($$SELECT '{"customerAlias": "acme", "eventType": "login\u200b"}'::jsonb::usage_event$$);
-- an event by such a key, which only a superuser's own SQL can have written, is read as it is; its key is refused all the same
INSERT INTO usage_events.event SELECT usage_events.current_account_id(), uuid_v7(), '2026-10-01Z', '1 ', ' acme', 'login', '{}';
SELECT count(*) FROM jsonb_path_query(list_usage_events(customer_aliases => '{" acme"}'), '$.items[*]');
SELECT event_faults('{"customerEventId": "1 ", "customerAlias": " acme"}');

DROP FUNCTION event_faults(jsonb), faults(text);
\i test/helpers/empty.sql
