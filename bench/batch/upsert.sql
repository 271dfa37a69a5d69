-- The upsert of a batch by hand, into by_hand.event: no checks, no history, no answer.
CREATE OR REPLACE FUNCTION bench_upsert(body jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO by_hand.event (account_id, customer_event_id, id, event_timestamp, customer_alias, event_type, event_properties)
    SELECT '00000000-0000-8000-8000-000000000001', "customerEventId", uuid_v7(), "eventTimestamp", "customerAlias", "eventType", "eventProperties"
    FROM jsonb_to_recordset(body) AS e("customerEventId" text, "eventTimestamp" timestamptz, "customerAlias" text, "eventType" text, "eventProperties" jsonb)
    ON CONFLICT (account_id, customer_event_id) DO UPDATE SET id = EXCLUDED.id, event_timestamp = EXCLUDED.event_timestamp,
        customer_alias = EXCLUDED.customer_alias, event_type = EXCLUDED.event_type, event_properties = EXCLUDED.event_properties
$$;
