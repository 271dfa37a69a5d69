-- Erasure of a customer: nothing is left that names him, in whatever steps it is done, and the answers about others stay.
\set SHOW_CONTEXT never
\i test/helpers/empty.sql
CREATE ROLE erase_admin;
CREATE ROLE erase_app;
SELECT usage_events.grant_access('erase_admin', 'admin'), usage_events.grant_access('erase_app', 'ingest');
SELECT usage_events.create_account('another') AS another \gset

CREATE FUNCTION sent(key text, alias text, n numeric, at text DEFAULT '2026-10-01T00:00:00Z') RETURNS text LANGUAGE sql
AS $$SELECT create_usage_event(jsonb_build_object('customerEventId', key, 'customerAlias', alias, 'eventType', 'call', 'eventTimestamp', at,
    'eventProperties', jsonb_build_object('n', n))) ->> 'customerEventId'$$;
-- rows that have the text in any column of any table
CREATE FUNCTION tables_with(part text) RETURNS TABLE (name text, rows bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r' ORDER BY relname COLLATE "C" LOOP
        EXECUTE format('SELECT count(*) FROM usage_events.%I AS t WHERE strpos(t::text, $1) > 0', name) INTO rows USING part;
        IF rows > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;
\i test/helpers/refresh.sql
-- what the metrics say of all others, now and as of the moments that were kept
CREATE TABLE moment (at timestamptz);
GRANT SELECT ON moment TO erase_admin;
CREATE FUNCTION of_others() RETURNS TABLE (answers text) LANGUAGE sql VOLATILE AS $$
    SELECT string_agg(concat_ws(' ', at, name, customer, event_count, value, skipped_event_count, grouped_values), E'\n' ORDER BY at,
        name, customer COLLATE "C")
    FROM (SELECT at FROM moment UNION SELECT NULL) AS m, usage_metrics, usage_metric_by_customer(id, '[2026-01-01Z, 2027-01-01Z)', at)
    WHERE customer NOT LIKE 'alice%'
$$;
CREATE PROCEDURE remember() LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.005); INSERT INTO moment
    VALUES (clock_timestamp()); PERFORM pg_sleep(0.005); COMMIT; END $$;

SELECT create_usage_metric('{"name": "sum", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM",
    "aggregationProperty": "n"}') IS NOT NULL AS sum,
       create_usage_metric('{"name": "by n", "eventType": "call", "metricType": "GROUPED", "aggregationType": "COUNT",
           "groupingProperty": "n"}') IS NOT NULL AS by_n;
-- of alice by her id and by an alias, of others, and what moves between them
SELECT count(sent(alias || n, alias, n, to_char(timestamp '2026-10-01' + n * interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))
FROM unnest('{alice,alice-phone,bob,carol}'::text[]) AS alias, generate_series(1, 300) AS n;
SELECT create_customer_alias('{"customerId": "alice", "value": "alice-phone"}') IS NOT NULL AS phone,
    create_customer_alias('{"customerId": "bob", "value": "bob-phone"}') IS NOT NULL AS of_bob,
       delete_customer_alias((create_customer_alias('{"customerId": "alice", "value": "carol", "label": "was alice''s"}') ->> 'id')::uuid) IS NOT NULL
           AS deleted;
CALL remember();
CALL pg_temp.refresh();
SELECT sent('from her to bob', 'alice', 1000), sent('from bob to her', 'bob', 2000), sent('from bob to her to bob', 'bob', 3000),
    sent('taken back', 'alice', 4000), sent('void, then bob', 'alice', 5000);
CALL remember();
SELECT sent('from her to bob', 'bob', 1001), sent('from bob to her', 'alice', 2001), sent('from bob to her to bob', 'alice', 3001),
    sent('taken back', 'VOID', 4000), sent('void, then bob', 'VOID', 5000), sent('alice1', 'alice', 1.5);
CALL remember();
SELECT sent('from bob to her to bob', 'bob', 3002), sent('void, then bob', 'bob', 5001), sent('taken back by bob', 'bob', 6000);
SELECT sent('taken back by bob', 'VOID', 6000);
CALL remember();
CALL pg_temp.refresh();
-- refused: by field, by a string elsewhere, with escapes, without quotes, as no JSON at all; and those of others
SELECT ingest_usage_events('[{"customerAlias": "alice"}, {"customerAlias": "bob"}, {"customerAlias": "malice"},
    {"eventType": "call", "eventProperties": {"user": "alice"}}, "alice", {"customerAlias": 5}]') ->> 'refused' AS refused;
SET usage_events.import_on_error = 'skip';
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
{"customerAlias": "\u0061l\u0069ce"}
{"customerAlias": alice, "eventType": "call"}
{"customerAlias": "alice
alice,call,1
{"customerAlias": "bob\\\"alice"}
{"customerAlias": "bob", "x": "\
bob,call,1
malice,call,1
\.
RESET usage_events.import_on_error;
SELECT count(*) AS rejected, count(*) FILTER (WHERE body ~ 'bob|malice|5') AS of_others FROM rejected_usage_events;
-- limits of her own, of both names and in two versions, and those of others
SELECT count(update_usage_limit((create_usage_limit(body) ->> 'id')::uuid, body || '{"limit": 200}')) AS limits
FROM unnest('{alice,alice-phone,bob,NULL}'::text[]) AS customer, LATERAL (SELECT jsonb_build_object('name', 'n', 'customer', customer, 'usageMetricId',
    (SELECT id FROM usage_metrics WHERE name = 'sum'), 'period', 'MONTH', 'limit', 100, 'mode', 'REPORT') AS body) AS made;
SELECT * FROM of_others() \gset before_
SELECT length(:'before_answers') > 1000 AS answers;
SELECT * FROM tables_with('alice');

-- who may, and what is refused
SET ROLE erase_app;
SELECT usage_events.erase_customer('alice');
SELECT * FROM usage_events.erasure;
RESET ROLE;
SELECT usage_events.erase_customer(NULL);
SELECT usage_events.erase_customer('');
SELECT usage_events.erase_customer('VOID');
SELECT usage_events.erase_customer('alice', max_rows => 0);
SELECT usage_events.erase_customer('alice', max_rows => 100001);
SELECT usage_events.erase_customer('alice', max_rows => NULL);
SELECT usage_events.erase_customer('alice', '0184421e-a9cc-711b-af93-bf0511d4d833');
-- of another account, which has none of that name
SET ROLE erase_admin;
SELECT usage_events.erase_customer('alice', :'another');

-- in steps: at each all answers are what the rows say
SELECT usage_events.erase_customer('alice', max_rows => 100) AS first;
SELECT (SELECT sum(value) FROM usage_metrics AS m, usage_metric_by_customer(m.id, '[2026-01-01Z, 2027-01-01Z)') WHERE name = 'sum') =
       (SELECT sum((event_properties ->> 'n')::numeric) FROM usage_events WHERE customer_alias <> 'VOID') AS is_right,
       (SELECT answers FROM of_others()) IS NOT DISTINCT FROM :'before_answers' AS others_stay;
CALL pg_temp.refresh();
SELECT usage_events.erase_customer('alice', max_rows => 300) AS second;
SELECT (SELECT sum(value) FROM usage_metrics AS m, usage_metric_by_customer(m.id, '[2026-01-01Z, 2027-01-01Z)') WHERE name = 'sum') =
       (SELECT sum((event_properties ->> 'n')::numeric) FROM usage_events WHERE customer_alias <> 'VOID') AS is_right,
       (SELECT answers FROM of_others()) IS NOT DISTINCT FROM :'before_answers' AS others_stay;
-- also while rollups of one metric are there and those of another are not
DO $$
DECLARE
    wrong text;
BEGIN
    WHILE usage_events.erase_customer('alice', max_rows => CASE
        WHEN EXISTS (SELECT FROM usage_events WHERE customer_alias LIKE 'alice%') THEN 70 ELSE 1 END) > 0 LOOP
        SELECT string_agg(name, ', ') INTO wrong FROM usage_metrics AS m
        WHERE (SELECT coalesce(sum(event_count), 0) FROM usage_metric_by_customer(m.id, '[2026-01-01Z, 2027-01-01Z)'))
            <> (SELECT count(*) FROM usage_events WHERE customer_alias <> 'VOID');
        IF wrong IS NOT NULL THEN
            RAISE EXCEPTION 'wrong: %', wrong;
        END IF;
    END LOOP;
END $$;
SELECT usage_events.erase_customer('alice') AS nothing;
RESET ROLE;
-- nothing of her, in any table; and all of the others
SELECT name, rows, (SELECT string_agg(body, ' ' ORDER BY id) FROM usage_events.rejected_event WHERE body ~ 'alice') AS not_hers FROM tables_with('alice');
SELECT (SELECT answers FROM of_others()) IS NOT DISTINCT FROM :'before_answers' AS others_stay;
CALL pg_temp.refresh();
SELECT (SELECT answers FROM of_others()) IS NOT DISTINCT FROM :'before_answers' AS others_stay;
SELECT name FROM tables_with('alice');
SELECT customer_event_id, customer_alias, event_properties ->> 'n' AS n, 'current' AS version FROM usage_events WHERE customer_event_id !~ '[0-9]$'
UNION ALL SELECT customer_event_id, customer_alias, event_properties ->> 'n', 'history' FROM usage_event_history ORDER BY 1, 4, 3;
SELECT count(*) AS rejected FROM rejected_usage_events;
SELECT customer_id, value FROM usage_events.customer_alias ORDER BY 1, 2;

-- what is kept of it: who, when, and how much
SELECT min(erased_by) = session_user AND max(erased_by) = session_user AS by_whom,
    max(erased_at) <= clock_timestamp() AND min(erased_at) > clock_timestamp() - interval '1 hour' AS at, count(*) > 3 AS calls,
       sum(event_count) AS events, sum(version_count) AS versions, sum(rejected_count) AS rejected, sum(rollup_count) > 0 AS rollups,
           sum(alias_count) AS aliases, sum(limit_count) AS limits FROM usage_events.erasure;
SELECT customer, limit_value FROM usage_events.usage_limit UNION ALL SELECT customer, limit_value FROM usage_events.superseded_usage_limit ORDER BY 1, 2;

-- what was hers when it was taken back before it was hers, and where refreshes stand
SELECT sent('void before', 'VOID', 1), sent('void before', 'alice', 2);
UPDATE usage_events.metric_progress SET customer_alias = 'alice', turn_event_type = 'call', turn_customer_alias = 'alice';
SELECT usage_events.erase_customer('alice') AS erased;
SELECT (SELECT count(*) FROM usage_event_history WHERE customer_event_id = 'void before') AS versions,
    (SELECT string_agg(name, ' ') FROM tables_with('alice')) AS tables;
CALL pg_temp.refresh();

-- what comes afterwards is new, and may be erased again; by an alias alone, the rest of its customer stays
SELECT sent('alice1', 'alice', 7), sent('b', 'bob-phone', 8), create_customer_alias('{"customerId": "bob", "value": "alice"}') IS NOT NULL AS mapped;
CALL pg_temp.refresh();
SELECT calculate_usage_metric(id, '{bob}', '[2026-10-01Z, 2026-10-01 00:00:01Z)') ->> 'value' AS bob FROM usage_metrics WHERE name = 'sum';
SELECT usage_events.erase_customer('alice') > 0 AS erased, usage_events.erase_customer('alice') AS nothing;
SELECT calculate_usage_metric(id, '{bob}', '[2026-10-01Z, 2026-10-01 00:00:01Z)') ->> 'value' AS bob FROM usage_metrics WHERE name = 'sum';
SELECT value FROM customer_aliases;

DELETE FROM usage_events.account WHERE account_id = :'another';
-- an alias that is another customer's id: nobody knows which of the two is meant
SELECT create_customer_alias('{"customerId": "wonderland", "value": "alice"}') ->> 'value' AS alias,
    create_customer_alias('{"customerId": "alice", "value": "rabbit"}') ->> 'value' AS other;
SELECT usage_events.erase_customer('alice');
SELECT usage_events.erase_customer('rabbit') AS rabbit, usage_events.erase_customer('alice') AS alice;

-- Refused events: a value that looks like the alias is of the customer, whatever cannot be seen is around it; one that has it among more is another's
TRUNCATE usage_events.rejected_event;
SET usage_events.import_on_error = 'skip';
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
{"customerAlias": " ac\"me\t", "eventType": "his"}
{"customerAlias": "ac\u200b\"me\u00a0", "eventType": "his"}
{"customerAlias": "\u0000ac\"me", "eventType": "his"}
{"customerAlias": ac"me , "eventType": "his"}
{"customerAlias": "the ac\"me", "eventType": ""}
{"customerAlias": "ac \"me", "eventType": ""}
{"customerAlias": "ac\u00e9\"me", "eventType": ""}
{"customerAlias": the ac"me, "eventType": ""}
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
customerAlias,eventType,customerEventId
"ac""me",his
his,"ac""me​"
" ac""me",his,1
 ac"me ,his
ac"me,"his"x
"his"x,ac"me
"ac""me Ltd",call
the ac"me,call
"""ac""me""",call
"ac"" me",call
\.
COPY usage_event_import FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02');
eventProperties;customerAlias;eventType
{"a": 1};"ac""me";his;too many
{"a": 1};"the ac""me";call;too many
\.
RESET usage_events.import_on_error;
SELECT ingest_usage_events('["ac\"me", "ac\"me here", "the ac\"me"]') ->> 'refused' AS refused;
SELECT count(*) FILTER (WHERE body ~ 'his' OR body = '"ac\"me"') AS his, count(*) AS of_all FROM usage_events.rejected_event;
SELECT usage_events.erase_customer('ac"me') AS erased, usage_events.erase_customer('ac"me') AS nothing;
SELECT body FROM usage_events.rejected_event ORDER BY id;
-- characters that join are part of an alias among letters that have a use for them
SELECT ingest_usage_events('[{"customerAlias": "क्‍ष"}, {"customerAlias": "क्ष"}, {"customerAlias": "‍क्‍ष‍"}]') ->> 'refused' AS refused;
SELECT usage_events.erase_customer('क्‍ष') AS with_it, usage_events.erase_customer('क्ष') AS without_it;

DROP FUNCTION sent(text, text, numeric, text), tables_with(text), of_others();
DROP PROCEDURE remember();
DROP TABLE moment;
SELECT usage_events.revoke_access('erase_admin'), usage_events.revoke_access('erase_app');
DROP ROLE erase_admin, erase_app;
\i test/helpers/empty.sql
DELETE FROM usage_events.account WHERE account_id = :'another';
