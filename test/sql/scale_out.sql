-- What would keep the tables from being distributed with Citus, and that without it nothing is.
-- Each query finds what is wrong: no rows.  Those of outboxes are not distributed.
\pset format unaligned
\pset tuples_only on
CREATE TEMP VIEW account_table AS
SELECT relation.oid
FROM pg_class AS relation
JOIN pg_depend AS depend ON depend.classid = 'pg_class'::regclass AND depend.objid = relation.oid AND depend.deptype = 'e'
JOIN pg_extension AS extension ON extension.oid = depend.refobjid AND extension.extname = 'usage_events'
WHERE relation.relkind IN ('r', 'p') AND relation.relname NOT IN ('outbox', 'outbox_event');
-- all of them are where distribute() looks for them
SELECT relation.oid::regclass FROM pg_class AS relation JOIN account_table ON account_table.oid = relation.oid
WHERE relnamespace <> 'usage_events'::regnamespace OR relkind <> 'r';
-- the account is not null, a uuid, and the first column
SELECT oid::regclass FROM account_table
WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = oid AND attname = 'account_id' AND attnum = 1 AND attnotnull AND atttypid = 'uuid'::regtype);
-- every index, unique or not, begins with it
SELECT index.indexrelid::regclass FROM pg_index AS index JOIN account_table ON index.indrelid = account_table.oid
WHERE index.indkey[0] <> 1;
-- foreign keys, triggers but those that distribute() drops, identity, generated columns, defaults that are not constant, sequences
SELECT conname FROM pg_constraint JOIN account_table ON conrelid = account_table.oid WHERE contype IN ('f', 'x');
SELECT tgname FROM pg_trigger JOIN account_table ON tgrelid = account_table.oid
    WHERE strpos(pg_get_functiondef('usage_events.distribute(integer)'::regprocedure), quote_literal(tgfoid::regproc::text)) = 0;
SELECT attrelid::regclass, attname FROM pg_attribute JOIN account_table ON attrelid = account_table.oid
WHERE attidentity <> '' OR attgenerated <> '';
SELECT adrelid::regclass, pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN account_table ON adrelid = account_table.oid
WHERE pg_get_expr(adbin, adrelid) ~ '\(';
SELECT relation.oid::regclass FROM pg_class AS relation JOIN pg_namespace AS schema ON schema.oid = relation.relnamespace
WHERE relation.relkind = 'S' AND schema.nspname = 'usage_events';
-- policies are plain comparisons without sub-select
SELECT polrelid::regclass, polname, pg_get_expr(coalesce(polqual, polwithcheck), polrelid) FROM pg_policy JOIN account_table ON polrelid = account_table.oid
WHERE pg_get_expr(coalesce(polqual, polwithcheck), polrelid) NOT IN ('(account_id = usage_events.current_account_id())',
    '((account_id = usage_events.current_account_id()) AND usage_events.written_by_extension())');
-- no function takes or returns a row of a table
SELECT function.oid::regprocedure FROM pg_proc AS function JOIN pg_type AS type ON type.oid = ANY (function.proargtypes || function.prorettype)
JOIN account_table ON account_table.oid = type.typrelid;
-- what is sent to an account's node takes the account as account_id
SELECT name FROM unnest(ARRAY['usage_events.create_event', 'usage_events.create_events', 'usage_events.ingest_events', 'usage_events.calculate_metric',
    'usage_events.create_api_key', 'usage_events.list_api_keys']) AS function(name)
WHERE NOT EXISTS (SELECT FROM pg_proc WHERE oid = name::regproc AND 'account_id' = ANY (proargnames));
-- without Citus nothing is done
SELECT usage_events.distribute();
SELECT usage_events.undistribute();
