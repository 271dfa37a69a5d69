-- Keys look like what they are: aliases, event types and ids of events.
TRUNCATE usage_events.event, usage_events.superseded_event;
CREATE FUNCTION faults(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE statement;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || SQLERRM || ': ' || detail;
END $$;
CREATE FUNCTION event_faults(event jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT faults(format('SELECT create_usage_event(%L)', '{"customerAlias": "acme", "eventType": "login"}'::jsonb || event))
$$;

-- each fault names the character
SELECT name, event_faults(jsonb_build_object('customerAlias', text))
FROM (VALUES ('space before', ' acme'), ('space after', 'acme '), ('tab before', E'\tacme'), ('line end after', E'acme\r\n'), ('no-break space after', U&'acme\00A0'),
             ('byte order mark', U&'\FEFFacme'), ('zero width space', U&'ac\200Bme'), ('joiner among letters of ASCII', U&'ac\200Dme'), ('joiner at the end', U&'\0915\094D\200D'), ('joiner before a letter of ASCII', U&'\094D\200Dc'), ('joiner after one', U&'c\200D\0915'),
             ('joiner after a joiner', U&'\094D\200D\200D\0937'), ('joiner among letters with accents', U&'é\200Dé'), ('joiner after an accent of its own', U&'e\0301\200C\0915'), ('joiner in Greek', U&'\03B1\200D\03B2'), ('joiner before Cyrillic', U&'\0915\200D\0431'), ('soft hyphen', U&'ac\00ADme'), ('direction', U&'\202Eacme'), ('tab inside', E'ac\tme'), ('line end inside', E'ac\nme'),
             ('escape', E'ac\x1Bme'), ('delete', E'acme\x7F'), ('line separator', U&'ac\2028me'), ('filler', U&'\3164'), ('selector of a letter', U&'a\FE0F'), ('selector of a letter with an accent', U&'é\FE0F'), ('selector of a selector', U&'\2764\FE0F\FE0F'), ('tag', U&'acme\+0E0041')) AS t(name, text);
-- what can be seen is taken, whatever it is
SELECT event_faults(jsonb_build_object('customerAlias', text, 'eventType', text, 'customerEventId', text)), count(*)
FROM unnest(ARRAY['acme corp', 'a', U&'acme\00A0corp', 'Zoë & Söhne', '株式会社　例', U&'\0646\0627\0645\0647\200C\0647\0627', U&'\0915\094D\200D\0937', '👩‍👩‍👧', '❤️', '©️', '~!@#$%^&*()']) AS text GROUP BY 1;
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
SELECT faults($$SELECT create_usage_metric('{"name": " n ", "metricType": "SIMPLE", "eventType": "login", "aggregationType": "SUM", "aggregationProperty": " bytes"}')$$);

-- Events that an older version stored under other keys: they are read, corrected, taken back, counted.
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event, usage_events.customer_alias, usage_events.metric;
INSERT INTO usage_events.event SELECT usage_events.current_account_id(), uuid_v7(), '2026-10-01Z', key, ' acme', U&'login\200B', '{}' FROM unnest(ARRAY['1 ', U&'\FEFF2', '3']) AS key;
SELECT count(*) FROM jsonb_path_query(list_usage_events(customer_aliases => '{" acme"}', event_type => U&'login\200B'), '$.items[*]');
-- sent again as it is: a retry
SELECT create_usage_event(to_jsonb(e) - '{id, account_id, ingested_at}'::text[] || jsonb_build_object('customerEventId', customer_event_id, 'customerAlias', customer_alias, 'eventType', event_type,
  'eventTimestamp', '2026-10-01T00:00:00Z')) ->> 'id' = id::text AS same FROM usage_events AS e;
-- corrected, and taken back
SELECT create_usage_event('{"customerEventId": "1 ", "customerAlias": "acme", "eventType": "login"}') ->> 'customerAlias' AS alias;
SELECT jsonb_path_query(ingest_usage_events('[{"customerEventId": "\ufeff2", "customerAlias": "VOID", "eventType": "login\u200b"}]'), '$.outcomes[0].outcome');
SELECT octet_length(customer_event_id) AS key_bytes, customer_alias, octet_length(event_type) AS type_bytes FROM usage_events ORDER BY customer_event_id COLLATE "C";
-- a correction is made to none of the kind that the event does not have
SELECT event_faults('{"customerEventId": "3", "customerAlias": "acme ", "eventType": "login\u200b"}');
SELECT event_faults('{"customerEventId": "4 "}');
-- given to a customer, and counted
SELECT faults($$SELECT create_customer_alias('{"customerId": "customer", "value": " acme"}')$$);
SELECT create_usage_metric('{"name": "old", "metricType": "SIMPLE", "eventType": "login\u200b", "aggregationType": "COUNT"}') ->> 'id' AS metric \gset
SELECT calculate_usage_metric(:'metric', '{customer}', '[2026-10-01Z, 2026-11-01Z)') -> 'value' AS value;
-- the type takes what it took, so that a dump of it can be restored; to store it is another matter
SELECT '{"customerAlias": " acme", "eventType": "login\u0009"}'::usage_event;
SELECT faults($$SELECT create_usage_event('{"customerAlias": " acme", "eventType": "login\u200b"}'::usage_event::jsonb)$$);

DROP FUNCTION event_faults(jsonb), faults(text);
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event, usage_events.customer_alias, usage_events.metric;
