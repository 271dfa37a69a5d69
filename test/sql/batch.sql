-- Many at once: all or none, or each that can be, with an outcome for each.
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event;

-- The answers without what differs from run to run.
CREATE FUNCTION shown(answers jsonb) RETURNS TABLE (n bigint, event jsonb) LANGUAGE sql AS $$
    SELECT n, event - '{id,eventTimestamp,sequenceAccountId}'::text[] FROM jsonb_array_elements(answers) WITH ORDINALITY AS a(event, n)
$$;
-- Ids become numbers in the order in which they are first met.
CREATE FUNCTION shown_outcomes(answer jsonb) RETURNS TABLE (totals jsonb, index int, outcome text, same_id_as int, faults jsonb) LANGUAGE sql AS $$
    SELECT CASE WHEN n = 1 THEN answer - 'outcomes' END, (o ->> 'index')::int, o ->> 'outcome',
           CASE WHEN o ? 'id' THEN (min(n) OVER (PARTITION BY o ->> 'id') - 1)::int END, o -> 'faults'
    FROM jsonb_array_elements(answer -> 'outcomes') WITH ORDINALITY AS a(o, n) ORDER BY n
$$;

-- answers in the order given; within the batch: a retry, a correction, a retry of the correction, one taken back
SELECT * FROM shown(create_usage_events('[
  {"customerEventId": "b", "customerAlias": "acme", "eventType": "call", "eventProperties": {"n": 1}},
  {"customerEventId": "a", "customerAlias": "acme", "eventType": "call"},
  {"customerEventId": "b", "customerAlias": "acme", "eventType": "call", "eventProperties": {"n": 1.0}},
  {"customerEventId": "b", "customerAlias": "acme", "eventType": "call", "eventProperties": {"n": 2}},
  {"customerEventId": "b", "customerAlias": "acme", "eventType": "call", "eventProperties": {"n": 2}},
  {"customerEventId": "a", "customerAlias": "VOID", "eventType": "call"}]'));
SELECT customer_event_id, customer_alias, event_properties FROM usage_events ORDER BY 1;
SELECT customer_event_id, customer_alias, event_properties, superseded_by > id AS ascending FROM usage_event_history ORDER BY 1;
-- over what is stored: retries, a correction, a new one
SELECT * FROM shown_outcomes(ingest_usage_events('[
  {"customerEventId": "b", "customerAlias": "acme", "eventType": "call", "eventProperties": {"n": 2}},
  {"customerEventId": "c", "customerAlias": "acme", "eventType": "call"},
  {"customerEventId": "b", "customerAlias": "acme", "eventType": "call", "eventProperties": {"n": 3}},
  {"customerEventId": "b", "customerAlias": "acme", "eventType": "call", "eventProperties": {"n": 3}},
  {"customerEventId": "c", "customerAlias": "acme", "eventType": "call"}]'));
SELECT customer_event_id, event_properties, superseded_by = lead(id) OVER (PARTITION BY customer_event_id ORDER BY id)
    OR superseded_by = (SELECT id FROM usage_events AS e WHERE e.customer_event_id = h.customer_event_id) AS chain_intact
FROM usage_event_history AS h ORDER BY customer_event_id, id;

-- none: nothing
SELECT create_usage_events('[]'), ingest_usage_events('[]'), retry_rejected_usage_events();
-- the account as an argument
SELECT usage_events.create_account('batch') AS account \gset
SELECT event ->> 'sequenceAccountId' = :'account' AS own
FROM jsonb_array_elements(usage_events.create_events(:'account', '[{"customerAlias": "a", "eventType": "t", "customerEventId": "b"}]')) AS event;
SELECT count(*) FROM usage_events WHERE customer_event_id = 'b';
DELETE FROM usage_events.event WHERE account_id = :'account';
DELETE FROM usage_events.account WHERE account_id = :'account';

-- refused: every faulty event by its index, with all its faults; nothing is stored
SELECT create_usage_events('[{"customerAlias": "new", "eventType": "call"}, {"customerAlias": " "}, 5, null, [], "x",
  {"customerAlias": "new", "eventType": "call", "eventTimestamp": "now", "eventProperties": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM usage_events WHERE customer_alias = 'new';
SELECT create_usage_events('{"customerAlias": "a", "eventType": "t"}');
\echo :LAST_ERROR_SQLSTATE
SELECT create_usage_events('5');
SELECT create_usage_events(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT ingest_usage_events('"text"');
\echo :LAST_ERROR_SQLSTATE
SELECT ingest_usage_events(NULL);
SELECT usage_events.create_events(NULL, '[]');
SELECT usage_events.create_events('0184421e-a9cc-711b-af93-bf0511d4d833', '[{"customerAlias": "a", "eventType": "t"}]');
\echo :LAST_ERROR_SQLSTATE

-- refused one by one, and kept as they came
SELECT * FROM shown_outcomes(ingest_usage_events('[{"customerAlias": "acme", "eventType": "late", "eventTimestamp": "2022-10-01"},
  {"customerAlias": "acme", "eventType": "call", "customerEventId": "d"}, 5, {"eventType": "call", "eventProperties": {"b": 1.50, "a": null}}]'));
SELECT body, faults, clock_timestamp() - rejected_at < '5 minutes' AS just_now FROM rejected_usage_events ORDER BY id;
SELECT count(*) FROM usage_events WHERE customer_event_id = 'd';

-- sent again: still refused, until somebody mends them
SELECT * FROM shown_outcomes(retry_rejected_usage_events());
SELECT count(*) FROM rejected_usage_events;
UPDATE usage_events.rejected_event SET body = replace(body, '"2022-10-01"', '"2022-10-01T00:00Z"') WHERE body LIKE '%late%';
SELECT * FROM shown_outcomes(retry_rejected_usage_events(ARRAY(SELECT id FROM rejected_usage_events WHERE body LIKE '%late%')));
SELECT event_timestamp AT TIME ZONE 'UTC' AS event_timestamp FROM usage_events WHERE event_type = 'late';
SELECT body FROM rejected_usage_events ORDER BY id;
-- what is no JSON at all is refused with the server's words
UPDATE usage_events.rejected_event SET body = '{"customerAlias": ' WHERE body = '5';
SELECT * FROM shown_outcomes(retry_rejected_usage_events());
SELECT * FROM shown_outcomes(retry_rejected_usage_events('{}'));
-- what was sent again counts for nothing, and a refresh deletes it
SELECT count(*) AS kept, count(*) FILTER (WHERE taken_at IS NULL) AS waiting,
    (SELECT rejected_waiting FROM usage_events.account_status WHERE account_id = usage_events.current_account_id()) AS told,
    (SELECT count(*) FROM rejected_usage_events) AS shown FROM usage_events.rejected_event;
SELECT retry_rejected_usage_events(ARRAY(SELECT id FROM usage_events.rejected_event WHERE taken_at IS NOT NULL)) -> 'outcomes' AS again;
SELECT usage_events.refresh_rollups() > 0 AS refreshed;
SELECT count(*) AS kept, count(*) FILTER (WHERE taken_at IS NULL) AS waiting FROM usage_events.rejected_event;

-- usage_events.on_conflict
SET usage_events.on_conflict = 'ignore';
SELECT * FROM shown(create_usage_events('[{"customerEventId": "a", "customerAlias": "other", "eventType": "call"},
  {"customerEventId": "e", "customerAlias": "first", "eventType": "call"}, {"customerEventId": "e", "customerAlias": "second", "eventType": "call"}]'));
SET usage_events.on_conflict = 'refuse';
DO $$
DECLARE
    detail text;
BEGIN
    PERFORM create_usage_events('[{"customerEventId": "f", "customerAlias": "x", "eventType": "call"},
      {"customerEventId": "a", "customerAlias": "other", "eventType": "call"}, {"customerEventId": "f", "customerAlias": "y", "eventType": "call"}]');
EXCEPTION WHEN unique_violation THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE NOTICE E'%\n%', SQLERRM, regexp_replace(detail, '[0-9a-f]{8}-[0-9a-f-]{27}', '<id>', 'g');
END $$;
SELECT totals, index, outcome, same_id_as, regexp_replace(faults::text, '[0-9a-f]{8}-[0-9a-f-]{27}', '<id>') AS faults
FROM shown_outcomes(ingest_usage_events('[{"customerEventId": "f", "customerAlias": "x", "eventType": "call"},
  {"customerEventId": "a", "customerAlias": "other", "eventType": "call"}, {"customerEventId": "f", "customerAlias": "x", "eventType": "call"}]'));
RESET usage_events.on_conflict;

-- large, and its answer is jsonb like any other
SELECT jsonb_array_length(answer) AS answers, answer = answer::text::jsonb AS equal, pg_column_size(answer) = pg_column_size(answer::text::jsonb) AS same_size,
       answer -> 9999 -> 'eventProperties' AS last, jsonb_array_length(jsonb_path_query_array(answer, '$[*].id')) AS ids
FROM create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerAlias', 'c' || n % 7, 'eventType', 'many', 'eventProperties',
    jsonb_build_object('n', n, 'pad', repeat('x', n % 9))) ORDER BY n)
                          FROM generate_series(1, 10000) AS n)) AS answer;
SELECT count(*), sum((event_properties ->> 'n')::int) FROM usage_events WHERE event_type = 'many';
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event;
DROP FUNCTION shown(jsonb), shown_outcomes(jsonb);
