-- COPY usage_event_import FROM ...: one JSON event a line.
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event;

-- the options that take plain NDJSON as it is, backslashes and quotes included
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
{"customerEventId": "1", "customerAlias": "it's \"acme\", \\ Ltd", "eventType": "call", "eventProperties": {"text": "a\tb,\nc"}}
{"customerEventId": "2", "customerAlias": "globex", "eventType": "call", "eventTimestamp": "2022-10-01T00:00:00Z"}
{"customerEventId": "2", "customerAlias": "globex", "eventType": "call", "eventTimestamp": "2022-10-01T02:00+02"}
{"customerEventId": "1", "customerAlias": "VOID", "eventType": "call"}
\.
SELECT customer_event_id, customer_alias, event_properties FROM usage_events ORDER BY 1;
SELECT customer_event_id, customer_alias, event_properties FROM usage_event_history ORDER BY 1;

-- a bad line is refused with its number, and nothing is stored
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
{"customerAlias": "new", "eventType": "call"}
{"customerAlias": "new", "eventType": "call"}
{"customerAlias": "new", "eventTimestamp": "2022-10-01"}
{"customerAlias": "new", "eventType": "call"}
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
{"customerAlias": "new", "eventType": "call"}
{"customerAlias": "new", "eventType":
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
{"customerAlias": "new", "eventType": "call"}

\.
SELECT count(*) FROM usage_events WHERE customer_alias = 'new';

-- or kept, while the others are stored
SET usage_events.import_on_error = 'skip';
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
{"customerEventId": "3", "customerAlias": "new", "eventType": "call"}
{"customerAlias": "new",   "eventTimestamp": "2022-10-01"}
no JSON at all
{"customerAlias": "new", "eventType": "call", "eventProperties": {"text": "\u0000"}}
{"customerEventId": "3", "customerAlias": "new", "eventType": "call"}

5
\.
SELECT customer_event_id FROM usage_events WHERE customer_alias = 'new';
SELECT body, faults FROM rejected_usage_events ORDER BY id;
RESET usage_events.import_on_error;
TRUNCATE usage_events.rejected_event;

-- rows from a query do as well, and NULL is none
INSERT INTO usage_event_import SELECT jsonb_build_object('customerAlias', 'c', 'eventType', 'many', 'customerEventId', 'm' || n % 2500, 'eventProperties', jsonb_build_object('n', n))::text
FROM generate_series(1, 5000) AS n;
SELECT count(*), min((event_properties ->> 'n')::int), max((event_properties ->> 'n')::int) FROM usage_events WHERE event_type = 'many';
SELECT count(*) FROM usage_event_history WHERE event_type = 'many';
INSERT INTO usage_event_import VALUES (NULL);
\echo :LAST_ERROR_SQLSTATE
-- a statement without rows, a failed one, and one inside another
INSERT INTO usage_event_import SELECT NULL::text WHERE false;
CREATE FUNCTION import_inside() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage_event_import VALUES ('{"customerAlias": "inner", "eventType": "nested"}');
    BEGIN
        INSERT INTO usage_event_import VALUES ('{"customerAlias": "inner", "eventType": "nested"}'), ('broken');
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    RETURN '{"customerAlias": "outer", "eventType": "nested"}';
END $$;
INSERT INTO usage_event_import SELECT import_inside() FROM generate_series(1, 3);
SELECT customer_alias, count(*) FROM usage_events WHERE event_type = 'nested' GROUP BY 1 ORDER BY 1;
DROP FUNCTION import_inside();
-- the triggers' function is of no other use
SELECT usage_events.import_usage_events();
-- reading it shows nothing
SELECT * FROM usage_event_import;
SELECT count(*) FROM usage_events;
TRUNCATE usage_events.event, usage_events.superseded_event;
