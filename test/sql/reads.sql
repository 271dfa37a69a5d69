-- The reads that the indexes are for stay index reads, as an ordinary role under row-level security.
TRUNCATE usage_events.event, usage_events.superseded_event;
SELECT usage_events.create_account('other') AS other \gset
INSERT INTO usage_event_import SELECT format('{"customerEventId": "e-%s", "customerAlias": "c-%s", "eventType": "t-%s",
    "eventTimestamp": "2026-10-%sT12:00:00Z"}',
    n, n % 200, n % 5, to_char(1 + n % 31, 'FM00')) FROM generate_series(1, 20000) AS n;
SET usage_events.account_id = :'other';
INSERT INTO usage_event_import SELECT format('{"customerEventId": "e-%s", "customerAlias": "c-%s", "eventType": "t-%s",
    "eventTimestamp": "2026-10-%sT12:00:00Z"}',
    n, n % 200, n % 5, to_char(1 + n % 31, 'FM00')) FROM generate_series(1, 20000) AS n;
RESET usage_events.account_id;
VACUUM ANALYZE usage_events.event;
CREATE ROLE regress_usage_events_reader;
SELECT usage_events.grant_access('regress_usage_events_reader', 'read');
SET ROLE regress_usage_events_reader;
SET enable_bitmapscan = off;

-- a customer's events by time: of each type they are in order, and sorted
EXPLAIN (COSTS OFF) SELECT * FROM usage_events WHERE customer_alias = 'c-7' AND event_timestamp >= '2026-10-01Z' AND event_timestamp < '2026-11-01Z'
    ORDER BY event_timestamp;
SET enable_sort = off;
-- a type within that
EXPLAIN (COSTS OFF) SELECT sum((event_properties ->> 'n')::numeric) FROM usage_events
    WHERE customer_alias = 'c-7' AND event_type = 't-2' AND event_timestamp >= '2026-10-01Z' AND event_timestamp < '2026-11-01Z';
-- one event by either id
EXPLAIN (COSTS OFF) SELECT * FROM usage_events WHERE id = '0184421a-8202-70ea-a729-30308a40bbf7';
EXPLAIN (COSTS OFF) SELECT * FROM usage_events WHERE customer_event_id = 'e-7';
-- the newest, a page at a time, without and with a filter
EXPLAIN (COSTS OFF) SELECT * FROM usage_events ORDER BY id DESC LIMIT 20;
EXPLAIN (COSTS OFF) SELECT * FROM usage_events WHERE id < '0184421a-8202-70ea-a729-30308a40bbf7' ORDER BY id DESC LIMIT 20;
EXPLAIN (COSTS OFF) SELECT * FROM usage_events WHERE event_type = 't-2' ORDER BY id DESC LIMIT 20;
EXPLAIN (COSTS OFF) SELECT * FROM usage_events WHERE customer_alias = 'c-7' AND event_type = 't-2' ORDER BY event_timestamp DESC LIMIT 20;
EXPLAIN (COSTS OFF) SELECT * FROM usage_events WHERE event_timestamp >= '2026-10-05Z' AND event_timestamp < '2026-10-06Z' ORDER BY id DESC LIMIT 20;
-- the history of an event
EXPLAIN (COSTS OFF) SELECT * FROM usage_event_history WHERE customer_event_id = 'e-7' ORDER BY id;
-- and they find what is there
SELECT count(*) FROM usage_events WHERE customer_alias = 'c-7';
RESET ROLE;
DROP OWNED BY regress_usage_events_reader;
DROP ROLE regress_usage_events_reader;
TRUNCATE usage_events.event;
DELETE FROM usage_events.account WHERE account_id = :'other';
