-- an event of now, of one of 300 customers
\set number random(1, 1000000000000)
\set customer random(1, 300)
\set length random(1, 1000)
SELECT create_usage_event(('{"customerEventId": "live-' || :number || '", "customerAlias": "customer-' || :customer || '", "eventType": "message-sent", "eventProperties": ' || '{"length": ' || :length || ', "type": "text_message", "channel": "sms", "region": "eu-west-1"}' || '}')::jsonb);
