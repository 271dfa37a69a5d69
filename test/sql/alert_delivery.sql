-- Usage alert events: taken by consumers, in order, for some time; acknowledged, and cleared away.
\i test/helpers/empty.sql
\i test/helpers/outcome.sql
\i test/helpers/refresh.sql
SELECT usage_events.create_account('other') AS other \gset
\pset format unaligned
\pset tuples_only on
SELECT create_usage_metric('{"name": "calls", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "COUNT"}') ->> 'id' AS calls \gset
SELECT create_usage_alert(jsonb_build_object('name', 'calls', 'usageMetricId', :'calls', 'period', 'ALL_TIME', 'thresholds', '[1, 2, 3]'::jsonb,
    'direction', 'ABOVE')) ->> 'id' AS alert \gset
CREATE PROCEDURE used(customer text, calls int) LANGUAGE sql AS $$
    SELECT create_usage_events((SELECT jsonb_agg('{"eventType": "call"}'::jsonb || jsonb_build_object('customerAlias', customer))
        FROM generate_series(1, calls))) $$;
-- what a consumer gets: customer and threshold of each
CREATE FUNCTION took(consumer text, max_events int DEFAULT 100, lease interval DEFAULT '1 hour') RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg((e ->> 'customer') || (e ->> 'threshold'), ' ' ORDER BY n), 'nothing')
    FROM jsonb_array_elements(take_usage_alert_events(consumer, max_events, lease)) WITH ORDINALITY AS t(e, n) $$;
-- acknowledges events that are named so
CREATE FUNCTION acknowledged(consumer text, VARIADIC names text[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT acknowledge_usage_alert_events(consumer, (SELECT array_agg(id) FROM usage_alert_events WHERE customer || threshold = ANY (names))) $$;
-- as if so much time had passed
CREATE PROCEDURE passes(span interval) LANGUAGE sql AS $$
    UPDATE usage_events.usage_alert_delivery SET leased_until = leased_until - span;
    UPDATE usage_events.usage_alert_event SET occurred_at = occurred_at - span $$;
CREATE FUNCTION refused(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'accepted: ' || coalesce(answer, 'null') ELSE concat_ws(' ', state, message, nullif(detail, ''), nullif(hint, '')) END
    FROM pg_temp.outcome('SELECT ' || call) $$;

-- nothing to take; and every refusal
SELECT took('a');
SELECT refused(call) FROM unnest(ARRAY['took(NULL)', 'took('''')', 'took('' a'')', 'took(repeat(''a'', 256))', 'took(''a'', NULL)', 'took(''a'', 0)',
    'took(''a'', 1001)',
    'took(''a'', 1, NULL)', 'took(''a'', 1, ''0.9 s'')', 'took(''a'', 1, ''86401 s'')', 'took(''a'', 1, ''1 month -30 days'')', 'took(''a'', 1, ''-1 day'')',
    'took(''a'', 1, ''1 day'')', 'took(''a'', 1000, ''1 second'')',
    'acknowledge_usage_alert_events(NULL, ''{}'')', 'acknowledge_usage_alert_events(''a'', NULL)', 'acknowledge_usage_alert_events(''stranger'', ''{}'')',
    'acknowledge_usage_alert_events(''a'', ''{}'')', 'acknowledge_usage_alert_events(''a'', ARRAY[uuid_v7(), NULL])',
    'acknowledge_usage_alert_events(''a'', array_fill(uuid_v7(), ARRAY[1001]))']) AS call;

-- in order, what is taken is nobody else's, and each consumer gets all
CALL used('x', 2);
CALL used('y', 1);
CALL pg_temp.refresh_until_ready();
SELECT customer, threshold FROM usage_events.usage_alert_event ORDER BY number;
SELECT took('a', 1), took('b'), took('a'), took('a');
-- while the first of x is with somebody, what comes after it is for nobody
CALL used('x', 1);
CALL used('z', 1);
CALL pg_temp.refresh_until_ready();
SELECT took('a', 1), took('b', 1);
SELECT acknowledged('a', 'x1'), acknowledged('a', 'x1'), took('a'), took('b');
SELECT acknowledged('a', 'x2', 'y1', 'z1'), took('a');
-- what is not acknowledged comes again when the lease is over, and those that were are not
CALL passes('2 hours');
SELECT took('a', 100, '10 s'), took('b', 2), took('b');
CALL passes('1 minute');
SELECT took('a'), took('b');
SELECT acknowledged('a', 'x3', 'x3');
SELECT took('a');
-- the same consumer of another account is another one
SET usage_events.account_id = :'other';
SELECT took('a'), acknowledged('a', 'x1');
SELECT acknowledge_usage_alert_events('a', (SELECT array_agg(id) FROM usage_events.usage_alert_event));
RESET usage_events.account_id;
-- a refresh clears away what a consumer has acknowledged up to a place
SELECT consumer, acknowledged_through, (SELECT count(*) FROM usage_events.usage_alert_delivery AS d
    WHERE d.consumer = c.consumer AND d.account_id = c.account_id)
    FROM usage_events.usage_alert_consumer AS c WHERE account_id = usage_events.current_account_id() ORDER BY consumer;
CALL pg_temp.refresh_until_ready();
SELECT consumer, acknowledged_through, (SELECT count(*) FROM usage_events.usage_alert_delivery AS d
    WHERE d.consumer = c.consumer AND d.account_id = c.account_id)
    FROM usage_events.usage_alert_consumer AS c WHERE account_id = usage_events.current_account_id() ORDER BY consumer;
SELECT took('a'), acknowledged('a', 'x1');
-- not beyond one that is open
SELECT acknowledged('b', 'x1', 'x3', 'y1');
CALL pg_temp.refresh_until_ready();
SELECT e.customer, e.threshold FROM usage_events.usage_alert_consumer AS c JOIN usage_events.usage_alert_event AS e ON e.number = c.acknowledged_through
    WHERE c.consumer = 'b';
CALL passes('2 hours');
SELECT took('b');
-- events that are old are gone, taken or not; numbers are not given again
CALL passes('100 days');
CALL pg_temp.refresh_until_ready();
SELECT count(*), (SELECT count(*) FROM usage_events.usage_alert_delivery) AS deliveries FROM usage_alert_events;
CALL used('w', 1);
CALL pg_temp.refresh_until_ready();
SELECT took('a'), took('b'), took('c'), (SELECT min(number) FROM usage_events.usage_alert_event) > (SELECT max(acknowledged_through)
    FROM usage_events.usage_alert_consumer) AS beyond;
-- so many consumers, and no more
SELECT count(took('consumer ' || n)) FROM generate_series(4, 100) AS n;
SELECT refused('took(''one more'')'), refused('took(''consumer 100'')');

\i test/helpers/empty.sql
DELETE FROM usage_events.account WHERE account_id = :'other';
DROP PROCEDURE used(text, int);
DROP PROCEDURE passes(interval);
DROP FUNCTION took(text, int, interval), acknowledged(text, text[]), refused(text);
