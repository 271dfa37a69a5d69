-- month.sql: the demo's second part: a month of events, and what each customer used
\set ON_ERROR_STOP on
\set ECHO queries
\pset footer off

\echo '=== 6. A month of events comes in, one a line of events.ndjson'
\echo

CREATE TEMPORARY TABLE line (
    number bigint GENERATED ALWAYS AS IDENTITY,
    event jsonb
);

-- Neither the delimiter nor the quote can stand in JSON: a line is read as one value.
-- psql would echo the COPY that it makes of \copy, which does not name the file.
\set ECHO none
\echo
\echo '\\copy line (event) FROM events.ndjson (FORMAT csv, DELIMITER E''\\1'', QUOTE E''\\2'')'
\echo
\copy line (event) FROM events.ndjson (FORMAT csv, DELIMITER E'\1', QUOTE E'\2')
\set ECHO queries

CREATE TEMPORARY TABLE answer AS
SELECT create_usage_event(event) AS event FROM line ORDER BY number;

\echo
\echo '    Each line was a retry, a correction of an event, or an event of its own:'
\echo

SELECT count(*) AS lines,
       count(*) - count(DISTINCT event -> 'id') AS retries,
       count(DISTINCT event -> 'id')
           - count(DISTINCT event -> 'customerEventId') AS corrections,
       count(DISTINCT event -> 'customerEventId') AS events
FROM answer;

\echo '=== 7. What each customer used in October'
\echo '    Events that were taken back belong to the customer VOID, and are left out.'
\echo

SELECT customer_alias, event_type, count(*) AS events,
       sum((event_properties ->> quantity)::numeric) AS total, quantity
FROM usage_events
JOIN (VALUES ('ai-tokens', 'tokens'), ('api-call', 'milliseconds'),
             ('message-sent', 'length'), ('seat-login', 'seats'),
             ('storage-gigabyte-hours', 'gigabyteHours')
     ) AS metered (event_type, quantity) USING (event_type)
WHERE event_timestamp >= '2026-10-01T00:00:00Z'
  AND event_timestamp < '2026-11-01T00:00:00Z'
  AND customer_alias <> 'VOID'
GROUP BY customer_alias, event_type, quantity
ORDER BY customer_alias, event_type;

\set ECHO none

-- The demo fails where what it shows is not so: the lines themselves say what to expect.
DO $$
DECLARE
    contents bigint := (SELECT count(DISTINCT event) FROM line);
    keys bigint := (SELECT count(DISTINCT event -> 'customerEventId') FROM line);
BEGIN
    ASSERT contents < (SELECT count(*) FROM line) AND keys < contents,
        'events.ndjson holds no retry, or no correction';
    ASSERT (SELECT count(DISTINCT event -> 'id') FROM answer) = contents,
        'a retry was not answered with the id of the event it repeats';
    ASSERT (SELECT count(*) FROM usage_events WHERE event_timestamp >= '2026-10-01T00:00:00Z') = keys,
        'an event is not stored once';
    ASSERT (SELECT count(*) FROM usage_event_history WHERE event_timestamp >= '2026-10-01T00:00:00Z') = contents - keys,
        'the history does not hold what the corrections replaced';
END
$$;
