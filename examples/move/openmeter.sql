-- openmeter.sql: CloudEvents as OpenMeter takes and lists them, from the table foreign_event(event jsonb), to usage events; docs/comparison.md
--
-- OpenMeter knows an event by its source and its id.  Its list has each event inside of an object that says when it came.
SELECT ingest_usage_events(coalesce(jsonb_agg(jsonb_build_object(
    'customerEventId', (cloud ->> 'source') || '/' || (cloud ->> 'id'),
    'customerAlias', cloud -> 'subject',
    'eventType', cloud -> 'type',
    'eventTimestamp', coalesce(cloud ->> 'time', event ->> 'ingestedAt'),
    'eventProperties', cloud -> 'data')), '[]')) - 'outcomes' AS moved
FROM foreign_event, LATERAL (SELECT coalesce(event -> 'event', event) AS cloud) AS inside;
