-- The same event again: stored once; changed: the new version takes the place, the old one stays readable.
TRUNCATE usage_events.event, usage_events.superseded_event;

CREATE FUNCTION send(event jsonb) RETURNS uuid LANGUAGE sql
    RETURN (create_usage_event('{"customerEventId": "order-1", "customerAlias": "acme", "eventType": "api-call"}'::jsonb || event) ->> 'id')::uuid;

-- What is stored under a key, current and history, in the order of making.
CREATE VIEW versions AS
SELECT customer_event_id, customer_alias, event_type, event_properties, superseded_by IS NULL AS is_current,
       superseded_by IS NOT DISTINCT FROM lead(id) OVER making AS chain_intact,
       superseded_at IS NOT DISTINCT FROM lead(ingested_at) OVER making AS times_meet
FROM (SELECT id, customer_event_id, customer_alias, event_type, event_properties, ingested_at, NULL AS superseded_at, NULL AS superseded_by FROM usage_events
      UNION ALL
      SELECT id, customer_event_id, customer_alias, event_type, event_properties, ingested_at, superseded_at, superseded_by FROM usage_event_history) AS v
WINDOW making AS (PARTITION BY customer_event_id ORDER BY id)
ORDER BY customer_event_id, id;

-- new, then the same again: in other words, other order, other spelling of the same instant and numbers
SELECT send('{"eventTimestamp": "2022-10-01T00:00:00Z", "eventProperties": {"tokens": 10, "model": "large"}}') AS first \gset
SELECT send('{"eventTimestamp": "2022-10-01T00:00:00Z", "eventProperties": {"tokens": 10, "model": "large"}}') = :'first' AS retry;
SELECT send('{"eventTimestamp": "2022-10-01T05:45+05:45", "eventProperties": {"model": "large", "tokens": 1e1}}') = :'first' AS retry;
-- without eventTimestamp: the client sent the same bytes twice
SELECT send('{"eventProperties": {"tokens": 10, "model": "large"}}') = :'first' AS retry;
SELECT * FROM versions;

-- the answer to a retry is the stored event
SELECT create_usage_event('{"customerEventId": "order-1", "customerAlias": "acme", "eventType": "api-call",
    "eventProperties": {"model": "large", "tokens": 10}}')
       = get_usage_event(:'first') AS same_answer;

-- each field may change, the customer too
SELECT send('{"eventTimestamp": "2022-10-01T00:00:00Z", "eventProperties": {"tokens": 11, "model": "large"}}') > :'first' AS superseded;
SELECT send('{"eventTimestamp": "2022-10-02T00:00:00Z", "eventProperties": {"tokens": 11, "model": "large"}}') IS NOT NULL AS superseded;
SELECT send('{"eventTimestamp": "2022-10-02T00:00:00Z", "eventProperties": {"tokens": 11, "model": "large"},
    "eventType": "batch-call"}') IS NOT NULL AS superseded;
SELECT send('{"eventTimestamp": "2022-10-02T00:00:00Z", "eventProperties": {"tokens": 11, "model": "large"}, "eventType": "batch-call",
    "customerAlias": "globex"}') IS NOT NULL AS superseded;
SELECT * FROM versions;
-- a version that was superseded is no current event, and is read in the history
SELECT get_usage_event(:'first') IS NULL AS not_current, count(*) AS in_history FROM usage_event_history WHERE id = :'first';

-- an earlier content sent again is a new version: the last received counts
SELECT send('{"eventTimestamp": "2022-10-01T00:00:00Z", "eventProperties": {"tokens": 10, "model": "large"}}') > :'first' AS superseded;
-- taken back
SELECT send('{"customerAlias": "VOID"}') IS NOT NULL AS superseded;
SELECT send('{"customerAlias": "VOID"}') IS NOT NULL AS retry;
SELECT * FROM versions;
SELECT count(*) AS counted FROM usage_events WHERE customer_alias = 'acme';

-- differences that matter, and some that do not
SELECT label, (send(changed || '{"customerEventId": "b"}') = send(base || '{"customerEventId": "b"}')) AS retry
FROM (VALUES ('letter case', '{"customerAlias": "a"}'::jsonb, '{"customerAlias": "A"}'::jsonb),
             ('another space', '{"customerAlias": "a a"}', '{"customerAlias": "a  a"}'),
             ('one microsecond', '{"eventTimestamp": "2022-10-01T00:00:00.000001Z"}', '{"eventTimestamp": "2022-10-01T00:00:00Z"}'),
             ('beyond microseconds', '{"eventTimestamp": "2022-10-01T00:00:00.0000012Z"}', '{"eventTimestamp": "2022-10-01T00:00:00.0000019Z"}'),
             ('number and text', '{"eventProperties": {"n": 5}}', '{"eventProperties": {"n": "5"}}'),
             ('trailing zeros', '{"eventProperties": {"n": 5}}', '{"eventProperties": {"n": 5.00}}'),
             ('null and absent', '{"eventProperties": {"n": null}}', '{"eventProperties": {}}'),
             ('empty and absent', '{"eventProperties": {}}', '{}'),
             ('order in an array', '{"eventProperties": {"n": [1, 2]}}', '{"eventProperties": {"n": [2, 1]}}'),
             ('unknown field', '{"note": 1}', '{"note": 2}')) AS t(label, base, changed);

-- keys differ by bytes, not by the locale
SELECT count(send(jsonb_build_object('customerEventId', key))) FROM unnest(ARRAY['k', 'K', 'k k', 'ḱ', U&'k\0301']) AS key;
SELECT count(*) FROM usage_events WHERE lower(left(customer_event_id, 1)) IN ('k', 'ḱ');

-- several times in one transaction
BEGIN;
SELECT count(send(jsonb_build_object('customerEventId', 'many', 'eventProperties', jsonb_build_object('n', n)))) FROM generate_series(1, 100) AS n;
SELECT count(send('{"customerEventId": "many", "eventProperties": {"n": 100}}')) FROM generate_series(1, 100);
COMMIT;
SELECT count(*) AS versions, bool_and(chain_intact) AS chain_intact, bool_and(times_meet) AS times_meet,
       count(*) FILTER (WHERE is_current) AS current, max(event_properties ->> 'n') FILTER (WHERE is_current) AS n
FROM versions WHERE customer_event_id = 'many';

-- an error takes both back
BEGIN;
SELECT send('{"customerEventId": "many", "eventProperties": {"n": "gone"}}') IS NOT NULL AS superseded;
ROLLBACK;
SELECT event_properties FROM usage_events WHERE customer_event_id = 'many';
SELECT count(*) FROM usage_event_history WHERE customer_event_id = 'many';

-- usage_events.on_conflict: the first stays
SET usage_events.on_conflict = 'ignore';
SELECT send('{"customerEventId": "c", "eventProperties": {"n": 1}}') AS first \gset
SELECT send('{"customerEventId": "c", "eventProperties": {"n": 2}}') = :'first' AS first_stays;
SELECT create_usage_event('{"customerEventId": "c", "customerAlias": "x", "eventType": "y"}') = get_usage_event(:'first') AS answer_is_the_first;
-- or an error says so; a retry is none
SET usage_events.on_conflict = 'refuse';
SELECT send('{"customerEventId": "c", "eventProperties": {"n": 1}}') = :'first' AS retry;
DO $$
DECLARE
    message text; detail text; hint text;
BEGIN
    PERFORM send('{"customerEventId": "c", "eventProperties": {"n": 2}}');
EXCEPTION WHEN unique_violation THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE NOTICE E'%\n%\n%', message, regexp_replace(detail, '[0-9a-f]{8}-[0-9a-f-]{27}', '<id>'), hint;
END $$;
RESET usage_events.on_conflict;
SET usage_events.on_conflict = 'merge';
SELECT * FROM versions WHERE customer_event_id = 'c';
DROP VIEW versions;
DROP FUNCTION send(jsonb);
