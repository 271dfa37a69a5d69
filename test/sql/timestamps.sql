-- eventTimestamp: ISO 8601 with an offset, and nothing that depends on the session.
CREATE FUNCTION read_timestamp(timestamp_text text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    RETURN jsonb_build_object('customerAlias', 'a', 'eventType', 't', 'eventTimestamp', timestamp_text)::usage_event::jsonb ->> 'eventTimestamp';
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END $$;

-- accepted: every form, written back in UTC and as short as can be
SELECT text, read_timestamp(text) FROM unnest(ARRAY[
    '2022-10-01T00:00:00Z',
    '2022-10-01t00:00:00z',
    '2022-10-01 00:00:00Z',
    '2022-10-01 00:00:00+00:00',
    '2022-10-01 02:00:00.25+02',
    '2022-10-01T00:00Z',
    '2022-10-01T02:00:00+02:00',
    '2022-10-01T02:00:00+0200',
    '2022-10-01T02:00:00+02',
    '2022-09-30T18:15:00-05:45',
    '2022-10-01T00:00:00-00:00',
    '2022-10-01T00:00:00+23:59',
    '2022-10-01T00:00:00.5Z',
    '2022-10-01T00:00:00,5Z',
    '2022-10-01T00:00:00.120Z',
    '2022-10-01T00:00:00.000Z',
    '2022-10-01T00:00:00.000001Z',
    '2022-09-30T23:59:59.99999999999999999999Z',
    '2024-02-29T12:00:00Z',
    '2000-02-29T12:00:00Z',
    '2016-12-31T23:59:60Z',
    '2017-01-01T01:59:60.25+02:00',
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999999Z'
]) WITH ORDINALITY AS t(text, n) ORDER BY n;

-- refused
SELECT text, read_timestamp(text) FROM unnest(ARRAY[
    '',
    ' ',
    'now',
    'today',
    'yesterday',
    'tomorrow',
    'epoch',
    'infinity',
    '-infinity',
    'allballs',
    '2022-10-01',
    '2022-10-01T00:00:00',
    '2022-10-01T00:00',
    '2022-10-01 00:00:00',
    '2022-10-01  00:00:00Z',
    ' 2022-10-01T00:00:00Z',
    '2022-10-01T00:00:00Z ',
    '2022-10-01T00:00:00 Z',
    '2022-10-01 00:00:00 +0000',
    '2022-10-01T00:00:00Z+02:00',
    '2022-10-01T00:00:00UTC',
    '2022-10-01T00:00:00 Europe/Berlin',
    '2022-10-01T00:00:00[Europe/Berlin]',
    '2022-10-01T00Z',
    '2022-10-01T00:00:Z',
    '2022-10-01T00:00:00.Z',
    '2022-10-01T0:00:00Z',
    '2022-10-1T00:00:00Z',
    '22-10-01T00:00:00Z',
    '20221001T000000Z',
    '2022-274T00:00:00Z',
    '2022-W39-6T00:00:00Z',
    '01/10/2022 00:00:00Z',
    '1664582400',
    '1664582400.5',
    '1664582400000',
    '1664582400s',
    '.5',
    '2022-02-29T00:00:00Z',
    '2022-02-30T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2022-04-31T00:00:00Z',
    '2022-13-01T00:00:00Z',
    '2022-00-01T00:00:00Z',
    '2022-01-00T00:00:00Z',
    '2022-10-01T24:00:00Z',
    '2022-10-01T25:00:00Z',
    '2022-10-01T00:60:00Z',
    '2022-10-01T00:00:61Z',
    '2022-10-01T12:30:60Z',
    '2022-10-01T00:00:00+24:00',
    '2022-10-01T00:00:00+99:00',
    '2022-10-01T00:00:00+02:60',
    '2022-10-01T00:00:00+2',
    '2022-10-01T00:00:00+020',
    '2022-10-01T00:00:00+02:0',
    '2022-10-01T00:00:00+02:',
    '2022-10-01T00:00:00+02:00:00',
    '0000-12-31T23:59:59Z',
    '0001-01-01T00:00:00+01:00',
    '9999-12-31T23:59:59-01:00',
    '99999999-01-01T00:00:00Z',
    '+2022-10-01T00:00:00Z',
    '-2022-10-01T00:00:00Z',
    '２０２２-10-01T00:00:00Z'
]) WITH ORDINALITY AS t(text, n) ORDER BY n;

-- every day of two centuries and every offset, against the server's own reading
SELECT count(*) AS differing
FROM generate_series(timestamp '1900-01-01', '2100-12-31', '1 day') AS day,
     LATERAL (SELECT to_char(day, 'YYYY-MM-DD"T"12:34:56.789') || '+05:30') AS t(text)
WHERE read_timestamp(text)::timestamptz IS DISTINCT FROM text::timestamptz;
SELECT count(*) AS differing
FROM generate_series(-15 * 60, 15 * 60) AS minutes,
     LATERAL (SELECT '2022-10-01T00:00:00' || CASE WHEN minutes < 0 THEN '-' ELSE '+' END
              || to_char(abs(minutes) / 60, 'FM00') || ':' || to_char(abs(minutes) % 60, 'FM00')) AS t(text)
WHERE read_timestamp(text)::timestamptz IS DISTINCT FROM text::timestamptz;
DROP FUNCTION read_timestamp(text);

-- A row that a superuser wrote by hand, with a time that no event can have, is written as the server writes it, and stops nothing.
TRUNCATE usage_events.event, usage_events.superseded_event;
SELECT create_usage_metric('{"name": "n", "metricType": "SIMPLE", "eventType": "t", "aggregationType": "COUNT"}') ->> 'id' AS metric \gset
INSERT INTO usage_events.event SELECT usage_events.current_account_id(), uuid_v7(), moment, n, 'a', 't', '{}'
FROM unnest('{infinity, -infinity, 0044-03-15 12:00Z BC, 12026-10-01Z, 2026-10-01Z}'::timestamptz[]) WITH ORDINALITY AS moments (moment, n);
SELECT i.* FROM jsonb_to_recordset(list_usage_events(sort_by => 'eventTimestamp',
    sort_order => 'ASC') -> 'items') AS i ("customerEventId" text, "eventTimestamp" text);
SELECT list_usage_events(2, sort_by => 'eventTimestamp', sort_order => 'ASC') #>> '{pagination,after}' AS after \gset
SELECT i.* FROM jsonb_to_recordset(list_usage_events(2, :'after', sort_by => 'eventTimestamp',
    sort_order => 'ASC') -> 'items') AS i ("customerEventId" text, "eventTimestamp" text);
SELECT get_usage_event(id) ->> 'eventTimestamp' AS timestamp, explain_usage_event(:'metric', id) -> 'counts' AS counts,
    create_usage_event(get_usage_event(id) || '{"eventTimestamp": "2026-10-02T00:00:00Z"}') ->> 'eventTimestamp' AS corrected
FROM usage_events WHERE NOT event_timestamp BETWEEN '2026-01-01Z' AND '2026-12-31Z' ORDER BY customer_event_id;
SELECT jsonb_path_query_array(get_usage_event_history(id), '$.items[*].eventTimestamp') AS history FROM usage_events ORDER BY customer_event_id;
DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END$$;
SELECT calculate_usage_metric(:'metric', '{a}', '[2026-10-01Z, 2026-11-01Z)') -> 'value' AS value;
SELECT count(*) AS bad_marks FROM usage_events.dirty_bucket WHERE seconds > 0 AND NOT bucket BETWEEN '0001-01-01Z' AND '9999-12-31 23:59:59Z';
\i test/helpers/empty.sql
