-- one event of the type "free"
\set customer random(100, 999)
\set length random(100, 999)
SELECT create_usage_event(('{"customerAlias": "customer-' || :customer || '", "eventType": "free", "eventProperties": {"length": ' || :length || '}}')::jsonb);
