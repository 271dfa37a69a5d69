-- From PostgreSQL 16 on a bad event can be asked about, and from 17 on skipped in COPY.
SELECT current_setting('server_version_num')::int >= 170000 AS has_soft_errors \gset
\if :has_soft_errors
SELECT pg_input_is_valid('{"customerAlias": "a", "eventType": "t"}', 'usage_event');
SELECT pg_input_is_valid('{"customerAlias": "a"}', 'usage_event');
SELECT pg_input_is_valid('{"customerAlias": ', 'usage_event');
SELECT * FROM pg_input_error_info('{"customerAlias": " ", "eventTimestamp": "now"}', 'usage_event');
SELECT message, sql_error_code FROM pg_input_error_info('{"customerAlias": ', 'usage_event');
SELECT current_setting('data_directory') || '/usage_event_soft_errors.copy' AS file \gset
COPY (VALUES ('{"customerAlias": "a", "eventType": "t"}'), ('{"customerAlias": "a"}'), ('no JSON'), ('{"customerAlias": "b", "eventType": "t"}')) TO :'file';
CREATE TEMP TABLE incoming (event usage_event);
COPY incoming FROM :'file' (ON_ERROR ignore);
SELECT * FROM incoming;
DROP TABLE incoming;
\endif
