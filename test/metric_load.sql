-- metric_load.sql: random events, metrics, aliases and questions about them
--
-- test.seed() begins a sequence of random choices; what one transaction does is
-- decided by its seed and by what it finds.  See t/014_metrics.pl.
CREATE SCHEMA test;

CREATE FUNCTION test.seed(seed bigint) RETURNS void LANGUAGE sql AS $$ SELECT setseed(seed / 2147483648.0) $$;
CREATE FUNCTION test.dice(sides integer) RETURNS integer LANGUAGE sql VOLATILE AS $$ SELECT floor(random() * sides)::integer $$;
CREATE FUNCTION test.one_of(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT choices[1 + test.dice(cardinality(choices))] $$;
CREATE FUNCTION test.some_of(VARIADIC choices text[]) RETURNS text[] LANGUAGE sql VOLATILE AS $$
	SELECT coalesce(array_agg(choice), ARRAY[test.one_of(VARIADIC choices)]) FROM unnest(choices) AS choice WHERE random() < 0.4
$$;

-- The second account has events, metrics and aliases like those of the first.
CREATE TABLE test.account (number integer, id uuid);
CREATE FUNCTION test.account() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	chosen integer := CASE test.dice(6) WHEN 0 THEN 2 ELSE 1 END;
BEGIN
	PERFORM set_config('usage_events.account_id', (SELECT id::text FROM test.account WHERE number = chosen), true);
END $$;

-- Events --------------------------------------------------------------------

-- Moments at which something is special: bounds of intervals, of days in other zones, and of summer times.
CREATE FUNCTION test.bound() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
	SELECT test.one_of('2026-01-01Z', '2026-03-01Z', '2026-03-08Z', '2026-03-08 05:00Z', '2026-03-08 07:00Z', '2026-03-08 07:00:01Z', '2026-03-08 07:01Z',
		'2026-11-01 05:00Z', '2026-11-01 06:00Z',
		'2026-04-04 13:00Z', '2026-04-04 15:00Z', '2026-04-04 15:30Z', '2026-10-03 13:30Z', '2026-10-03 15:30Z', '2011-12-29 10:00Z',
		'2011-12-30 10:00Z', '2026-03-07 18:30Z',
		'2024-02-29Z', '2024-03-01Z', '2000-01-01Z', '1999-12-31 23:59:59Z', '1970-01-01Z', '0001-01-01 00:00:01Z', '9999-12-31 23:59:59.999998Z')::timestamptz
		+ (test.dice(3) - 1) * interval '1 microsecond'
$$;

CREATE FUNCTION test.moment() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
	SELECT CASE
		WHEN dice < 35 THEN '2026-03-08 06:59:52Z'::timestamptz + interval '16 seconds' * random()
		WHEN dice < 40 THEN '2026-03-08 06:59:52Z'::timestamptz + interval '1 second' * test.dice(16)
		WHEN dice < 65 THEN '2025-09-01 12:34:56.789Z'::timestamptz + interval '1 day' * test.dice(500)
		WHEN dice < 75 THEN test.bound()
		WHEN dice < 85 THEN '2026-04-04 14:00Z'::timestamptz + interval '2 hours' * random()
		WHEN dice < 90 THEN clock_timestamp()
		WHEN dice < 95 THEN '2026-10-31Z'::timestamptz + interval '2 days' * random()
		ELSE '0001-02-03Z'::timestamptz + interval '3650000 days' * random()
	END
	FROM test.dice(100) AS dice
$$;

CREATE FUNCTION test.alias() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT CASE
		WHEN dice < 40 THEN 'hot-1'
		WHEN dice < 60 THEN 'hot-2'
		ELSE test.one_of('daily', 'shop', 'customer-1', 'customer-2', 'zoë, "ü"', 'a''b\c', 'Daily', 'x  y', '😀')
	END
	FROM test.dice(100) AS dice
$$;

CREATE FUNCTION test.event_type() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT test.one_of('call', 'call', 'call', 'call', 'Call', 'ñ "x"')
$$;

-- JSON, or NULL for a property that is missing.
CREATE FUNCTION test.value() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT CASE WHEN dice < 40 THEN test.dice(1000)::text
		WHEN dice < 50 THEN (random()::numeric * test.dice(100000))::text
		ELSE test.one_of('0', '-7', '1.5', '1.50', '"1.5"', '12.340', '1e2', '100', '"100.0"', '123456789012345678901234567890.123456789012345',
			'-0.00000000000000000001', '1e-40', '-1e60',
			'"500"', '"+1.5"', '"-2.5"', '"+-1"', '"1e3"', '"1E+3"', '" 5"', '"5 "', '"5\n"', '"0x10"', '"1_000"', '"01"', '".5"', '"5."', '"1e"', '"-"',
			'"NaN"', '"Infinity"', '"-0"', '"1e999999"', '"٣"',
			'""', '"text"', '"É"', '"é"', '"😀"', 'null', NULL, NULL, 'true', 'false', '"true"', '{"a": 1.50}', '[1, "x", null]', '{}')
	END
	FROM test.dice(100) AS dice
$$;
CREATE FUNCTION test.category() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT test.one_of('"EU"', '"EU"', '"eu"', '"Us"', '"US"', '"É"', '"é"', '1', '1.50', '"1.5"', 'true', '"true"', '"True"', 'false', 'null', '"null"', NULL,
		'{"a": 1.50}', '"{\"a\": 1.50}"', '""')
$$;

CREATE FUNCTION test.properties() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT coalesce(jsonb_object_agg(property, value::jsonb) FILTER (WHERE value IS NOT NULL), '{}')
	FROM (VALUES ('amount', test.value()), ('user.name "x"', test.value()), ('group', test.category()), ('region', test.category()), ('größe', test.category()),
		('user', '{"name \"x\"": 5}')) AS p(property, value)
$$;

CREATE FUNCTION test.key() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT 'key-' || test.dice(4000) $$;

CREATE FUNCTION test.event(key text) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT jsonb_build_object('customerEventId', key, 'customerAlias', CASE test.dice(20) WHEN 0 THEN 'VOID' ELSE test.alias() END, 'eventType', test.event_type(),
		'eventTimestamp', to_char(test.moment() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'eventProperties', test.properties())
$$;

-- Some keys come more than once.
CREATE FUNCTION test.events(count integer) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT jsonb_agg(test.event(CASE WHEN n % 5 = 0 THEN 'key-' || n ELSE test.key() END)) FROM generate_series(1, count) AS n
$$;

-- Writes somehow.
CREATE PROCEDURE test.write_somehow() LANGUAGE plpgsql AS $$
DECLARE
	dice integer := test.dice(100);
	event jsonb;
BEGIN
	IF dice < 35 THEN
		PERFORM create_usage_event(test.event(test.key()));
	ELSIF dice < 60 THEN
		PERFORM create_usage_events(test.events(1 + test.dice(40)));
	ELSIF dice < 70 THEN
		PERFORM ingest_usage_events(test.events(1 + test.dice(20)) || '[{"customerAlias": ""}]' || test.events(1 + test.dice(20)));
	ELSIF dice < 75 THEN
		INSERT INTO usage_event_import SELECT jsonb_array_elements_text(test.events(1 + test.dice(40)));
	ELSIF dice < 85 THEN
		BEGIN
			PERFORM create_usage_events(test.events(1 + test.dice(20)));
			RAISE EXCEPTION SQLSTATE 'TEST1';
		EXCEPTION WHEN SQLSTATE 'TEST1' THEN
			NULL;
		END;
		PERFORM create_usage_event(test.event(test.key()));
	ELSIF dice < 90 THEN
		-- Taken back, and there again.
		event := test.event(test.key());
		PERFORM create_usage_event(event || '{"customerAlias": "VOID"}');
		PERFORM create_usage_event(event || jsonb_build_object('customerAlias', test.alias()));
	ELSIF dice < 95 THEN
		event := test.event(test.key());
		PERFORM create_usage_event(event), create_usage_event(event);
	ELSE
		PERFORM set_config('usage_events.on_conflict', 'ignore', true);
		PERFORM create_usage_events(test.events(1 + test.dice(20)));
		PERFORM set_config('usage_events.on_conflict', 'supersede', true);
	END IF;
END $$;

-- As of a moment there is nothing under way while the recorder has the lock.
CREATE PROCEDURE test.write(seed bigint) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared(1);
	PERFORM test.seed(seed), test.account();
	CALL test.write_somehow();
END $$;

-- Metrics and aliases -------------------------------------------------------

-- One filter at least, of each property with values of its own.
CREATE FUNCTION test.filters() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT jsonb_object_agg(property, (SELECT jsonb_agg(value::jsonb)
		FROM unnest(test.some_of('"EU"', '"us"', '"É"', '1.5', '1', '"1.50"', 'true', '"TRUE"', 'false', 'null', '"{\"a\": 1.50}"', '""')) AS value
		WHERE property <> '')) FROM unnest(test.some_of('region', 'größe', 'group')) AS property
$$;

CREATE FUNCTION test.metric(name text, aggregation text) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	filters jsonb := CASE WHEN test.dice(5) < 3 THEN test.filters() ELSE '{}' END;
BEGIN
	RETURN jsonb_build_object('name', name, 'metricType', 'SIMPLE', 'eventType', test.event_type(), 'aggregationType', aggregation,
		'aggregationProperty', CASE WHEN aggregation <> 'COUNT' OR test.dice(2) = 0 THEN test.one_of('amount', 'amount', 'user.name "x"') END,
		'unit', test.one_of('calls', NULL), 'propertyFilters', filters,
		'propertiesToNegate', CASE test.dice(2) WHEN 0 THEN (SELECT jsonb_agg(filtered) FROM jsonb_object_keys(filters) AS filtered WHERE random() < 0.5) END,
		'caseSensitive', test.one_of('true', 'false', NULL)::boolean)
		|| CASE aggregation WHEN 'PERCENTILE' THEN jsonb_build_object('percentile',
			test.one_of('0', '0.07', '0.25', '0.5', '0.5', '0.9', '0.999', '1')::numeric) ELSE '{}' END
		|| CASE test.dice(5) WHEN 0 THEN '{"metricType": "GROUPED", "groupingProperty": "group"}'
			WHEN 1 THEN '{"metricType": "GROUPED", "groupingProperty": "amount"}' ELSE '{}' END::jsonb;
END $$;

CREATE FUNCTION test.aggregation() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT test.one_of('COUNT', 'UNIQUE', 'SUM', 'MAX', 'MIN', 'AVERAGE', 'LATEST', 'PERCENTILE')
$$;

-- A stable metric is updated now and then, the others come and go.
CREATE PROCEDURE test.change_metric(seed bigint) LANGUAGE plpgsql AS $$
DECLARE
	dice integer;
	metric record;
	live bigint;
BEGIN
	PERFORM pg_advisory_xact_lock_shared(1);
	PERFORM test.seed(seed), test.account();
	dice := test.dice(10);
	SELECT count(*) INTO live FROM usage_metrics WHERE account_id = usage_events.current_account_id() AND name NOT LIKE 'stable%';
	SELECT * INTO metric FROM usage_metrics WHERE account_id = usage_events.current_account_id() AND (name NOT LIKE 'stable%' OR dice = 0)
		ORDER BY random() LIMIT 1;
	IF live < 3 OR live < 10 AND dice >= 7 THEN
		PERFORM create_usage_metric(test.metric('passing', test.aggregation()));
	ELSIF dice < 5 THEN
		PERFORM update_usage_metric(metric.id, test.metric(metric.name, CASE WHEN metric.name LIKE 'stable%' THEN metric.aggregation_type
			ELSE test.aggregation() END));
	ELSE
		PERFORM delete_usage_metric(metric.id);
	END IF;
END $$;

CREATE PROCEDURE test.change_alias(seed bigint) LANGUAGE plpgsql AS $$
DECLARE
	chosen text;
	mapped uuid;
BEGIN
	PERFORM pg_advisory_xact_lock_shared(1);
	PERFORM test.seed(seed), test.account();
	chosen := test.one_of('hot-1', 'hot-2', 'daily', 'shop', 'customer-2', 'zoë, "ü"', 'nobody');
	SELECT id INTO mapped FROM customer_aliases WHERE account_id = usage_events.current_account_id() AND value = chosen;
	IF mapped IS NULL THEN
		PERFORM create_customer_alias(jsonb_build_object('value', chosen, 'customerId', test.one_of('customer-1', 'customer-2', 'customer-3', 'Ünbekannt')));
	ELSE
		PERFORM delete_customer_alias(mapped);
	END IF;
END $$;

-- Questions -----------------------------------------------------------------

CREATE FUNCTION test.period_bound() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
	SELECT CASE
		WHEN dice < 30 THEN '2026-03-08 06:59:50Z'::timestamptz + interval '1 microsecond' * test.dice(20000000)
		WHEN dice < 40 THEN '2026-03-08 06:59:50Z'::timestamptz + interval '1 second' * test.dice(20)
		WHEN dice < 60 THEN test.bound()
		WHEN dice < 75 THEN '2025-08-01Z'::timestamptz + interval '1 month' * test.dice(18)
		WHEN dice < 90 THEN '2025-08-01Z'::timestamptz + interval '500 days' * random()
		-- The very moment of an event.
		WHEN dice < 95 THEN (SELECT max(event_timestamp) FROM usage_events.event, test.key() AS key WHERE customer_event_id = key)
		ELSE test.moment()
	END
	FROM test.dice(100) AS dice
$$;

CREATE FUNCTION test.period() RETURNS tstzrange LANGUAGE sql VOLATILE AS $$
	SELECT CASE
		WHEN dice = 0 THEN tstzrange('0001-01-01Z', '9999-12-31 23:59:59.999999Z', '[]')
		WHEN dice = 1 THEN tstzrange('0001-01-01Z', a + interval '1 second')
		WHEN dice = 2 THEN tstzrange(a, greatest(a + interval '1 second', '9999-12-31Z'))
		WHEN dice = 3 THEN tstzrange('2000-01-01Z', '2100-01-01Z')
		WHEN dice = 4 AND a <> b THEN tstzrange(least(a, b), greatest(a, b), '(]')
		WHEN a = b THEN tstzrange(a, b, '[]')
		ELSE tstzrange(least(a, b), greatest(a, b))
	END
	FROM (SELECT test.dice(20) AS dice, coalesce(test.period_bound(), '2026-01-01Z') AS a, coalesce(test.period_bound(), '2026-01-01Z') AS b OFFSET 0) AS p
$$;

-- A period, step and zone; of a length that has not too many steps.
CREATE FUNCTION test.steps() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT jsonb_build_object('step', step, 'timezone', timezone,
		'period', tstzrange(start - length * random() * whole, start + length * CASE whole WHEN 1 THEN random() ELSE 1 END))
	FROM (SELECT step, test.dice(2) AS whole, interval '1 day' * CASE step WHEN 'hour' THEN 1.5 WHEN 'day' THEN 30 ELSE 400 END AS length,
			test.one_of('2026-03-08 07:00Z', '2026-03-01Z', '2026-04-04 15:00Z', '2026-10-03 15:30Z', '2026-11-01 06:00Z', '2011-12-30 10:00Z',
				'2026-01-01 05:00Z', '2025-12-31 18:30Z')::timestamptz AS start,
			test.one_of('UTC', 'UTC', 'Asia/Kolkata', 'America/New_York', 'America/Havana', 'Australia/Lord_Howe', 'Pacific/Apia') AS timezone
		FROM test.one_of('hour', 'day', 'month') AS step OFFSET 0) AS s
$$;

-- What a question may add to the metric: mostly nothing, since such a one is not answered from rollups.
CREATE FUNCTION test.breakdown() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT CASE WHEN dice < 2 THEN jsonb_build_object('filters', test.filters()) ELSE '{}' END
		|| CASE WHEN dice BETWEEN 1 AND 3 THEN jsonb_build_object('group_by', test.some_of('region', 'größe', 'amount')) ELSE '{}' END
	FROM test.dice(10) AS dice
$$;

CREATE FUNCTION test.question(metric uuid, account uuid) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT jsonb_build_object('metric', metric, 'account', account) || test.breakdown()
		|| CASE
			WHEN dice < 20 THEN jsonb_build_object('kind', 'by_customer', 'period', test.period())
			WHEN dice < 40 THEN jsonb_build_object('kind', 'series', 'aliases', test.some_of('hot-1', 'daily', 'customer-1', 'customer-2')) || test.steps()
			ELSE jsonb_build_object('kind', 'calculate', 'period', test.period(), 'aliases', CASE test.dice(5)
					WHEN 0 THEN test.some_of('hot-1', 'hot-1', 'hot-2', 'daily', 'shop', 'customer-1', 'customer-2', 'zoë, "ü"', 'a''b\c', 'Daily',
						'x  y', '😀', 'nobody', 'VOID')
					WHEN 1 THEN test.some_of('hot-1', 'customer-1', 'customer-2', 'customer-3', 'Ünbekannt')
					ELSE ARRAY[test.one_of('hot-1', 'hot-1', 'hot-2', 'daily', 'shop', 'customer-1', 'customer-1', 'customer-2', 'customer-3', 'zoë, "ü"', '😀')]
				END) || CASE test.dice(4) WHEN 0 THEN '{"as_administrator": true}' ELSE '{}' END::jsonb
		END
	FROM test.dice(100) AS dice
$$;

-- About a stable metric, or any that there is.
CREATE FUNCTION test.question(stable boolean) RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT test.question(id, account_id) FROM (SELECT id, account_id FROM usage_metrics WHERE name LIKE 'stable%' OR NOT stable ORDER BY random() LIMIT 1) AS m
$$;

-- What the answer was at a moment at which nothing was under way.
CREATE TABLE test.recorded (number serial, at timestamptz, question jsonb, answer jsonb);

-- About an event, in one of its versions.
CREATE FUNCTION test.question_about_event() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT jsonb_build_object('kind', 'explain', 'metric', metric.id, 'account', account_id, 'event', event.id)
	FROM (
		(SELECT id, account_id FROM usage_events.event ORDER BY random() LIMIT 3)
		UNION ALL
		(SELECT id, account_id FROM usage_events.superseded_event ORDER BY random() LIMIT 1)) AS event
	JOIN usage_metrics AS metric USING (account_id) ORDER BY random() LIMIT 1
$$;

-- A moment of the past in which nothing was written for a while, that is, whose
-- answer does not depend on which of two clocks is believed.
CREATE FUNCTION test.quiet_moment() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
	SELECT moment + (next - moment) / 2
	FROM (
		SELECT moment, lead(moment) OVER (ORDER BY moment) AS next
		FROM (
			(SELECT oracle.time_of(id) FROM usage_events.event ORDER BY id DESC LIMIT 3000)
			UNION ALL
			(SELECT oracle.time_of(id) FROM usage_events.superseded_event ORDER BY id DESC LIMIT 3000)
			UNION ALL
			SELECT unnest(ARRAY[oracle.time_of(id), created_at, deleted_at]) FROM usage_events.customer_alias
			UNION ALL
			SELECT unnest(ARRAY[oracle.time_of(version_id), deleted_at])
				FROM (SELECT * FROM usage_events.metric UNION ALL SELECT * FROM usage_events.superseded_metric) AS m
		) AS t(moment)) AS m
	WHERE next > moment + interval '4 milliseconds' AND moment > (SELECT min(at) FROM test.recorded)
		AND NOT EXISTS (SELECT FROM usage_events.customer_alias WHERE (oracle.time_of(id) <= moment) <> (created_at <= moment))
	ORDER BY random() LIMIT 1
$$;

CREATE PROCEDURE test.record(seed bigint) LANGUAGE plpgsql AS $$
DECLARE
	at timestamptz;
	question jsonb;
	ours jsonb;
BEGIN
	PERFORM pg_advisory_xact_lock(1);
	PERFORM pg_sleep(0.002);
	at := clock_timestamp();
	PERFORM pg_sleep(0.002);
	PERFORM test.seed(seed);
	FOR n IN 1..3 LOOP
		question := test.question(false);
		INSERT INTO test.recorded (at, question, answer) VALUES (at, question || jsonb_build_object('as_of', at), oracle.expected(question, oracle.ours(question)));
	END LOOP;
END $$;

-- Readers -------------------------------------------------------------------

CREATE FUNCTION test.compare(seed bigint) RETURNS SETOF oracle.comparison LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	recorded record;
	dice integer;
BEGIN
	PERFORM test.seed(seed);
	dice := test.dice(10);
	IF dice < 2 THEN
		SELECT * INTO recorded FROM test.recorded ORDER BY random() LIMIT 1;
		RETURN NEXT oracle.compare(recorded.question, recorded.answer);
	ELSIF dice < 3 THEN
		RETURN QUERY SELECT c.* FROM test.quiet_moment() AS moment, test.question(true) AS question,
			oracle.compare(question || jsonb_build_object('as_of', moment)) AS c
			WHERE moment IS NOT NULL;
	ELSIF dice < 4 THEN
		RETURN NEXT oracle.compare(test.question_about_event());
	ELSE
		RETURN NEXT oracle.compare(test.question(false));
	END IF;
END $$;

CREATE FUNCTION test.compare_in_one_statement(seed bigint) RETURNS SETOF oracle.comparison LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	question jsonb;
BEGIN
	PERFORM test.seed(seed);
	question := test.question(true);
	RETURN NEXT oracle.compare_in_one_statement(question);
END $$;
