-- Ids: UUID version 7, strictly ascending within a backend.
SELECT count(*) AS made, count(DISTINCT id) AS different,
       bool_and(substr(id::text, 15, 1) = '7') AS version_7, bool_and(substr(id::text, 20, 1) IN ('8', '9', 'a', 'b')) AS variant,
       bool_and(previous IS NULL OR id > previous) AS ascending
FROM (SELECT n, id, lag(id) OVER (ORDER BY n) AS previous
      FROM (SELECT n, uuid_v7() AS id FROM generate_series(1, 100000) AS n OFFSET 0) AS made) AS pairs;
-- the fraction may be of the microsecond after it
SELECT uuid_v7_timestamp(uuid_v7()) BETWEEN now() AND clock_timestamp() + interval '1 microsecond' AS now;
-- each fraction of a millisecond is of the last moment whose floor is not above it
CREATE VIEW fraction AS
SELECT ('01992f5a-2c00-7' || lpad(to_hex(n), 3, '0') || '-8000-000000000000')::uuid AS id FROM generate_series(0, 4095) AS n;
SELECT count(*), count(DISTINCT moment) AS moments, min(moment) AT TIME ZONE 'UTC' AS first, max(moment) AT TIME ZONE 'UTC' AS last,
    bool_and(uuid_v7_floor(moment) <= id AND id < uuid_v7_floor(moment + interval '1 microsecond')) AS agree
FROM fraction, uuid_v7_timestamp(id) AS moment;
DROP VIEW fraction;
-- the example of RFC 9562, appendix A.6, in which the bits of the fraction are random
SELECT uuid_v7_timestamp('017F22E2-79B0-7CC3-98C4-DC0C0C07398F') AT TIME ZONE 'UTC' AS rfc_9562;
SELECT uuid_v7_timestamp('00000000-0000-7000-8000-000000000000') AT TIME ZONE 'UTC' AS first,
       uuid_v7_timestamp('ffffffff-ffff-7fff-bfff-ffffffffffff') AT TIME ZONE 'UTC' AS last;
-- other versions and variants have no such time
SELECT uuid_v7_timestamp(gen_random_uuid()) IS NULL AS version_4, uuid_v7_timestamp('00000000-0000-0000-0000-000000000000') IS NULL AS nil,
       uuid_v7_timestamp('017F22E2-79B0-7CC3-18C4-DC0C0C07398F') IS NULL AS other_variant, uuid_v7_timestamp(NULL) IS NULL AS null_in;
-- events ascend as they are made, versions of one event too
TRUNCATE usage_events.event, usage_events.superseded_event;
SELECT bool_and(previous IS NULL OR id > previous) AS ascending
FROM (SELECT id, lag(id) OVER (ORDER BY n) AS previous
      FROM (SELECT n, (create_usage_event(jsonb_build_object('customerAlias', 'a', 'eventType', 't', 'customerEventId', CASE WHEN n % 2 = 0 THEN 'same' END,
                                          'eventProperties', jsonb_build_object('n', n))) ->> 'id')::uuid AS id
            FROM generate_series(1, 1000) AS n OFFSET 0) AS made) AS pairs;

-- a version above one whose id is of later than now, as another backend's clock may make it: that event alone is of later
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t", "customerEventId": "later", "eventProperties": {"n": 1}}') IS NOT NULL AS created;
UPDATE usage_events.event SET id = uuid_v7_floor(now() + interval '23 hours 59 minutes') WHERE customer_event_id = 'later';
SELECT uuid_v7() AS before \gset
SELECT create_usage_event('{"customerAlias": "a", "eventType": "t", "customerEventId": "later", "eventProperties": {"n": 2}}') IS NOT NULL AS corrected;
SELECT count(create_usage_events('[{"customerAlias": "a", "eventType": "t", "customerEventId": "later", "eventProperties": {"n": 3}},
    {"customerAlias": "a", "eventType": "t", "customerEventId": "now"},
    {"customerAlias": "a", "eventType": "t", "customerEventId": "later", "eventProperties": {"n": 4}},
        {"customerAlias": "a", "eventType": "t", "customerEventId": "later", "eventProperties": {"n": 5}}]')) AS batches;
SELECT item #> '{eventProperties,n}' AS n, (item ->> 'id')::uuid > uuid_v7_floor(now() + interval '23 hours') AS later
FROM usage_events, jsonb_array_elements(get_usage_event_history(id) -> 'items') AS item WHERE customer_event_id = 'later' ORDER BY item ->> 'id';
SELECT id > :'before' AS ascends, ingested_at < now() + interval '1 hour' AS of_now FROM usage_events WHERE customer_event_id = 'now';
SELECT uuid_v7() > :'before' AS ascends, uuid_v7_timestamp(uuid_v7()) < now() + interval '1 hour' AS of_now;
-- the same with versions of a metric
SELECT create_usage_metric('{"name": "1", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}') ->> 'id' AS metric \gset
UPDATE usage_events.metric SET version_id = uuid_v7_floor(now() + interval '23 hours 59 minutes') WHERE id = :'metric';
SELECT update_usage_metric(:'metric', '{"name": "2", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}') ->> 'name' AS name;
SELECT m.version_id > s.version_id AS ascends, uuid_v7_timestamp(uuid_v7()) < now() + interval '1 hour' AS of_now FROM usage_events.metric AS m
    JOIN usage_events.superseded_metric AS s USING (id) WHERE id = :'metric';
\i test/helpers/empty.sql
