-- a new event of the month after
\set number random(1, 1000000000000)
\set customer random(0, 199)
\set day random(10, 28)
\set hour random(10, 23)
\set second random(10, 59)
SELECT create_usage_event(('{"customerEventId": "event-id-' || :number || '", "customerAlias": "customer-' || :customer || '", "eventType": "message-sent", "eventTimestamp": "2026-02-' || :day || 'T' || :hour || ':30:' || :second || 'Z", "eventProperties": {"length": 5}}')::jsonb);
