-- A batch as text: one element that no database can hold does not take the others along.
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event;
CREATE FUNCTION shown(answer jsonb) RETURNS TABLE (index int, outcome text, faults text) LANGUAGE sql AS $$
    SELECT (o ->> 'index')::int, o ->> 'outcome', o ->> 'faults' FROM jsonb_array_elements(answer -> 'outcomes') AS o ORDER BY 1
$$;

-- as jsonb the server refuses it before it comes to us
SELECT ingest_usage_events('[{"customerAlias": "acme", "eventType": "login"}, {"customerAlias": "a\u0000", "eventType": "login"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT *
    FROM shown(ingest_usage_events_text('[{"customerAlias": "acme", "eventType": "login", "customerEventId": "1"},
    {"customerAlias": "a\u0000", "eventType": "login"},
  {"customerAlias": "\ud800", "eventType": "login"}, {"customerAlias": "acme", "eventType": login},
      {"customerAlias": "]},[{\"\\", "eventType": "login", "customerEventId": "2"} , , 5,
  {"customerAlias": "acme", "eventType": "login", "eventProperties": {"list": [1, [2, "}"]]}, "customerEventId": "3"} ]'));
SELECT customer_event_id, customer_alias, event_properties FROM usage_events ORDER BY 1;
SELECT body FROM rejected_usage_events ORDER BY id;
-- and can be sent again when it has been put right
UPDATE usage_events.rejected_event SET body = replace(body, '\u0000', 'cme') WHERE body LIKE '%u0000%';
SELECT * FROM shown(retry_rejected_usage_events(ARRAY(SELECT id FROM rejected_usage_events WHERE body LIKE '%"acme"%'))) WHERE outcome <> 'refused';

-- one that is JSON as a whole is read as such
SELECT ingest_usage_events_text('[{"customerAlias": "acme", "eventType": "login", "customerEventId": "1"}, {}]') - 'outcomes' AS totals;
SELECT ingest_usage_events_text('[]'), ingest_usage_events_text(' [ ] ') -> 'created' AS created;
SELECT ingest_usage_events_text(format('[%s, "\u0000"]', repeat('[', 100000) || repeat(']', 100000))) ->> 'refused' AS refused;

-- where its elements cannot be told apart, it is refused as a whole
\set VERBOSITY terse
SELECT ingest_usage_events_text('{"customerAlias": "acme", "eventType": "login"}');
SELECT ingest_usage_events_text('[{"customerAlias": "acme", "eventType": "login"}');
SELECT ingest_usage_events_text('[{"customerAlias": "acme", "eventType": "login"}] x');
SELECT ingest_usage_events_text('["\u0000"}]');
SELECT ingest_usage_events_text('["\u0000", }{]');
SELECT ingest_usage_events_text('["a, "b"]');
SELECT ingest_usage_events_text('["\u0000", "a\"]');
SELECT ingest_usage_events_text('');
\set VERBOSITY default
SELECT ingest_usage_events_text(NULL);

DROP FUNCTION shown(jsonb);
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event;
