-- What is kept of refused events: so many of an account, so much, and so long.
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event, usage_events.rejected_overflow;
CREATE FUNCTION shown(answer jsonb) RETURNS TABLE (outcome text, faults text) LANGUAGE sql AS $$
    SELECT o ->> 'outcome', (SELECT string_agg(concat_ws(' ', f ->> 'field', f ->> 'fault'), '; ' ORDER BY n)
        FROM jsonb_array_elements(o -> 'faults') WITH ORDINALITY AS a(f, n))
    FROM jsonb_array_elements(answer -> 'outcomes') WITH ORDINALITY AS a(o, n) ORDER BY n
$$;
CREATE VIEW kept AS SELECT rejected_waiting, rejected_bytes > 0 AS has_bytes, rejected_not_kept, rejected_not_kept_at > now() - interval '1 hour' AS just_now
FROM usage_events.account_status WHERE account_id = usage_events.current_account_id();
TABLE kept;

-- above the number that an account may have, events are refused all the same, and say so; those that are good are stored
SET usage_events.max_rejected_events = 3;
SELECT *
    FROM shown(ingest_usage_events('[{"eventType": "a"}, {"customerAlias": "acme", "eventType": "good"}, {"eventType": "b"}, 5, {"eventType": "c"}, 6,
    {"customerAlias": "acme", "eventType": "good"}]'));
TABLE kept;
SELECT body FROM rejected_usage_events ORDER BY id;
SELECT count(*) FROM usage_events WHERE event_type = 'good';
-- sent again they make room for themselves
SELECT * FROM shown(retry_rejected_usage_events());
TABLE kept;
-- lines of an import that are skipped, too
SET usage_events.import_on_error = 'skip';
COPY usage_event_import FROM STDIN;
{"customerAlias": "acme", "eventType": "imported"}
no event
{"customerAlias": "acme", "eventType": "imported"}
\.
RESET usage_events.import_on_error;
SELECT count(*) FROM usage_events WHERE event_type = 'imported';
TABLE kept;
-- who deletes some has room again
DELETE FROM usage_events.rejected_event WHERE id = (SELECT min(id::text)::uuid FROM usage_events.rejected_event);
SELECT * FROM shown(ingest_usage_events('[7, 8]'));
TABLE kept;
-- none at all
SET usage_events.max_rejected_events = 0;
SELECT * FROM shown(ingest_usage_events('[9]'));
RESET usage_events.max_rejected_events;

-- above the bytes: what is smaller may still fit
TRUNCATE usage_events.rejected_event;
SET usage_events.max_rejected_bytes = '1kB';
SELECT * FROM shown(ingest_usage_events(jsonb_build_array(repeat('x', 600), repeat('y', 600), 'z')));
SELECT left(body, 3) FROM rejected_usage_events ORDER BY id;
RESET usage_events.max_rejected_bytes;
-- the others' are not counted
SELECT usage_events.create_account('another') AS account \gset
SET usage_events.max_rejected_events = 2;
SELECT count(*) FROM shown(usage_events.ingest_events(:'account', '[1, 2]')) WHERE faults NOT LIKE '%kept%';
RESET usage_events.max_rejected_events;
-- a number is short to store and long to write: its body is measured before it is written
SELECT outcome FROM shown(ingest_usage_events('[[1e131071, 1e131071, 1e131071, 1e131071, 1e131071, 1e131071, 1e131071, 1e131071]]'));
SELECT length(body), left(body, 22) AS body FROM rejected_usage_events WHERE account_id = usage_events.current_account_id() ORDER BY id DESC LIMIT 1;
SELECT outcome FROM shown(ingest_usage_events('[[1e131071, 1e-16383]]'));
SELECT length(body), left(body, 22) AS body FROM rejected_usage_events WHERE account_id = usage_events.current_account_id() ORDER BY id DESC LIMIT 1;

-- refused, sent again, stored, and refused once more: what a refresh has not deleted yet does not add up without end
TRUNCATE usage_events.rejected_event, usage_events.rejected_overflow;
SET usage_events.max_rejected_events = 2;
CREATE PROCEDURE send_twice() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM create_usage_event('{"customerAlias": "acme", "eventType": "t", "customerEventId": "twice", "eventProperties": {"n": 0}}');
    PERFORM set_config('usage_events.on_conflict', 'refuse', false);
    PERFORM ingest_usage_events((SELECT jsonb_agg(jsonb_build_object('customerAlias', 'acme', 'eventType', 't', 'customerEventId', 'twice', 'eventProperties',
        jsonb_build_object('n', n))) FROM generate_series(1, 2) AS n));
    PERFORM set_config('usage_events.on_conflict', 'ignore', false);
    PERFORM retry_rejected_usage_events();
    PERFORM set_config('usage_events.on_conflict', 'supersede', false);
END $$;
CALL send_twice();
CALL send_twice();
CALL send_twice();
CALL send_twice();
SELECT count(*) FILTER (WHERE taken_at IS NULL) AS waiting, count(*) AS all FROM usage_events.rejected_event;
SELECT * FROM shown(ingest_usage_events('[1]'));
SELECT usage_events.refresh_rollups() > 0 AS refreshed;
SELECT outcome, faults LIKE '%kept%' AS is_lost FROM shown(ingest_usage_events('[1]'));
DROP PROCEDURE send_twice();
RESET usage_events.max_rejected_events;

-- in a transaction of one snapshot they are told, and not counted
TRUNCATE usage_events.rejected_overflow;
SET usage_events.max_rejected_events = 0;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT outcome FROM shown(ingest_usage_events('[1]'));
COMMIT;
SELECT count(*) FROM usage_events.rejected_overflow;
SELECT outcome FROM shown(ingest_usage_events('[1]')), generate_series(1, 2);
SELECT event_count FROM usage_events.rejected_overflow;
RESET usage_events.max_rejected_events;

-- kept for so long: a refresh deletes what is older, of accounts without metrics as well
TRUNCATE usage_events.rejected_event;
SELECT count(*) FROM shown(ingest_usage_events('[1, 2, 3]'));
UPDATE usage_events.rejected_event SET id = overlay(id::text PLACING left(uuid_v7_floor(now() - interval '91 days')::text, 13) FROM 1)::uuid WHERE body <> '3';
SET usage_events.rejected_retention = 0;
SELECT usage_events.refresh_rollups(usage_events.current_account_id());
SELECT count(*) FROM usage_events.rejected_event;
RESET usage_events.rejected_retention;
-- a role that may refresh, and not delete, leaves them
CREATE ROLE refresher;
SELECT usage_events.grant_access('refresher', 'admin');
REVOKE DELETE ON usage_events.rejected_event FROM refresher;
SET ROLE refresher;
SELECT usage_events.refresh_rollups(usage_events.current_account_id());
RESET ROLE;
SELECT usage_events.refresh_rollups(usage_events.current_account_id());
SELECT body FROM usage_events.rejected_event;
DROP OWNED BY refresher;
DROP ROLE refresher;

-- a refusal of many names the first hundred, and the number of the others; or fewer, where they have much to say
CREATE FUNCTION refusal(events jsonb) RETURNS TABLE (message text, lines int, bytes_below_80k boolean, first_line text, last_line text) LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    PERFORM create_usage_events(events);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    lines = cardinality(string_to_array(detail, E'\n'));
    bytes_below_80k = octet_length(detail) < 80000;
    first_line = split_part(detail, E'\n', 1);
    last_line = split_part(detail, E'\n', -1);
    RETURN NEXT;
END $$;
SELECT * FROM refusal((SELECT jsonb_agg(jsonb_build_object('eventType', 't') || CASE WHEN n % 2 = 0 THEN '{"customerAlias": "acme"}'::jsonb ELSE '{}' END
    ORDER BY n) FROM generate_series(1, 1000) AS n));
SELECT * FROM refusal((SELECT jsonb_agg(n) FROM generate_series(1, 100) AS n));
SELECT * FROM refusal((SELECT jsonb_agg(n) FROM generate_series(1, 101) AS n));
SET usage_events.reject_unknown_fields = on;
SELECT * FROM refusal((SELECT jsonb_agg((SELECT jsonb_object_agg(field || repeat('u', 100), 1) FROM generate_series(1, 100) AS field))
    FROM generate_series(1, 1000) AS n));
-- a name is cut short
SELECT create_usage_event(jsonb_build_object('customerAlias', 'acme', 'eventType', 't', repeat('ü', 1000), 1));
SELECT faults FROM shown(ingest_usage_events(jsonb_build_array(jsonb_build_object('customerAlias', 'acme', 'eventType', 't', repeat('ü', 1000), 1))));
RESET usage_events.reject_unknown_fields;
SET usage_events.on_conflict = 'refuse';
SELECT message, lines, last_line
    FROM refusal((SELECT jsonb_agg(jsonb_build_object('customerAlias', 'acme', 'eventType', 't', 'customerEventId', 'same', 'eventProperties',
    jsonb_build_object('n', n))) FROM generate_series(1, 150) AS n));
RESET usage_events.on_conflict;
-- and so is what the server says of text that is no JSON
SET usage_events.import_on_error = 'skip';
INSERT INTO usage_event_import VALUES (repeat('x', 100000));
RESET usage_events.import_on_error;
SELECT length(body), regexp_replace(faults ->> 0, 'x{150,}', '<x>') AS fault FROM rejected_usage_events ORDER BY id DESC LIMIT 1;

DROP VIEW kept;
DROP FUNCTION shown(jsonb), refusal(jsonb);
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event, usage_events.rejected_overflow;
DELETE FROM usage_events.account WHERE account_id = :'account';
