-- Accounts, the last month, and what fills, marks and rolls up.

CREATE TABLE bench_month AS
SELECT moment AS begin, moment + interval '1 month' AS "end"
FROM (SELECT date_trunc('month', now(), 'UTC') - interval '1 month' AS moment) AS month;

CREATE TABLE bench_account AS
SELECT name, usage_events.create_account(name) AS account_id
FROM unnest(ARRAY['few', 'many', 'with', 'without']) AS name;

CREATE FUNCTION bench_id(at timestamptz, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(number), 15, '0'))::uuid;

CREATE FUNCTION bench_properties() RETURNS jsonb LANGUAGE sql VOLATILE
RETURN jsonb_build_object('length', round((random() * 1000)::numeric, 2), 'type', 'text_message', 'channel', 'sms', 'region', 'eu-west-1');

-- An event for each second of an hour in the midst of the month, as clients send them; a # in
-- the alias stands for a number below 2,000, another in each second.
CREATE PROCEDURE bench_busy_hour(alias text, type text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM create_usage_events(jsonb_agg(jsonb_build_object(
        'customerEventId', 'busy-' || alias || second, 'customerAlias', replace(alias, '#', (second % 2000)::text), 'eventType', type,
        'eventTimestamp', to_json(month.begin + interval '14 days 10 hours' + second * interval '1 second'),
        'eventProperties', bench_properties() || jsonb_build_object('user', 'user-' || second))))
    FROM bench_month AS month, generate_series(0, 3599) AS second
    GROUP BY second / 900;
END
$$;

-- Sends batches of 1,000 events, to one account after the other, and says how many a second
-- each took: only the time in create_usage_events, from text, and of the commit counts.
-- 'live': of 300 customers, of the last minute; 'history': of 2,000 customers and a month.
CREATE PROCEDURE bench_ingest(account_ids uuid[], shape text, batches int, INOUT events_a_second numeric[] DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    body text;
    turn int;
    began timestamptz;
    spent interval[] := array_fill(interval '0', ARRAY[cardinality(account_ids)]);
BEGIN
    FOR batch IN 1 .. batches LOOP
        FOR number IN 1 .. cardinality(account_ids) LOOP
            SELECT jsonb_agg(jsonb_build_object(
                'customerEventId', gen_random_uuid(),
                'customerAlias', 'customer-' || floor(random() * CASE shape WHEN 'live' THEN 300 ELSE 2000 END),
                'eventType', 'message-sent',
                'eventTimestamp', to_json(CASE shape WHEN 'live' THEN clock_timestamp() - random() * interval '1 minute'
                                          ELSE month.begin + random() * (month.end - month.begin) END),
                'eventProperties', bench_properties()))::text
            INTO body FROM bench_month AS month, generate_series(1, 1000) AS n;
            turn := 1 + (batch + number) % cardinality(account_ids);
            PERFORM set_config('usage_events.account_id', account_ids[turn]::text, false);
            began := clock_timestamp();
            PERFORM create_usage_events(body::jsonb);
            COMMIT;
            spent[turn] := spent[turn] + (clock_timestamp() - began);
        END LOOP;
    END LOOP;
    SELECT array_agg(round(1000 * batches / extract(epoch FROM each)) ORDER BY number)
    INTO events_a_second FROM unnest(spent) WITH ORDINALITY AS spent (each, number);
END
$$;

-- Rolls up all that there is of an account, and says how many seconds it took.
CREATE PROCEDURE bench_refresh(account_id uuid, INOUT seconds numeric DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    LOOP
        EXIT WHEN usage_events.refresh_rollups(account_id) = 0;
        COMMIT;
    END LOOP;
    seconds := extract(epoch FROM clock_timestamp() - began);
END
$$;

-- Puts a metric's beginning before the month's, so that it was known to every moment of it.
CREATE PROCEDURE bench_backdate(metric_id uuid) LANGUAGE sql
BEGIN ATOMIC
    UPDATE usage_events.metric_progress AS progress SET metric_version_id = bench_id(month.begin - interval '1 day', hashtext(metric_id::text) & 65535)
    FROM usage_events.metric, bench_month AS month
    WHERE metric.id = metric_id AND progress.account_id = metric.account_id AND progress.metric_version_id = metric.version_id;
    UPDATE usage_events.metric SET version_id = bench_id(month.begin - interval '1 day', hashtext(metric_id::text) & 65535)
    FROM bench_month AS month WHERE metric.id = metric_id;
END;
