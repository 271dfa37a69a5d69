-- metric_oracle.sql: what usage metrics have to answer, in plain SQL over the rows of events
--
-- Written from what the documentation promises, and never from the extension's C:
-- it reads usage_events.event and its history, and no rollups.  Slow on purpose,
-- because obvious.
--
-- A question is a jsonb: {"kind": "calculate", "series", "by_customer" or "explain",
-- "account", "metric", "aliases", "period", "step", "timezone", "as_of", "event", "filters",
-- "group_by"}, in the words of the functions' arguments.  oracle.ours() asks the extension, oracle.expected() the rows.
CREATE SCHEMA oracle;

-- Values --------------------------------------------------------------------

-- The text of a property's value.
CREATE FUNCTION oracle.text_of(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE jsonb_typeof(value)
		WHEN 'null' THEN NULL
		WHEN 'string' THEN value #>> '{}'
		WHEN 'number' THEN trim_scale((value #>> '{}')::numeric)::text
		ELSE value::text
	END
$$;

-- The number that a property's value is, or is the text of.  An exponent of five digits does not fit into numeric.
CREATE FUNCTION oracle.number_of(value jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE
		WHEN jsonb_typeof(value) = 'number' THEN (value #>> '{}')::numeric
		WHEN jsonb_typeof(value) = 'string' AND value #>> '{}' ~ '^[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,4})?$' THEN (value #>> '{}')::numeric
	END
$$;

CREATE FUNCTION oracle.passes(properties jsonb, filters jsonb, negated jsonb, case_sensitive boolean) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
	SELECT coalesce(bool_and(
		EXISTS (
			SELECT FROM jsonb_array_elements(allowed) AS a(value)
			WHERE CASE WHEN case_sensitive THEN oracle.text_of(value) ELSE lower(oracle.text_of(value)) END
				IS NOT DISTINCT FROM CASE WHEN case_sensitive THEN oracle.text_of(properties -> property) ELSE lower(oracle.text_of(properties -> property)) END
		) <> (coalesce(negated, '[]') ? property)), true)
	FROM jsonb_each(filters) AS f(property, allowed)
$$;

-- What was known when -------------------------------------------------------

-- The time in an id of version 7, with the fraction of its millisecond.
CREATE FUNCTION oracle.time_of(id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
	SELECT 'epoch'::timestamptz + ('x' || substr(hex, 1, 12))::bit(48)::bigint * interval '1 millisecond'
		+ ('x' || substr(hex, 14, 3))::bit(12)::integer * 1000 / 4096 * interval '1 microsecond'
	FROM (SELECT replace(id::text, '-', '') AS hex) AS i
$$;

-- The metric's version, none where it was deleted.
CREATE FUNCTION oracle.metric_at(account uuid, metric uuid, as_of timestamptz) RETURNS SETOF usage_events.metric LANGUAGE sql STABLE AS $$
	SELECT * FROM (
		SELECT * FROM (SELECT * FROM usage_events.metric UNION ALL SELECT * FROM usage_events.superseded_metric WHERE as_of IS NOT NULL) AS v
		WHERE v.account_id = account AND v.id = metric AND (as_of IS NULL OR oracle.time_of(version_id) <= as_of)
		ORDER BY version_id DESC LIMIT 1) AS v
	WHERE deleted_at IS NULL
$$;

CREATE FUNCTION oracle.mapping_at(account uuid, as_of timestamptz) RETURNS TABLE (value text, customer_id text) LANGUAGE sql STABLE AS $$
	SELECT value, customer_id FROM usage_events.customer_alias
	WHERE account_id = account AND CASE WHEN as_of IS NULL THEN deleted_at IS NULL ELSE oracle.time_of(id) <= as_of AND (deleted_at <= as_of) IS NOT TRUE END
$$;

CREATE FUNCTION oracle.aliases_of(account uuid, entries text[], as_of timestamptz) RETURNS text[] LANGUAGE sql STABLE AS $$
	WITH mapping AS (SELECT * FROM oracle.mapping_at(account, as_of))
	SELECT array_agg(DISTINCT alias) FROM (
		SELECT entry FROM unnest(entries) AS entry
		UNION ALL
		SELECT value FROM mapping WHERE customer_id = ANY (entries) AND customer_id NOT IN (SELECT value FROM mapping WHERE value <> customer_id)) AS a(alias)
$$;

-- Events --------------------------------------------------------------------

-- An event that a metric is about: it counts, or is skipped for its value.
CREATE TYPE oracle.relevant_event AS (id uuid, customer_alias text, event_timestamp timestamptz, grouping text[], text text, number numeric, counts boolean);

-- The values of the properties that make a group; NULL where there are none.
CREATE FUNCTION oracle.grouping_of(metric usage_events.metric, properties jsonb, question jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE
		WHEN question ? 'group_by' THEN ARRAY(SELECT oracle.text_of(properties -> property)
			FROM jsonb_array_elements_text(question -> 'group_by') WITH ORDINALITY AS p(property, place) ORDER BY place)
		WHEN metric.metric_type = 'GROUPED' THEN ARRAY[oracle.text_of(properties -> metric.grouping_property)]
	END
$$;

-- Those of some aliases, or of all where they are NULL.
CREATE FUNCTION oracle.events(metric usage_events.metric, aliases text[], period tstzrange, as_of timestamptz, question jsonb)
    RETURNS SETOF oracle.relevant_event LANGUAGE sql STABLE AS $$
	SELECT id, customer_alias, event_timestamp, oracle.grouping_of(metric, event_properties, question), text, number,
		CASE metric.aggregation_type WHEN 'COUNT' THEN true WHEN 'UNIQUE' THEN text IS NOT NULL ELSE number IS NOT NULL END
	FROM (
		SELECT *, oracle.text_of(event_properties -> metric.aggregation_property) AS text, oracle.number_of(event_properties -> metric.aggregation_property) AS number
		FROM (
			SELECT id, customer_alias, event_timestamp, event_properties FROM usage_events.event
			WHERE account_id = metric.account_id AND event_type = metric.event_type AND (as_of IS NULL OR oracle.time_of(id) <= as_of)
			UNION ALL
			SELECT id, customer_alias, event_timestamp, event_properties FROM usage_events.superseded_event
			WHERE account_id = metric.account_id AND event_type = metric.event_type AND as_of IS NOT NULL
				AND oracle.time_of(id) <= as_of AND oracle.time_of(superseded_by) > as_of) AS e
		WHERE customer_alias <> 'VOID' AND (aliases IS NULL OR customer_alias = ANY (aliases)) AND event_timestamp <@ period
		OFFSET 0) AS e
	WHERE (metric.property_filters = '{}' OR oracle.passes(event_properties, metric.property_filters, metric.properties_to_negate, metric.case_sensitive))
		AND (NOT question ? 'filters' OR oracle.passes(event_properties, question -> 'filters', NULL, metric.case_sensitive))
$$;

-- As few of the values, in order, as make the share; percentile_disc() reckons with floating point.
CREATE FUNCTION oracle.percentile_of(percentile numeric, numbers numeric[]) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
	SELECT number FROM unnest(numbers) WITH ORDINALITY AS n(number, position)
	WHERE position >= percentile * cardinality(numbers) ORDER BY position LIMIT 1
$$;

CREATE FUNCTION oracle.value_of(metric usage_events.metric, events oracle.relevant_event[]) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE metric.aggregation_type
		WHEN 'COUNT' THEN count(*)
		WHEN 'UNIQUE' THEN count(DISTINCT text)
		WHEN 'SUM' THEN coalesce(sum(number), 0)
		WHEN 'MAX' THEN max(number)
		WHEN 'MIN' THEN min(number)
		WHEN 'AVERAGE' THEN avg(number)
		WHEN 'LATEST' THEN (array_agg(number ORDER BY event_timestamp DESC, id DESC))[1]
		WHEN 'PERCENTILE' THEN oracle.percentile_of(metric.percentile, array_agg(number ORDER BY number))
	END
	FROM unnest(events) WHERE counts
$$;

-- A group as it is answered: a text, or an object of those that the question groups by.
CREATE FUNCTION oracle.group_of(texts text[], question jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN question ? 'group_by' THEN (SELECT jsonb_object_agg(property, texts[place])
		FROM jsonb_array_elements_text(question -> 'group_by') WITH ORDINALITY AS p(property, place)) ELSE to_jsonb(texts[1]) END
$$;

CREATE FUNCTION oracle.groups_of(metric usage_events.metric, events oracle.relevant_event[], question jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN metric.metric_type = 'GROUPED' OR question ? 'group_by' THEN coalesce(jsonb_agg(
		jsonb_build_object('grouping', oracle.group_of(grouping, question), 'value', oracle.value_of(metric, events), 'eventCount', cardinality(events))
		ORDER BY grouping COLLATE "C" NULLS LAST), '[]') END
	FROM (SELECT grouping, array_agg((e.*)::oracle.relevant_event) AS events FROM unnest(events) AS e WHERE counts GROUP BY grouping) AS g
$$;

-- Answers -------------------------------------------------------------------

-- What the functions that return rows say of each.
CREATE FUNCTION oracle.row_of(metric usage_events.metric, events oracle.relevant_event[], question jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('event_count', count(*) FILTER (WHERE counts), 'value', oracle.value_of(metric, events),
		'skipped_event_count', count(*) FILTER (WHERE NOT counts), 'grouped_values', oracle.groups_of(metric, events, question))
	FROM unnest(events)
$$;

CREATE FUNCTION oracle.calculate(question jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT jsonb_build_object('name', metric.name, 'metricType', metric.metric_type, 'eventType', metric.event_type, 'aggregationType', metric.aggregation_type,
		'eventCount', answer -> 'event_count', 'value', answer -> 'value', 'unit', metric.unit, 'minEventId', min_id, 'maxEventId', max_id,
		'skippedEventCount', answer -> 'skipped_event_count')
		|| CASE WHEN metric.metric_type = 'GROUPED' OR question ? 'group_by' THEN jsonb_build_object('groupedValues', answer -> 'grouped_values') ELSE '{}' END
		|| CASE WHEN question ? 'filters' THEN jsonb_build_object('filters', question -> 'filters') ELSE '{}' END
		|| CASE WHEN question ? 'group_by' THEN jsonb_build_object('groupBy', question -> 'group_by') ELSE '{}' END
	FROM (SELECT (question ->> 'account')::uuid AS account, (question ->> 'period')::tstzrange AS period, (question ->> 'as_of')::timestamptz AS as_of,
			ARRAY(SELECT jsonb_array_elements_text(question -> 'aliases')) AS aliases) AS q,
		oracle.metric_at(account, (question ->> 'metric')::uuid, as_of) AS metric,
		LATERAL (SELECT array_agg((e.*)::oracle.relevant_event) AS events, min(id::text) FILTER (WHERE counts) AS min_id,
			max(id::text) FILTER (WHERE counts) AS max_id
			FROM oracle.events(metric, coalesce(oracle.aliases_of(account, aliases, as_of), '{}'), period, as_of, question) AS e) AS e,
		oracle.row_of(metric, events, question) AS answer
$$;

CREATE FUNCTION oracle.by_customer(question jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT coalesce(jsonb_agg(oracle.row_of(metric, events, question) || jsonb_build_object('customer', customer) ORDER BY customer COLLATE "C"), '[]')
	FROM (SELECT (question ->> 'account')::uuid AS account, (question ->> 'period')::tstzrange AS period, (question ->> 'as_of')::timestamptz AS as_of) AS q,
		oracle.metric_at(account, (question ->> 'metric')::uuid, as_of) AS metric,
		LATERAL (SELECT coalesce(customer_id, customer_alias) AS customer, array_agg((e.*)::oracle.relevant_event) AS events
			FROM oracle.events(metric, NULL, period, as_of, question) AS e LEFT JOIN oracle.mapping_at(account, as_of) AS m ON m.value = customer_alias
			GROUP BY 1) AS e
$$;

-- Where steps begin: at every quarter of an hour, which is as fine as today's zones
-- are, at which the zone's clock shows another hour, day or month than just
-- before, or an hour a second time.  Where a clock is put back by less than an hour
-- it may be a step of its own or not: is_optional.
CREATE FUNCTION oracle.step_starts(period tstzrange, step text, timezone text) RETURNS TABLE (start timestamptz, is_optional boolean) LANGUAGE sql STABLE AS $$
	SELECT start, NOT is_next
	FROM (
		SELECT start, date_trunc(step, local) > date_trunc(step, before) OR step = 'hour' AND shift <= interval '-1 hour' AS is_next,
			step = 'hour' AND shift <> interval '0' AS is_shift
		FROM (
			SELECT start, start AT TIME ZONE timezone AS local, (start - interval '1 microsecond') AT TIME ZONE timezone AS before,
				(start AT TIME ZONE timezone) - ((start - interval '1 microsecond') AT TIME ZONE timezone) - interval '1 microsecond' AS shift
			FROM generate_series(date_trunc('day', lower(period), 'UTC'), upper(period), interval '15 minutes') AS start
			WHERE start > lower(period) AND start < upper(period)) AS s) AS s
	WHERE is_next OR is_shift
$$;

-- The steps, with those optional ones that the answer has.
CREATE FUNCTION oracle.series(question jsonb, ours jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
	WITH step AS (
		SELECT start AS step_start, lead(start, 1, upper(period)) OVER (ORDER BY start) AS step_end
		FROM (SELECT (question ->> 'period')::tstzrange AS period) AS q, LATERAL (
			SELECT lower(period) WHERE NOT isempty(period)
			UNION
			SELECT start FROM oracle.step_starts(period, question ->> 'step', question ->> 'timezone')
			WHERE NOT is_optional OR start IN (SELECT (row ->> 'period_start')::timestamptz FROM jsonb_array_elements(ours) AS row
				WHERE jsonb_typeof(ours) = 'array')) AS s(start)
	), metric AS (
		SELECT metric.* FROM oracle.metric_at((question ->> 'account')::uuid, (question ->> 'metric')::uuid, (question ->> 'as_of')::timestamptz) AS metric
	), event AS MATERIALIZED (
		SELECT e.*
		FROM (SELECT (question ->> 'as_of')::timestamptz AS as_of, ARRAY(SELECT jsonb_array_elements_text(question -> 'aliases')) AS aliases) AS q, metric,
			oracle.events(metric.*::usage_events.metric, coalesce(oracle.aliases_of(account_id, aliases, as_of), '{}'), (question ->> 'period')::tstzrange, as_of,
				question) AS e
	)
	SELECT coalesce(jsonb_agg(oracle.row_of(metric.*::usage_events.metric, events, question)
		|| jsonb_build_object('period_start', step_start, 'period_end', step_end)
		ORDER BY step_start), '[]')
	FROM metric, step, LATERAL (SELECT array_agg((e.*)::oracle.relevant_event) AS events FROM event AS e
		WHERE event_timestamp >= step_start AND event_timestamp < step_end) AS e
$$;

CREATE FUNCTION oracle.explain(question jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT jsonb_build_object('counts', coalesce(bool_or(counts), false), 'skipped', coalesce(bool_or(NOT counts), false))
	FROM oracle.metric_at((question ->> 'account')::uuid, (question ->> 'metric')::uuid, NULL) AS metric,
		oracle.events(metric, NULL, tstzrange(NULL, NULL), NULL, '{}') AS e
	WHERE e.id = (question ->> 'event')::uuid
$$;

CREATE FUNCTION oracle.expected(question jsonb, ours jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT CASE question ->> 'kind'
		WHEN 'calculate' THEN oracle.calculate(question)
		WHEN 'by_customer' THEN oracle.by_customer(question)
		WHEN 'series' THEN oracle.series(question, ours)
		WHEN 'explain' THEN oracle.explain(question)
	END
$$;

-- The extension's answer in the same words; an error is an answer too.
CREATE FUNCTION oracle.ours(question jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
	account uuid := question ->> 'account';
	metric uuid := question ->> 'metric';
	aliases text[] := ARRAY(SELECT jsonb_array_elements_text(question -> 'aliases'));
	period tstzrange := question ->> 'period';
	as_of timestamptz := question ->> 'as_of';
	filters jsonb := question -> 'filters';
	group_by text[] := CASE WHEN question ? 'group_by' THEN ARRAY(SELECT jsonb_array_elements_text(question -> 'group_by')) END;
	answer jsonb;
BEGIN
	IF question ->> 'kind' = 'calculate' AND question ? 'as_administrator' THEN
		RETURN usage_events.calculate_metric(account, metric, aliases, period, as_of, NULL, filters, group_by);
	END IF;
	PERFORM set_config('usage_events.account_id', account::text, true);
	CASE question ->> 'kind'
		WHEN 'calculate' THEN
			answer := calculate_usage_metric(metric, aliases, period, as_of, NULL, filters, group_by);
		WHEN 'by_customer' THEN
			SELECT coalesce(jsonb_agg(to_jsonb(row) - 'ordinality' ORDER BY ordinality), '[]') INTO answer
			FROM usage_metric_by_customer(metric, period, as_of, filters, group_by) WITH ORDINALITY AS row;
		WHEN 'series' THEN
			SELECT coalesce(jsonb_agg(to_jsonb(row) - 'ordinality' ORDER BY ordinality), '[]') INTO answer
			FROM usage_metric_series(metric, aliases, period, question ->> 'step', question ->> 'timezone', as_of, filters, group_by)
				WITH ORDINALITY AS row;
		WHEN 'explain' THEN
			SELECT jsonb_build_object('counts', explanation -> 'counts', 'skipped', explanation -> 'skipped') INTO answer
			FROM explain_usage_event(metric, (question ->> 'event')::uuid) AS explanation;
	END CASE;
	RETURN answer;
EXCEPTION WHEN OTHERS THEN
	IF SQLSTATE IN ('40001', '40P01') THEN
		RAISE;
	END IF;
	RETURN jsonb_build_object('error', SQLERRM, 'state', SQLSTATE);
END $$;

-- How many rows of events this transaction has read, in whatever way.
CREATE FUNCTION oracle.events_read() RETURNS bigint LANGUAGE sql VOLATILE AS $$
	SELECT sum(pg_stat_get_xact_tuples_returned(oid))
	FROM (SELECT 'usage_events.event'::regclass::oid UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = 'usage_events.event'::regclass) AS r(oid)
$$;

-- How many there are to be read for the answer.
CREATE FUNCTION oracle.events_asked_for(question jsonb) RETURNS bigint LANGUAGE sql STABLE AS $$
	SELECT count(*)
	FROM (SELECT (question ->> 'account')::uuid AS account, oracle.aliases_of((question ->> 'account')::uuid,
		ARRAY(SELECT jsonb_array_elements_text(question -> 'aliases')), NULL) AS aliases) AS q,
		oracle.metric_at(account, (question ->> 'metric')::uuid, NULL) AS metric
	JOIN usage_events.event AS e USING (account_id, event_type)
	WHERE customer_alias <> 'VOID' AND (customer_alias = ANY (aliases) OR NOT question ? 'aliases') AND event_timestamp <@ (question ->> 'period')::tstzrange
$$;

-- A question, and what became of it.  Where fewer events were read than are asked
-- for, the answer is from rollups.
CREATE TABLE oracle.comparison (question jsonb, aggregation text, is_equal boolean, is_of_rollups boolean, ours jsonb, expected jsonb);

-- In a transaction that keeps its snapshot.  What is expected may be known already.
CREATE FUNCTION oracle.compare(question jsonb, known jsonb DEFAULT NULL) RETURNS oracle.comparison LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	read_before bigint := oracle.events_read();
	ours jsonb := oracle.ours(question);
	read bigint := oracle.events_read() - read_before;
	expected jsonb := coalesce(known, oracle.expected(question, ours));
BEGIN
	RETURN (question, (SELECT aggregation_type || ' ' || metric_type FROM usage_events.metric WHERE id = (question ->> 'metric')::uuid),
		ours IS NOT DISTINCT FROM expected, NOT question ? 'as_of' AND question ? 'period' AND read < oracle.events_asked_for(question),
		CASE WHEN ours IS DISTINCT FROM expected THEN ours END, CASE WHEN ours IS DISTINCT FROM expected THEN expected END);
END $$;

-- In one statement, whose snapshot all functions in it share.
CREATE FUNCTION oracle.compare_in_one_statement(question jsonb) RETURNS oracle.comparison LANGUAGE sql VOLATILE AS $$
	SELECT (question, (SELECT aggregation_type || ' ' || metric_type FROM usage_events.metric WHERE id = (question ->> 'metric')::uuid),
		ours IS NOT DISTINCT FROM expected, NULL,
		CASE WHEN ours IS DISTINCT FROM expected THEN ours END, CASE WHEN ours IS DISTINCT FROM expected THEN expected END)::oracle.comparison
	FROM (SELECT oracle.ours(question) AS ours OFFSET 0) AS o, LATERAL (SELECT oracle.expected(question, ours) AS expected OFFSET 0) AS e
$$;
