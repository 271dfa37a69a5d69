-- a new event
\set number random(1, 1000000000000)
\set customer random(0, 199)
\set second random(10, 59)
SELECT create_usage_event(('{"customerEventId": "event-id-' || :number || '", "customerAlias": "customer-' || :customer || '", "eventType": "message-sent", "eventTimestamp": "2026-01-28T20:30:' || :second || 'Z", "eventProperties": {"length": 5}}')::jsonb);
