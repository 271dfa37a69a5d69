-- one_event.sql: the demo's first part: one event is sent, sent again, corrected, and refused
\set ON_ERROR_STOP on
\set ECHO queries
\pset footer off

\echo
\echo '=== 1. One command makes a database ready'
\echo

CREATE EXTENSION usage_events;

\echo
\echo '=== 2. An event comes in, and what is stored comes back'
\echo
\pset format unaligned
\pset tuples_only on

SELECT jsonb_pretty(create_usage_event('{
    "customerEventId": "event-id-H4twuTWpYx1rkd8OMTki2hTUcZ",
    "customerAlias": "customer-id-2H4u5BBwBWsS5V2sroRFqJfTXpW",
    "eventType": "message-sent",
    "eventTimestamp": "2022-10-01T00:00:00Z",
    "eventProperties": {"length": 500, "type": "text_message"}
}'));

\pset format aligned
\pset tuples_only off
\echo
\echo '=== 3. The answer was lost on its way, so the client sends the event again'
\echo '    The content is the same, if spelled otherwise: nothing is written, and the'
\echo '    answer is the first one, with its id.'
\echo

SELECT create_usage_event('{
    "eventType": "message-sent",
    "eventProperties": {"type": "text_message", "length": 500},
    "eventTimestamp": "2022-10-01T02:00:00+02:00",
    "customerEventId": "event-id-H4twuTWpYx1rkd8OMTki2hTUcZ",
    "customerAlias": "customer-id-2H4u5BBwBWsS5V2sroRFqJfTXpW"
}') ->> 'id' AS id;

SELECT (SELECT count(*) FROM usage_events) AS events,
       (SELECT count(*) FROM usage_event_history) AS superseded;

\echo '=== 4. The length was wrong: the event is sent again with the right one'
\echo '    Same customerEventId, other content: it takes the first one''s place, and has'
\echo '    an id of its own.'
\echo

SELECT create_usage_event('{
    "customerEventId": "event-id-H4twuTWpYx1rkd8OMTki2hTUcZ",
    "customerAlias": "customer-id-2H4u5BBwBWsS5V2sroRFqJfTXpW",
    "eventType": "message-sent",
    "eventTimestamp": "2022-10-01T00:00:00Z",
    "eventProperties": {"length": 480, "type": "text_message"}
}') ->> 'id' AS id;

\echo '    What it replaced stays readable:'
\echo
\pset expanded on

SELECT * FROM usage_event_history;

\pset expanded off
\echo '=== 5. An event with faults is refused, and the error names them all'
\echo
\set ON_ERROR_STOP off

SELECT create_usage_event('{
    "customerAlias": " ",
    "eventTimestamp": "2022-10-01",
    "eventProperties": [500, "text_message"]
}');

\set ON_ERROR_STOP on
\set ECHO none
\echo

-- The demo fails where what it shows is not so.
SET demo.refusal = :'LAST_ERROR_SQLSTATE';

DO $$
BEGIN
    ASSERT (SELECT array_agg(event_properties ->> 'length') = '{480}' FROM usage_events),
        'the event is not stored once, in its last version';
    ASSERT (SELECT array_agg(event_properties ->> 'length') = '{500}' FROM usage_event_history),
        'the history does not hold the first version, once';
    ASSERT (SELECT superseded_by FROM usage_event_history) = (SELECT id FROM usage_events),
        'the history does not name the version that took the place of the first';
    ASSERT current_setting('demo.refusal') = '22023', 'the event with faults was not refused';
END
$$;
