-- Usage metrics minute by minute, hour by hour, and by days, weeks and months, by the clocks of the world.
\pset format unaligned
\pset tuples_only on
\i test/helpers/empty.sql
-- an event every so often from one moment to another, each worth 1
CREATE FUNCTION sent(name text, first timestamptz, last timestamptz, every interval, part text DEFAULT 'a') RETURNS bigint LANGUAGE sql AS $$
    SELECT jsonb_array_length(create_usage_events(jsonb_agg(jsonb_build_object('customerAlias', 'acme', 'eventType', name, 'customerEventId',
        concat(name, '-', part, n), 'eventTimestamp', to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'eventProperties',
        jsonb_build_object('n', 1, 'minute', extract(minute FROM moment))) ORDER BY n)))
    FROM generate_series(first, last, every) WITH ORDINALITY AS m(moment, n) $$;
CREATE FUNCTION metric(name text, fields jsonb DEFAULT '{}') RETURNS uuid LANGUAGE sql AS $$
    SELECT (create_usage_metric(jsonb_build_object('name', name, 'metricType', 'SIMPLE', 'eventType', name, 'aggregationType', 'SUM', 'aggregationProperty',
        'n') || fields) ->> 'id')::uuid $$;
CREATE FUNCTION id_of(wanted text) RETURNS uuid LANGUAGE sql AS $$ SELECT id FROM usage_metrics WHERE name = wanted $$;
-- the steps: begin by the zone's clock, length unless it is the usual one, value
CREATE FUNCTION series(name text, period text, step text, zone text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT string_agg(concat_ws(' ', to_char(period_start AT TIME ZONE zone,
                                            CASE WHEN step IN ('minute', 'hour') THEN 'DD HH24:MI' ELSE 'YYYY-MM-DD HH24:MI' END),
                                        '(' || nullif(nullif(nullif(justify_hours(period_end - period_start)::text, '01:00:00'), '1 day'), '7 days') || ')',
                                        coalesce(value::text, 'null')), ', ' ORDER BY period_start)
            FROM usage_metric_series(id_of(name), '{acme}', period::tstzrange, step, zone));
END $$;
\i test/helpers/outcome.sql
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN answer ELSE concat_ws(' ', state, regexp_replace(message, '[0-9a-f-]{36}', '<id>') || ':', detail, hint) END
    FROM pg_temp.outcome(call) $$;
SET intervalstyle = postgres;

-- what comes back
SELECT sent('plain', '2026-10-01 00:00Z', '2026-10-03 23:30Z', '30 minutes'), metric('plain') IS NOT NULL,
    metric('grouped', '{"eventType": "plain", "metricType": "GROUPED", "groupingProperty": "minute"}') IS NOT NULL,
    metric('latest', '{"eventType": "plain", "aggregationType": "LATEST", "aggregationProperty": "minute"}') IS NOT NULL,
    metric('ninth', '{"eventType": "plain", "aggregationType": "PERCENTILE", "percentile": 0.9}') IS NOT NULL,
    metric('skipped', '{"eventType": "plain", "aggregationProperty": "nothing"}') IS NOT NULL;
SET timezone = 'UTC';
SET datestyle = ISO;
\pset tuples_only off
SELECT * FROM usage_metric_series(id_of('plain'), '{acme}', '[2026-10-02 00:00Z, 2026-10-04 12:00Z)', 'day');
SELECT * FROM usage_metric_series(id_of('grouped'), '{acme}', '[2026-10-03 22:15Z, 2026-10-04 00:30:00.5Z]', 'hour');
SELECT * FROM usage_metric_series(id_of('latest'), '{acme,nobody}', '(2026-10-03 23:30Z, 2026-10-05 00:00Z]', 'day');
SELECT * FROM usage_metric_series(id_of('skipped'), '{acme}', '[2026-09-01 00:00Z, 2026-11-01 00:00Z)', 'month');
SELECT * FROM usage_metric_series(id_of('plain'), '{}', '[2026-10-02 00:00Z, 2026-10-02 00:00Z]', 'hour');
SELECT * FROM usage_metric_series(id_of('plain'), '{acme}', '(2026-10-02 00:00Z, 2026-10-02 00:00:00.000001Z)', 'hour');
SELECT * FROM usage_metric_series(id_of('plain'), '{acme}', '[300-01-01 00:00Z BC, 200-01-01 00:00Z BC)', 'month');
\pset tuples_only on

-- the clocks: the period is cut into the steps of each
SELECT zone, sent(zone, first::timestamptz, first::timestamptz + interval '71:45', '15 minutes'), metric(zone) IS NOT NULL
FROM (VALUES ('Asia/Kolkata', '2026-10-01 00:00Z'), ('Europe/Berlin', '2026-10-24 00:00Z'), ('Africa/Cairo', '2010-04-29 00:00Z'),
    ('America/Sao_Paulo', '2018-11-03 00:00Z'), ('Pacific/Apia', '2011-12-29 00:00Z')) AS v(zone, first);
SELECT zone, sent(zone, '2026-03-07 00:00Z', '2026-03-09 23:45Z', '15 minutes'), sent(zone, '2026-04-04 00:00Z', '2026-04-06 23:45Z', '15 minutes', 'b'),
    sent(zone, '2026-10-03 00:00Z', '2026-10-05 23:45Z', '15 minutes', 'c'),
    sent(zone, '2026-10-31 00:00Z', '2026-11-02 23:45Z', '15 minutes', 'd'), metric(zone) IS NOT NULL
FROM unnest('{America/New_York,Australia/Lord_Howe}'::text[]) AS zone;
SELECT zone, step, series(zone, period, step, zone) FROM (VALUES
    ('Asia/Kolkata', 'day', '[2026-10-01 00:00+05:30, 2026-10-04 00:00+05:30)'), ('Asia/Kolkata', 'hour', '[2026-10-01 12:00Z, 2026-10-01 15:00Z)'),
    ('Asia/Kolkata', 'month', '[2026-09-01 00:00Z, 2026-11-01 00:00Z)'),
    -- one hour less, and one more
    ('America/New_York', 'day', '[2026-03-07 00:00-05, 2026-03-10 00:00-04)'), ('America/New_York', 'hour', '[2026-03-08 00:00-05, 2026-03-08 05:00-04)'),
    ('America/New_York', 'day', '[2026-10-31 00:00-04, 2026-11-03 00:00-05)'), ('America/New_York', 'hour', '[2026-11-01 00:00-04, 2026-11-01 04:00-05)'),
    ('America/New_York', 'month', '[2026-02-15 00:00Z, 2026-12-15 00:00Z)'),
    ('Europe/Berlin', 'hour', '[2026-10-25 00:00+02, 2026-10-25 04:00+01)'),
    -- half an hour
    ('Australia/Lord_Howe', 'day', '[2026-04-04 00:00+11, 2026-04-07 00:00+10:30)'),
    ('Australia/Lord_Howe', 'hour', '[2026-04-05 00:00+11, 2026-04-06 01:00+10:30)'),
    ('Australia/Lord_Howe', 'day', '[2026-10-03 00:00+10:30, 2026-10-06 00:00+11)'),
    ('Australia/Lord_Howe', 'hour', '[2026-10-04 00:00+10:30, 2026-10-05 01:00+11)'),
    ('Australia/Lord_Howe', 'month', '[2026-03-01 00:00Z, 2026-12-01 00:00Z)'),
    -- a day that was left out
    ('Pacific/Apia', 'day', '[2011-12-28 00:00-10, 2012-01-02 00:00+14)'), ('Pacific/Apia', 'hour', '[2011-12-29 22:00-10, 2011-12-31 02:00+14)'),
    ('Pacific/Apia', 'month', '[2011-12-01 00:00-10, 2012-02-01 00:00+14)'),
    -- days that begin at one o'clock
    ('America/Sao_Paulo', 'day', '[2018-11-03 00:00-03, 2018-11-06 00:00-02)'), ('America/Sao_Paulo', 'hour', '[2018-11-03 22:00-03, 2018-11-04 04:00-02)'),
    ('Africa/Cairo', 'day', '[2010-04-29 00:00+02, 2010-05-02 00:00+03)'), ('Africa/Cairo', 'hour', '[2010-04-29 22:00+02, 2010-04-30 04:00+03)'),
    ('Africa/Cairo', 'month', '[2010-04-01 00:00+02, 2010-06-01 00:00+03)'),
    -- weeks begin on Monday, whatever the clock does
    ('Asia/Kolkata', 'week', '[2026-09-27 00:00+05:30, 2026-10-13 00:00+05:30)'), ('America/New_York', 'week', '[2026-10-26 00:00-04, 2026-11-09 00:00-05)'),
    ('Pacific/Apia', 'week', '[2011-12-25 00:00-10, 2012-01-09 00:00+14)'), ('America/Sao_Paulo', 'week', '[2018-11-04 00:00-03, 2018-11-06 00:00-02)'),
    -- minutes
    ('Asia/Kolkata', 'minute', '[2026-10-01 11:59:30Z, 2026-10-01 12:02:00.5Z)'),
    ('Australia/Lord_Howe', 'minute', '[2026-04-05 01:58:00+11, 2026-04-05 01:32:00+10:30)')
) AS v(zone, step, period);

-- cut at both ends, and names of zones in any case
SELECT step, zone, series('plain', '[2026-10-02 10:20:30.5Z, 2026-10-02 12:00:00.000001Z)', step, zone)
    FROM unnest('{hour,day,week,month}'::text[]) WITH ORDINALITY AS s(step, n),
    unnest('{UTC,utc,Etc/GMT+3,Asia/Kathmandu,EST5EDT,europe/BERLIN}'::text[]) WITH ORDINALITY AS z(zone, m) ORDER BY n, m;

-- the steps cover the period, each moment once, and add up to the whole; with rollups as without
CREATE FUNCTION disagreeing() RETURNS TABLE (name text, zone text, step text, period text, whole numeric, steps bigint, value numeric,
    found text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM (
        SELECT m.name, z.zone, s.step, p.period, (w.answer ->> 'value')::numeric, t.steps, t.value,
               CASE WHEN t.value IS DISTINCT FROM (w.answer ->> 'value')::numeric
                   OR t.events IS DISTINCT FROM (w.answer ->> 'eventCount')::bigint THEN 'another sum'
                    WHEN t.begins <> lower(p.period::tstzrange) OR t.ends <> upper(p.period::tstzrange) THEN 'another period' WHEN NOT t.joined THEN 'gaps'
                        WHEN NOT t.in_order THEN 'empty or reversed' END AS found
        FROM usage_metrics AS m JOIN (VALUES ('America/New_York', '[2026-03-01 00:00Z, 2026-11-15 00:00Z)'),
            ('Africa/Cairo', '[2010-04-29 12:34:56.789Z, 2010-05-02 00:00Z)'), ('Pacific/Apia', '[2011-12-28 01:02:03Z, 2012-01-03 00:00Z)'),
                 ('America/Sao_Paulo', '[2018-11-02 00:00Z, 2018-11-06 23:59:59.999999Z)'),
                 ('Australia/Lord_Howe', '[2026-10-03 14:59Z, 2026-10-04 15:01Z)')) AS p(name, period) ON p.name = m.name,
             unnest(
                 '{UTC,Europe/Berlin,Europe/Dublin,Africa/Casablanca,Asia/Kolkata,Asia/Kathmandu,Asia/Tehran,Asia/Amman,Australia/Lord_Howe,Pacific/Chatham,'
                 'Pacific/Apia,Pacific/Kiritimati,America/New_York,America/St_Johns,America/Sao_Paulo,America/Asuncion,Africa/Cairo,Antarctica/Troll}'::text[])
                 AS z(zone),
             unnest('{day,week,month,hour}'::text[]) AS s(step),
             LATERAL (SELECT calculate_usage_metric(m.id, '{acme}', p.period::tstzrange)) AS w(answer),
             LATERAL (SELECT count(*), sum(r.value), sum(r.event_count), min(r.period_start), max(r.period_end),
                 bool_and(r.before IS NULL OR r.before = r.period_start), bool_and(r.period_start < r.period_end)
                      FROM (SELECT *, lag(period_end) OVER (ORDER BY period_start) AS before
                          FROM usage_metric_series(m.id, '{acme}', p.period::tstzrange, s.step, z.zone)) AS r) AS t(steps, value, events,
                          begins, ends, joined, in_order)
        WHERE s.step <> 'hour' OR m.name <> 'America/New_York'
        OFFSET 0) AS c WHERE c.found IS NOT NULL OR (c.zone = 'UTC' AND c.step = 'day') ORDER BY 1, 2, 3, 4;
END $$;
SELECT * FROM disagreeing();
CREATE TEMPORARY TABLE hours AS SELECT m.name, z.zone, s.* FROM usage_metrics AS m, unnest('{UTC,Asia/Kolkata,Australia/Lord_Howe}'::text[]) AS z(zone),
    LATERAL usage_metric_series(m.id, '{acme}', '[2026-09-30 00:20Z, 2026-10-05 07:31Z)', 'hour', z.zone) AS s;
\i test/helpers/refresh.sql
CREATE FUNCTION differing_hours() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (SELECT m.name, z.zone, s.* FROM usage_metrics AS m, unnest('{UTC,Asia/Kolkata,Australia/Lord_Howe}'::text[]) AS z(zone),
        LATERAL usage_metric_series(m.id, '{acme}', '[2026-09-30 00:20Z, 2026-10-05 07:31Z)', 'hour', z.zone) AS s) AS now
    FULL JOIN hours ON now.name = hours.name AND now.zone = hours.zone AND now.period_start = hours.period_start
        WHERE (now.*)::text IS DISTINCT FROM (hours.*)::text $$;
CALL pg_temp.refresh_until_ready();
SELECT count(*) > 50 AS rolled_up FROM usage_events.metric_rollup;
SELECT * FROM disagreeing();
SELECT count(*), sum(event_count), differing_hours() FROM hours;
-- all out of date
SELECT sum(jsonb_array_length(create_usage_events(body)))
    FROM (SELECT jsonb_agg(jsonb_build_object('customerAlias', customer_alias, 'eventType', event_type, 'customerEventId', customer_event_id, 'eventTimestamp',
    to_char(event_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'eventProperties', event_properties || '{"again": true}')) FROM usage_events
    WHERE event_timestamp > '2026-10-02 00:00Z') AS b(body);
SELECT * FROM disagreeing();
SELECT differing_hours();
CALL pg_temp.refresh_until_ready();
SELECT * FROM disagreeing();
SELECT differing_hours();

-- as of a moment before there were events
SELECT clock_timestamp() AS before_events FROM pg_sleep(0.01) \gset
SELECT sent('later', '2026-10-01 00:00Z', '2026-10-01 03:00Z', '1 hour') FROM pg_sleep(0.01);
SELECT update_usage_metric(id, '{"name": "plain", "metricType": "SIMPLE", "eventType": "later", "aggregationType": "SUM",
    "aggregationProperty": "n"}') IS NOT NULL FROM usage_metrics WHERE name = 'plain';
SELECT to_char(period_start, 'HH24:MI'), now.event_count, past.event_count
    FROM usage_metric_series(id_of('plain'), '{acme}', '[2026-10-01 02:00Z, 2026-10-01 05:00Z)', 'hour') AS now
    JOIN usage_metric_series(id_of('plain'), '{acme}', '[2026-10-01 02:00Z, 2026-10-01 05:00Z)', 'hour',
    as_of => :'before_events') AS past USING (period_start) ORDER BY period_start;

-- refusals
SELECT step, zone, faults(format('SELECT count(*) FROM usage_metric_series(%L, ''{acme}'', ''[2026-10-01 00:00Z, 2026-10-02 00:00Z)'', %L, %L)', id_of('plain'),
    step, zone)) FROM (VALUES
    (1, 'weeks', 'UTC'), (2, 'Day', 'UTC'), (3, 'days', 'UTC'), (4, '', 'UTC'), (5, NULL, 'UTC'), (6, 'day', NULL), (7, 'day', 'Mars/Phobos'),
    (8, 'day', 'UTC+3'), (9, 'day', 'XYZ5'), (10, 'day', '<+03>-3'), (11, 'day', '+03'), (12, 'day', '-3'), (13, 'day', 'EST5EDT,M3.2.0,M11.1.0'),
    (14, 'day', ''), (15, 'day', 'Europe'), (16, 'day', '../etc/passwd'), (17, 'day', 'Europe/Berlin '), (18, 'day', repeat('x', 300)),
    (19, 'year', 'Mars/Phobos')
) AS v(n, step, zone) ORDER BY n;
SELECT n, faults(format('SELECT count(*) FROM usage_metric_series(%s)', replace(arguments, 'PLAIN', quote_literal(id_of('plain'))))) FROM (VALUES
    (1, 'NULL, ''{acme}'', ''[2026-10-01 00:00Z, 2026-10-02 00:00Z)'', ''day'''), (2, 'PLAIN, NULL, ''[2026-10-01 00:00Z, 2026-10-02 00:00Z)'', ''day'''),
    (3, 'PLAIN, ''{acme}'', NULL, ''day'''), (4, 'PLAIN, ''{acme}'', ''empty'', ''day'''), (5, 'PLAIN, ''{acme}'', ''[2026-10-01 00:00Z,)'', ''day'''),
    (6, '''00000000-0000-7000-8000-000000000000'', ''{acme}'', ''[2026-10-01 00:00Z, 2026-10-02 00:00Z)'', ''day'''),
    (7, 'PLAIN, ''{acme}'', ''[2026-10-01 00:00Z, 2026-10-02 00:00Z)'', ''day'', ''UTC'', ''2020-01-01 00:00Z'''),
    (8, 'PLAIN, ''{acme}'', ''[2000-01-01 00:00Z, 2011-05-29 16:00Z)'', ''hour'''),
    (9, 'PLAIN, ''{acme}'', ''[2000-01-01 00:00Z, 2011-05-29 17:00Z]'', ''hour'''),
    (10, 'PLAIN, ''{acme}'', ''[0001-01-01 00:00Z, 9999-12-31 00:00Z]'', ''month'''),
    (11, 'PLAIN, ''{acme}'', ''[0001-01-01 00:00Z, 9999-12-31 00:00Z]'', ''day'''),
    (12, 'PLAIN, ''{acme}'', ''[2026-01-01 00:00Z, 2026-03-11 10:40Z)'', ''minute'''),
    (13, 'PLAIN, ''{acme}'', ''[2026-01-01 00:00Z, 2026-03-11 10:41Z)'', ''minute'''),
    (14, 'PLAIN, (SELECT array_agg(''a-'' || n) FROM generate_series(1, 10000) AS n), ''[2026-01-01 00:00Z, 2027-05-17 00:00Z)'', ''day''')
) AS v(n, arguments) ORDER BY n;

RESET timezone;
RESET datestyle;
RESET intervalstyle;
\pset format aligned
\pset tuples_only off
DROP FUNCTION disagreeing(), differing_hours(), faults(text), series(text, text, text, text), id_of(text), metric(text, jsonb),
    sent(text, timestamptz, timestamptz, interval, text);
DROP TABLE hours;
\i test/helpers/empty.sql
