-- The views show what the functions have written, and say which to call instead of writing to them.
\set SHOW_CONTEXT never
\i test/helpers/empty.sql
SELECT ingest_usage_events('[{"customerAlias": "a", "eventType": "t", "customerEventId": "1"},
    {"customerAlias": "b", "eventType": "t", "customerEventId": "1"}, {}]') IS NOT NULL AS sent,
       create_customer_alias('{"customerId": "c", "value": "a"}') IS NOT NULL AS alias,
       create_usage_metric('{"name": "n", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}') IS NOT NULL AS metric;

-- a superuser
INSERT INTO usage_events (customer_alias, event_type) VALUES ('a', 't');
INSERT INTO usage_events SELECT * FROM usage_events;
UPDATE usage_events SET customer_alias = 'c';
DELETE FROM usage_events;
COPY usage_events (customer_alias, event_type) FROM STDIN;
a	t
\.
INSERT INTO usage_event_history SELECT * FROM usage_event_history;
UPDATE usage_event_history SET customer_alias = 'c';
DELETE FROM usage_event_history;
INSERT INTO rejected_usage_events (body) VALUES ('{}');
DELETE FROM rejected_usage_events;
INSERT INTO customer_aliases (customer_id, value) VALUES ('c', 'b');
UPDATE customer_aliases SET customer_id = 'd';
DELETE FROM customer_aliases;
INSERT INTO usage_metrics (name) VALUES ('n');
UPDATE usage_metrics SET name = 'm';
DELETE FROM usage_metrics;

-- who may send, and who may read alone
CREATE ROLE view_sender;
CREATE ROLE view_reader;
SELECT usage_events.grant_access('view_sender', 'ingest'), usage_events.grant_access('view_reader', 'read');
SET ROLE view_sender;
INSERT INTO usage_events (customer_alias, event_type) VALUES ('a', 't');
INSERT INTO customer_aliases (customer_id, value) VALUES ('c', 'b');
INSERT INTO usage_metrics (name) VALUES ('n');
UPDATE usage_events SET customer_alias = 'c';
DELETE FROM usage_events;
SET ROLE view_reader;
INSERT INTO usage_events (customer_alias, event_type) VALUES ('a', 't');
RESET ROLE;

-- nothing has changed, and no other view can be written to, either
SELECT (SELECT string_agg(customer_alias, ' ') FROM usage_events) AS events, (SELECT string_agg(customer_alias, ' ') FROM usage_event_history) AS history,
       (SELECT string_agg(body, ' ') FROM rejected_usage_events) AS rejected,
       (SELECT string_agg(customer_id || ' ' || value, ' ') FROM customer_aliases) AS aliases, (SELECT string_agg(name, ' ') FROM usage_metrics) AS metrics;
SELECT c.oid::regclass AS view_that_is_written_through
FROM pg_class AS c JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
WHERE c.relkind = 'v' AND pg_relation_is_updatable(c.oid, false) <> 0 AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid);
SELECT usage_events.revoke_access('view_sender'), usage_events.revoke_access('view_reader');
DROP ROLE view_sender, view_reader;
\i test/helpers/empty.sql
