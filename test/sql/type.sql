-- The type usage_event: checked on the way in, the API's JSON on the way out.
SELECT '{"customerAlias": "acme", "eventType": "login"}'::usage_event;
SELECT '{"eventProperties": {"b": 1.50, "a": [null]}, "eventTimestamp": "2022-10-01T02:00:00.500+02:00", "customerEventId": "e-1", "eventType": "login",
    "customerAlias": "acme"}'::usage_event;
-- null is absent, fields that the API does not know are left out
SELECT '{"customerAlias": "acme", "eventType": "login", "customerEventId": null, "eventTimestamp": null, "extra": 1}'::usage_event;
-- an answer is an event as well, and keeps its id and account
SELECT '{"id": "0184421a-8202-70ea-a729-30308a40bbf7", "customerAlias": "acme", "eventType": "login", "customerEventId": "e-1",
  "sequenceAccountId": "0184421e-a9cc-711b-af93-bf0511d4d833", "eventTimestamp": "2022-10-01T00:00:00Z", "eventProperties": {}}'::usage_event;
SELECT answer = answer::usage_event::jsonb AS same
FROM create_usage_event('{"customerAlias": "acme", "eventType": "login", "eventProperties": {"a": {"b": [1, 2.0]}}}') AS answer;

-- casts both ways, on assignment too
SELECT '{"customerAlias": "acme", "eventType": "login"}'::jsonb::usage_event::jsonb -> 'eventType' AS event_type;
CREATE TEMP TABLE outbox (event usage_event);
INSERT INTO outbox SELECT jsonb_build_object('customerAlias', 'acme', 'eventType', 'login');
INSERT INTO outbox VALUES (NULL);
CREATE TEMP TABLE documents (document jsonb);
INSERT INTO documents SELECT event FROM outbox WHERE event IS NOT NULL;
SELECT * FROM documents;

-- json as well, which json_build_object() and some drivers give
INSERT INTO outbox SELECT json_build_object('customerAlias', 'acme', 'eventType', 'json');
SELECT event::json ->> 'eventType' AS event_type FROM outbox WHERE event::jsonb ->> 'eventType' = 'json';
SELECT json_build_object('customerAlias', 'acme')::usage_event;

-- compared as their JSON is: by what is in them, not by how it was written
CREATE TEMP TABLE compared (n int, event usage_event);
INSERT INTO compared VALUES (1, '{"customerAlias": "acme", "eventType": "login", "eventTimestamp": "2022-10-01T00:00:00Z",
    "eventProperties": {"a": 1.0, "b": 2}}'),
    (2, '{"eventType": "login", "customerAlias": "acme", "eventTimestamp": "2022-10-01T02:00:00+02", "eventProperties": {"b": 2.00, "a": 1}}'),
    (3, '{"customerAlias": "acme", "eventType": "login"}'), (4, '{"customerAlias": "acme", "eventType": "login", "eventProperties": null}'),
    (5, '{"customerAlias": "acme", "eventType": "logout"}'), (6, NULL), (7, NULL);
SELECT array_agg(n ORDER BY n) AS equal FROM compared GROUP BY event ORDER BY 1;
SELECT count(*) FROM (SELECT DISTINCT event FROM compared) AS d;
SELECT count(*), count(DISTINCT event) FROM compared;
SELECT count(*) FROM (SELECT event FROM compared UNION SELECT event FROM compared) AS u;
SELECT count(*) FROM (SELECT event FROM compared EXCEPT SELECT '{"customerAlias": "acme", "eventType": "logout"}') AS e;
SELECT bool_and((a.event < b.event) = (a.event::jsonb < b.event::jsonb) AND (a.event <= b.event) = (a.event::jsonb <= b.event::jsonb)
    AND (a.event = b.event) = (a.event::jsonb = b.event::jsonb) AND (a.event <> b.event) = (a.event::jsonb <> b.event::jsonb)
    AND (a.event >= b.event) = (a.event::jsonb >= b.event::jsonb) AND (a.event > b.event) = (a.event::jsonb > b.event::jsonb)) AS as_jsonb
FROM compared AS a, compared AS b;
SELECT bool_and((usage_events.usage_event_hash(a.event) = usage_events.usage_event_hash(b.event)) = (a.event = b.event)
    AND (usage_events.usage_event_hash_extended(a.event, 7) = usage_events.usage_event_hash_extended(b.event, 7)) = (a.event = b.event)) AS hashes_agree
FROM compared AS a, compared AS b;
SELECT array_agg(n ORDER BY event, n) FROM compared;
-- joined by hashes and by sorting, and found by either index
INSERT INTO compared SELECT n, jsonb_build_object('customerAlias', 'c' || n % 500, 'eventType', 't') FROM generate_series(100, 2099) AS n;
ANALYZE compared;
SET enable_nestloop = off; SET enable_mergejoin = off;
SELECT count(*) FROM compared AS a JOIN compared AS b USING (event);
SET enable_mergejoin = on; SET enable_hashjoin = off;
SELECT count(*) FROM compared AS a JOIN compared AS b USING (event);
RESET enable_nestloop; RESET enable_hashjoin;
SET enable_seqscan = off; SET enable_bitmapscan = off;
CREATE INDEX compared_hash ON compared USING hash (event);
EXPLAIN (COSTS off) SELECT n FROM compared WHERE event = '{"customerAlias": "c7", "eventType": "t"}';
SELECT n FROM compared WHERE event = '{"customerAlias": "c7", "eventType": "t"}' ORDER BY n;
DROP INDEX compared_hash;
CREATE UNIQUE INDEX compared_btree ON compared (event, n);
EXPLAIN (COSTS off) SELECT n FROM compared WHERE event = '{"customerAlias": "c7", "eventType": "t"}' ORDER BY n;
SELECT n FROM compared WHERE event = '{"customerAlias": "c7", "eventType": "t"}' ORDER BY n;
RESET enable_seqscan; RESET enable_bitmapscan;
CREATE TEMP TABLE parts (event usage_event PRIMARY KEY) PARTITION BY HASH (event);
CREATE TEMP TABLE part PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO parts SELECT event FROM compared WHERE n < 6 ON CONFLICT DO NOTHING;
SELECT count(*) FROM parts;
DROP TABLE compared, parts;

-- faults, as everywhere
SELECT '{"customerAlias": " ", "eventTimestamp": "2022-10-01"}'::usage_event;
SELECT '{"customerAlias": 5}'::jsonb::usage_event;
SELECT '[1]'::usage_event;
SELECT '{"customerAlias": "a"'::usage_event;
SELECT ''::usage_event;

-- stored: short and long, compressed and out of line
TRUNCATE outbox;
SET usage_events.max_properties_bytes = '1MB';
INSERT INTO outbox SELECT jsonb_build_object('customerAlias', 'c' || n, 'eventType', repeat('t', n % 7 + 1), 'customerEventId',
    CASE WHEN n % 2 = 0 THEN 'e' || n END,
  'eventTimestamp', CASE WHEN n % 3 = 0 THEN '2022-10-01T00:00:00Z' END,
  'eventProperties', jsonb_build_object('n', n, 'text', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, n * 20) AS i)))
FROM generate_series(0, 60) AS n;
RESET usage_events.max_properties_bytes;
SELECT count(*), sum((event::jsonb -> 'eventProperties' ->> 'n')::int) AS n, sum(length(event::jsonb -> 'eventProperties' ->> 'text')) AS characters,
       count(*) FILTER (WHERE event::jsonb ? 'customerEventId') AS with_key, count(*) FILTER (WHERE event::jsonb ? 'eventTimestamp') AS with_timestamp
FROM outbox;
SELECT bool_and(event::text = event::jsonb::text) AS text_is_json FROM outbox;

-- binary COPY and back
SELECT current_setting('data_directory') || '/usage_event_type.copy' AS file \gset
SET usage_events.max_properties_bytes = '1MB';
COPY outbox TO :'file' (FORMAT binary);
CREATE TEMP TABLE copied (event usage_event);
COPY copied FROM :'file' (FORMAT binary);
COPY outbox TO :'file';
CREATE TEMP TABLE copied_as_text (event usage_event);
COPY copied_as_text FROM :'file';
SELECT (SELECT count(*) FROM outbox o JOIN copied c ON c.event::text = o.event::text) AS equal_binary,
       (SELECT count(*) FROM outbox o JOIN copied_as_text c ON c.event::text = o.event::text) AS equal_text;
RESET usage_events.max_properties_bytes;

-- the binary form: a version and the text
SELECT convert_from(substr(usage_events.usage_event_send('{"customerAlias": "a", "eventType": "t"}'), 2), 'UTF8') AS text,
       get_byte(usage_events.usage_event_send('{"customerAlias": "a", "eventType": "t"}'), 0) AS version;
-- another version, or no event, is refused
CREATE TEMP TABLE bytes (value bytea);
INSERT INTO bytes VALUES ('\x02' || convert_to('{"customerAlias": "a", "eventType": "t"}', 'UTF8'));
COPY bytes TO :'file' (FORMAT binary);
\set VERBOSITY terse
COPY copied FROM :'file' (FORMAT binary);
\echo :LAST_ERROR_SQLSTATE
UPDATE bytes SET value = '\x01' || convert_to('{"customerAlias": "a"}', 'UTF8');
COPY bytes TO :'file' (FORMAT binary);
COPY copied FROM :'file' (FORMAT binary);
\echo :LAST_ERROR_SQLSTATE
UPDATE bytes SET value = '\x01ff';
COPY bytes TO :'file' (FORMAT binary);
COPY copied FROM :'file' (FORMAT binary);
\echo :LAST_ERROR_SQLSTATE
UPDATE bytes SET value = '';
COPY bytes TO :'file' (FORMAT binary);
COPY copied FROM :'file' (FORMAT binary);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
DROP TABLE outbox, documents, copied, copied_as_text, bytes;
