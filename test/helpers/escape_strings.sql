\set ECHO none
-- escape_strings.sql: from here on a backslash escapes in every string, as a session may have it before PostgreSQL 19
SELECT set_config('standard_conforming_strings', 'off', false), set_config('escape_string_warning', 'off', false)
WHERE current_setting('server_version_num')::int < 190000 \g /dev/null
\set ECHO all
