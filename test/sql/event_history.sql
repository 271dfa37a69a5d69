-- All versions of an event, found by the id of any of them.
TRUNCATE usage_events.event, usage_events.superseded_event;
SELECT usage_events.create_account('other') AS other \gset
CREATE FUNCTION version(alias text, n integer) RETURNS jsonb LANGUAGE sql AS
$$ SELECT jsonb_build_object('customerEventId', 'e-1', 'customerAlias', alias, 'eventType', 'call', 'eventTimestamp', '2026-10-01T02:00:00.5+02:00',
    'eventProperties', jsonb_build_object('n', n)) $$;
-- the fields of a history, with numbers for ids, and whether each version says what took its place, and when
CREATE FUNCTION shown(history jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT concat_ws(' ', row_number() OVER (), item - '{id,sequenceAccountId,supersededAt,supersededBy}'::text[],
        item ->> 'sequenceAccountId' = usage_events.current_account_id()::text,
        item -> 'supersededBy' = coalesce(lead(item -> 'id') OVER (), 'null'),
        (item ->> 'supersededAt')::timestamptz IS NOT DISTINCT FROM uuid_v7_timestamp((item ->> 'supersededBy')::uuid))
    FROM jsonb_array_elements(history -> 'items') AS item $$;
\pset format unaligned
\pset tuples_only on

-- one version, its retry, and three
SELECT create_usage_event(version('acme', 1)) ->> 'id' AS first \gset
SELECT shown(get_usage_event_history(:'first'));
SELECT create_usage_event(version('acme', 1)) ->> 'id' = :'first';
SELECT jsonb_array_length(get_usage_event_history(:'first') -> 'items');
SELECT create_usage_event(version('globex', 2)) ->> 'id' AS second \gset
SELECT create_usage_event(version('VOID', 3)) ->> 'id' AS third \gset
SELECT shown(get_usage_event_history(:'first'));
SELECT get_usage_event_history(:'first') = get_usage_event_history(:'second') AS by_any_id,
    get_usage_event_history(:'second') = get_usage_event_history(:'third') AS by_any_id;
SELECT jsonb_path_query_array(get_usage_event_history(:'second'), '$.items[*].id') = jsonb_build_array(:'first', :'second', :'third') AS ids_in_order;
SELECT string_agg(key, ' ' ORDER BY key) AS fields FROM jsonb_object_keys(get_usage_event_history(:'first') #> '{items,0}') AS key;
SELECT jsonb_object_keys(get_usage_event_history(:'first'));
SELECT (get_usage_event_history(:'first') #> '{items,2}') - '{supersededAt,supersededBy}'::text[] = get_usage_event(:'third') AS current_is_the_event,
    get_usage_event(:'first') IS NULL AS superseded_is_none;
-- versions of a batch
SELECT create_usage_events(jsonb_build_array(version('acme', 4), version('acme', 5))) IS NOT NULL;
SELECT shown(get_usage_event_history(:'first'));
-- another event's are not among them, nor another account's of the same customerEventId
SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call"}') ->> 'id' AS another \gset
SELECT jsonb_array_length(get_usage_event_history(:'another') -> 'items');
SELECT usage_events.create_event(:'other', version('acme', 1)) ->> 'id' AS others \gset
SELECT get_usage_event_history(:'others') IS NULL, jsonb_array_length(get_usage_event_history(:'first') -> 'items');
SET usage_events.account_id = :'other';
SELECT get_usage_event_history(:'first') IS NULL;
SELECT shown(get_usage_event_history(:'others'));
RESET usage_events.account_id;
-- a version whose current event is gone is found as well
DELETE FROM usage_events.event WHERE customer_event_id = 'e-1' AND account_id = usage_events.current_account_id();
SELECT jsonb_array_length(get_usage_event_history(:'first') -> 'items');
-- ids of nothing
SELECT get_usage_event_history(uuid_v7()) IS NULL, get_usage_event_history(:'other') IS NULL, get_usage_event_history(NULL) IS NULL;
SELECT get_usage_event_history('e-1');
\echo :LAST_ERROR_SQLSTATE

\pset format aligned
\pset tuples_only off
DROP FUNCTION shown(jsonb), version(text, integer);
TRUNCATE usage_events.event, usage_events.superseded_event;
DELETE FROM usage_events.account WHERE account_id = :'other';
