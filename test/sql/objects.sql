-- Every object of the extension: who may call it, how it is marked, that it says what it is.
SELECT p.oid::regprocedure AS function, p.provolatile AS volatile, p.proisstrict AS strict, p.proparallel AS parallel,
       has_function_privilege('public', p.oid, 'execute') AS public, p.prosecdef AS definer
FROM pg_proc AS p
JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'usage_events'
ORDER BY p.oid::regprocedure::text COLLATE "C";

-- without a comment: none
SELECT pg_describe_object(d.classid, d.objid, 0) AS uncommented
FROM pg_depend AS d
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'usage_events'
WHERE d.deptype = 'e' AND d.classid NOT IN ('pg_cast'::regclass)
  AND obj_description(d.objid, (SELECT relname FROM pg_class WHERE oid = d.classid)) IS NULL
  AND pg_describe_object(d.classid, d.objid, 0) NOT LIKE 'type %[]'
  AND NOT (d.classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type WHERE oid = d.objid AND typrelid <> 0))
ORDER BY 1;
SELECT a.attrelid::regclass AS relation, a.attname AS uncommented_column
FROM pg_attribute AS a
JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.deptype = 'e'
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'usage_events'
WHERE a.attnum > 0 AND NOT a.attisdropped AND col_description(a.attrelid, a.attnum) IS NULL
ORDER BY 1, 2;

-- views are read with the rights of whoever reads; tables are isolated, dumped, and ready for Citus:
-- each unique key starts with the account, no triggers but those that watch for changes by others, no identity, no sub-select in a policy
SELECT relname, reloptions FROM pg_class WHERE relkind = 'v' AND relname IN ('usage_events', 'usage_event_history') ORDER BY 1;
SELECT c.relname, c.relrowsecurity AS isolated, c.oid = ANY (e.extconfig) AS dumped,
       (SELECT bool_and(indkey[0] = (SELECT attnum FROM pg_attribute WHERE attrelid = c.oid AND attname = 'account_id'))
        FROM pg_index WHERE indrelid = c.oid AND indisunique) AS keys_start_with_account,
       (SELECT string_agg(tgname || ' ' || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid) AS triggers,
       (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND attidentity <> '') AS identities,
       (SELECT string_agg(polname, ' ' ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid) AS policies
FROM pg_class AS c, pg_extension AS e
WHERE e.extname = 'usage_events' AND c.relnamespace = 'usage_events'::regnamespace AND c.relkind = 'r'
ORDER BY c.relname COLLATE "C";

-- the same policies for all tables: rows are written by the extension's own statements
SELECT polname, polcmd, polpermissive AS permissive, polroles AS roles, pg_get_expr(polqual, polrelid) AS using,
    pg_get_expr(polwithcheck, polrelid) AS check, count(*)
FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid WHERE relnamespace = 'usage_events'::regnamespace
GROUP BY polname, polcmd, polpermissive, polroles, 5, 6 ORDER BY polname;

-- columns of which the planner may know what values all accounts have: none
SELECT attrelid::regclass AS table, attname AS column FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped AND attstattarget IS DISTINCT FROM 0;

-- the guard on dropping is there also where triggers are turned off
SELECT evtname, evtenabled FROM pg_event_trigger WHERE evtname LIKE 'usage_events%';
