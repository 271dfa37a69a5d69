-- Periods of limits: on the calendar of a time zone or from an anchor, against the server's own arithmetic of dates.
\i test/helpers/empty.sql
SELECT create_usage_metric('{"name": "calls", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "COUNT"}') ->> 'id' AS calls \gset
-- a limit of a customer of that name, with such periods
CREATE FUNCTION limited(customer text, period text, timezone text, anchor text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT create_usage_limit(jsonb_build_object('name', 'calls', 'usageMetricId', (SELECT id FROM usage_metrics), 'customer', customer, 'period', period,
        'timezone', timezone, 'anchor', anchor, 'limit', 100, 'mode', 'REPORT')) $$;
CREATE FUNCTION period_at(customer text, at timestamptz) RETURNS tstzrange LANGUAGE sql STABLE AS $$
    SELECT tstzrange((found ->> 'periodStart')::timestamptz, (found ->> 'periodEnd')::timestamptz)
    FROM check_usage_limit(customer, (SELECT id FROM usage_metrics), 1, at) AS c, jsonb_path_query(c, '$.limits[0]') AS found $$;
-- the periods that have these moments, as the clock of the zone shows them
CREATE FUNCTION periods(period text, zone text, anchor text, VARIADIC moments text[]) RETURNS SETOF text LANGUAGE sql AS $$
    DELETE FROM usage_events.usage_limit;
    SELECT limited('acme', period, zone, anchor);
    SELECT concat(moment, ': ', to_char(lower(found) AT TIME ZONE zone, 'YYYY-MM-DD HH24:MI:SS'), ' to ', to_char(upper(found) AT TIME ZONE zone,
        'YYYY-MM-DD HH24:MI:SS'), coalesce(', ' || (upper(found) - lower(found)), ''))
    FROM unnest(moments) WITH ORDINALITY AS m(moment, n), period_at('acme', moment::timestamptz) AS found ORDER BY n $$;
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
\pset format unaligned
\pset tuples_only on

-- on the calendar: weeks begin on Monday
SELECT periods(period, 'UTC', NULL, '2026-11-26 14:30:00Z') FROM unnest('{HOUR,DAY,WEEK,MONTH,YEAR}'::text[]) AS period;
SELECT periods('MONTH', 'Europe/Berlin', NULL, '2026-10-31 22:59:59.999999Z', '2026-10-31 23:00:00Z', '2026-03-31 21:59:59Z', '2026-03-31 22:00:00Z');
-- from an anchor, before it as well
SELECT periods(period, 'UTC', '2026-10-15T06:30:30Z', '2026-11-26 14:30:00Z', '2026-10-15 06:30:30Z', '2026-10-15 06:30:29Z', '1999-01-01 00:00:00Z')
    FROM unnest('{HOUR,DAY,WEEK,MONTH,YEAR}'::text[]) AS period;
-- a month from the 31st ends on the last day of shorter ones, and finds the 31st again; a year from 29 February likewise
SELECT periods('MONTH', 'UTC', '2026-01-31T12:00:00Z', '2026-01-31 12:00Z', '2026-02-28 11:59Z', '2026-02-28 12:00Z', '2026-03-31 12:00Z', '2026-04-30 12:00Z',
    '2026-05-31 12:00Z', '2028-02-28 12:00Z', '2028-02-29 12:00Z');
SELECT periods('YEAR', 'UTC', '2024-02-29T00:00:00Z', '2024-02-29 00:00Z', '2025-02-28 00:00Z', '2027-12-31 00:00Z', '2028-02-28 00:00Z', '2028-02-29 00:00Z');
-- the clock goes forward, and back: days of 23 and 25 hours; a time that it leaves out is the one at which it goes on; of two the first begins
SELECT periods('DAY', 'Europe/Berlin', NULL, '2026-03-29 12:00Z', '2026-10-25 12:00Z');
SELECT periods('DAY', 'Europe/Berlin', '2026-01-01T01:30:00Z', '2026-03-28 12:00Z', '2026-03-29 12:00Z', '2026-10-24 12:00Z',
    '2026-10-25 00:30Z', '2026-10-25 01:30Z');
SELECT periods('HOUR', 'Europe/Berlin', NULL, '2026-03-29 00:59Z', '2026-03-29 01:00Z', '2026-10-25 00:30Z', '2026-10-25 01:30Z');
-- midnight comes twice in Havana, and not at all in Sao Paulo
SELECT periods('DAY', 'America/Havana', NULL, '2025-11-02 04:30Z', '2025-11-02 05:30Z');
SELECT periods('DAY', 'America/Sao_Paulo', NULL, '2018-11-04 02:59Z', '2018-11-04 03:00Z');
-- Samoa had no 30 December 2011, and Alaska two of 18 October 1867
SELECT periods('DAY', 'Pacific/Apia', NULL, '2011-12-30 09:59Z', '2011-12-30 10:00Z');
SELECT periods('DAY', 'America/Juneau', NULL, '1867-10-18 08:57Z', '1867-10-18 12:00Z', '1867-10-19 12:00Z');
-- the clock of Lord Howe Island is changed by half an hour, and a new hour begins
SELECT periods('HOUR', 'Australia/Lord_Howe', NULL, '2026-04-04 14:59Z', '2026-04-04 15:00Z', '2026-04-04 15:30Z', '2026-10-03 15:29Z', '2026-10-03 15:30Z',
    '2026-10-03 16:00Z');
-- an hour from an anchor has sixty minutes there, too
SELECT periods('HOUR', 'Australia/Lord_Howe', '2026-01-01T00:15:00Z', '2026-04-04 15:14Z', '2026-04-04 15:15Z');
-- all of time has no bounds, but an anchor
SELECT a, limited IS NOT NULL AS made FROM (VALUES ('always', NULL), ('since', '2026-10-15T00:00:00Z'))
    AS v(a, anchor), limited(a, 'ALL_TIME', 'UTC', anchor) ORDER BY a;
SELECT a, period_at(a, '2026-11-26Z'), period_at(a, '2026-10-14Z') FROM unnest('{always,since}'::text[]) AS a;
-- the first moment of an event, and the last
SELECT periods(period, zone, anchor, '0001-01-01 00:00Z', '9999-12-31 23:59:59.999999Z')
    FROM unnest('{HOUR,DAY,WEEK,MONTH,YEAR}'::text[]) AS period, (VALUES ('UTC', NULL), ('Asia/Tokyo', '2024-02-29T00:00:00Z')) AS z(zone, anchor);

-- The oracle.  A bound is the first moment at which the clock shows so many periods after the first, or goes beyond: its quarter of
-- an hour, and in that its minute, since St. John's changed its clock at 00:01 until 2011.  Random rules, two thirds of which have an anchor, half
-- of those near the end of a month; random moments, half of them near a change of the clock.
CREATE FUNCTION first_shown(shown timestamp, zone text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT min(at) FROM (SELECT min(at) AS quarter FROM (SELECT (shown AT TIME ZONE zone) + n * interval '15 minutes' AS at
            FROM generate_series(-110, 110) AS n) AS quarters WHERE at AT TIME ZONE zone >= shown) AS first,
        LATERAL (SELECT quarter - n * interval '1 minute' AS at FROM generate_series(0, 14) AS n) AS near
    WHERE at AT TIME ZONE zone >= shown $$;
CREATE TABLE rule AS
SELECT n, period, zone, CASE WHEN random() < 0.67 THEN CASE WHEN random() < 0.5 THEN date_bin('15 minutes', any_time, '2000-01-01Z')
        ELSE date_trunc('month', any_time) - floor(random() * 288) * interval '15 minutes' END END AS anchor
FROM (SELECT n, timestamptz '2005-01-01Z' + random() * interval '30 years' AS any_time, (ARRAY['HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR'])[1 + n % 5] AS period,
        (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'America/Sao_Paulo', 'Pacific/Apia', 'Africa/Casablanca',
        'America/St_Johns', 'Asia/Tehran', 'Antarctica/Troll', 'Pacific/Chatham'])[1 + floor(random() * 12)] AS zone
    FROM generate_series(1, 150) AS n) AS drawn;
SELECT count(limited('rule ' || n, period, zone, to_char(anchor AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))) FROM rule;
CREATE TABLE found AS
SELECT n, period, zone, anchor AT TIME ZONE zone AS anchor, at, at AT TIME ZONE zone AS shown, period_at('rule ' || n, at) AS found
FROM rule, LATERAL (
    SELECT timestamptz '2000-01-01Z' + random() * interval '40 years' AS at FROM generate_series(1, 4 + n % 2)
    UNION ALL
    (SELECT hour + (random() - 0.5) * interval '4 hours' FROM generate_series(timestamptz '2010-01-01Z', '2014-01-01Z', '1 hour') AS hour
        WHERE (hour AT TIME ZONE zone) - ((hour - interval '1 hour') AT TIME ZONE zone) <> interval '1 hour' ORDER BY random() LIMIT 4)) AS moment;
CREATE TABLE expected AS
SELECT found.*, tstzrange(first_shown(first + k * step, zone), first_shown(first + (k + 1) * step, zone)) AS expected
FROM found, LATERAL (SELECT coalesce(anchor, '2001-01-01') AS first,
        CASE period WHEN 'WEEK' THEN interval '7 days' ELSE ('1 ' || period)::interval END AS step) AS r,
    LATERAL (SELECT extract(year FROM age(shown, first)) * 12 + extract(month FROM age(shown, first)) AS months,
        floor(extract(epoch FROM shown - first) / 86400) AS days) AS d,
    LATERAL generate_series(-1, 1) AS near,
    LATERAL (SELECT (near + CASE period WHEN 'DAY' THEN days WHEN 'WEEK' THEN floor(days / 7) WHEN 'MONTH' THEN months
        ELSE floor(months / 12) END)::int AS k) AS p
WHERE period <> 'HOUR';
SELECT count(*) >= 600 AS many, bool_and(found @> at) AS each_has_its_moment FROM found;
SELECT * FROM found WHERE period <> 'HOUR' AND NOT EXISTS (SELECT FROM expected AS e WHERE e.n = found.n AND e.at = found.at AND e.expected @> e.at
    AND e.expected = e.found);
-- hours: full ones of the clock where it is changed by whole hours, or of the anchor
SELECT * FROM found WHERE period = 'HOUR' AND anchor IS NULL AND zone <> 'Australia/Lord_Howe'
    AND found <> tstzrange(date_trunc('hour', at, zone), date_trunc('hour', at, zone) + interval '1 hour');
SELECT * FROM found JOIN rule USING (n) WHERE found.period = 'HOUR' AND rule.anchor IS NOT NULL
    AND found.found <> tstzrange(date_bin('1 hour', at, rule.anchor), date_bin('1 hour', at, rule.anchor) + interval '1 hour');
-- periods follow each other without gap or overlap
SELECT * FROM found WHERE upper(period_at('rule ' || n, lower(found) - interval '1 microsecond')) <> lower(found)
    OR lower(period_at('rule ' || n, upper(found))) <> upper(found) OR upper(period_at('rule ' || n, upper(found) - interval '1 microsecond')) <> upper(found);

\pset format aligned
\pset tuples_only off
RESET timezone;
RESET intervalstyle;
DROP TABLE expected, found, rule;
DROP FUNCTION first_shown(timestamp, text), periods(text, text, text, text[]), period_at(text, timestamptz), limited(text, text, text, text);
\i test/helpers/empty.sql
