-- one of 1,000 events, sent again with the same content
\set number random(1, 1000)
\set customer :number % 900 + 100
\set length :number % 900 + 100
\set day :number % 19 + 10
\set hour :number % 14 + 10
\set second :number % 50 + 10
SELECT create_usage_event(('{"customerEventId": "event-id-' || 'retry-' || :number || '", "customerAlias": "customer-' || :customer || '", "eventType": "message-sent", "eventTimestamp": "' || '2026-01-' || :day || 'T' || :hour || ':30:' || :second || 'Z' || '", "eventProperties": ' || '{"length": ' || :length || ', "type": "text_message", "channel": "sms", "region": "eu-west-1"}' || '}')::jsonb);
