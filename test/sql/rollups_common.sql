-- A batch of many customers in one minute marks the minute for all: one row, whoever they are.
CREATE FUNCTION message(n integer, customer text, at text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('customerEventId', customer || ' ' || n, 'customerAlias', customer, 'eventType', 'common', 'eventTimestamp', at,
        'eventProperties', jsonb_build_object('n', n))
$$;
CREATE FUNCTION refreshed() RETURNS text LANGUAGE sql AS $$ SELECT 'refreshed' FROM usage_events.refresh_rollups() $$;
-- the sums, and those of the rows
CREATE VIEW sums AS
SELECT customer, value, value = (SELECT sum((event_properties ->> 'n')::numeric) FROM usage_events
    WHERE customer_alias = customer AND event_type = 'common') AS is_right,
       value::text = calculate_usage_metric(id, ARRAY[customer], '[2026-10-01Z, 2026-11-01Z)') ->> 'value' AS is_same_alone
FROM usage_metrics, usage_metric_by_customer(id, '[2026-10-01Z, 2026-11-01Z)')
WHERE name = 'common' ORDER BY customer;
CREATE VIEW marks AS
SELECT customer_alias, bucket AT TIME ZONE 'UTC' AS bucket, seconds, count(*) FROM usage_events.dirty_bucket WHERE event_type = 'common'
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT create_usage_metric('{"name": "common", "eventType": "common", "metricType": "SIMPLE", "aggregationType": "SUM",
    "aggregationProperty": "n"}') ->> 'name' AS name;
SELECT refreshed();
SELECT refreshed();

SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(1, 'customer ' || n, '2026-10-05T12:34:' || 10 + n || 'Z')))) FROM generate_series(1, 9) AS n;
SELECT * FROM marks;
-- all are new, and known by the mark alone
SELECT * FROM sums;
SELECT refreshed();
SELECT * FROM marks;
SELECT * FROM sums;
-- in a bucket that is rolled up, beside a customer who is not in the batch
SELECT create_usage_event(message(2, 'another', '2026-10-05T12:34:56Z')) ->> 'customerAlias' AS alias;
SELECT refreshed();
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(10, 'customer ' || n, '2026-10-05T12:34:59.999999Z')))) FROM generate_series(1, 5) AS n;
SELECT * FROM marks;
SELECT * FROM sums;
-- what is corrected leaves a mark where it was, for its own customer, and all for where it comes
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(1, 'customer ' || n, '2026-10-06T00:00:00Z') || jsonb_build_object('customerAlias',
    'customer ' || 10 - n)))) FROM generate_series(1, 5) AS n;
SELECT * FROM marks;
SELECT * FROM sums;
SELECT refreshed();
SELECT * FROM marks;
SELECT * FROM sums;
-- corrected again before the refresh
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(20, 'customer ' || n, '2026-10-07T00:00:00Z')))) FROM generate_series(1, 5) AS n;
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(20, 'customer ' || n, '2026-10-07T00:00:00Z') || '{"customerAlias": "VOID"}')))
    FROM generate_series(1, 5) AS n;
SELECT * FROM sums;
SELECT refreshed();
SELECT * FROM marks;
SELECT * FROM sums;
-- one customer with many events there: each second by itself, and his minute is not everybody's
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(n, CASE WHEN n < 100 THEN 'busy' ELSE 'customer ' || n END,
    '2026-10-08T12:34:' || 10 + n % 2 || 'Z')))) FROM generate_series(1, 105) AS n;
SELECT * FROM marks;
SELECT * FROM sums;
SELECT refreshed();
SELECT * FROM marks;
SELECT * FROM sums;
-- marks of one customer that overlap with those of all, and reach into the next minute, in an hour of which other minutes are
-- rolled up: asked for from each fifth second to each
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(1000 + n, 'customer 1', '2026-10-09T12:30:' || to_char(n % 60, 'FM00') || 'Z'))))
    FROM generate_series(0, 599) AS n;
SELECT refreshed();
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(100 + s, 'customer ' || n,
    '2026-10-09T12:0' || s / 60 || ':' || to_char(s % 60, 'FM00') || 'Z')))) FROM generate_series(1, 5) AS n, generate_series(0, 110, 10) AS s;
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(300 + s, 'customer 1', '2026-10-09T12:00:' || s || 'Z'))))
    FROM generate_series(15, 55, 20) AS s;
SELECT create_usage_event(message(400, 'customer 1', '2026-10-09T12:01:00.5Z')) ->> 'customerAlias' AS alias;
SELECT * FROM marks;
CREATE FUNCTION wrong_periods() RETURNS TABLE (customer text, wrong bigint, right_ones bigint) LANGUAGE sql AS $$
    WITH asked AS (
        SELECT 'customer ' || n AS customer, tstzrange(moment, till) AS period
        FROM generate_series(1, 2) AS n, generate_series('2026-10-09 11:59:50Z'::timestamptz, '2026-10-09 12:02:10Z', '5 seconds') AS moment,
            generate_series(moment + interval '1 second', '2026-10-09 12:02:10Z', '5 seconds') AS till
    ), answer AS (
        SELECT customer, (SELECT calculate_usage_metric(id, ARRAY[asked.customer], period) ->> 'value' FROM usage_metrics WHERE name = 'common')::numeric
            IS NOT DISTINCT FROM (SELECT coalesce(sum((event_properties ->> 'n')::numeric), 0) FROM usage_events
                WHERE customer_alias = asked.customer AND event_type = 'common' AND event_timestamp <@ period) AS is_right
        FROM asked
    )
    SELECT customer, count(*) FILTER (WHERE NOT is_right), count(*) FILTER (WHERE is_right) FROM answer GROUP BY 1 ORDER BY 1
$$;
-- the same of all customers at once, now and as of a moment, whatever part of a marked minute is asked for
CREATE TABLE moment AS SELECT clock_timestamp() AS at;
CREATE FUNCTION wrong_of_all() RETURNS TABLE (wrong bigint, is_asked boolean) LANGUAGE sql AS $$
    WITH asked AS (
        SELECT tstzrange(moment, till) AS period, at
        FROM generate_series('2026-10-09 11:59:50.5Z'::timestamptz, '2026-10-09 12:02:10Z', '7 seconds') AS moment,
            generate_series(moment + interval '1 second', '2026-10-09 12:02:10Z', '11 seconds') AS till, (SELECT at FROM moment UNION ALL SELECT NULL) AS m
    ), answer AS (
        SELECT (SELECT jsonb_object_agg(customer, value) FROM usage_metrics, usage_metric_by_customer(id, period, at) WHERE name = 'common')
            IS NOT DISTINCT FROM (SELECT jsonb_object_agg(customer_alias, sum)
                FROM (SELECT customer_alias, sum((event_properties ->> 'n')::numeric) FROM usage_events
                WHERE event_type = 'common' AND event_timestamp <@ period AND customer_alias <> 'VOID' AND (at IS NULL OR usage_events.ingested_at <= at)
                    GROUP BY 1) AS e) AS is_right
        FROM asked
    )
    SELECT count(*) FILTER (WHERE NOT is_right), count(*) FILTER (WHERE is_right) > 100 FROM answer
$$;
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(5000 + n, 'newcomer ' || n, '2026-10-09T12:01:30.25Z')))) FROM generate_series(1, 9) AS n;
SELECT * FROM wrong_of_all();
SELECT * FROM wrong_periods();
SELECT refreshed();
SELECT * FROM wrong_of_all();
SELECT * FROM wrong_periods();
-- with the seconds of a busy minute rolled up
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(4000 + n, 'customer 1', '2026-10-09T12:00:' || to_char(n % 60, 'FM00') || 'Z'))))
    FROM generate_series(0, 599) AS n;
SELECT refreshed();
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(2000 + s, 'customer ' || n,
    '2026-10-09T12:0' || s / 60 || ':' || to_char(s % 60, 'FM00') || '.7Z')))) FROM generate_series(1, 5) AS n, generate_series(0, 110, 10) AS s;
SELECT create_usage_event(message(3000, 'customer 1', '2026-10-09T12:00:59.9Z')) ->> 'customerAlias' AS alias;
SELECT create_usage_event(message(3001, 'customer 1', '2026-10-09T12:01:00Z')) ->> 'customerAlias' AS alias;
SELECT * FROM wrong_periods();
SELECT refreshed();
SELECT * FROM wrong_periods();
-- A mark of all customers has the ids of the events that it is of, and is divided among those whose they are: not among others who
-- have events in the minute, nor among those whose events have gone from it since, who have marks of their own.
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(6000, 'concerned ' || n, '2026-10-10T10:00:00Z')))) FROM generate_series(1, 3) AS n;
SELECT refreshed();
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(6001, 'concerned ' || n, '2026-10-10T10:00:30Z')))) FROM generate_series(2, 9) AS n;
SELECT customer_alias, seconds, first_id = (SELECT min(id::text) FROM usage_events WHERE customer_event_id LIKE 'concerned % 6001')::uuid AS first,
    last_id = (SELECT max(id::text) FROM usage_events WHERE customer_event_id LIKE 'concerned % 6001')::uuid AS last
FROM usage_events.dirty_bucket WHERE event_type = 'common';
SELECT create_usage_event(message(6001, 'concerned 9', '2026-10-10T11:00:00Z')) ->> 'customerAlias' AS moved,
    create_usage_event(message(6001, 'concerned 8', '2026-10-10T10:00:30Z') || '{"customerAlias": "VOID"}') ->> 'customerAlias' AS taken_back;
SELECT * FROM sums WHERE customer LIKE 'concerned%';
SELECT usage_events.refresh_rollups(usage_events.current_account_id(), 1);
SELECT * FROM marks;
-- whose are new says so, as a mark of one customer does: what was rolled up before holds beside them
SELECT customer_alias, first_id = (SELECT id FROM usage_events WHERE customer_event_id = d.customer_alias || ' 6001') AS has_id
FROM usage_events.dirty_bucket AS d WHERE event_type = 'common' AND seconds = 60 ORDER BY 1;
SELECT * FROM sums WHERE customer LIKE 'concerned%';
SELECT refreshed();
SELECT * FROM sums WHERE customer LIKE 'concerned%';
-- one that was written by hand may be of any events in its minute
INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at, seconds)
VALUES (usage_events.current_account_id(), 'common', '', '2026-10-10 10:00Z', now(), 60);
SELECT * FROM sums WHERE customer LIKE 'concerned%';
SELECT usage_events.refresh_rollups(usage_events.current_account_id(), 1);
SELECT * FROM marks;
SELECT count(first_id) AS with_ids FROM usage_events.dirty_bucket WHERE event_type = 'common';
SELECT refreshed();
-- and if its last id is before its first: nothing is counted twice
INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at, seconds, first_id, last_id)
SELECT usage_events.current_account_id(), 'common', '', '2026-10-10 10:00Z', now(), 60, first_id, '00000000-0000-0000-0000-000000000001'
FROM unnest('{ffffffff-0000-0000-0000-000000000000,ffffffff-0000-0000-0000-000000000001}'::uuid[]) AS first_id;
SELECT jsonb_array_length(create_usage_events(jsonb_agg(message(6002, 'concerned ' || n, '2026-10-10T10:00:30Z')))) FROM generate_series(1, 4) AS n;
SELECT * FROM sums WHERE customer LIKE 'concerned%';
SELECT refreshed();
SELECT * FROM sums WHERE customer LIKE 'concerned%';
-- marks that somebody has written by hand, of times at which there are no events
INSERT INTO usage_events.dirty_bucket SELECT usage_events.current_account_id(), 'common', '', bucket, now(), 60
FROM unnest('{-infinity,4714-11-24 00:00:00Z BC,294276-12-31 23:59:59.999Z,infinity}'::timestamptz[]) AS bucket;
SELECT refreshed();
SELECT count(*) FROM marks;
SELECT delete_usage_metric(id) ->> 'name' AS deleted FROM usage_metrics WHERE name = 'common';
DROP FUNCTION wrong_periods(), wrong_of_all();
DROP TABLE moment;
DROP VIEW sums, marks;
DROP FUNCTION refreshed(), message(integer, text, text);
