-- an event of any time in a month, of one of 2,000 customers
\set number random(1, 1000000000000)
\set customer random(1000, 2999)
\set length random(100, 999)
\set day random(10, 28)
\set hour random(10, 23)
\set minute random(10, 59)
\set second random(10, 59)
SELECT create_usage_event(('{"customerEventId": "event-id-' || :number || '", "customerAlias": "customer-' || :customer || '", "eventType": "message-sent", "eventTimestamp": "' || '2026-01-' || :day || 'T' || :hour || ':' || :minute || ':' || :second || 'Z' || '", "eventProperties": ' || '{"length": ' || :length || ', "type": "text_message", "channel": "sms", "region": "eu-west-1"}' || '}')::jsonb);
