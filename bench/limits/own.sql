-- one event of the type "own"
\set customer random(100, 999)
\set length random(100, 999)
SELECT create_usage_event(('{"customerAlias": "customer-' || :customer || '", "eventType": "own", "eventProperties": {"length": ' || :length || '}}')::jsonb);
