-- The settings: what they are, and what they refuse.
\c
LOAD 'usage_events';
SELECT name, setting, unit, context, vartype, enumvals, short_desc FROM pg_settings WHERE name LIKE 'usage\_events.%' ORDER BY name;
SET usage_events.account_id = 'acme';
SET usage_events.account_id = '0184421e-a9cc-711b-af93-bf0511d4d83';
SET usage_events.account_id = '{0184421e-a9cc-711b-af93-bf0511d4d833}';
SET usage_events.account_id = '0184421E-A9CC-711B-AF93-BF0511D4D833';
SELECT usage_events.current_account_id();
SET usage_events.account_id = '';
SELECT usage_events.current_account_id();
SET usage_events.on_conflict = 'overwrite';
\set VERBOSITY sqlstate
SET usage_events.max_properties_bytes = 0;
SET usage_events.max_properties_bytes = '1GB';
\set VERBOSITY default
SET usage_events.no_such_setting = 1;
-- the library and the SQL objects are of one version
SELECT usage_events.library_version() = extversion AS same_version FROM pg_extension WHERE extname = 'usage_events';
