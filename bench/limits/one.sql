-- one event of the type "one"
\set customer 1
\set length random(100, 999)
SELECT create_usage_event(('{"customerAlias": "customer-' || :customer || '", "eventType": "one", "eventProperties": {"length": ' || :length || '}}')::jsonb);
