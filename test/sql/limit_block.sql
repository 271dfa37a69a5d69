-- BLOCK limits: whoever stores an event that would bring the value above one is refused, by whatever door.
\i test/helpers/empty.sql
\i test/helpers/outcome.sql

CREATE FUNCTION metric(aggregation text, type text DEFAULT 'chat', options jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric(jsonb_build_object('name', aggregation, 'metricType', 'SIMPLE', 'eventType', type, 'aggregationType', aggregation)
        || CASE aggregation WHEN 'COUNT' THEN '{}' ELSE '{"aggregationProperty": "n"}' END::jsonb || options) ->> 'id')::uuid
$$;
CREATE FUNCTION lim(name text, metric uuid, most numeric, options jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_limit(jsonb_build_object('name', name, 'usageMetricId', metric, 'period', 'MONTH', 'limit', most, 'mode', 'BLOCK')
        || options) ->> 'id')::uuid
$$;
-- an event, as JSON; of October unless told otherwise
CREATE FUNCTION event(key text, alias text, n numeric, day text DEFAULT '2026-10-15', type text DEFAULT 'chat') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('customerEventId', key, 'customerAlias', alias, 'eventType', type, 'eventTimestamp', day || 'T12:00:00Z',
        'eventProperties', jsonb_build_object('n', n))
$$;
-- what is answered, or what is told
CREATE FUNCTION pg_temp.send(event jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'stored' ELSE concat_ws(' | ', state, detail) END
    FROM pg_temp.outcome(format('SELECT create_usage_event(%L)', event))
$$;
CREATE FUNCTION pg_temp.used() RETURNS TABLE (customer text, used numeric) LANGUAGE sql AS $$
    SELECT customer_alias, sum((event_properties ->> 'n')::numeric) FROM usage_events
    WHERE event_type = 'chat' AND event_timestamp >= '2026-10-01Z' AND event_timestamp < '2026-11-01Z' GROUP BY 1 ORDER BY 1
$$;
-- of each event of a batch, how it came out, and why not
CREATE FUNCTION pg_temp.outcomes(answer jsonb) RETURNS TABLE (index int, outcome text, fault text, of_limit text) LANGUAGE sql AS $$
    SELECT (o ->> 'index')::int, o ->> 'outcome', o #>> '{faults,0,fault}',
           (SELECT name FROM usage_limits WHERE id::text = o #>> '{faults,0,usageLimitId}')
    FROM jsonb_array_elements(answer -> 'outcomes') WITH ORDINALITY AS a(o, n) ORDER BY n
$$;

SELECT metric('SUM') AS tokens \gset
SELECT lim('Tokens', :'tokens', 100) AS general \gset

-- One event: up to the limit, not beyond it, and what is said.
SELECT pg_temp.send(event('a', 'acme', 60));
SELECT state, message, detail, hint FROM pg_temp.outcome(format('SELECT create_usage_event(%L)', event('b', 'acme', 41)));
SELECT pg_temp.send(event('b', 'acme', 40));
SELECT pg_temp.send(event('c', 'acme', 0.001));
-- nothing of it is left; what was stored already can be sent again
SELECT * FROM pg_temp.used();
SELECT count(*) FROM rejected_usage_events;
SELECT pg_temp.send(event('b', 'acme', 40));
-- what does not count is no matter; each customer and each period has its own
SELECT pg_temp.send(event('d', 'acme', 0));
SELECT pg_temp.send(event('e', 'acme', 5, '2026-11-01'));
SELECT pg_temp.send(event('f', 'globex', 100));
SELECT pg_temp.send(event('g', 'acme', 1000, '2026-10-15', 'other'));
SELECT pg_temp.send(event('h', 'acme', 1) - 'eventProperties');

-- Corrections: refused where they raise the value and end above; what lowers it always passes.
SELECT pg_temp.send(event('b', 'acme', 41));
SELECT pg_temp.send(event('b', 'acme', 39));
SELECT pg_temp.send(event('b', 'acme', 40));
-- it counts where it comes: from another customer, type, period
SELECT pg_temp.send(event('f', 'acme', 100));
SELECT pg_temp.send(event('g', 'acme', 1));
SELECT pg_temp.send(event('e', 'acme', 5, '2026-10-31'));
SELECT pg_temp.send(event('a', 'VOID', 60));
SELECT pg_temp.send(event('e', 'acme', 5, '2026-10-31'));
SELECT pg_temp.send(event('g', 'acme', 55));
SELECT pg_temp.send(event('a', 'acme', 1));
SELECT * FROM pg_temp.used();

-- create_usage_events: all or none, and each that does not fit by its index.
SELECT answer, state, message, detail, hint FROM pg_temp.outcome(format('SELECT create_usage_events(%L)', jsonb_build_array(
    event('m1', 'initech', 60), event('m2', 'initech', 50), event('m3', 'hooli', 10), event('m4', 'initech', 40), event('m5', 'initech', 1))));
SELECT count(*) FROM usage_events WHERE customer_event_id LIKE 'm_';
SELECT jsonb_array_length(create_usage_events(jsonb_build_array(event('m1', 'initech', 60), event('m3', 'hooli', 10), event('m4', 'initech', 40))));
-- judged in their order: what comes later makes no room for what came before
SELECT detail FROM pg_temp.outcome(format('SELECT create_usage_events(%L)', jsonb_build_array(event('m6', 'initech', 5), event('m7', 'initech', -5))));
SELECT jsonb_array_length(create_usage_events(jsonb_build_array(event('m7', 'initech', -5), event('m6', 'initech', 5))));
-- the account as an argument
SELECT detail FROM pg_temp.outcome(format('SELECT usage_events.create_event(usage_events.current_account_id(), %L)', event('m8', 'initech', 1)));
SELECT detail FROM pg_temp.outcome(format('SELECT usage_events.create_events(usage_events.current_account_id(), %L)',
    jsonb_build_array(event('m8', 'initech', 1))));

-- ingest_usage_events: those that fit, in their order; the others are kept.
SELECT * FROM pg_temp.outcomes(ingest_usage_events(jsonb_build_array(event('i1', 'umbrella', 90), event('i2', 'umbrella', 11),
    event('i3', 'soylent', 1), event('i4', 'umbrella', 10), event('i5', 'umbrella', 1), event('i6', 'umbrella', 0), event('i4', 'umbrella', 10))));
SELECT body ->> 'customerEventId' AS key, faults #>> '{0,fault}' AS fault FROM (SELECT body::jsonb, faults, id FROM rejected_usage_events) AS r ORDER BY id;
-- corrections, taken back, and sent again within a batch, as one by one
SELECT * FROM pg_temp.outcomes(ingest_usage_events(jsonb_build_array(event('i1', 'umbrella', 95), event('i4', 'VOID', 10),
    event('i1', 'umbrella', 95), event('i4', 'umbrella', 6), event('i4', 'umbrella', 5), event('i7', 'umbrella', 1))));
SELECT * FROM pg_temp.used() WHERE customer IN ('umbrella', 'soylent');
SELECT * FROM pg_temp.outcomes(usage_events.ingest_events(usage_events.current_account_id(), jsonb_build_array(event('i8', 'umbrella', 1))));
SELECT * FROM pg_temp.outcomes(ingest_usage_events_text(jsonb_build_array(event('i8', 'umbrella', 1), event('i9', 'soylent', 1))::text));
-- counted, and explained
SELECT over_limit_last_minute, rejected_last_minute FROM usage_events.account_status;
SELECT e ->> 'counts' AS counts, replace(e #>> '{reasons,0}', :'general', 'ID') AS reason, (e ->> 'body')::jsonb ->> 'customerEventId' AS key
FROM (SELECT explain_usage_event(:'tokens', id) AS e FROM rejected_usage_events ORDER BY id LIMIT 1) AS explained;
-- sent again, while there is no room and when there is
SELECT index, outcome FROM pg_temp.outcomes(retry_rejected_usage_events());
SELECT pg_temp.send(event('i1', 'umbrella', 80));
SELECT index, outcome, fault FROM pg_temp.outcomes(retry_rejected_usage_events());
SELECT * FROM pg_temp.used() WHERE customer IN ('umbrella', 'soylent');
SELECT count(*) FROM rejected_usage_events;

-- Import: stops at what does not fit, or keeps it.
INSERT INTO usage_event_import SELECT event('c' || n, 'stark', 40)::text FROM generate_series(1, 4) AS n;
SET usage_events.import_on_error = 'skip';
INSERT INTO usage_event_import SELECT event('c' || n, 'stark', 40)::text FROM generate_series(1, 4) AS n;
RESET usage_events.import_on_error;
SELECT * FROM pg_temp.used() WHERE customer = 'stark';

-- A customer's own limit takes the place of the general one, also where it only tells.
SELECT lim('Own', :'tokens', 200, '{"customer": "stark"}') AS own \gset
SELECT pg_temp.send(event('c4', 'stark', 120));
SELECT pg_temp.send(event('c4', 'stark', 121));
SELECT update_usage_limit(:'own', get_usage_limit(:'own') || '{"mode": "REPORT"}') ->> 'mode' AS mode;
SELECT pg_temp.send(event('c4', 'stark', 121));
-- What is above already is not thrown out; only what adds to it is.
SELECT delete_usage_limit(:'own') ->> 'name' AS deleted;
SELECT pg_temp.send(event('c5', 'stark', 1));
SELECT pg_temp.send(event('c5', 'stark', 0));
SELECT pg_temp.send(event('c4', 'stark', 122));
SELECT pg_temp.send(event('c4', 'stark', 120));

-- A customer is limited once, whatever aliases there are; a limit may be named by any of them.
SELECT create_customer_alias('{"customerId": "wayne", "value": "w1"}') ->> 'value' AS alias,
    create_customer_alias('{"customerId": "wayne", "value": "w2"}') ->> 'value' AS other;
SELECT pg_temp.send(event('w1', 'w1', 60));
SELECT pg_temp.send(event('w2', 'w2', 41));
SELECT pg_temp.send(event('w3', 'wayne', 41));
SELECT pg_temp.send(event('w3', 'wayne', 40));
SELECT lim('By alias', :'tokens', 110, '{"customer": "w2"}') AS by_alias \gset
SELECT pg_temp.send(event('w4', 'w1', 11));
SELECT pg_temp.send(event('w4', 'w1', 10));
-- where only customers have limits, an alias that is mapped later comes under them as well
SELECT delete_usage_limit(:'general') ->> 'name' AS deleted;
SELECT pg_temp.send(event('w5', 'w3', 50));
SELECT create_customer_alias('{"customerId": "wayne", "value": "w3"}') ->> 'value' AS alias;
SELECT pg_temp.send(event('w6', 'w3', 1));
SELECT pg_temp.send(event('w5', 'w3', 0)), pg_temp.send(event('w7', 'nobody', 1000));
SELECT delete_usage_limit(:'by_alias') ->> 'name' AS deleted;
SELECT pg_temp.send(event('w6', 'w3', 1000));

-- Several limits of one metric, and of several metrics: all of them hold.
SELECT metric('COUNT') AS calls \gset
SELECT lim('A day', :'calls', 2, '{"period": "DAY"}') AS day, lim('All time', :'calls', 3, '{"period": "ALL_TIME"}') AS ever \gset
SELECT pg_temp.send(event('t1', 'tyrell', 1)), pg_temp.send(event('t2', 'tyrell', 1));
SELECT pg_temp.send(event('t3', 'tyrell', 1));
SELECT pg_temp.send(event('t3', 'tyrell', 1, '2026-10-16'));
SELECT pg_temp.send(event('t4', 'tyrell', 1, '2026-10-16'));
SELECT index, outcome, of_limit FROM pg_temp.outcomes(ingest_usage_events(jsonb_build_array(event('u1', 'zorg', 1), event('u2', 'zorg', 1),
    event('u3', 'zorg', 1), event('u4', 'zorg', 1, '2026-10-16'), event('u5', 'zorg', 1, '2026-10-16'))));
SELECT delete_usage_metric(:'calls') ->> 'name' AS deleted;
SELECT pg_temp.send(event('t4', 'tyrell', 1, '2026-10-16'));

-- Metrics of every kind, alone and in batches.
CREATE FUNCTION pg_temp.kind(aggregation text, most numeric, numbers numeric[], options jsonb DEFAULT '{}') RETURNS TABLE (alone text, in_a_batch text)
LANGUAGE plpgsql AS $$
DECLARE
    type CONSTANT text = 'kind ' || aggregation || options::text;
    event CONSTANT text = 'SELECT create_usage_event(event(%L, ''alone'', %s, ''2026-10-15'', %L))';
    metric uuid;
BEGIN
    metric := metric(aggregation, type, options);
    PERFORM lim(aggregation, metric, most);
    FOR i IN 1 .. cardinality(numbers) LOOP
        alone := concat_ws(' ', alone, (SELECT CASE WHEN state IS NULL THEN '+' ELSE '-' END
            FROM pg_temp.outcome(format(event, type || i, numbers[i], type))));
    END LOOP;
    SELECT string_agg(CASE o.outcome WHEN 'created' THEN '+' ELSE '-' END, ' ' ORDER BY index) INTO in_a_batch
    FROM pg_temp.outcomes(ingest_usage_events((SELECT jsonb_agg(event(type || 'b' || k, 'batch', n, '2026-10-15', type))
        FROM unnest(numbers) WITH ORDINALITY AS u(n, k)))) AS o;
    RETURN NEXT;
END $$;
SELECT * FROM pg_temp.kind('COUNT', 3, '{1,1,1,1,1}');
SELECT * FROM pg_temp.kind('SUM', 10, '{4,7,6,-3,3,1,0}');
SELECT * FROM pg_temp.kind('UNIQUE', 2, '{5,5,6,7,5,6,8}');
SELECT * FROM pg_temp.kind('MAX', 10, '{4,11,10,3,12,10}');
SELECT * FROM pg_temp.kind('MIN', 10, '{11,4,12,5}');
SELECT * FROM pg_temp.kind('AVERAGE', 10, '{8,13,12,10,100,0,9}');
SELECT * FROM pg_temp.kind('LATEST', 10, '{8,13,10,9}');
SELECT * FROM pg_temp.kind('PERCENTILE', 10, '{8,13,10,9,12,12,8}', '{"percentile": 0.5}');
SELECT * FROM pg_temp.kind('SUM', 10, '{4,7,6,1}', '{"metricType": "GROUPED", "groupingProperty": "g"}');
SELECT * FROM pg_temp.kind('SUM', 10, '{4,7,6,1}', '{"propertyFilters": {"n": [4, 7]}}');

-- A limit of 0 lets nothing through that counts; a metric that is updated counts as it is now.
SELECT metric('SUM', 'zero') AS zero \gset
SELECT lim('Nothing', :'zero', 0) AS nothing \gset
SELECT pg_temp.send(event('z1', 'acme', 1, '2026-10-15', 'zero'));
SELECT pg_temp.send(event('z1', 'acme', 0, '2026-10-15', 'zero'));
SELECT update_usage_metric(:'zero', get_usage_metric(:'zero') - '{id,createdAt,updatedAt,deletedAt,sequenceAccountId,customParameters}'::text[]
    || '{"aggregationType": "COUNT", "aggregationProperty": null}') ->> 'aggregationType' AS aggregation;
SELECT pg_temp.send(event('z2', 'acme', 0, '2026-10-15', 'zero'));
SELECT update_usage_metric(:'zero', get_usage_metric(:'zero') - '{id,createdAt,updatedAt,deletedAt,sequenceAccountId,customParameters}'::text[]
    || '{"eventType": "elsewhere"}') ->> 'eventType' AS type;
SELECT pg_temp.send(event('z2', 'acme', 0, '2026-10-15', 'zero')), pg_temp.send(event('z3', 'acme', 0, '2026-10-15', 'elsewhere'));

-- A reservation: an estimate, settled by the real amount, or taken back.
SELECT metric('SUM', 'credits') AS credits \gset
SELECT lim('Credits', :'credits', 1000) AS most \gset
SELECT pg_temp.send(event('answer 1', 'acme', 800, '2026-10-15', 'credits'));
SELECT pg_temp.send(event('answer 2', 'acme', 800, '2026-10-15', 'credits'));
SELECT pg_temp.send(event('answer 1', 'acme', 312, '2026-10-15', 'credits'));
SELECT pg_temp.send(event('answer 2', 'acme', 600, '2026-10-15', 'credits'));
SELECT pg_temp.send(event('answer 2', 'VOID', 600, '2026-10-15', 'credits'));
SELECT sum((event_properties ->> 'n')::int) FROM usage_events WHERE event_type = 'credits' AND customer_alias = 'acme';

-- exactly as much as there is room for, whatever zeros it is written with
SELECT metric('SUM', 'decimals') AS decimals \gset
SELECT lim('Decimals', :'decimals', 5) AS most \gset
SELECT * FROM pg_temp.outcomes(ingest_usage_events(jsonb_build_array(event('d1', 'acme', 2.50, '2026-10-15', 'decimals'),
    event('d2', 'acme', 2.50, '2026-10-15', 'decimals'), event('d3', 'acme', 0.00, '2026-10-15', 'decimals'))));
SELECT pg_temp.send(event('d4', 'globex', 5.00, '2026-10-15', 'decimals')), pg_temp.send(event('d5', 'globex', 0.10, '2026-10-15', 'decimals'));

-- Where a key is taken by the first event of it: by one that does not fit it is not.
SELECT metric('SUM', 'refusing') AS refusing \gset
SELECT lim('Refusing', :'refusing', 100) AS most \gset
SET usage_events.on_conflict = 'refuse';
SELECT * FROM pg_temp.outcomes(ingest_usage_events(jsonb_build_array(event('r1', 'acme', 200, '2026-10-15', 'refusing'),
    event('r1', 'acme', 1, '2026-10-15', 'refusing'), event('r2', 'acme', 100, '2026-10-15', 'refusing'), event('r3', 'acme', 10, '2026-10-15', 'refusing'))));
RESET usage_events.on_conflict;

-- Above the limit already: what a batch has taken away, later events of it may not fill up again.
SELECT metric('SUM', 'lowered') AS lowered \gset
SELECT pg_temp.send(event('l1', 'acme', 60, '2026-10-15', 'lowered')), pg_temp.send(event('l2', 'acme', 70, '2026-10-15', 'lowered'));
SELECT lim('Lowered', :'lowered', 50) AS most \gset
SELECT * FROM pg_temp.outcomes(ingest_usage_events(jsonb_build_array(event('l1', 'VOID', 60, '2026-10-15', 'lowered'),
    event('l3', 'acme', 60, '2026-10-15', 'lowered'), event('l2', 'acme', 40, '2026-10-15', 'lowered'), event('l4', 'acme', 10, '2026-10-15', 'lowered'))));

-- What a session has found of a limit, it does not hold on to: an erased customer has the general one, and a new one holds at once.
SELECT metric('SUM', 'erased') AS erased \gset
SELECT lim('General', :'erased', 10) AS general, lim('Own', :'erased', 1000, '{"customer": "dora"}') AS own \gset
SELECT pg_temp.send(event('o1', 'dora', 500, '2026-10-15', 'erased'));
SELECT usage_events.erase_customer('dora') > 0 AS erased;
SELECT pg_temp.send(event('o2', 'dora', 500, '2026-10-15', 'erased'));
-- so with an alias that went with its customer, of whom there was nothing else
SELECT create_customer_alias('{"customerId": "erin", "value": "erin too"}') IS NOT NULL AS mapped;
SELECT pg_temp.send(event('o3', 'erin too', 10, '2026-10-15', 'erased')), pg_temp.send(event('o3', 'VOID', 10, '2026-10-15', 'erased'));
SELECT usage_events.erase_customer('erin too') > 0 AS erased;
SELECT pg_temp.send(event('o4', 'erin', 10, '2026-10-15', 'erased')), pg_temp.send(event('o5', 'erin too', 10, '2026-10-15', 'erased'));
-- made by the statement that also stores
SELECT metric('SUM', 'at once') AS at_once \gset
SELECT pg_temp.send(event('p1', 'acme', 5, '2026-10-15', 'at once'));
SELECT state FROM pg_temp.outcome(format('SELECT lim(%L, %L, 10), create_usage_event(%L)', 'At once', :'at_once',
    event('p2', 'acme', 50, '2026-10-15', 'at once')));

-- A level that was not the latest may be, once the latest is taken back: that passes, and what comes then does not.
SELECT metric('LATEST', 'seats') AS seats \gset
SELECT lim('Seats', :'seats', 10) AS most \gset
SELECT pg_temp.send(event('s1', 'acme', 5, '2026-10-16', 'seats')), pg_temp.send(event('s2', 'acme', 20, '2026-10-15', 'seats'));
SELECT pg_temp.send(event('s1', 'VOID', 5, '2026-10-16', 'seats'));
SELECT pg_temp.send(event('s3', 'acme', 21, '2026-10-17', 'seats')), pg_temp.send(event('s3', 'acme', 10, '2026-10-17', 'seats'));

-- More groups than an answer may have: nobody can say how much there is.
SELECT metric('SUM', 'groups', '{"metricType": "GROUPED", "groupingProperty": "n"}') AS groups \gset
SELECT lim('Groups', :'groups', 100) AS most \gset
SET usage_events.max_groups = 2;
SELECT pg_temp.send(event('t1', 'acme', 1, '2026-10-15', 'groups')), pg_temp.send(event('t2', 'acme', 2, '2026-10-15', 'groups'));
SELECT pg_temp.send(event('t3', 'acme', 3, '2026-10-15', 'groups')), pg_temp.send(event('t3', 'globex', 3, '2026-10-15', 'groups'));
RESET usage_events.max_groups;
SELECT pg_temp.send(event('t4', 'acme', 3, '2026-10-15', 'groups'));

-- Where a batch is written once more without what does not fit, an error of another kind stays what it is: here that two are corrected.
SELECT metric('UNIQUE', 'again') AS again \gset
SELECT lim('Again', :'again', 2) AS most \gset
SELECT jsonb_array_length(create_usage_events(jsonb_build_array(event('q1', 'acme', 1, '2026-10-15', 'again'),
    event('q2', 'acme', 2, '2026-10-15', 'again'), event('q3', 'acme', 2, '2026-10-15', 'again')))) AS stored;
CREATE FUNCTION pg_temp.refuse_two() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM stored) = 2 THEN RAISE serialization_failure USING MESSAGE = 'not two'; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse_two AFTER UPDATE ON usage_events.event REFERENCING NEW TABLE AS stored FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.refuse_two();
SELECT state, message FROM pg_temp.outcome(format('SELECT ingest_usage_events(%L)', jsonb_build_array(event('q1', 'acme', 3, '2026-10-15', 'again'),
    event('q2', 'acme', 4, '2026-10-15', 'again'), event('q3', 'acme', 3, '2026-10-15', 'again'))));
DROP TRIGGER refuse_two ON usage_events.event;

\i test/helpers/empty.sql
DROP FUNCTION metric, lim, event;
