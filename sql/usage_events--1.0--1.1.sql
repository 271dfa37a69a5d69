\echo Use "ALTER EXTENSION usage_events UPDATE TO '1.1'" to load this file. \quit
