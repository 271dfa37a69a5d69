-- the upsert by hand: no checks, no history, no answer but the id
\set number random(1, 1000000000000)
\set customer random(100, 999)
\set length random(100, 999)
\set day random(10, 28)
\set hour random(10, 23)
\set second random(10, 59)
INSERT INTO by_hand.event (account_id, customer_event_id, id, event_timestamp, customer_alias, event_type, event_properties) VALUES ('00000000-0000-8000-8000-000000000001', 'event-id-' || :number, uuid_v7(), ('2026-01-' || :day || 'T' || :hour || ':30:' || :second || 'Z')::timestamptz, 'customer-' || :customer, 'message-sent', ('{"length": ' || :length || ', "type": "text_message", "channel": "sms", "region": "eu-west-1"}')::jsonb) ON CONFLICT (account_id, customer_event_id) DO UPDATE SET id = EXCLUDED.id, event_timestamp = EXCLUDED.event_timestamp, customer_alias = EXCLUDED.customer_alias, event_type = EXCLUDED.event_type, event_properties = EXCLUDED.event_properties RETURNING id;
