-- Aliases of customers: made, made again, relabelled, deleted, listed.
\set SHOW_CONTEXT never
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.customer_alias;
SELECT usage_events.create_account('other') AS other \gset
CREATE FUNCTION shown(alias jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT alias - '{id,sequenceAccountId,createdAt}'::text[] || jsonb_build_object('deletedAt', alias ->> 'deletedAt' IS NOT NULL) $$;
-- the values of a page
CREATE FUNCTION listed(page jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT string_agg(item ->> 'value', ' ' ORDER BY n) FROM jsonb_array_elements(page -> 'items') WITH ORDINALITY AS i(item, n)), 'none')
        || ' of ' || coalesce(page #>> '{pagination,totalResultSize}', 'null')
        || CASE WHEN page #>> '{pagination,before}' IS NULL THEN '' ELSE ', before' END || CASE
            WHEN page #>> '{pagination,after}' IS NULL THEN '' ELSE ', after' END $$;
\pset format unaligned
\pset tuples_only on

-- made, with a label and without
SELECT create_customer_alias('{"customerId": "c-1", "value": "acme", "label": "Acme, in the shop"}') AS acme \gset
SELECT jsonb_pretty(shown(:'acme'));
SELECT string_agg(key, ' ' ORDER BY key) FROM jsonb_object_keys(:'acme'::jsonb) AS key;
SELECT :'acme'::jsonb ->> 'sequenceAccountId' = usage_events.current_account_id()::text AS of_account,
    uuid_v7_timestamp((:'acme'::jsonb ->> 'id')::uuid) - (:'acme'::jsonb ->> 'createdAt')::timestamptz BETWEEN '-1 minute' AND '1 minute' AS just_made,
       :'acme'::jsonb ->> 'createdAt' ~ '^\d{4}-\d\d-\d\dT[\d:.]+Z$' AS in_utc;
SELECT create_customer_alias('{"customerId": "c-1", "value": "acme-2", "label": null, "unknown": 1}') AS acme_2 \gset
SELECT shown(:'acme_2');
BEGIN;
SELECT shown(create_customer_alias(jsonb_build_object('customerId', repeat('ü', 255), 'value', repeat('ü', 255), 'label', repeat('ü', 255)))) ->> 'value'
    = repeat('ü', 255) AS longest;
ROLLBACK;

-- the same again is a retry, and writes nothing, whatever its label; another customer is none
SELECT create_customer_alias('{"label": "Acme, in the shop", "value": "acme", "customerId": "c-1"}') = :'acme' AS same,
    create_customer_alias('{"customerId": "c-1", "value": "acme-2"}') = :'acme_2' AS same;
SELECT count(*) FROM usage_events.customer_alias;
SELECT create_customer_alias('{"customerId": "c-1", "value": "acme"}') = :'acme' AS same,
    create_customer_alias('{"customerId": "c-1", "value": "acme-2", "label": "another"}') = :'acme_2' AS same;
SELECT create_customer_alias('{"customerId": "c-2", "value": "acme", "label": "Acme, in the shop"}');
\echo :LAST_ERROR_SQLSTATE
-- a value is exact
BEGIN;
SELECT create_customer_alias('{"customerId": "c-2", "value": "Acme"}') ->> 'value',
    create_customer_alias('{"customerId": "c-2", "value": "ac me"}') ->> 'value';
ROLLBACK;
-- and another account's is its own
SET usage_events.account_id = :'other';
SELECT create_customer_alias('{"customerId": "o-1", "value": "acme"}') AS others \gset
SELECT :'others'::jsonb ->> 'sequenceAccountId' = :'other', listed(list_customer_aliases());
SELECT update_customer_alias((:'acme'::jsonb ->> 'id')::uuid, '{"label": "x"}') IS NULL, delete_customer_alias((:'acme'::jsonb ->> 'id')::uuid) IS NULL;
RESET usage_events.account_id;

-- relabelled: the label alone
SELECT :'acme'::jsonb ->> 'id' AS id \gset
SELECT update_customer_alias(:'id', '{"label": "new", "value": "other", "customerId": "c-9"}') = jsonb_set(:'acme', '{label}', '"new"') AS relabelled;
SELECT update_customer_alias(:'id', '{"label": null}') = jsonb_set(:'acme', '{label}', 'null') AS without_label;
SELECT create_customer_alias('{"customerId": "c-1", "value": "acme"}') ->> 'id' = :'id' AS retry_without_label;
SELECT update_customer_alias(uuid_v7(), '{"label": "x"}') IS NULL, update_customer_alias(NULL, '{"label": "x"}') IS NULL;
SELECT update_customer_alias(:'id', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT update_customer_alias(:'id', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT update_customer_alias(:'id', '["label"]');

-- deleted: once; then the value may be given away, and the alias stays in the table
SELECT delete_customer_alias(:'id') AS deleted \gset
SELECT :'deleted'::jsonb - '{label,deletedAt}'::text[] = :'acme'::jsonb - '{label,deletedAt}'::text[] AS same_alias,
    now() - (:'deleted'::jsonb ->> 'deletedAt')::timestamptz BETWEEN '0' AND '1 minute' AS just_now;
SELECT delete_customer_alias(:'id') IS NULL AS twice, update_customer_alias(:'id', '{"label": "x"}') IS NULL AS relabelled,
    delete_customer_alias(uuid_v7()) IS NULL, delete_customer_alias(NULL) IS NULL;
SELECT create_customer_alias('{"customerId": "c-2", "value": "acme"}') AS again \gset
SELECT shown(:'again'), :'again'::jsonb ->> 'id' <> :'id' AS another_alias;
SELECT delete_customer_alias((:'again'::jsonb ->> 'id')::uuid) IS NOT NULL,
    create_customer_alias('{"customerId": "c-1", "value": "acme"}') ->> 'id' <> :'id' AS and_back;
SELECT customer_id, value, deleted_at IS NOT NULL AS deleted FROM usage_events.customer_alias WHERE account_id = usage_events.current_account_id() ORDER BY id;

-- listed, the newest first
SELECT create_customer_alias('{"customerId": "c-3", "value": "initech"}') IS NOT NULL;
SELECT listed(list_customer_aliases()), listed(list_customer_aliases(NULL, NULL, NULL, NULL));
SELECT listed(page), listed(list_customer_aliases(1, page #>> '{pagination,after}')) FROM list_customer_aliases(1) AS page;
SELECT listed(page), listed(list_customer_aliases(5, before => page #>> '{pagination,before}')),
    listed(list_customer_aliases(1, before => page #>> '{pagination,before}'))
    FROM list_customer_aliases(2, list_customer_aliases(2) #>> '{pagination,after}') AS page;
SELECT listed(list_customer_aliases(value => 'acme')), listed(list_customer_aliases(value => 'ACME')), listed(list_customer_aliases(value => 'c-1')),
    listed(list_customer_aliases(value => ''));
SELECT list_customer_aliases(value => 'acme') #> '{items,0}' = create_customer_alias('{"customerId": "c-1", "value": "acme"}') AS items_are_aliases;
SET usage_events.list_total_limit = 2;
SELECT listed(list_customer_aliases()), listed(list_customer_aliases(value => 'acme'));
RESET usage_events.list_total_limit;
SELECT list_customer_aliases(0, 'x', 'y');
\echo :LAST_ERROR_SQLSTATE
SELECT list_customer_aliases(101, 'x');
SELECT list_customer_aliases(before => '');

-- the views: aliases in force; aliases of events that belong to nobody, with their last use
SELECT customer_id, value, label, account_id = usage_events.current_account_id() AS own FROM customer_aliases ORDER BY account_id = :'other', id;
SELECT count(*) FROM unmapped_customer_aliases;
SELECT count(create_usage_event(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'eventTimestamp', '2026-10-0' || n || 'T00:00:00Z')))
FROM (VALUES ('acme', 1), ('acme-2', 2), ('c-1', 3), ('VOID', 4), ('Acme', 5), ('Ünïcode', 1), ('Ünïcode', 7), ('Ünïcode', 6), ('initech', 8),
    ('c-2', 9)) AS v(alias, n);
SELECT usage_events.create_event(:'other', '{"customerAlias": "others", "eventType": "call"}') IS NOT NULL;
SELECT customer_alias, last_event_timestamp AT TIME ZONE 'UTC' FROM unmapped_customer_aliases ORDER BY customer_alias COLLATE "C";
SELECT delete_customer_alias(id) IS NOT NULL FROM customer_aliases WHERE value = 'initech';
SELECT create_customer_alias('{"customerId": "c-2", "value": "Acme"}') IS NOT NULL;
SELECT string_agg(customer_alias, ' ' ORDER BY customer_alias COLLATE "C") FROM unmapped_customer_aliases;
SELECT create_usage_event('{"customerAlias": "0", "eventType": "call", "customerEventId": "zero"}') IS NOT NULL,
    create_usage_event('{"customerAlias": "VOID", "eventType": "call", "customerEventId": "zero"}') IS NOT NULL AS taken_back;
SELECT string_agg(customer_alias, ' ' ORDER BY customer_alias COLLATE "C") FROM unmapped_customer_aliases;
SET usage_events.account_id = :'other';
SELECT customer_alias FROM unmapped_customer_aliases;
RESET usage_events.account_id;
INSERT INTO customer_aliases (customer_id) VALUES ('c');
INSERT INTO unmapped_customer_aliases VALUES ('c');

-- faults, all at once
SELECT create_customer_alias(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT create_customer_alias('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT create_customer_alias('{"customerId": " ", "value": 5, "label": []}');
\i test/helpers/outcome.sql
CREATE FUNCTION faults(call text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN state IS NULL THEN 'accepted' ELSE concat_ws(' ', state, message || ':', detail) END
    FROM pg_temp.outcome('SELECT ' || call) $$;
SELECT body, faults(format('create_customer_alias(%L)', body))
    FROM unnest(ARRAY['[]', 'null', '5', '"text"', 'true', '[{"customerId": "c", "value": "v"}]', '{"customerId": "c", "value": "VOID"}',
    '{"customerId": null, "value": null}', '{"customerId": {}, "value": true}', '{"customerId": "", "value": "\u3000"}',
    '{"customerId": "c", "value": "v", "label": ""}']) WITH ORDINALITY AS b(body, n) ORDER BY n;
SELECT faults(format('create_customer_alias(%L)', jsonb_build_object('customerId', repeat('ü', 256), 'value', repeat('ü', 257), 'label', repeat('ü', 258))));
SELECT body, faults(format('update_customer_alias(%L, %L)', uuid_v7(), body))
    FROM unnest(ARRAY['null', '"x"', '{"label": 5}', '{"label": {}}', '{"label": " "}', '{"label": "x"}']) WITH ORDINALITY AS b(body, n) ORDER BY n;
SELECT faults(format('update_customer_alias(%L, %L)', uuid_v7(), jsonb_build_object('label', repeat('x', 256))));
-- a customer's id that is repeated is cut short and escaped
INSERT INTO usage_events.customer_alias (account_id, id, customer_id, value, created_at) SELECT usage_events.current_account_id(), uuid_v7(),
    E'x\n"value" is fine.\t' || repeat('é', 100), 'forged', now();
SELECT faults(format('create_customer_alias(%L)', '{"customerId": "c", "value": "forged"}'));
SET usage_events.account_id = '0184421e-a9cc-711b-af93-bf0511d4d833';
SELECT create_customer_alias('{"customerId": "c", "value": "of no account"}');
\echo :LAST_ERROR_SQLSTATE
RESET usage_events.account_id;

\pset format aligned
\pset tuples_only off
DROP FUNCTION faults(text), listed(jsonb), shown(jsonb);
TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.customer_alias;
DELETE FROM usage_events.account WHERE account_id = :'other';
