-- load.sql: what the clients of t/021_load.pl call: events to send, and questions
--
-- Keys and versions come from sequences, one of each for an account, so that in the end
-- it is known what must be there.  Of a key:
--
--	k-N		new, and corrected later on: each version has a number of its own
--	hot-N	a few that everybody corrects, counted as well
--	once-N	always of the same content: what comes after the first is a retry
--	old-N	of a time that is purged
--	race-N	corrected under REPEATABLE READ
--	back-N	rolled back
--	all-N	of the one transaction with very many

CREATE SCHEMA load;
GRANT USAGE ON SCHEMA load TO PUBLIC;

-- A sequence of the session's account, whose role ends in its number.
CREATE FUNCTION load.sequence(name text) RETURNS regclass LANGUAGE sql STABLE
RETURN format('load.%s_%s', name, substring(session_user FROM '\d+$'))::regclass;

CREATE FUNCTION load.next(name text) RETURNS bigint LANGUAGE sql VOLATILE
RETURN nextval(load.sequence(name));

CREATE FUNCTION load.last(name text) RETURNS bigint LANGUAGE sql VOLATILE
RETURN coalesce(pg_sequence_last_value(load.sequence(name)), 1);

CREATE FUNCTION load.dice(sides integer) RETURNS integer LANGUAGE sql VOLATILE
RETURN floor(random() * sides)::integer;

-- Events -------------------------------------------------------------------

CREATE FUNCTION load.event(key text, n bigint, at timestamptz) RETURNS jsonb LANGUAGE sql STABLE
RETURN jsonb_build_object('customerEventId', key, 'eventTimestamp', to_json(at),
	'customerAlias', CASE WHEN n % 211 = 7 THEN 'VOID' ELSE 'customer-' || (n * 7919) % 1009 % (1 + n % 200) END,
	'eventType', CASE WHEN n % 4 = 0 THEN 'login' ELSE 'call' END,
	'eventProperties', jsonb_build_object('n', n, 'user', 'user-' || n % 1000, 'region', (ARRAY['eu', 'us', 'asia'])[1 + n % 3], 'path', '/v1/messages'));

-- Of the last minute; and of the last month.
CREATE FUNCTION load.live() RETURNS timestamptz LANGUAGE sql VOLATILE
RETURN clock_timestamp() - random() * interval '1 minute';

CREATE FUNCTION load.late() RETURNS timestamptz LANGUAGE sql VOLATILE
RETURN clock_timestamp() - random() * interval '30 days';

CREATE FUNCTION load.new_event() RETURNS jsonb LANGUAGE sql VOLATILE
RETURN load.event('k-' || load.next('key'), load.next('version'), load.live());

-- Rather of a recent event than of one long ago.
CREATE FUNCTION load.correction() RETURNS jsonb LANGUAGE sql VOLATILE
RETURN load.event('k-' || greatest(1, load.last('key') - floor(load.last('key') * random() ^ 4)::bigint), load.next('version'), load.live());

CREATE FUNCTION load.hot_event() RETURNS jsonb LANGUAGE sql VOLATILE
RETURN load.event('hot-' || load.dice(20), load.next('version'), load.live());

CREATE FUNCTION load.once_event(n bigint) RETURNS jsonb LANGUAGE sql STABLE
RETURN load.event('once-' || n, n, '2026-10-01Z'::timestamptz + n % 2600000 * interval '1 second');

CREATE FUNCTION load.retry() RETURNS jsonb LANGUAGE sql VOLATILE
RETURN load.once_event(greatest(1, load.last('once') - load.dice(1000)));

CREATE FUNCTION load.batch(count integer) RETURNS jsonb LANGUAGE sql VOLATILE
RETURN (SELECT jsonb_agg(CASE
		WHEN dice < 80 THEN load.new_event()
		WHEN dice < 91 THEN load.correction()
		WHEN dice < 92 THEN load.hot_event()
		WHEN dice < 96 THEN load.once_event(load.next('once'))
		ELSE load.retry()
	END) FROM (SELECT load.dice(100) AS dice FROM generate_series(1, count) OFFSET 0) AS d);

CREATE FUNCTION load.late_batch(count integer) RETURNS jsonb LANGUAGE sql VOLATILE
RETURN (SELECT jsonb_agg(load.event('k-' || load.next('key'), load.next('version'), load.late())) FROM generate_series(1, count));

CREATE FUNCTION load.old_batch(count integer) RETURNS jsonb LANGUAGE sql VOLATILE
RETURN (SELECT jsonb_agg(load.event('old-' || n, n, '2020-01-01Z'::timestamptz + n * interval '1 second'))
	FROM (SELECT load.next('old') AS n FROM generate_series(1, count) OFFSET 0) AS n);

CREATE FUNCTION load.all_batch(first integer, last integer) RETURNS jsonb LANGUAGE sql VOLATILE
RETURN (SELECT jsonb_agg(load.event('all-' || n, n, load.late())) FROM generate_series(first, last) AS n);

CREATE FUNCTION load.refused_event() RETURNS jsonb LANGUAGE sql VOLATILE
RETURN jsonb_build_object('customerAlias', '', 'eventType', 'refused', 'eventProperties', jsonb_build_object('n', load.next('refused')));

-- Refused as it should be; anything else is an error.
CREATE FUNCTION load.send_refused() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	PERFORM create_usage_event('{"customerAlias": "", "eventType": "refused"}');
	RAISE EXCEPTION 'an event without a customer was taken';
EXCEPTION WHEN invalid_parameter_value THEN
	NULL;
END $$;

-- Questions ----------------------------------------------------------------

CREATE FUNCTION load.metric(of_name text) RETURNS uuid LANGUAGE sql STABLE
RETURN (SELECT id FROM usage_metrics WHERE name = of_name);

CREATE FUNCTION load.customers() RETURNS text[] LANGUAGE sql VOLATILE
RETURN ARRAY['customer-' || load.dice(200), 'group-' || load.dice(5)];

CREATE FUNCTION load.period(length interval) RETURNS tstzrange LANGUAGE sql VOLATILE
RETURN tstzrange(clock_timestamp() - length, clock_timestamp() + interval '1 minute');

-- In one statement, and so in one snapshot: what metrics say of a customer's last minutes, and what the events say.
CREATE FUNCTION load.compare() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	alias text := 'customer-' || load.dice(200);
	asked tstzrange := load.period(interval '30 seconds' * (1 + load.dice(4)));
	wrong text;
BEGIN
	SELECT string_agg(format('%s of %s in %s: %s, not %s', m.name, alias, asked, m.value, e.value), '; ') INTO wrong
	FROM (SELECT name, (calculate_usage_metric(id, ARRAY[alias], asked) ->> 'value')::numeric AS value FROM usage_metrics
		WHERE name IN ('COUNT', 'SUM', 'MAX', 'UNIQUE')) AS m
	JOIN (SELECT 'COUNT' AS name, count(*) AS value FROM usage_events
		WHERE customer_alias = alias AND event_type = 'call' AND event_timestamp >= lower(asked) AND event_timestamp < upper(asked)
		UNION ALL SELECT 'SUM', coalesce(sum((event_properties ->> 'n')::numeric), 0) FROM usage_events
			WHERE customer_alias = alias AND event_type = 'call' AND event_timestamp >= lower(asked) AND event_timestamp < upper(asked)) AS e USING (name)
	WHERE m.value IS DISTINCT FROM e.value;
	IF wrong IS NOT NULL THEN
		RAISE EXCEPTION 'wrong answer: %', wrong;
	END IF;
END $$;

CREATE FUNCTION load.change_alias() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	chosen text := 'customer-' || load.dice(100);
	mapped uuid;
BEGIN
	SELECT id INTO mapped FROM customer_aliases WHERE value = chosen;
	IF mapped IS NULL THEN
		PERFORM create_customer_alias(jsonb_build_object('value', chosen, 'customerId', 'group-' || load.dice(5)));
	ELSE
		PERFORM delete_customer_alias(mapped);
	END IF;
END $$;

-- The customer's id that an alias belongs to, for plain SQL.
CREATE VIEW load.total WITH (security_invoker = true) AS
SELECT coalesce(mapped.customer_id, event.customer_alias) AS customer, count(*) AS count, sum((event_properties ->> 'n')::numeric) AS sum,
	max((event_properties ->> 'n')::numeric) AS max, count(DISTINCT event_properties ->> 'user') AS "unique"
FROM usage_events AS event
LEFT JOIN customer_aliases AS mapped ON mapped.value = event.customer_alias AND mapped.account_id = event.account_id
WHERE event_type = 'call' AND customer_alias <> 'VOID' AND event_timestamp >= '2026-01-01Z' AND event_timestamp < '2100-01-01Z'
GROUP BY 1;
GRANT SELECT ON load.total TO PUBLIC;
