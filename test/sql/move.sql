-- Events of Lago's, OpenMeter's and Stripe's shapes, by the queries of examples/move.
\i test/helpers/empty.sql
SET usage_events.on_conflict = 'ignore';
CREATE TEMP TABLE foreign_event (event jsonb);
CREATE TEMP VIEW moved AS
SELECT customer_event_id, customer_alias, event_type, event_timestamp AT TIME ZONE 'UTC' AS utc, event_properties FROM usage_events;

-- Lago: the first one counts; the same transaction_id of two subscriptions are two events; decimals of a second are kept
COPY foreign_event FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
{"transaction_id": "t1", "external_subscription_id": "sub-1", "code": "storage", "timestamp": 1790812800, "properties": {"gb": 0.12}}
{"transaction_id": "t1", "external_subscription_id": "sub-2", "code": "storage", "timestamp": "1790812800.123456", "properties": {"gb": "7"}}
{"transaction_id": "t1", "external_subscription_id": "sub-1", "code": "storage", "timestamp": 1790812800, "properties": {"gb": 99}}
{"transaction_id": "t2", "external_subscription_id": "sub-1", "code": "storage", "timestamp": "2026-10-01T00:00:01Z"}
{"transaction_id": "t3", "external_subscription_id": "sub-1", "code": "storage", "created_at": "2026-10-01T00:00:02Z", "properties": {}}
{"transaction_id": "t4", "code": "storage", "timestamp": 1790812800, "properties": {}}
\.
\i examples/move/lago.sql
TABLE moved ORDER BY 1;
-- what was moved already stays
\i examples/move/lago.sql
-- what cannot be is kept
SELECT body::jsonb ->> 'eventType' AS type, faults FROM rejected_usage_events ORDER BY id;

-- OpenMeter: CloudEvents, as they are sent and as they are listed
\i test/helpers/empty.sql
TRUNCATE foreign_event;
COPY foreign_event FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
{"specversion": "1.0", "id": "e1", "source": "api", "type": "call", "subject": "acme", "time": "2026-10-01T00:00:00.5Z", "data": {"n": 12345678901234567}}
{"specversion": "1.0", "id": "e1", "source": "batch", "type": "call", "subject": "acme", "time": "2026-10-01T02:00:00+02:00", "data": {"tokens": 1}}
{"event": {"specversion": "1.0", "id": "e2", "source": "api", "type": "prompt", "subject": "b", "data": null}, "ingestedAt": "2026-10-02T00:00:00Z"}
\.
\i examples/move/openmeter.sql
TABLE moved ORDER BY 1;

-- Stripe: meter events of v1 and v2
\i test/helpers/empty.sql
TRUNCATE foreign_event;
COPY foreign_event FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
{"event_name": "api_requests", "identifier": "i1", "timestamp": 1790812800, "payload": {"stripe_customer_id": "cus_1", "value": "25"}}
{"event_name": "api_requests", "identifier": "i2", "timestamp": "2026-10-01T00:00:00Z", "payload": {"stripe_customer_id": "cus_1", "value": "0.00000000000001"}}
{"event_name": "api_requests", "identifier": "i3", "timestamp": 1790812800, "payload": {"stripe_customer_id": "cus_2", "value": "many"}}
\.
\i examples/move/stripe.sql
TABLE moved ORDER BY 1;
SELECT create_usage_metric('{"name": "moved", "eventType": "api_requests", "metricType": "SIMPLE",
    "aggregationType": "SUM", "aggregationProperty": "value"}') ->> 'id' AS metric \gset
SELECT calculate_usage_metric(:'metric', '{cus_1}', '[2026-10-01Z, 2026-11-01Z)') ->> 'value' AS value;

-- nothing to move
\i test/helpers/empty.sql
TRUNCATE foreign_event;
\i examples/move/stripe.sql
DROP TABLE foreign_event;
DROP VIEW moved;
RESET usage_events.on_conflict;
