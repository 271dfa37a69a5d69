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
SELECT count(*) FROM usage_events WHERE customer_alias = 'new';
-- a blank line is none
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');

{"customerEventId": "blank", "customerAlias": "blank", "eventType": "call"}


\.
DELETE FROM usage_events.event WHERE customer_alias = 'blank';

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
INSERT INTO usage_event_import SELECT jsonb_build_object('customerAlias', 'c', 'eventType', 'many', 'customerEventId', 'm' || n % 2500, 'eventProperties',
    jsonb_build_object('n', n))::text
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

-- Other options: a line of which COPY would take something for its own is refused, whatever import_on_error says
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event;
COPY usage_event_import FROM STDIN;
{"customerEventId": "1", "customerAlias": "acme", "eventType": "call"}
{"customerEventId": "2", "customerAlias": "caf\u00e9", "eventType": "call"}
\.
SET usage_events.import_on_error = 'skip';
COPY usage_event_import FROM STDIN;
{"customerEventId": "2", "customerAlias": "C:\\temp", "eventType": "call"}
\.
RESET usage_events.import_on_error;
COPY usage_event_import FROM STDIN;
\N
\.
COPY usage_event_import FROM STDIN (FORMAT csv, DELIMITER '|', QUOTE '''');
{"customerEventId": "2", "customerAlias": "it's o'", "eventType": "call"}
\.
-- where nothing is changed they do
COPY usage_event_import FROM STDIN;
{"customerEventId": "1", "customerAlias": "acme", "eventType": "call"}

\.
SELECT count(*) FROM usage_events;
-- so do programs that quote what they send, or send it in binary
SELECT current_setting('data_directory') || '/usage_event_import.copy' AS file \gset
CREATE TABLE outgoing AS SELECT '{"customerEventId": "3", "customerAlias": "caf\u00e9 \"x\"", "eventType": "call"}'::text AS event;
COPY outgoing TO :'file' (FORMAT csv);
COPY usage_event_import FROM :'file' (FORMAT csv);
COPY outgoing TO :'file' (FORMAT binary);
COPY usage_event_import FROM :'file' (FORMAT binary);
COPY outgoing TO :'file';
COPY usage_event_import FROM :'file';
DROP TABLE outgoing;
SELECT octet_length(customer_alias) AS bytes FROM usage_events WHERE customer_event_id = '3';

-- CSV, by its header: fields of the API in any order, and properties; white space and blank lines between them are nobody's
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event;
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');

eventType, customerAlias , "customerEventId",eventTimestamp,quantity,properties.kind,eventProperties.name,"Price, net"
call, acme, 1, 2026-10-01T00:00:00Z, 1.50, 007, a name , "x, ""y"""

call,acme,2,2026-10-01 02:00:00+02,-1e3,true,"  1", "two
lines,

and a blank one" ,
,,,,,,,
call,acme,,,,,,
call,acme,3,,1.,TRUE,5" pipe,null
\.
SELECT CASE WHEN customer_event_id LIKE '%-%' THEN 'an id' ELSE customer_event_id END AS key, customer_alias, event_type,
    event_properties FROM usage_events ORDER BY id;
-- properties as JSON, with others beside it; a semicolon or a tab as the separator
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias;eventType;eventProperties;quantity;customerEventId
acme;call;"{""a"": {""b"": "";,""}}";5;4
acme;call;{"quantity": 5.0, "a": 1 };5;5
acme;call;;;6
acme;call; null;;7
acme;call;{};"5";8
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias	eventType	quantity	customerEventId
acme	call		9
\.
SELECT customer_event_id, event_properties FROM usage_events WHERE customer_event_id BETWEEN '4' AND '9' ORDER BY 1;

-- faults name their line
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType
acme,call
" acme",call
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType,quantity
acme,call
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType
acme,call,1
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType,,
acme,call,1,
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType,quantity,quantity
acme,call,1,2
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType
acme,"call
acme,call
\.
-- a property that a row has twice must have one value: as JSON compares it, and however it is written
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias;eventType;eventProperties;quantity;name
acme;call;{"quantity": 2};;
acme;call;{"quantity": 2};3;
\.
SET usage_events.import_on_error = 'skip';
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias;eventType;customerEventId;eventProperties;quantity;properties.name
acme;call;number or text;{"quantity": 2};"2";
acme;call;escaped;{"qu\u0061ntity": 2};3;
acme;call;no scalar;{"name": ["a"]};;a
acme;call;null;{"name": null};;null
acme;call;no JSON;{"quantity": 2, x};3;
acme;call;the same;{"quantity": 1e1, "name": "\u0061"};10.0;a
acme;call;nested;{"x": {"quantity": 2}};3;
\.
SELECT body, faults FROM rejected_usage_events ORDER BY id;
RESET usage_events.import_on_error;
SELECT customer_event_id, event_properties FROM usage_events WHERE customer_event_id IN ('the same', 'nested') ORDER BY 1;
TRUNCATE usage_events.rejected_event;

-- files put together: the first header once more is none of the events
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType,customerEventId,properties.region,
acme,call,file 1,eu,
"customerAlias", eventType ,customerEventId,properties.region,
acme,call,file 2,us,
\.
SELECT customer_event_id, customer_alias, event_properties FROM usage_events WHERE customer_event_id LIKE 'file%' OR customer_alias ~ 'Alias' ORDER BY 1;
-- another header ends the import in any case: the rows after it would be read under the first one
SET usage_events.import_on_error = 'skip';
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType
acme,call
eventType,customerAlias
call,acme
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType
customer_alias,event_type
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType,quantity
customerAlias,eventType
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType
acme,call
customerAlias;eventType;quantity
acme;call;1,5
\.
-- as does one that follows a file without an end of line
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType
acme,callcustomerAlias,eventType
acme,call
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType
acme,"call"eventType,customerAlias
call,acme
\.
RESET usage_events.import_on_error;
-- names of fields among the values make no header
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType,customerEventId,field,eventProperties
acme,eventType,no header 1,customerAliases,
acme,call,no header 2,customerAlias,"{""eventType"": ""customerAlias"", ""x"": ""eventType""}"
\.
SELECT customer_event_id, event_properties FROM usage_events WHERE customer_event_id LIKE 'no header%' ORDER BY 1;

-- a header that is none
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customer,type
acme,call
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
[{"customerAlias": "acme", "eventType": "call"},
{"customerAlias": "acme", "eventType": "call"}]
\.
-- a field in another spelling would become a property, and the event another
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType,event_timestamp
acme,call,2022-10-01T00:00:00Z
\.
-- a value in the column of properties is no more than that
SET usage_events.import_on_error = 'skip';
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
eventType,customerAlias,eventProperties,customerEventId
call,acme,"{}, ""customerAlias"": ""other""",injected
call,acme,"{}}, {""x"": {}",injected
call,acme,[1],
call,acme,{"a": x},
call,acme
call,acme,"{}"x,
call,acme,,good
call,,"{""a"": ""\u0000""}",
\.
SELECT body, faults FROM rejected_usage_events ORDER BY id;
SELECT customer_alias FROM usage_events WHERE customer_event_id IN ('injected', 'good');
-- a file that is cut short is no bad line
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType
acme,"call
\.
RESET usage_events.import_on_error;
-- and CSV is told by its header in a COPY alone
INSERT INTO usage_event_import VALUES ('customerAlias,eventType'), ('acme,call');

-- the triggers' function is of no other use
SELECT usage_events.import_usage_events();
-- reading it shows nothing
SELECT * FROM usage_event_import;
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event;
