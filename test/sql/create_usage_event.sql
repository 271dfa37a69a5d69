-- An event goes in, and its JSON comes out: the seven fields of the API.
TRUNCATE usage_events.event, usage_events.superseded_event;

-- the API's own example
SELECT jsonb_pretty(create_usage_event('{
  "customerEventId": "event-id-H4twuTWpYx1rkd8OMTki2hTUcZ",
  "customerAlias": "customer-id-2H4u5BBwBWsS5V2sroRFqJfTXpW",
  "eventType": "message-sent",
  "eventTimestamp": "2022-10-01T00:00:00Z",
  "eventProperties": {"length": 500, "type": "text_message"}
}') - 'id');

-- the required fields alone: the rest is filled
CREATE TEMP TABLE answer AS
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "login"}') AS event;
SELECT array(SELECT jsonb_object_keys(event) ORDER BY 1) AS fields,
       event ->> 'customerEventId' = event ->> 'id' AS own_id_as_key,
       event -> 'eventProperties' AS properties,
       clock_timestamp() - (event ->> 'eventTimestamp')::timestamptz BETWEEN '0' AND '5 minutes' AS now_as_timestamp,
       substr(event ->> 'id', 15, 1) AS id_version
FROM answer;

-- null is absent, for what may be absent
SELECT event ->> 'customerEventId' = event ->> 'id' AS own_id_as_key,
       event ->> 'eventTimestamp' IS NOT NULL AS has_timestamp
FROM create_usage_event('{"customerAlias": "acme", "eventType": "login", "customerEventId": null, "eventTimestamp": null}') AS event;

-- what the server decides is not taken from the body; fields that the API does not know are ignored
SELECT event ->> 'id' = 'mine' AS id_taken, event ->> 'sequenceAccountId' AS account, event ? 'extra' AS extra_taken
FROM create_usage_event('{"customerAlias": "acme", "eventType": "login", "id": "mine",
  "sequenceAccountId": "0184421e-a9cc-711b-af93-bf0511d4d833", "extra": 1}') AS event;

-- properties: any JSON, every digit
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "bytes", "eventProperties": {
  "amount": 12345678901234567890.123456789012345678901234567890, "tiny": 1e-30, "zeros": 1.500,
  "nested": {"list": [1, "two", null, true, {"deep": []}]}, "": "empty key", "ключ": "значение", "emoji": "\ud83d\ude00"}}')
  -> 'eventProperties';

-- the longest texts: 255 characters, whatever their bytes
SELECT char_length(event ->> 'customerAlias') AS characters, octet_length(event ->> 'customerAlias') AS bytes
FROM create_usage_event(jsonb_build_object('customerAlias', repeat('é', 255), 'eventType', repeat('x', 255),
  'customerEventId', repeat('语', 255))) AS event;

-- of a key that stands twice in JSON the last counts, as everywhere in jsonb
SELECT event ->> 'customerAlias' AS alias
FROM create_usage_event('{"customerAlias": "first", "eventType": "t", "customerAlias": "last"}') AS event;

-- what is stored is what was answered
SELECT count(*) AS answers, count(*) FILTER (WHERE get_usage_event(id) ->> 'id' = id::text) AS found
FROM usage_events;
SELECT get_usage_event((event ->> 'id')::uuid) = event AS same FROM answer;
SELECT get_usage_event('00000000-0000-0000-0000-000000000000') IS NULL AS none, get_usage_event(NULL) IS NULL AS null_in;

-- an answer is jsonb like any other: each key is found, and it equals its own text read again
SELECT event = event::text::jsonb AS equal, pg_column_size(event) = pg_column_size(event::text::jsonb) AS same_size,
       (SELECT bool_and(event ? key) FROM jsonb_object_keys(event) AS key) AS all_keys_found
FROM answer;

-- in the transaction of the business change: both or none
BEGIN;
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "t", "customerEventId": "rolled back"}') IS NOT NULL AS created;
ROLLBACK;
SELECT count(*) FROM usage_events WHERE customer_event_id = 'rolled back';

-- many in one statement, prepared and not
PREPARE create_event(jsonb) AS SELECT create_usage_event($1) ->> 'eventType';
EXECUTE create_event('{"customerAlias": "acme", "eventType": "prepared"}');
SELECT count(create_usage_event(jsonb_build_object('customerAlias', 'c' || n, 'eventType', 'many'))) FROM generate_series(1, 1000) AS n;
SELECT count(*), count(DISTINCT id) FROM usage_events WHERE event_type = 'many';
DROP TABLE answer;
