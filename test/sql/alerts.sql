-- Usage alerts: made, updated, deleted, listed, and every refusal; thresholds crossed, and taken back.
\i test/helpers/empty.sql
\i test/helpers/outcome.sql
\i test/helpers/refresh.sql
SELECT usage_events.create_account('other') AS other \gset
SET TIME ZONE 'UTC';
SET datestyle = 'ISO';
-- events of any day are looked at
SET usage_events.usage_alert_retention = 0;
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION metric(name text, fields jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT create_usage_metric(jsonb_build_object('name', name, 'metricType', 'SIMPLE', 'eventType', 'call', 'aggregationProperty', 'n') || fields) $$;
SELECT metric('tokens', '{"aggregationType": "SUM"}') ->> 'id' AS tokens \gset
-- an alert's body: 100 and 200 tokens a month, but for these fields
CREATE FUNCTION body(fields jsonb DEFAULT '{}', metric text DEFAULT 'tokens') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('name', 'tokens', 'usageMetricId', (SELECT id FROM usage_metrics WHERE name = metric), 'period', 'MONTH',
        'thresholds', '[100, 200]'::jsonb, 'direction', 'ABOVE') || fields $$;
-- without what changes from run to run
CREATE FUNCTION shown(alert jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT alert - '{id,sequenceAccountId,createdAt,usageMetricId}'::text[] || jsonb_build_object('deletedAt', alert ->> 'deletedAt' IS NOT NULL) $$;
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'accepted' ELSE concat_ws(' ', state, message || ':', detail, nullif('Hint: ' || hint, 'Hint: ')) END
    FROM pg_temp.outcome('SELECT ' || call) $$;
-- what an alert with these fields is refused for, without the hint that they all have
CREATE FUNCTION refused(fields jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT split_part(faults(format('create_usage_alert(%L)', body(fields))), ' Hint: ', 1) $$;

-- made, with as little as can be and with everything
SELECT create_usage_alert(body()) AS alert \gset
SELECT jsonb_pretty(shown(:'alert'));
SELECT string_agg(key, ' ' ORDER BY key COLLATE "C") FROM jsonb_object_keys(:'alert'::jsonb) AS key;
SELECT :'alert'::jsonb ->> 'sequenceAccountId' = usage_events.current_account_id()::text AS of_account, :'alert'::jsonb ->> 'usageMetricId' = :'tokens'
    AS of_metric, get_usage_alert((:'alert'::jsonb ->> 'id')::uuid) = :'alert'::jsonb AS read_as_written;
SELECT shown(create_usage_alert(body('{"name": "days", "customer": "acme", "period": "DAY", "timezone": "europe/berlin", "anchor": "2026-10-15T06:00:00+02:00",
    "thresholds": [-1.50, 0, 1e3], "direction": "BELOW", "id": 5, "createdAt": [], "colour": "red"}')));
SELECT (create_usage_alert(:'alert') - 'id' - 'createdAt') = (:'alert'::jsonb - 'id' - 'createdAt') AS sent_back;
SELECT name, customer, period, timezone, anchor, thresholds, direction FROM usage_alerts ORDER BY id;

-- every refusal
SELECT faults('create_usage_alert(NULL)');
SELECT faults('create_usage_alert(''[]'')');
SELECT faults('create_usage_alert(''{}'')');
SELECT refused(fields) FROM unnest(ARRAY[
    '{"name": " "}', '{"name": 5}', '{"usageMetricId": null}', '{"usageMetricId": "x"}', '{"usageMetricId": "0190a3c8-0000-7000-8000-000000000000"}',
    '{"customer": " acme"}', '{"customer": 5}', '{"customer": "VOID"}', '{"period": "month"}', '{"period": 5}', '{"timezone": "Mars"}',
    '{"anchor": "2026-10-15"}', '{"anchor": "2026-10-15T00:00:00"}', '{"anchor": 5}',
    '{"thresholds": null}', '{"thresholds": 5}', '{"thresholds": {}}', '{"thresholds": []}', '{"thresholds": [2, 1]}', '{"thresholds": [1, 1.0]}',
    '{"thresholds": ["1"]}', '{"thresholds": [[1]]}', '{"thresholds": [1, null]}', '{"thresholds": [1e100]}',
    '{"direction": null}', '{"direction": 5}', '{"direction": "above"}', '{"name": null, "period": null, "thresholds": [3, 2], "direction": "UP"}'
    ]::jsonb[]) AS fields;
SELECT refused(jsonb_build_object('thresholds', (SELECT jsonb_agg(n) FROM generate_series(1, 20) AS n)));
SELECT refused(jsonb_build_object('thresholds', (SELECT jsonb_agg(n) FROM generate_series(1, 21) AS n)));
SELECT usage_events.create_custom_metric('{"name": "custom", "eventType": "call", "expression": "count(*)"}') ->> 'id' AS custom \gset
SELECT refused(jsonb_build_object('usageMetricId', :'custom'));
SELECT metric('gone', '{"aggregationType": "SUM"}') ->> 'id' AS gone \gset
SELECT delete_usage_metric(:'gone') IS NOT NULL;
SELECT refused(jsonb_build_object('usageMetricId', :'gone'));
SET usage_events.account_id = :'other';
SELECT split_part(faults(format('create_usage_alert(%L)', :'alert')), ' Hint: ', 1);
SELECT get_usage_alert((:'alert'::jsonb ->> 'id')::uuid) IS NULL, delete_usage_alert((:'alert'::jsonb ->> 'id')::uuid) IS NULL;
RESET usage_events.account_id;
SET usage_events.reject_unknown_fields = on;
SELECT refused('{"colour": "red"}');
RESET usage_events.reject_unknown_fields;
SET usage_events.max_usage_alerts = 4;
SELECT faults('create_usage_alert(body())');
RESET usage_events.max_usage_alerts;
INSERT INTO usage_alerts (name) VALUES ('by hand');
INSERT INTO usage_alert_events (state) VALUES ('TRIGGERED');

-- updated: name and thresholds; what it is about stays
SELECT :'alert'::jsonb ->> 'id' AS id \gset
SELECT shown(update_usage_alert(:'id', body('{"name": "fewer", "thresholds": [100]}')));
SELECT update_usage_alert(:'id', body('{"name": "fewer", "thresholds": [100.0]}')) ->> 'thresholds' AS same_as_before;
SELECT name, thresholds, deleted_at FROM usage_events.superseded_usage_alert;
SELECT metric('other tokens', '{"aggregationType": "SUM"}') ->> 'id' AS other_metric \gset
SELECT split_part(faults(format('update_usage_alert(%L, %L)', :'id', body('{"customer": "acme", "period": "DAY", "timezone": "Europe/Berlin",
    "anchor": "2026-10-01T00:00:00Z", "direction": "BELOW"}', 'other tokens'))), ' Hint: ', 1);
SELECT faults(format('update_usage_alert(%L, NULL)', :'id')), split_part(faults(format('update_usage_alert(%L, ''{}'')', :'id')), ':', 1);
SELECT update_usage_alert(uuid_v7(), body()), update_usage_alert(NULL, body()), get_usage_alert(uuid_v7()), delete_usage_alert(uuid_v7());
SET usage_events.max_usage_alert_versions = 5;
SELECT faults(format('update_usage_alert(%L, %L)', :'id', body('{"name": "more"}')));
RESET usage_events.max_usage_alert_versions;
SELECT shown(update_usage_alert(:'id', body()));

-- deleted: known, and no longer listed
SELECT shown(delete_usage_alert(:'id'));
SELECT get_usage_alert(:'id') ->> 'deletedAt' IS NOT NULL AS known;
SELECT delete_usage_alert(:'id'), update_usage_alert(:'id', body());

-- listed
SELECT create_usage_alert(body('{"name": "last"}', 'other tokens')) IS NOT NULL;
CREATE FUNCTION listed(page jsonb, field text DEFAULT 'name') RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT string_agg(item ->> field, ' ' ORDER BY n) FROM jsonb_array_elements(page -> 'items') WITH ORDINALITY AS i(item, n)), 'none')
        || ' of ' || (page #>> '{pagination,totalResultSize}') $$;
SELECT listed(list_usage_alerts()), listed(list_usage_alerts(customer => 'acme')), listed(list_usage_alerts(usage_metric_id => :'other_metric'));
SELECT listed(list_usage_alerts(2)), listed(list_usage_alerts(2, list_usage_alerts(2) #>> '{pagination,after}')),
    faults(format('list_usage_alerts(2, %L, customer => ''acme'')', list_usage_alerts(2) #>> '{pagination,after}'));
SELECT faults('list_usage_alerts(101)'), faults('list_usage_alert_events(0, ''x'', state => ''triggered'')');

-- Thresholds ------------------------------------------------------------------
\i test/helpers/empty.sql
SELECT metric('tokens', '{"aggregationType": "SUM"}') ->> 'id' AS tokens \gset
-- a customer has used so much at a time; the same key again is a correction
CREATE PROCEDURE used(customer text, tokens numeric, at text DEFAULT '2023-10-05T12:00:00Z', key text DEFAULT NULL) LANGUAGE sql AS $$
    SELECT create_usage_event(jsonb_build_object('customerAlias', customer, 'eventType', 'call', 'eventTimestamp', at, 'eventProperties',
        jsonb_build_object('n', tokens), 'customerEventId', key)) $$;
-- what was told since this was last asked
CREATE TABLE seen (number bigint);
CREATE PROCEDURE told() LANGUAGE plpgsql AS $$
DECLARE
    e record;
BEGIN
    CALL pg_temp.refresh_until_ready();
    FOR e IN SELECT ev.*, al.name FROM usage_events.usage_alert_event AS ev JOIN usage_events.usage_alert AS al ON al.id = ev.usage_alert_id
        WHERE ev.number > (SELECT coalesce(max(number), 0) FROM seen) ORDER BY al.id, ev.customer, ev.period_start, ev.number
    LOOP
        RAISE NOTICE '%: % % in %: % at %', e.name, e.customer, e.state, CASE WHEN e.period_start IS NULL THEN 'all time'
            WHEN e.period_start = date_trunc('month', now(), 'UTC') THEN 'this month' ELSE e.period_start::text END, e.value, e.threshold;
    END LOOP;
    TRUNCATE seen;
    INSERT INTO seen SELECT max(number) FROM usage_events.usage_alert_event;
END $$;

-- once when it is reached, once when a correction takes it back, and again
SELECT create_usage_alert(body()) ->> 'id' AS id \gset
CALL used('acme', 99, key => 'a');
CALL told();
CALL used('acme', 1, key => 'b');
CALL told();
CALL used('acme', 1, key => 'c');
CALL told();
CALL used('acme', 0, key => 'b');
CALL used('acme', 0, key => 'c');
CALL told();
CALL used('acme', 900, key => 'c');
CALL told();
CALL used('VOID', 900, key => 'c');
CALL told();
-- up and down again between two refreshes is not seen
CALL used('acme', 900, key => 'c');
CALL used('acme', 0, key => 'c');
CALL told();
-- each period by itself, also one that is over, in any order
CALL used('acme', 100, '2023-11-01T00:00:00Z', 'd');
CALL used('acme', 100, '2023-09-30T23:59:59Z', 'e');
CALL used('bob', 250, '2023-09-30T23:59:59Z', 'f');
CALL told();
-- from one period to another, and to another customer
CALL used('bob', 100, '2023-10-01T00:00:00Z', 'd');
CALL told();
-- nobody whose events did not change is looked at: there is nothing to do
CALL told();
SELECT usage_events.refresh_rollups() AS steps, (SELECT count(*) FROM usage_events.usage_alert_due) AS due;

-- periods by the clock of a zone, from an anchor, and all of time; every kind of metric
SELECT metric(name, fields) IS NOT NULL FROM (VALUES
    ('calls', '{"aggregationType": "COUNT"}'::jsonb), ('models', '{"aggregationType": "UNIQUE", "aggregationProperty": "model"}'),
    ('largest', '{"aggregationType": "MAX"}'), ('median', '{"aggregationType": "PERCENTILE", "percentile": 0.5}'), ('level', '{"aggregationType": "LATEST"}'),
    ('by model', '{"aggregationType": "SUM", "metricType": "GROUPED", "groupingProperty": "model", "propertyFilters": {"test": [null]}}')) AS m(name, fields);
SELECT create_usage_alert(body(fields || jsonb_build_object('name', metric || ' ' || (fields ->> 'period'), 'customer', 'carol'), metric)) IS NOT NULL
FROM (VALUES
    ('calls', '{"period": "HOUR", "thresholds": [2]}'::jsonb), ('models', '{"period": "DAY", "timezone": "America/New_York", "thresholds": [2]}'),
    ('largest', '{"period": "WEEK", "thresholds": [50]}'), ('median', '{"period": "YEAR", "thresholds": [40]}'),
    ('level', '{"period": "MONTH", "anchor": "2023-01-31T12:00:00Z", "thresholds": [40]}'), ('by model', '{"period": "ALL_TIME", "thresholds": [120]}'),
    ('tokens', '{"period": "ALL_TIME", "anchor": "2023-03-01T00:00:00Z", "thresholds": [60]}')) AS a(metric, fields);
CREATE PROCEDURE called(at text, n numeric, model text, test boolean DEFAULT NULL) LANGUAGE sql AS $$
    SELECT create_usage_event(jsonb_build_object('customerAlias', 'carol', 'eventType', 'call', 'eventTimestamp', at, 'eventProperties',
        jsonb_strip_nulls(jsonb_build_object('n', n, 'model', model, 'test', test)))) $$;
CALL called('2023-02-28T03:00:00Z', 30, 'a');
CALL called('2023-02-28T03:59:59Z', 40, 'b');
CALL called('2023-02-28T11:59:59Z', 500, 'b', true);
CALL called('2023-03-01T12:00:00Z', 60, 'a');
CALL told();
SELECT a.name, e.customer, e.period_start, e.threshold, e.value, e.state FROM usage_alert_events AS e JOIN usage_alerts AS a ON a.id = e.usage_alert_id
    WHERE a.name IN ('models DAY', 'by model ALL_TIME') ORDER BY 1;

-- BELOW tells of a value that falls: not before it was there, and of nothing used at all neither
SELECT create_usage_alert(body('{"name": "credit", "thresholds": [10, 50], "direction": "BELOW"}')) ->> 'id' AS below \gset
CALL used('dora', 20, key => 'g');
CALL told();
CALL used('dora', 80, key => 'h');
CALL told();
CALL used('dora', -75, key => 'i');
CALL told();
CALL used('dora', -96, key => 'i');
CALL told();
CALL used('dora', 0, key => 'i');
CALL told();
CALL used('VOID', 0, key => 'g');
CALL used('VOID', 0, key => 'h');
CALL told();
SELECT create_usage_alert(body('{"name": "falls", "thresholds": [10], "direction": "BELOW", "customer": "emil"}', 'level')) IS NOT NULL;
CALL used('emil', 20, key => 'j');
CALL told();
CALL used('emil', 5, key => 'j');
CALL told();
-- where the value is gone nothing is below
CALL used('VOID', 5, key => 'j');
CALL told();

-- What changes besides events -------------------------------------------------

-- a new alert looks at all customers in the period that is now, and at no other
CALL used('frida', 150, now()::text, 'k');
CALL used('frida', 150, '2023-10-05T12:00:00Z', 'l');
CALL told();
SELECT create_usage_alert(body('{"name": "new", "thresholds": [120]}')) ->> 'id' AS new \gset
CALL told();
-- thresholds that it gets are told, those that it loses are forgotten
SELECT update_usage_alert(:'new', body('{"name": "new", "thresholds": [110, 140]}')) IS NOT NULL;
CALL told();
SELECT update_usage_alert(:'new', body('{"name": "new", "thresholds": [120, 140]}')) IS NOT NULL;
CALL told();
SELECT threshold, is_triggered FROM usage_events.usage_alert_state WHERE usage_alert_id = :'new' ORDER BY 1;
-- so does one whose metric is another now
SELECT update_usage_metric(:'tokens', metric('x', '{"aggregationType": "MAX"}') || '{"name": "tokens"}') IS NOT NULL;
CALL used('frida', 10, now()::text, 'm');
CALL told();
SELECT update_usage_metric(:'tokens', metric('x', '{"aggregationType": "COUNT"}') || '{"name": "tokens"}') IS NOT NULL;
CALL told();
SELECT update_usage_metric(:'tokens', metric('x', '{"aggregationType": "SUM"}') || '{"name": "tokens"}') IS NOT NULL;
CALL told();
-- an alias becomes a customer's, whose both are then, and is so no longer
CALL used('gus', 70, now()::text, 'n');
CALL used('gustav', 70, now()::text, 'o');
CALL told();
SELECT create_customer_alias('{"customerId": "gustav", "value": "gus"}') ->> 'id' AS mapped \gset
CALL told();
CALL used('gus', 60, now()::text, 'p');
CALL told();
SELECT delete_customer_alias(:'mapped') IS NOT NULL;
CALL told();
-- by hand, without a mark: a refresh that begins anew looks at all
UPDATE usage_events.event SET event_properties = '{"n": 1000}' WHERE customer_event_id = 'o';
CALL told();
-- deleted, it tells nothing more, and what was said of it goes
SELECT delete_usage_alert(:'new') IS NOT NULL;
CALL used('frida', 1000, now()::text, 'k');
CALL told();
CALL told();
SELECT count(*) FROM usage_events.usage_alert_state WHERE usage_alert_id = :'new';
SELECT count(*) > 0 AS still_known FROM usage_alert_events WHERE usage_alert_id = :'new';
-- its metric deleted, an alert has nothing to tell
SELECT delete_usage_metric(:'tokens') IS NOT NULL;
CALL used('frida', 0, now()::text, 'k');
CALL told();
SELECT count(*) AS due FROM usage_events.usage_alert_due;

-- Lists, retention, erasure, purge ---------------------------------------------
SELECT listed(list_usage_alert_events(2), 'state'), listed(list_usage_alert_events(customer => 'carol', state => 'TRIGGERED'), 'state'),
    listed(list_usage_alert_events(usage_alert_id => :'below', customer => 'dora', state => 'RESOLVED'), 'threshold');
SELECT string_agg(key, ' ' ORDER BY key COLLATE "C") FROM jsonb_object_keys(list_usage_alert_events(1) #> '{items,0}') AS key;
SELECT list_usage_alert_events(1, customer => 'emil', state => 'RESOLVED') #> '{items,0,value}' AS value;
SELECT listed(list_usage_alert_events(3, list_usage_alert_events(3) #>> '{pagination,after}', customer => NULL), 'customer') IS NOT NULL AS next_page,
    faults(format('list_usage_alert_events(3, %L, customer => ''x'')', list_usage_alert_events(3) #>> '{pagination,after}'));
-- periods that ended long ago are not looked at any more, and what was said of them is deleted
SET usage_events.usage_alert_retention = '90 d';
SELECT count(*) > 0 AS old FROM usage_events.usage_alert_state WHERE period_end < now() - interval '90 days';
CALL told();
SELECT count(*) AS old FROM usage_events.usage_alert_state WHERE period_end < now() - interval '90 days';
CALL called('2023-02-28T03:00:00Z', 3000, 'a');
CALL told();
UPDATE usage_events.usage_alert_event SET occurred_at = now() - interval '100 days' WHERE customer = 'acme';
SELECT count(*) > 0 AS some FROM usage_alert_events WHERE customer = 'acme';
CALL told();
SELECT count(*) AS of_acme, (SELECT count(*) > 0 FROM usage_alert_events) AS others FROM usage_alert_events WHERE customer = 'acme';

-- nothing of a customer who is erased is left
SET usage_events.usage_alert_retention = 0;
SELECT create_usage_alert(body('{"name": "hers", "customer": "dora"}', 'level')) IS NOT NULL;
CALL used('dora', 300, now()::text, 'q');
CALL told();
SELECT count(*) > 0 AS told, (SELECT count(*) > 0 FROM usage_events.usage_alert_state WHERE customer = 'dora') AS known
    FROM usage_alert_events WHERE customer = 'dora';
SELECT usage_events.erase_customer('dora') > 0 AS erased;
SELECT usage_events.erase_customer('dora');
CALL told();
CREATE FUNCTION names_dora(relation regclass) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    result boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s AS r WHERE r::text LIKE ''%%dora%%'')', relation) INTO result;
    RETURN result;
END $$;
SELECT relname FROM pg_class WHERE relnamespace = 'usage_events'::regnamespace AND relname LIKE '%alert%' AND relkind = 'r' AND names_dora(oid);

-- of a period of which events were purged nothing is told any more
CALL used('hugo', 200, now()::text, 'r');
SELECT create_usage_alert(body('{"name": "ever", "customer": "hugo", "period": "ALL_TIME", "thresholds": [100]}', 'largest')) IS NOT NULL;
CALL told();
SELECT usage_events.purge('2023-01-01Z');
CALL used('hugo', 1, now()::text, 'r');
CALL told();

\i test/helpers/empty.sql
DELETE FROM usage_events.account WHERE account_id = :'other';
DROP TABLE seen;
DROP PROCEDURE used(text, numeric, text, text);
DROP PROCEDURE called(text, numeric, text, boolean);
DROP PROCEDURE told();
DROP FUNCTION metric(text, jsonb), body(jsonb, text), shown(jsonb), faults(text), refused(jsonb), listed(jsonb, text), names_dora(regclass);
